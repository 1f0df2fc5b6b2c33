"""The page of one run: state and money above, the chat on the left, the rest on the right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from ....tools.errors import LedgerError
from ....tools.watch import run_status
from ....tools.watch.live import Live
from ....tools.watch.status import RunStatus
from .. import processes
from ..plain import escaped
from ..session import current_run, reader
from . import facts
from .chat import show_chat
from .classes import show_classes
from .head import show_head
from .learning import show_learning
from .map import show_map
from .now import show_money, show_stage
from .orders import count_pending
from .people_and_models import show_annotators
from .watched import watched

_FIGURES: dict[str, Callable[[Live], None]] = {
    "Learning": show_learning,
    "Classes": show_classes,
    "Annotators": show_annotators,
    "Map": show_map,
}
_NOW_S, _FIGURES_S = 4.0, 10.0
"""How often parts are drawn again: so rarely that a run which needs all cores hardly notices."""
_IDLE_S = 3.0
"""How often a page looks whether somebody else has started the run."""


def page() -> None:
    """Show the run that the address names."""
    folder = current_run()
    if folder is None:
        st.info("There is no such run here. Choose one above, or start one on the page New run.")
        return
    facts.rules()
    live, status = watched(folder), run_status(folder)
    # Whatever it shows, what follows keeps its place, and the chat's field what is typed in it.
    with st.container():
        show_head(folder, live, status)
        running = status.state == "running"
        if not running:
            shown = _standing(folder)
            every = _NOW_S if shown[1] == "running" else _IDLE_S
            st.fragment(_look, run_every=every)(folder, shown)
    if status.state == "not_started" and not live.money().requests:
        return
    # Streamlit tells a fragment by its code and its place, so both kinds have the same.
    st.fragment(_money, run_every=_NOW_S if running else None)(folder, status)
    # On a narrow screen the columns stand below each other, in this order.
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _chat(folder)
    with right:
        st.fragment(_stage, run_every=_NOW_S if running else None)(folder)
        st.fragment(_figures, run_every=_FIGURES_S if running else None)(folder)


def _look(folder: Path, shown: tuple[RunStatus, str, int]) -> None:
    """Show the page anew when the run stands in another way, whoever has brought it there."""
    if _standing(folder) != shown:
        st.rerun()


def _standing(folder: Path) -> tuple[RunStatus, str, int]:
    """What the head depends on: state, the panel's own process, and how many orders wait."""
    return run_status(folder), _process(folder), count_pending(reader(folder))


def _process(folder: Path) -> str:
    """How the process stands that this panel started last, if it did."""
    job = processes.run_job(folder)
    return job.state if job else ""


def _money(folder: Path, shown: RunStatus) -> None:
    status = run_status(folder)
    if status != shown:
        # The buttons stand outside of this part.
        st.rerun()
    _with_care(lambda: show_money(watched(folder), status))


def _stage(folder: Path) -> None:
    _with_care(lambda: show_stage(watched(folder), run_status(folder)))


def _figures(folder: Path) -> None:
    def draw() -> None:
        # Only what is chosen is computed; tabs would compute all.
        chosen = st.segmented_control(
            "Figures",
            list(_FIGURES),
            default="Learning",
            required=True,
            key="run_figure",
            label_visibility="collapsed",
        )
        _FIGURES[chosen](watched(folder))

    _with_care(draw)


def _with_care(draw: Callable[[], None]) -> None:
    try:
        draw()
    except LedgerError as error:
        st.error(f"The run's ledger {escaped(str(error), 600)}")


def _chat(folder: Path) -> None:
    _with_care(lambda: show_chat(reader(folder)))
