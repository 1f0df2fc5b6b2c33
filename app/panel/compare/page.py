"""The page that puts two or more runs, or replays, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from ....tools.errors import LabelwrightError
from ...runs import list_runs
from ..plain import escaped
from ..run_page import facts
from ..session import run_named, runs_root
from .labels import show_labels
from .replay import show_replay
from .table import show_curves, show_table

_RUNS = "with"
"""Parameter of the address, once for each run."""
_PARTS: dict[str, Callable[[Sequence[Path]], None]] = {
    "Curves": show_curves,
    "Labels that differ": show_labels,
    "Stop rules": show_replay,
}


def page() -> None:
    """Show the runs that the address names, or let the reader choose."""
    facts.rules()
    st.title("Compare runs")
    names = [folder.name for folder in list_runs(runs_root())]
    if not names:
        st.info("There are no runs yet. Start one on the page New run, then come back.")
        return
    folders = [folder for name in _choose(names) if (folder := run_named(name)) is not None]
    if not folders:
        st.info("Choose the runs that are to be put side by side.")
        return
    _with_care(lambda: show_table(folders))
    if len(folders) == 1:
        st.caption("Choose another run to compare it with.")
    # Only what is chosen is computed.
    parts = list(_PARTS) if len(folders) > 1 else ["Curves", "Stop rules"]
    chosen = st.segmented_control(
        "Part",
        parts,
        default=parts[0],
        required=True,
        key="compare_part",
        label_visibility="collapsed",
    )
    _with_care(lambda: _PARTS[chosen](folders))


def _choose(names: list[str]) -> list[str]:
    if "compare_runs" not in st.session_state:
        asked = [name for name in st.query_params.get_all(_RUNS) if name in names]
        st.session_state["compare_runs"] = asked or _newest(2)
    # A run may have been removed since.
    st.session_state["compare_runs"] = [n for n in st.session_state["compare_runs"] if n in names]
    chosen: list[str] = st.multiselect("Runs", names, key="compare_runs")
    st.query_params[_RUNS] = chosen
    return chosen


def _newest(most: int) -> list[str]:
    folders = sorted(list_runs(runs_root()), key=lambda f: -(f / "run.yaml").stat().st_mtime)
    return [folder.name for folder in folders[:most]]


def _with_care(draw: Callable[[], None]) -> None:
    try:
        draw()
    except LabelwrightError as error:
        st.error(escaped(str(error), 600))
