"""Under which name somebody reviews; it stays in the page's address and in the visit."""

from __future__ import annotations

import streamlit as st

from ...plain_text import LONGEST_NAME, as_name
from ..plain import escaped

__all__ = ["LONGEST_NAME", "as_name", "ask_name", "reviewer"]

PARAMETER = "reviewer"
_KEPT = "reviewer_name"
_FIELD = "review_name_field"
_CHANGES = "review_name_changes"


def reviewer() -> str:
    """The name that was given, empty without one."""
    name = as_name(st.session_state.get(_KEPT) or st.query_params.get(PARAMETER, ""))
    if name:
        st.session_state[_KEPT] = name
        st.query_params[PARAMETER] = name
    return name


def ask_name() -> str:
    """Show the name, or the field for it; returns it, empty without one.

    A field that stayed would keep the keyboard, and take the keys of answers for more of the name.
    """
    if (name := reviewer()) and not st.session_state.get(_CHANGES):
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", width="content"
        ):
            st.markdown(f"Your name: {escaped(name, LONGEST_NAME)}", width="content")
            st.button(
                "Change",
                key="review_name_change",
                type="tertiary",
                on_click=_change,
                args=(True,),
                help="Answers are kept under this name. Use the same one each time.",
            )
        return name
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
    if name:
        st.button(
            "Keep it",
            key="review_name_keep",
            type="tertiary",
            on_click=_change,
            args=(False,),
            help="Nothing changes: the name is the one from before.",
        )
    return reviewer()


def _change(wanted: bool) -> None:
    st.session_state[_CHANGES] = wanted
    st.session_state.pop(_FIELD, None)


def _named() -> None:
    name = as_name(st.session_state[_FIELD])
    st.session_state[_KEPT] = st.session_state[_FIELD] = name
    st.session_state[_CHANGES] = False
    if name:
        st.query_params[PARAMETER] = name
    else:
        st.query_params.pop(PARAMETER, None)
