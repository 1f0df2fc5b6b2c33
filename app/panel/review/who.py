"""Under which name somebody reviews; it stays in the page's address and in the visit."""

from __future__ import annotations

import streamlit as st

from ...plain_text import LONGEST_NAME, as_name

__all__ = ["LONGEST_NAME", "as_name", "ask_name", "reviewer"]

PARAMETER = "reviewer"
_KEPT = "reviewer_name"
_FIELD = "review_name_field"


def reviewer() -> str:
    """The name that was given, empty without one."""
    name = as_name(st.session_state.get(_KEPT) or st.query_params.get(PARAMETER, ""))
    if name:
        st.session_state[_KEPT] = name
        st.query_params[PARAMETER] = name
    return name


def ask_name() -> str:
    """Show the field for the name; returns it, empty without one."""
    st.session_state.setdefault(_FIELD, reviewer())
    st.text_input(
        "Your name",
        key=_FIELD,
        max_chars=LONGEST_NAME,
        placeholder="as colleagues know you",
        help="Answers are kept under it. Use the same one each time.",
        on_change=_named,
        width=260,
    )
    return reviewer()


def _named() -> None:
    name = as_name(st.session_state[_FIELD])
    st.session_state[_KEPT] = st.session_state[_FIELD] = name
    if name:
        st.query_params[PARAMETER] = name
    else:
        st.query_params.pop(PARAMETER, None)
