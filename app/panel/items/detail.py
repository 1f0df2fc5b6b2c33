"""One item with all that the run knows of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from ....tools.watch import RunReader, run_status
from ....tools.watch import item as records
from ....tools.watch.desk import Desk
from ....tools.watch.items import rows
from ....tools.watch.reader import VECTORS_FILE
from ....tools.watch.review_log import Said
from .. import formats
from ..links import open_page
from ..plain import LONGEST, escaped, show_text
from ..review.words import spoken
from ..session import born
from .correct import correct
from .prompt import show_prompt
from .tables import show_table

_WHOLE = 2_000_000
_NEAR = 10
Show = Callable[[str | None], None]


def detail(at: Desk, item: str, position: int, hidden: set[str], show: Show) -> None:
    """Show one item.

    Args:
        at: The run, with log and table fresh.
        item: Its id.
        position: Its place in the pool.
        hidden: Items of which nothing may be told to this reviewer.
        show: Puts another item into the address.
    """
    token = hashlib.sha256(item.encode()).hexdigest()[:12]
    text = at.reader.texts([item]).get(item, "")
    origin = "written for the run" if at.table.synthetic[position] else "from the input"
    st.caption(f"{escaped(item, 120)} · {origin} · {formats.number(len(text))} characters")
    whole = len(text) > LONGEST and st.toggle("Show the whole text", key=f"items_whole_{token}")
    show_text(text, _WHOLE if whole else LONGEST)
    if item in hidden:
        st.info(
            "An audit asks you about this item, so nothing is told of it until you have answered "
            "on the review page."
        )
        if st.button("Answer it there", key=f"items_answer_{token}"):
            open_page("review", at.folder.name)
        return
    left, right = st.columns([5, 3], gap="large")
    with right:
        correct(at, item, token)
        _nearest(at, position, hidden, show)
    with left:
        _standing(at, item)
        _votes(at, item, token)
        _reviews(at.log.of_item(item), run_status(at.folder).state)
        _critic(at, item)
        _rows(at, item)


def _standing(at: Desk, item: str) -> None:
    history = records.held(at.reader, item)
    if not history:
        st.caption("The run has not come to this item yet.")
        return
    last = history[-1]
    what = f"**{escaped(last.label)}**" if last.label else "no label"
    if last.outcome != "accept":
        what = f"set apart; the likeliest label is {what}"
    sure = f", right with {formats.percent(last.p_correct)}" if last.p_correct is not None else ""
    measured = "" if last.calibrated or last.p_correct is None else " (not held to audits)"
    st.markdown(f"Held to be true: {what}{sure}{measured}, from: {escaped(last.source)}")
    st.caption(escaped(last.reason, 400))
    with st.expander(f"How it came to this ({len(history)})"):
        show_table(
            ("Round", "Label", "Right", "From", "Outcome", "Why", "Failed checks"),
            [
                (
                    str(one.round),
                    one.label or "\N{EN DASH}",
                    formats.percent(one.p_correct),
                    one.source + (", trusted" if one.gold else ""),
                    one.outcome.replace("_", " ") + (", for good" if one.final else ""),
                    one.reason,
                    ", ".join(one.flags),
                )
                for one in history
            ],
        )


def _votes(at: Desk, item: str, token: str) -> None:
    votes = records.votes(at.reader, item)
    st.subheader("Votes")
    if not votes:
        st.caption("Nobody was asked about it.")
        return
    show_table(
        ("Annotator", "Answer", "Sure", "Reason", "Asked", "Cost", "When"),
        [
            (
                vote.annotator,
                vote.label or f"(none: {vote.invalid})",
                formats.percent(vote.confidence, 0),
                vote.reason or "",
                f"round {vote.round}, {vote.purpose.replace('_', ' ')}"
                + (", check, no vote" if vote.check else "")
                + (f", attempt {vote.attempt + 1}" if vote.attempt > 0 and not vote.check else ""),
                formats.money(vote.cost),
                formats.when(vote.at) if vote.at else "",
            )
            for vote in votes
        ],
    )
    st.caption(f"In all {formats.money(sum(vote.cost for vote in votes))} for this item.")
    show_prompt(at, votes, token)


def _reviews(said: list[Said], state: str) -> None:
    if not said:
        return
    st.subheader("Reviews")
    waits = "taken up at the next safe point" if state == "running" else "waits for the run"
    show_table(
        ("Reviewer", "Said", "When", "Blind", "What became of it"),
        [
            (
                one.review.reviewer,
                spoken(one.review) + (" (taken back)" if one.taken_back else ""),
                formats.when(one.at),
                "yes" if one.review.blind else "no",
                one.note if one.note is not None else waits,
            )
            for one in said
        ],
    )


def _critic(at: Desk, item: str) -> None:
    found = records.findings(at.reader, item)
    if found:
        st.subheader("What agents decided")
        show_table(
            ("Round", "By", "What", "Why"),
            [(str(one.round), one.by, one.what.replace("_", " "), one.text) for one in found],
        )


def _rows(at: Desk, item: str) -> None:
    lines = records.input_rows(at.reader, item)
    if not lines:
        return
    title = "Row of the input" if len(lines) == 1 else f"Rows that take its label ({len(lines)})"
    with st.expander(title):
        show_table(
            ("Id", "Line", "Text", "Fields"),
            [
                (
                    line.id,
                    str(line.line),
                    "itself" if line.id == item else "the same" if line.same else "nearly the same",
                    "\n".join(f"{name}: {value}" for name, value in line.fields.items()),
                )
                for line in lines
            ],
        )


# Vectors that are there stay as they are: the run and how many there are tell what is found.
@st.cache_data(max_entries=256, show_spinner=False)
def _near(
    _reader: RunReader,
    folder: Path,  # noqa: ARG001
    born: tuple[int, int],  # noqa: ARG001
    size: int,  # noqa: ARG001
    position: int,
    n: int,
) -> list[tuple[int, float]]:
    return records.neighbours(_reader, position, n, _NEAR)


def _size(at: Desk) -> int:
    try:
        return (at.folder / "pool" / VECTORS_FILE).stat().st_size
    except OSError:
        return 0


def _nearest(at: Desk, position: int, hidden: set[str], show: Show) -> None:
    st.subheader("Nearest texts")
    near = _near(at.reader, at.folder, born(at.folder), _size(at), position, len(at.table))
    if not near:
        st.caption("There are no vectors to compare with.")
        return
    similar = dict(near)
    for row in rows(at.reader, at.table, [place for place, _ in near], hidden=hidden):
        label = "hidden" if row.outcome == "hidden" else row.label or "no label"
        with st.container(gap=None):
            st.button(
                escaped(row.preview, 90) or "(empty)",
                key=f"items_near_{row.position}",
                type="tertiary",
                on_click=show,
                args=(row.id,),
            )
            st.caption(f"{formats.number(similar[row.position], 2)} · {escaped(label, 60)}")
