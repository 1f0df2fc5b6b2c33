"""The desk of a run, one for all pages about its items."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....tools.watch.desk import Desk, open_desk
from ..session import born, reader


def desk(folder: Path) -> Desk:
    """The desk of a run."""
    return _desk(folder, born(folder))


@st.cache_resource(max_entries=16, show_spinner=False)
def _desk(folder: Path, born: tuple[int, int]) -> Desk:  # noqa: ARG001 - part of the key
    return open_desk(reader(folder))
