"""The live figures of a run, kept once for all who look at it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....tools.watch.live import Live
from ..session import born, reader


def watched(folder: Path) -> Live:
    """The figures of a run."""
    return _watched(folder, born(folder))


@st.cache_resource(max_entries=16, show_spinner=False)
def _watched(folder: Path, born: tuple[int, int]) -> Live:  # noqa: ARG001 - part of the key
    return Live(reader(folder))
