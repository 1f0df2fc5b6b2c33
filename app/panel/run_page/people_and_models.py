"""How far the annotators agree, how often audits found them right, and what they cost."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ....tools.watch.agreement import Agreement
from ....tools.watch.live import Live
from .. import formats
from . import charts, facts

_ROW, _AROUND, _MOST_HEIGHT = 34, 60, 560
"""Pixels of an annotator, of the axis, and of all before it scrolls."""
_BEYOND, _RAW = "beyond chance", "as counted"


def show_annotators(live: Live) -> None:
    """Draw the matrix of agreement, audited accuracies and spending."""
    found = live.agreement()
    if not any(one.votes for one in found.audited):
        st.info("No annotator has answered yet.")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        _matrix(found)
    with right:
        _audited(found)
    _answers(found)
    _spending(live)


def _matrix(found: Agreement) -> None:
    if not found.pairs:
        st.html(facts.note("Agreement of annotators."))
        st.caption("No text has been labelled by two annotators yet.")
        return
    how = st.segmented_control(
        "Agreement", [_BEYOND, _RAW], default=_BEYOND, required=True, key="run_agreement"
    )
    cells: list[dict[str, Any]] = []
    for pair in found.pairs:
        kappa = "not defined" if pair.kappa is None else f"{pair.kappa:.2f}"
        value = pair.share if how == _RAW else pair.kappa
        cell = {
            "value": 0.0 if value is None else value,
            "text": formats.percent(pair.share, 0) if how == _RAW else kappa,
            "tip": f"{formats.percent(pair.share)}, kappa {kappa}",
            "n": formats.number(pair.n),
        }
        one, other = charts.name(pair.one), charts.name(pair.other)
        cells += [{**cell, "one": one, "other": other}, {**cell, "one": other, "other": one}]
    paired = {name for pair in found.pairs for name in (pair.one, pair.other)}
    names = [charts.name(name) for name in found.annotators if name in paired]
    charts.show(
        charts.heat(names, 0.0),
        {"cells": cells},
        "Agreement of each two annotators on the texts that both have labelled.",
        height=90 + 44 * len(names),
    )


def _audited(found: Agreement) -> None:
    points: list[dict[str, Any]] = [
        {
            "name": charts.name(one.annotator),
            "value": one.right.estimate,
            "low": one.right.low,
            "high": one.right.high,
            "shown": " ".join(facts.accuracy(one.right)),
        }
        for one in found.audited
        if one.right.estimate is not None
    ]
    st.html(facts.note("Right on texts that were drawn at random and labelled by whom you trust."))
    if not points:
        st.caption("Not measured yet: nothing has been audited, or nobody is trusted.")
        return
    tall = _AROUND + _ROW * len(points)
    with st.container(height=_MOST_HEIGHT if tall > _MOST_HEIGHT else "content", border=False):
        charts.show(
            charts.intervals([point["name"] for point in points]),
            {"points": points},
            "Audited accuracy of each annotator.",
            height=tall,
        )


def _answers(found: Agreement) -> None:
    rows = [
        [
            one.annotator,
            formats.number(one.votes),
            formats.number(one.invalid),
            "it is the measure" if one.trusted else ", ".join(facts.accuracy(one.right)),
        ]
        for one in found.audited
    ]
    st.html(facts.table(["annotator", "answers", "invalid", "right on audits"], rows))


def _spending(live: Live) -> None:
    rows = [
        [
            spent.annotator or spent.agent,
            spent.purpose.replace("_", " "),
            formats.money(spent.cost),
            formats.number(spent.requests),
            formats.number(spent.tokens_in + spent.tokens_out),
            formats.number(spent.failed),
        ]
        for spent in live.spending()
    ]
    st.html(facts.note("What was spent on what."))
    st.html(facts.table(["who", "for", "cost", "requests", "tokens", "failed"], rows))
