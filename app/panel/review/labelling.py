"""One item at a time: read it, press a key, and the next one is there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import streamlit as st

from ....tools.reviews import Review, Verdict
from ....tools.watch.desk import HELD, Desk, Heard, give, take_back
from ....tools.watch.queue import Question
from .. import formats
from ..items.tables import show_table
from ..plain import LONGEST, escaped, show_text
from . import keys
from .keys import QUIET_S
from .words import BLIND, NOT_BLIND, spoken, why_asked

_LARGE = 20
"""Labels from which a field helps to find one."""
_WHOLE = 2_000_000
_HISTORY = 3
_CSS = """<style>
.st-key-review_text .lw-text { font-size: 1.3rem; line-height: 1.6; padding: 1rem 1.25rem; }
</style>"""
_NOW = "review_now"
_EXAMPLE = "review_example_on"
_SHOWN = "review_votes_of"
_SINCE = "review_since"


def chosen(desk: Desk, reviewer: str, todo: Sequence[str]) -> str | None:
    """The item to show: the one that was taken back, or the first that nobody else looks at."""
    if not todo:
        return None
    wanted: str = st.session_state.get(_NOW, "")
    if wanted not in todo:
        wanted = next((item for item in todo if not desk.taken(item, reviewer)), todo[0])
    desk.take(wanted, reviewer)
    return wanted


def ask(desk: Desk, reviewer: str, question: Question) -> None:
    """Put one question: the text, the labels, and what else can be done with it."""
    token = hashlib.sha256(question.item_id.encode()).hexdigest()[:12]
    # Filled last: once the text is there to be read, its keys are.
    above = st.container()
    shown = st.session_state.get(_SHOWN) == question.item_id and not question.blind
    _labels(desk, reviewer, question, token, blind=not shown and not question.doubted)
    _actions(desk, reviewer, question, token, shown=shown)
    if shown:
        _votes(desk, question.item_id, reviewer)
    with above:
        _text(desk, reviewer, question, token)
    if st.session_state.get(_SINCE, ("", 0.0))[0] != question.item_id:
        st.session_state[_SINCE] = (question.item_id, time.monotonic())


def _text(desk: Desk, reviewer: str, question: Question, token: str) -> None:
    with st.container(key="review_text"):
        st.html(_CSS)
        whole = len(question.text) > LONGEST and st.toggle(
            "Show the whole text", key=f"review_whole_{token}"
        )
        show_text(question.text, _WHOLE if whole else LONGEST)
    if question.doubted:
        st.write(escaped(question.doubted, 300))
    reasons = [escaped(why_asked(question.purpose)) if question.purpose else "review"]
    if question.blind:
        reasons.append(BLIND)
    if desk.log.ever_answered(question.item_id, reviewer):
        reasons.append(NOT_BLIND)
    if any(word.verdict == "flag" for word in desk.log.words(question.item_id, reviewer)):
        reasons.append("flagged by you")
    st.caption(f"{escaped(question.item_id, 60)} · {' · '.join(reasons)}")


def history(desk: Desk, reviewer: str) -> None:
    """The reviewer's last words, each with a way to take it back."""
    words = desk.log.of_reviewer(reviewer)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo",
            key="review_undo",
            shortcut=keys.UNDO,
            disabled=not words or not desk.log.revocable(words[0]),
            on_click=_undo,
            args=(desk, words[0] if words else None),
        )
        st.caption(f"You have spoken on {formats.number(len({w.item_id for w in words}))} items.")
    with st.container(gap=None):
        for word in words[:_HISTORY]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    "Take back",
                    key=f"review_back_{word.seq}",
                    type="tertiary",
                    disabled=not desk.log.revocable(word),
                    on_click=_undo,
                    args=(desk, word),
                )
                st.caption(f"{escaped(word.item_id, 40)}: {escaped(spoken(word))}")


