"""Which runs a page is about: the folder of all runs, and the one in the page's address."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from ...tools.watch import RunReader
from ..runs import CONFIG_FILE

RUNS_VARIABLE = "LABELWRIGHT_PANEL_RUNS"
"""Environment variable by which the command tells the panel where the runs are."""
RUN_PARAMETER = "run"


def runs_root() -> Path:
    """The folder of all runs."""
    return Path(os.environ.get(RUNS_VARIABLE, "runs"))


def run_named(name: str) -> Path | None:
    """The folder of a run by its name; ``None`` for a name that is no run or leaves the folder."""
    if not name or name.startswith(".") or Path(name).name != name:
        return None
    folder = runs_root() / name
    # Not `Path.is_file`: a name that no file can have is an error there.
    return folder if os.path.isfile(folder / CONFIG_FILE) else None


def current_run() -> Path | None:
    """The run that the page's address names, if there is one of this name."""
    return run_named(st.query_params.get(RUN_PARAMETER, ""))


def born(folder: Path) -> tuple[int, int]:
    """Tells a run from another one that was made under its name after it was deleted."""
    try:
        # It is written once, when the run is made.
        made = (folder / CONFIG_FILE).stat()
    except OSError:
        return (0, 0)
    return (made.st_ino, made.st_mtime_ns)


def reader(folder: Path) -> RunReader:
    """The files of a run, opened once for all pages."""
    return _reader(folder, born(folder))


@st.cache_resource(max_entries=16, show_spinner=False, on_release=lambda reader: reader.close())
def _reader(folder: Path, born: tuple[int, int]) -> RunReader:  # noqa: ARG001 - part of the key
    return RunReader(folder)
