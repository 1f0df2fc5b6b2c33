"""Several reviewers: who agrees with whom, and where they differ."""

from __future__ import annotations

import streamlit as st

from ....tools.reviews import agreement
from ....tools.watch.desk import Desk
from ....tools.watch.queue import queue, second_opinion
from ..formats import number, percent
from ..items.tables import show_table
from ..links import open_page
from ..plain import escaped

_MOST = 50


def reviewers(at: Desk) -> None:
    """Show who has reviewed how much, their agreement, and what is disputed."""
    at.log.refresh()
    names = at.log.reviewers()
    if not names:
        st.info("Nobody has reviewed anything in this run yet.")
        return
    counts = {name: at.log.of_reviewer(name) for name in names}
    st.subheader("Reviewers")
    show_table(
        ("Reviewer", "Answers", "Blind", "Skipped", "Flagged"),
        [
            (
                name,
                number(sum(word.verdict in {"label", "no_label"} for word in words)),
                number(sum(word.blind for word in words)),
                number(sum(word.verdict == "skip" for word in words)),
                number(sum(word.verdict == "flag" for word in words)),
            )
            for name, words in counts.items()
        ],
    )
    st.subheader("Agreement")
    pairs = agreement(at.log.reviews())
    if pairs:
        show_table(
            ("One", "Other", "Items both answered", "Agree"),
            [(one, other, number(n), percent(same / n, 0)) for one, other, n, same in pairs],
        )
    else:
        st.caption("No two reviewers have answered the same item.")
    _disputed(at)


def _disputed(at: Desk) -> None:
    st.subheader("Disputed items")
    disputed = [item for item, stands in at.log.standing.items() if stands.disputed]
    if not disputed:
        st.caption("On no item do answers differ without a majority.")
        return
    asked = {
        question.item_id
        for question in queue(
            at.questions.questions(), at.log, "", second_opinion=second_opinion(at.reader)
        ).open
    }
    st.caption(
        "A further reviewer decides. What the run has asked comes to the next reviewer by itself; "
        "the answers of others are not shown there."
    )
    for item in disputed[:_MOST]:
        said = at.log.standing[item].said
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(escaped(item, 60), key=f"review_open_{item}", type="tertiary"):
                open_page("items", at.folder.name, item=item)
            open_question = item in asked
            st.caption(
                "open question, answers hidden"
                if open_question
                else ", ".join(
                    f"{escaped(name)}: {escaped(label or 'no label fits')}"
                    for name, label in said.items()
                )
            )
