"""Deleting a draft."""

from __future__ import annotations

import streamlit as st

from ....tools.errors import ConfigError
from ..plain import escaped
from .draft import Draft, delete_draft


def offer_removal(draft: Draft) -> None:
    """Offer to delete a draft with the files that were uploaded for it."""
    with st.popover("Delete draft"):
        st.write("It is deleted with the files that were uploaded for it.")
        if not st.button("Delete it", key="new_delete"):
            return
        try:
            delete_draft(draft.name)
        except ConfigError as error:
            st.error(escaped(str(error), 600))
            return
    st.query_params.clear()
    st.rerun()
