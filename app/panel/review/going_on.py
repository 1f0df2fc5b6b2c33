"""From the answers of people back to the run."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from ....tools.errors import LabelwrightError
from ....tools.reviews import REVIEW
from ....tools.watch.corrected import last_learned, learned_words
from ....tools.watch.desk import Desk, order
from ....tools.watch.proposals import RUN_KINDS, read_proposals
from ....tools.watch.queue import Queue
from ..formats import number
from ..processes import resume_run
from ..run_page.orders import pending_orders
from .who import reviewer

TAKE_UP = "Take them up now"
_FREE = frozenset((REVIEW, "dismiss_proposal", "stop", "finish", "hand_in"))
"""Kinds of orders for which nothing is ever bought."""
_SURE = "review_hand_in_sure"
TROUBLE, WENT_ON = "review_trouble", "review_went_on"
"""Keys of the session: why the run could not go on, and that the whole page is to be drawn anew."""


@dataclass(frozen=True)
class Waits:
    """Reviews that the run has not taken up.

    Attributes:
        texts: Of how many texts, in words.
        words: What comes of them.
        free: Whether the run can take them up and buy nothing; `TAKE_UP` is offered then.
    """

    texts: str
    words: str
    free: bool


def what_waits(at: Desk, state: str, how: str = "Resume, on the page Run.") -> Waits | None:
    """Reviews that a run which is not going on has yet to take up; ``None`` without any.

    Args:
        at: The run, with its log fresh.
        state: Where it stands.
        how: How to go on where something may be bought.
    """
    waiting = len(at.log.pending())
    if not waiting:
        return None
    texts = "1 text" if waiting == 1 else f"{number(waiting)} texts"
    wait = f"Reviews of {texts} wait to be taken up"
    if state != "finished":
        # To resume it would be to go on with all of it, and to spend.
        return Waits(texts, f"{wait}, and are when the run goes on.", False)
    if _buys(at):
        with_others = "They are with what else was ordered of the run, which may buy something"
        return Waits(texts, f"{wait}. {with_others}: {how}", False)
    return Waits(texts, f"{wait}. Nothing is bought for them.", True)


def go_on(at: Desk, state: str, stands: Queue | None) -> None:
    """Offer to hand the answers in, or to let a run that has ended take up corrections.

    Args:
        at: The run.
        state: Where it stands.
        stands: Its open questions; ``None`` where it has none.
    """
    if state == "running":
        return
    if stands is not None:
        _hand_in(at, stands)
    elif waits := what_waits(at, state):
        st.caption(waits.words)
        if waits.free:
            st.button(TAKE_UP, key="review_resume", on_click=_resume, args=(at,))
    elif state == "finished" and (learned := last_learned(at.reader)):
        st.caption(learned_words(learned, reviewer()))


def _buys(at: Desk) -> bool:
    """Whether a run that is resumed may buy something: orders wait, or an accepted proposal."""
    if not _FREE.issuperset(pending_orders(at.reader)):
        return True
    return any(
        one.state == "accepted" and one.kind in RUN_KINDS for one in read_proposals(at.reader)
    )


def _hand_in(at: Desk, stands: Queue) -> None:
    left = len(stands.open)
    if not left:
        st.button(
            "Hand in and go on",
            key="review_hand_in",
            type="primary",
            on_click=_resume,
            args=(at,),
        )
    elif not st.session_state.get(_SURE):
        st.button(
            "Hand in what there is",
            key="review_hand_in_early",
            on_click=_ask_if_sure,
            args=(True,),
        )
    else:
        st.warning(
            f"{number(left)} of the questions have no settled answer. The run goes on without "
            "them, and does not ask them again."
        )
        with st.container(horizontal=True):
            st.button("Hand in and go on", key="review_hand_in", on_click=_resume, args=(at, True))
            st.button("Not yet", key="review_not_yet", on_click=_ask_if_sure, args=(False,))


def _ask_if_sure(sure: bool) -> None:
    st.session_state[_SURE] = sure


def _resume(at: Desk, early: bool = False) -> None:
    st.session_state.pop(_SURE, None)
    if early:
        order(at, "hand_in")
    try:
        resume_run(at.folder)
    except LabelwrightError as error:
        st.session_state[TROUBLE] = str(error)
    # Where the run stands is for the whole page to see, not for this part of it.
    st.session_state[WENT_ON] = True
