"""The quote of `plan`, as a page shows it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ...quoted import ENDS, remarks
from .. import formats
from ..plain import escaped, show_text, visible


def show_quote(quote: dict[str, Any]) -> None:
    """Show what a run is expected to cost, and what else the money could buy."""
    total = _money(quote["low_usd"], quote["high_usd"])
    with st.container(horizontal=True):
        st.metric("Expected cost", escaped(total))
        st.metric("Cap", escaped(formats.usd(quote["cap_usd"])))
        st.metric("Different texts", formats.number(quote["texts"]))
        st.metric("Rounds", escaped(_ends(*quote["rounds"])))
    if quote["uncut_usd"] > quote["cap_usd"]:
        st.caption(
            escaped(
                f"Without the cap the high end would be {formats.usd(quote['uncut_usd'])}.", 400
            )
        )
    if quote["rejected"]:
        st.warning(f"{formats.number(quote['rejected'])} rows can not be used. The first:")
        show_text("\n".join(quote["reasons"]))
    if quote["unknown_gold"]:
        st.warning(
            "Some true labels are not in the label set; their rows count as without one: "
            + escaped(", ".join(map(str, list(quote["unknown_gold"])[:10])), 400)
        )
    if quote["thin"]:
        st.warning(escaped(quote["thin"], 400))
    st.dataframe(
        [
            {
                "Position": visible(line["what"]),
                "Money": _money(*line["usd"]),
                "Requests": _ends(*line["requests"]),
                "Tokens in": formats.number(line["tokens_in"]),
                "Tokens out": formats.number(line["tokens_out"]),
            }
            for line in quote["lines"]
        ],
        hide_index=True,
        width="stretch",
    )
    point = formats.usd(quote["value"]["usd"] / 100)
    st.caption(
        escaped(f"A point of accuracy is worth {point}: {quote['value']['explanation']}.", 500)
        + f" {ENDS}"
    )
    for remark in remarks(quote, formats.number, formats.usd):
        st.write(escaped(remark, 600))
    st.markdown("**What else the money could buy**")
    st.dataframe(
        [
            {
                "Alternative": visible(other["name"]),
                "Money": "no price" if other["usd"] is None else formats.usd(other["usd"]),
                "What it is": visible(other["note"]),
            }
            for other in quote["alternatives"]
        ],
        hide_index=True,
        width="stretch",
    )
    with st.expander("The prompt, on a text of this file"):
        if not quote["prompt"]:
            st.write("No chat model is configured, so nobody reads a prompt.")
        for message in quote["prompt"] or []:
            st.caption(escaped(message["role"]))
            show_text(message["content"], 20_000)


def _money(low: float, high: float) -> str:
    return _range(formats.usd(low), formats.usd(high))


def _ends(low: int, high: int) -> str:
    return _range(formats.number(low), formats.number(high))


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
