"""A person's word on an item, given where all of it is in sight."""

from __future__ import annotations

import streamlit as st

from ....tools.reviews import Review, Verdict
from ....tools.watch.desk import Desk, give, take_back
from ..plain import escaped, visible
from ..review.who import ask_name
from ..review.words import spoken

_NONE = None


def correct(at: Desk, item: str, token: str) -> None:
    """Offer to set the label, to flag the item, and to take the last word back.

    Args:
        at: The run, with its log fresh.
        item: The id.
        token: Stands for the item in keys of widgets.
    """
    st.subheader("Set the label")
    name = ask_name()
    if not name:
        st.caption("Write your name to set a label or to flag the item.")
        return
    options: list[str | None] = [*at.reader.labels, _NONE]
    chosen = st.selectbox(
        "Label",
        range(len(options)),
        index=None,
        key=f"items_set_{token}",
        format_func=lambda number: visible(options[number] or "No label fits"),
        placeholder="choose",
    )
    example = st.checkbox(
        "Offer as an example",
        key=f"items_example_{token}",
        help="The models may be shown this text with its label, for other texts.",
        disabled=chosen is None or options[chosen] is None,
    )
    words = at.log.words(item, name)
    with st.container(horizontal=True):
        st.button(
            "Set it",
            key=f"items_save_{token}",
            type="primary",
            disabled=chosen is None,
            on_click=_set,
            args=(at, item, name, options[chosen] if chosen is not None else None, example),
        )
        st.button(
            "Flag",
            key=f"items_flag_{token}",
            disabled=any(word.verdict == "flag" for word in words),
            on_click=_flag,
            args=(at, item, name),
        )
        st.button(
            "Take back",
            key=f"items_back_{token}",
            disabled=not words or not at.log.revocable(words[-1]),
            on_click=_back,
            args=(at, words[-1] if words else None),
        )
    if words:
        st.caption(f"You said: {escaped(spoken(words[-1]))}")
    stands = at.log.standing.get(item)
    if stands is not None and stands.disputed:
        st.caption("Reviewers differ; a further one decides.")
    if item in at.log.pending():
        st.caption("The run takes this up at its next safe point, or when it is resumed.")


def _set(at: Desk, item: str, name: str, label: str | None, example: bool) -> None:
    verdict: Verdict = "no_label" if label is None else "label"
    give(at, item, name, verdict, label, example=example and label is not None)


def _flag(at: Desk, item: str, name: str) -> None:
    give(at, item, name, "flag")


def _back(at: Desk, word: Review | None) -> None:
    if word is not None:
        take_back(at, word)
