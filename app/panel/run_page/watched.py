"""The live figures of a run, kept once for all who look at it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....tools.watch.live import Live
from ..session import reader


@st.cache_resource(max_entries=16, show_spinner=False)
def watched(folder: Path) -> Live:
    """The figures of a run."""
    return Live(reader(folder))
