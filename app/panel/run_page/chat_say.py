"""What the operator says on the page, taken to the run."""

from __future__ import annotations

import streamlit as st

from ....agents.operator.talk import tell
from ....tools.errors import LabelwrightError
from ....tools.ledger import OPERATOR
from ....tools.watch import RunReader
from .. import processes
from ..review.who import reviewer
from ..session import runs_root

_TROUBLE, _ASKED = "run_chat_trouble", "run_chat_asked"
ITEM = "item"
"""Parameter of the address: the item that "this" means."""


def operator() -> str:
    """The name under which orders are given."""
    return reviewer() or OPERATOR


def say(reader: RunReader, text: str) -> None:
    """Take a sentence to the run; what is no command is put to the model, if there is one."""
    st.session_state.pop(_TROUBLE, None)
    try:
        reply = tell(reader, text, by=operator(), item=st.query_params.get(ITEM))
    except LabelwrightError as error:
        trouble(str(error))
        return
    if reply.reply is None:
        # A model's answer takes seconds and libraries that the panel does without.
        key = f"say:{reader.folder.resolve()}:{reply.message}"
        runs = str(runs_root().resolve())
        options = ["--reply", str(reply.message), "--runs", runs, "--json"]
        processes.command(key, ["say", *options, "--", reader.name])
        st.session_state[_ASKED] = key


def trouble(text: str) -> None:
    """Keep what went wrong, to be shown once."""
    st.session_state[_TROUBLE] = text


def last_trouble() -> str:
    """What went wrong with the last word."""
    return str(st.session_state.get(_TROUBLE, ""))


def asked() -> processes.Job | None:
    """The model at work on the last message of this visitor, or how that ended."""
    key = st.session_state.get(_ASKED)
    return processes.job(key) if key else None
