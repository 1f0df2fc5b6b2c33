"""What a chat annotator was asked about an item, rendered again."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ....tools.errors import LabelwrightError
from ....tools.watch.desk import Desk
from ....tools.watch.item import VoteLine
from ..plain import escaped, show_text

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
    # Only now: it takes half a second and 40 MB, and few readers want it.
    from .wording import sent_again

    try:
        again = sent_again(at.reader, asked[place])
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


_HELD = {
    True: "Its hash is the one in the ledger: these are the words that were sent, apart from how "
    "the form of the answer is asked for.",
    False: "Its hash is not the one in the ledger: template, task or examples were others then.",
}


def _name(vote: VoteLine) -> str:
    again = ", check" if vote.check else f", attempt {vote.attempt + 1}" if vote.attempt else ""
    return f"{vote.annotator}, round {vote.round}{again}"