def _labels(desk: Desk, reviewer: str, question: Question, token: str, *, blind: bool) -> None:
    wanted = ""
    if len(question.labels) > _LARGE:
        wanted = st.text_input(
            "Find a label",
            key=f"review_find_{token}",
            placeholder="type a part of its name, then Tab and a key",
            live=True,
            width=340,
        )
    found = keys.matching(list(question.labels), wanted)
    if not found:
        st.caption("No label has these words in its name.")
    mine = desk.log.answer(question.item_id, reviewer)
    with st.container(horizontal=True, gap="xsmall"):
        for place, label in enumerate(found):
            number = question.labels.index(label)
            st.button(
                escaped(label, 60),
                # Of this item alone: a key that comes late must not answer the next one.
                key=f"review_label_{token}_{number}",
                shortcut=keys.LABELS[place] if place < len(keys.LABELS) else None,
                type="primary" if mine and mine.label == label else "secondary",
                help=escaped(label, 400) if len(label) > 60 else None,
                on_click=_answer,
                args=(desk, reviewer, question.item_id, label, blind),
            )
        st.button(
            "No label fits",
            key=f"review_none_{token}",
            shortcut=keys.NO_LABEL,
            on_click=_answer,
            args=(desk, reviewer, question.item_id, None, blind),
        )


def _actions(desk: Desk, reviewer: str, question: Question, token: str, *, shown: bool) -> None:
    item = question.item_id
    offered = bool(st.session_state.get(_EXAMPLE))
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Skip",
            key=f"review_skip_{token}",
            shortcut=keys.SKIP,
            on_click=_skip,
            args=(desk, reviewer, item),
        )
        st.button(
            "Flag",
            key=f"review_flag_{token}",
            shortcut=keys.FLAG,
            help="To be talked about; it says nothing of the label.",
            on_click=_flag,
            args=(desk, item, reviewer),
        )
        st.button(
            "Example: yes" if offered else "Example: no",
            key=f"review_example_{token}",
            shortcut=keys.EXAMPLE,
            type="primary" if offered else "secondary",
            help="Offer this text with your label as an example to the models, for other texts.",
            on_click=_toggle_example,
        )
        if not question.blind:
            st.button(
                "Hide votes" if shown else "Show votes",
                key=f"review_votes_{token}",
                shortcut=keys.VOTES,
                help="An answer that is given with the votes in sight is kept as not blind.",
                on_click=_show_votes,
                args=(None if shown else item,),
            )


def _votes(desk: Desk, item_id: str, reviewer: str) -> None:
    lines = [(_who(heard), heard.label, heard.why) for heard in desk.heard(item_id, reviewer)]
    if lines:
        show_table(("Who", "Label", "Why"), lines)
    else:
        st.caption("Nobody has voted on this item.")


def _who(heard: Heard) -> str:
    sure = f" ({formats.percent(heard.p_correct)})" if heard.who == HELD else ""
    return heard.who + sure


def _held_down(item_id: str) -> bool:
    """Whether a key comes sooner than anybody can have read the item; then it is not taken."""
    item, since = st.session_state.get(_SINCE, ("", 0.0))
    now = time.monotonic()
    if item != item_id or now - since >= QUIET_S:
        return False
    st.session_state[_SINCE] = (item_id, now)
    return True


def _answer(desk: Desk, reviewer: str, item_id: str, label: str | None, blind: bool) -> None:
    if _held_down(item_id):
        return
    verdict: Verdict = "label" if label is not None else "no_label"
    example = label is not None and bool(st.session_state.get(_EXAMPLE))
    give(desk, item_id, reviewer, verdict, label, example=example, blind=blind)
    _next()


def _skip(desk: Desk, reviewer: str, item_id: str) -> None:
    if _held_down(item_id):
        return
    give(desk, item_id, reviewer, "skip")
    _next()


def _flag(desk: Desk, item_id: str, reviewer: str) -> None:
    give(desk, item_id, reviewer, "flag")


def _undo(desk: Desk, word: Review | None) -> None:
    if word is not None and take_back(desk, word):
        _next()
        st.session_state[_NOW] = word.item_id


def _toggle_example() -> None:
    st.session_state[_EXAMPLE] = not st.session_state.get(_EXAMPLE)


def _show_votes(item_id: str | None) -> None:
    st.session_state[_SHOWN] = item_id


def _next() -> None:
    for key in (_NOW, _EXAMPLE, _SHOWN):
        st.session_state.pop(key, None)
