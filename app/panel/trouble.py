"""What a page says when it can not be shown."""

from __future__ import annotations

import streamlit as st

from ...tools.errors import LabelwrightError
from .plain import show_text


def tell(error: Exception) -> bool:
    """Say what was wrong; Streamlit has written the traceback to stderr.

    Returns:
        True: the error is shown, in these words and not in Streamlit's.
    """
    if isinstance(error, LabelwrightError):
        st.error("This can not be done or shown:")
        show_text(str(error))
    else:
        st.error(
            "Something went wrong in the panel; runs are not affected. Reload the page. If it "
            "happens again, what the panel has printed in its terminal says why."
        )
    return True
