"""What a chat annotator was asked about an item, rendered again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ....tools.errors import LabelwrightError
from ....tools.watch import RunReader
from ....tools.watch.desk import Desk
from ....tools.watch.item import VoteLine
from ..plain import escaped, show_text
from ..session import born

if TYPE_CHECKING:
    from .wording import SentAgain

PROMPT_FOLDER = "prompts"

_LONGEST = 60_000


def show_prompt(at: Desk, votes: Sequence[VoteLine], token: str) -> None:
    """Offer the prompts of the chat annotators' answers on an item.

    Args:
        at: The run.
        votes: The answers.
        token: Stands for the item in keys of widgets.
    """
    chat = {one["name"] for one in at.reader.config["annotators"] if one.get("kind") == "chat"}
    asked = [vote for vote in votes if vote.annotator in chat]
    if not asked:
        return
    place = st.selectbox(
        "Prompt of",
        range(len(asked)),
        index=None,
        key=f"items_prompt_{token}",
        format_func=lambda number: _name(asked[number]),
        placeholder="choose an answer to see what was asked",
    )
    if place is None:
        return
    try:
        again = _again(at.reader, at.folder, born(at.folder), _pinned(at.folder), asked[place])
    except (LabelwrightError, ValueError) as error:
        st.warning("The prompt can not be rendered again:")
        show_text(str(error), 1_000)
        return
    st.caption(
        f"The ledger keeps no prompts. Rendered again from the template {escaped(again.template)} "
        f"that the run is pinned to ({escaped(again.hash[:12])}). {_HELD[again.same]}"
    )
    for message in again.messages:
        st.caption(escaped(message.role))
        show_text(message.content, _LONGEST)


# Part of the key: the run, its templates, and the answer, whose examples were decided before it.
@st.cache_data(max_entries=64, show_spinner=False)
def _again(
    _reader: RunReader,
    folder: Path,  # noqa: ARG001
    born: tuple[int, int],  # noqa: ARG001
    pinned: tuple[tuple[str, int], ...],  # noqa: ARG001
    vote: VoteLine,
) -> SentAgain:
    # Only now: it takes half a second and 40 MB, and few readers want it.
    from .wording import sent_again

    return sent_again(_reader, vote)


def _pinned(folder: Path) -> tuple[tuple[str, int], ...]:
    files = sorted((folder / PROMPT_FOLDER).rglob("*.md"))
    return tuple((str(file), file.stat().st_mtime_ns) for file in files)


_HELD = {
    True: "Its hash is the one in the ledger: these are the words that were sent, apart from how "
    "the form of the answer is asked for.",
    False: "Its hash is not the one in the ledger: template, task or examples were others then.",
}


def _name(vote: VoteLine) -> str:
    again = ", check" if vote.check else f", attempt {vote.attempt + 1}" if vote.attempt else ""
    return f"{vote.annotator}, round {vote.round}{again}"
