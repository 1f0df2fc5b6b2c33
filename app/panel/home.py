"""The first page: all runs and where they stand, or what to do where there are none."""

from __future__ import annotations

import math
from pathlib import Path

import streamlit as st

from ...tools.errors import LabelwrightError
from ...tools.watch import run_status
from ...tools.watch.money import cap_in_force
from ..runs import CONFIG_FILE, list_runs
from . import formats, processes
from .links import STARTED, open_page
from .plain import escaped, show_text
from .session import reader, run_named, runs_root

_PAGE = 12
_REFRESH_S = 2.0
_NAME_SHOWN = 60


def page() -> None:
    """List the runs."""
    st.title("Runs")
    _starting()
    folders = newest_first(list_runs(runs_root()))
    if not folders:
        no_runs()
        return
    _ways_to_begin()
    first = 0
    if len(folders) > _PAGE:
        pages = math.ceil(len(folders) / _PAGE)
        first = (st.pagination(pages, key="home_page") - 1) * _PAGE
    shown = folders[first : first + _PAGE]
    live = any(run_status(folder).state == "running" for folder in shown)
    st.fragment(_list, run_every=_REFRESH_S if live else None)(shown)


def no_runs() -> None:
    """Say what to do where there is no run yet."""
    st.write(
        "There is no run yet. A run takes a file of texts and a set of labels, asks models and "
        "people about the texts that teach most, and gives back the labelled file and a small "
        "classifier, for as little money as it can."
    )
    _ways_to_begin()
    st.caption(
        "The demo labels 962 short messages on this machine in about a minute. It needs no key, "
        "sends nothing and costs nothing: recorded answers play a person at \\$0.10 a label."
    )


def newest_first(folders: list[Path]) -> list[Path]:
    """Folders of runs by the time at which they were made, the last first."""
    return sorted(folders, key=lambda folder: -(folder / CONFIG_FILE).stat().st_mtime)


def _ways_to_begin() -> None:
    with st.container(horizontal=True):
        new = st.button("New run", key="home_new", type="primary")
        demo = st.button("Try the demo", key="home_demo")
    if new:
        open_page("new")
    if demo:
        try:
            folder = processes.start_demo()
        except LabelwrightError as error:
            # Another tab has begun it in the same moment.
            st.warning(escaped(str(error), 400))
        else:
            open_page("", **{STARTED: folder.name})


def _starting() -> None:
    """Wait for a run whose process was just started; until it has looked at all, it has no page."""
    name = st.query_params.get(STARTED, "")
    if not processes.can_be_run(name):
        return
    if run_named(name):
        open_page("run", name)
    job = processes.run_job(runs_root() / name)
    if job is None:
        del st.query_params[STARTED]
    elif job.state == "running":
        st.fragment(_wait, run_every=0.5)(name)
    else:
        st.error(f"The run {escaped(name)} could not be started. Nothing was spent.")
        show_text(job.error or "Its process ended before it began.")


def _wait(name: str) -> None:
    job = processes.run_job(runs_root() / name)
    if run_named(name) or job is None or job.state != "running":
        st.rerun()
    st.info(f"The run {escaped(name)} is being started; its page opens in a few seconds.")


def _list(folders: list[Path]) -> None:
    states = {folder: run_status(folder).state for folder in folders}
    seen = st.session_state.get("home_seen")
    st.session_state["home_seen"] = states
    if seen is not None and seen.keys() == states.keys() and seen != states:
        st.rerun()
    for folder, state in states.items():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            label = escaped(folder.name, _NAME_SHOWN)
            if st.button(label, key=f"home_open_{folder.name}", type="tertiary"):
                open_page("run", folder.name)
            st.caption(f"{formats.STATES[state]} · {_facts(folder)}", width="stretch")


def _facts(folder: Path) -> str:
    """Money and age of a run, or why they can not be told."""
    files = reader(folder)
    try:
        row = files.rows("SELECT spent FROM journal ORDER BY seq DESC LIMIT 1")
        cap = cap_in_force(files)[0]
    except (
        LabelwrightError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        ArithmeticError,
        OSError,
    ):
        return "its files can not be read; labelwright doctor says more"
    spent = formats.money(row[0][0] if row else 0)
    began = formats.ago((folder / CONFIG_FILE).stat().st_mtime)
    whole = "" if cap is None else f" of {formats.money(cap)}"
    return escaped(f"{spent}{whole} · {began}")
