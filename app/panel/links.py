"""Ways from one page of the panel to another."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from .session import RUN_PARAMETER

HOME = "home"
"""Path of the list of runs, which is also where the panel's bare address leads."""
STARTED = "started"
"""Parameter of the list of runs: one whose process was just started, and that has no page yet."""


def open_page(name: str, run: str | None = None, **params: str) -> NoReturn:
    """Leave this page for another.

    Args:
        name: The page's path: ``new``, ``run``, ``review``, ``items``, ``compare``, ``prompts``;
            empty for the list of runs.
        run: Name of the run that it is to show.
        params: Further parameters of its address.
    """
    query = {**({RUN_PARAMETER: run} if run else {}), **params}
    # Streamlit knows pages by their path; the function is never called.
    target = st.Page(_nothing, title=name or HOME, url_path=name or HOME, default=not name)
    st.switch_page(target, query_params=query)


def _nothing() -> None: ...
