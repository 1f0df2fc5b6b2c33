"""The head of the page: which run it is, how it stands, and the buttons that steer it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from ....agents.operator.facts import read_facts
from ....agents.operator.left_open import left_open
from ....tools.errors import LabelwrightError
from ....tools.watch.corrected import last_learned, learned_words
from ....tools.watch.live import Live
from ....tools.watch.queue import QuestionFile
from ....tools.watch.reader import LEDGER_FILE
from ....tools.watch.status import RunStatus
from .. import formats, processes
from ..formats import STATES
from ..links import open_page
from ..plain import escaped, show_text
from ..review.desk import desk
from ..review.going_on import TAKE_UP, Waits, what_waits
from ..review.who import reviewer
from ..words import words_button
from . import facts
from .downloads import downloads
from .orders import order, pending_orders

_LOOKS = {
    "running": "lw-on",
    "waiting_for_people": "lw-on",
    "interrupted": "lw-bad",
    "failed": "lw-bad",
}
"""How states look that are to be seen at once."""
_NOTES = {
    "not_started": "It has not begun. It begins with Start; until then nothing is spent.",
    "waiting_for_people": "It waits for answers that only people can give, and spends nothing. "
    "Answer them on the page Review, and hand them in there.",
    "stopped": "It is paused and spends nothing. It goes on where it was with Resume.",
    "interrupted": "Its process has ended without a word. Nothing is lost: Resume goes on where "
    "it was, and what was paid for is not asked again.",
}


_RESUME_HELP = {
    "finished": "It takes up what was ordered since it finished.",
    "waiting_for_people": "It goes on once all questions are answered, or handed in as they are.",
}


def show_head(folder: Path, live: Live, status: RunStatus) -> None:
    """Draw name, state, buttons, and what is to be known about the state."""
    word, look = STATES[status.state], _LOOKS.get(status.state, "")
    st.html(
        f'<div class="lw-head"><h1>{facts.safe(folder.name)}</h1>'
        f'<span class="lw-state {look}">{word}</span></div>'
    )
    waits = _waits(folder, status)
    with st.container(horizontal=True, vertical_alignment="center"):
        _buttons(folder, live, status, waits)
    _started_in_vain(folder, status)
    if status.state == "failed":
        st.error("It ended with an error. When its cause is mended, Resume goes on where it was.")
        show_text(status.error or "The error was not written down; see the last lines printed.")
        _log(folder)
    elif note := _NOTES.get(status.state):
        st.caption(note)
    elif status.state == "finished" and waits:
        # What the delivery before says of corrections would be taken for a word on these.
        st.caption(waits.words)
    elif status.state == "finished" and (learned := last_learned(live.reader)):
        st.caption(learned_words(learned, reviewer()))


def _waits(folder: Path, status: RunStatus) -> Waits | None:
    """Reviews that the run has not taken up; a run that is going on takes them up by itself."""
    if status.state == "running":
        return None
    at = desk(folder)
    at.log.refresh()
    return what_waits(at, status.state, "Resume takes up all of it.")


def _buttons(folder: Path, live: Live, status: RunStatus, waits: Waits | None) -> None:
    pending = pending_orders(live.reader)
    begun = (folder / LEDGER_FILE).exists()
    if status.state == "running":
        st.button(
            "Pause",
            key="run_pause",
            disabled=not begun or "stop" in pending,
            on_click=_try,
            args=(order, folder, "stop"),
            help="It pauses at the next safe point and can be resumed; nothing is lost.",
        )
    elif status.state == "waiting_for_people":
        left = len(QuestionFile(folder).questions())
        if st.button(
            f"Answer {formats.number(left)} questions" if left != 1 else "Answer 1 question",
            key="run_review",
            type="primary",
        ):
            open_page("review", folder.name)
    if status.state != "running" and (status.resumable or pending):
        starting = (job := processes.run_job(folder)) is not None and job.state == "running"
        st.button(
            _go_on_words(status, waits),
            key="run_resume",
            type="secondary" if status.state == "waiting_for_people" else "primary",
            disabled=starting,
            on_click=_try,
            args=(processes.resume_run, folder),
            help=None if waits and waits.free else _RESUME_HELP.get(status.state),
        )
    if status.state != "finished" and begun:
        ordered = "finish" in pending
        if st.button("Finish\N{HORIZONTAL ELLIPSIS}", key="run_finish", disabled=ordered):
            _confirm_finish(folder, live, status.state == "running")
    downloads(folder, live.reader, status, waits.texts if waits else "")
    words_button()


def _go_on_words(status: RunStatus, waits: Waits | None) -> str:
    if waits and waits.free:
        return TAKE_UP
    return "Start" if status.state == "not_started" else "Resume"


@st.dialog("Finish this run")
def _confirm_finish(folder: Path, live: Live, running: bool) -> None:
    st.markdown(
        "Nothing more is bought after the batch under way. The student is trained on the labels "
        "that there are by then, and the labels are delivered."
        + ("" if running else " The run is started again to do this.")
    )
    for left in left_open(read_facts(live.reader)):
        st.markdown(left)
    st.markdown(f"This ends the run **{escaped(folder.name)}**. To be able to go on, pause it.")
    with st.container(horizontal=True):
        args = (folder, running)
        if st.button(
            "Finish the run", key="run_finish_yes", type="primary", on_click=_finish, args=args
        ):
            st.rerun()
        if st.button("Leave it", key="run_finish_no"):
            st.rerun()


def _finish(folder: Path, running: bool) -> None:
    _try(order, folder, "finish", {})
    if not running:
        _try(processes.resume_run, folder)


def _try(action: Callable[..., object], *given: object) -> None:
    """Do something whose failure is for the reader."""
    try:
        action(*given)
    except LabelwrightError as error:
        st.session_state["run_trouble"] = str(error)


def _started_in_vain(folder: Path, status: RunStatus) -> None:
    """What went wrong when it was last tried to steer the run from here."""
    if trouble := st.session_state.pop("run_trouble", ""):
        st.error(escaped(trouble, 600))
    job = processes.run_job(folder)
    if job is None or status.state == "running":
        return
    if job.state == "running":
        st.info("A process of this run is just starting, or ending.")
    elif job.state == "failed" and status.state != "failed":
        st.error("The process that was started last ended with an error.")
        show_text(job.error)
        _log(folder)


def _log(folder: Path) -> None:
    if (tail := processes.log_tail(folder)) and st.toggle("Last lines printed", key="run_log"):
        show_text(tail)
