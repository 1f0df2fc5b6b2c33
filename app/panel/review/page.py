"""The review page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....tools.watch import run_status
from ....tools.watch.desk import Desk
from ....tools.watch.queue import Queue, people
from ..formats import number
from ..items.tables import show_table
from ..plain import escaped, show_text
from ..processes import run_job
from ..session import current_run
from .desk import desk
from .going_on import TROUBLE, WENT_ON, go_on
from .labelling import ask, chosen, history
from .others import reviewers
from .who import ask_name
from .words import why_asked

_POLL_S, _IDLE_S = 2.0, 4.0
_VIEWS = ("Questions", "Doubtful labels", "Reviewers")
_AGAIN = "review_again"


def page() -> None:
    """Show the page."""
    st.title("Review")
    folder = current_run()
    if folder is None:
        st.info("Choose a run first: the list of runs is on the first page.")
        return
    at = desk(folder)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = ask_name()
        view = st.segmented_control(
            "What to review",
            _VIEWS,
            key="review_view",
            default=_VIEWS[0],
            required=True,
            label_visibility="collapsed",
        )
    if not name:
        st.info("Write your name, so that your answers can be told from those of others.")
        return
    if view == _VIEWS[2]:
        reviewers(at)
        return
    left, right = st.columns([5, 3], gap="large")
    with left:
        if view == _VIEWS[1]:
            _doubts(at, name)
        else:
            state = _state(folder)
            if trouble := st.session_state.pop(TROUBLE, ""):
                st.error(escaped(trouble, 400))
            _questions(at, name, state)
            _follow(folder, state)
    with right:
        _guidelines(at)


@st.fragment
def _questions(at: Desk, name: str, state: str) -> None:
    """What the run has asked; runs anew by itself after each key."""
    if st.session_state.pop(WENT_ON, False):
        st.rerun()
    if state == "running":
        # What is in the folder has been answered, or is about to be written.
        _no_questions(at, state)
        history(at, name)
        return
    stands = at.queue(name, state)
    asked = stands.asked.total()
    if asked:
        _progress(stands, asked)
    todo = {question.item_id: question for question in stands.todo}
    if not todo and st.session_state.get(_AGAIN):
        todo = {question.item_id: question for question in stands.skipped}
    item = chosen(at, name, list(todo))
    if item is not None:
        ask(at, name, todo[item])
    elif asked:
        _nothing_left(stands)
    else:
        _no_questions(at, state)
    history(at, name)
    go_on(at, state, stands if asked else None)


@st.fragment
def _doubts(at: Desk, name: str) -> None:
    """Labels of the run that a person should look at."""
    with st.spinner("Reading the items of the run ..."):
        ids = at.doubtful(name)
    st.caption(
        f"The {number(len(ids))} labels that most deserve a look: what somebody flagged, then "
        "those of no person, the least sure first. As you see the label in doubt, your answer is "
        "kept as not blind; votes are hidden until you ask for them. A correction takes effect at "
        "the run's next safe point."
    )
    item = chosen(at, name, ids)
    if item is not None:
        ask(at, name, at.doubt(item))
    else:
        st.success("No doubtful label is left for you.")
    history(at, name)
    go_on(at, run_status(at.folder).state, None)


def _progress(stands: Queue, asked: int) -> None:
    answered = stands.answered.total()
    parts = [f"{number(answered)} of {number(asked)} answered"]
    parts += [
        f"{escaped(why_asked(purpose))} {number(stands.answered[purpose])} of {number(n)}"
        for purpose, n in sorted(stands.asked.items())
        if len(stands.asked) > 1
    ]
    parts.append(f"{number(len(stands.todo))} left for you")
    if stands.skipped:
        parts.append(f"{number(len(stands.skipped))} skipped by you")
    if stands.disputed:
        parts.append(f"{number(len(stands.disputed))} disputed")
    st.progress(answered / asked, text=" · ".join(parts))


def _nothing_left(stands: Queue) -> None:
    if stands.skipped:
        st.info("Nothing is left but what you have skipped.")
        st.button("Show what I have skipped", key="review_again_button", on_click=_show_skipped)
    elif stands.open:
        st.info(
            f"You have answered all that you can. {number(len(stands.open))} questions wait for "
            "another reviewer: answers differ, or a second opinion is wanted."
        )
    else:
        st.success("All questions are answered.")


def _no_questions(at: Desk, state: str) -> None:
    if not people(at.reader):
        st.info(
            "No person is among the annotators of this run, so it puts no questions. Its doubtful "
            "labels can be corrected all the same: choose them above."
        )
    elif state == "running":
        st.info("No questions now. The run is going on; questions come here when it needs them.")
    elif state == "finished":
        st.info("The run has finished and has no questions. Its doubtful labels are above.")
    else:
        st.info("No questions now: they come when the run needs them and is going on.")


def _show_skipped() -> None:
    st.session_state[_AGAIN] = True


def _state(folder: Path) -> str:
    """Where the run stands; a process that is just starting counts as one that runs."""
    job = run_job(folder)
    return "running" if job and job.state == "running" else run_status(folder).state


def _follow(folder: Path, seen: str) -> None:
    """Look now and then whether the run has come to another state, whoever brought it there."""

    @st.fragment(run_every=_POLL_S if seen == "running" else _IDLE_S)
    def follow() -> None:
        if _state(folder) != seen:
            st.rerun()

    follow()


def _guidelines(at: Desk) -> None:
    task = at.reader.config["task"]
    with st.expander("Labels", expanded=len(task["labels"]) <= 12):
        show_table(
            ("Label", "What belongs there"),
            [(label["name"], label.get("description") or "") for label in task["labels"]],
            2_000,
        )
    with st.expander("Guidelines"):
        if task.get("guidelines"):
            show_text(task["guidelines"], 40_000)
        else:
            st.caption("This task has no guidelines.")
