"""What every page has around it: the look, the menu, and which run it is about."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import streamlit as st

from ...tools.watch import run_status
from ..exit_codes import ExitCode
from ..runs import list_runs
from . import access, home, processes, theme
from .formats import STATES
from .links import HOME
from .plain import escaped, show_text, visible
from .session import RUN_PARAMETER, current_run, run_named, runs_root
from .words import words_at_foot

PAGES = {
    "new": ("New run", "new_run"),
    "run": ("Run", "run_page"),
    "review": ("Review", "review"),
    "items": ("Items", "items"),
    "compare": ("Compare", "compare"),
    "prompts": ("Prompts", "prompts_page"),
}
"""Title and package of each page by its path."""
ONE_RUN = frozenset(("run", "review", "items", "prompts"))
"""Pages that show the run that is picked."""
WORDED = frozenset(("review", "items", "compare"))
"""Pages at whose foot the words are explained; the run's own page has them in its head."""
_PICKED = "shell_run"
_LAST = "last_run"


def show() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="labelwright", layout="wide")
    theme.apply()
    access.require_login()
    pages = [st.Page(home.page, title="Runs", url_path=HOME, default=True)]
    for path, (title, package) in PAGES.items():
        pages.append(st.Page(_entry(path, package), title=title, url_path=path))
    page = st.navigation(pages, position="top")
    if page.url_path in ONE_RUN:
        # What it says comes and goes; what the page shows keeps its place below.
        with st.container():
            if not _pick_run() and page.url_path != "prompts":
                home.no_runs()
                return
            _last_word()
    page.run()
    if page.url_path in WORDED:
        words_at_foot()


def _entry(path: str, package: str) -> Callable[[], None]:
    def run() -> None:
        # When it is first shown: a page costs the others neither time nor memory.
        importlib.import_module(f"{__package__}.{package}.page").page()

    run.__name__ = path
    return run


def _pick_run() -> bool:
    """Let the reader choose a run; false if there is none to choose.

    Where the address names a run that is not there, none is chosen.
    """
    runs = home.newest_first(list_runs(runs_root()))
    names = [folder.name for folder in runs]
    if not names:
        return False
    asked = st.query_params.get(RUN_PARAMETER, "")
    current = None
    if asked and not run_named(asked):
        # Never another one in its place: the reader would order of it what was meant for this.
        st.warning(f"There is no run {escaped(asked)} in this folder. Choose one.")
    else:
        last = st.session_state.get(_LAST, "")
        current = asked or (last if run_named(last) else names[0])
        st.query_params[RUN_PARAMETER] = st.session_state[_LAST] = current
    st.session_state[_PICKED] = current
    states = {folder.name: STATES[run_status(folder).state] for folder in runs}
    st.selectbox(
        "Run",
        names,
        index=None if current is None else 0,
        placeholder="Choose a run",
        key=_PICKED,
        format_func=lambda name: f"{visible(name)} ({states[name]})",
        on_change=_picked,
        label_visibility="collapsed",
        width=340,
    )
    return True


def _last_word() -> None:
    """Say why the process that this panel has started for the run could not carry it on."""
    folder = current_run()
    job = processes.run_job(folder) if folder else None
    if folder is None or job is None or job.state != "failed":
        return
    if job.code == ExitCode.LOCKED:
        st.info(
            "Somebody else has taken the run up in the same moment, and it goes on there; nothing "
            "was lost. Their process:"
        )
    else:
        st.error("The process of this run has ended with an error:")
    show_text(job.error)
    if st.button("Close this message", key="shell_close", type="tertiary"):
        processes.forget(job.key)
        st.rerun()


def _picked() -> None:
    picked = st.session_state[_PICKED]
    # Where a run's state has just changed, the browser may send the line as it was before.
    if run_named(picked):
        st.query_params[RUN_PARAMETER] = picked
