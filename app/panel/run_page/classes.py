"""The balance of the classes, and how much of the pool the labels cover."""

from __future__ import annotations

import streamlit as st

from ....tools.watch.balance import SOURCES, Balance
from ....tools.watch.live import Live
from .. import formats
from . import charts, facts

_ROW, _AROUND, _LEGEND_ROW, _MOST_HEIGHT = 26, 70, 22, 560
"""Pixels of a class, of the axis, of two sources in the legend, and of all before it scrolls."""


def show_classes(live: Live) -> None:
    """Draw coverage, and the labels by class and source."""
    balance = live.balance()
    if not balance.texts:
        st.info("The texts have not been read yet.")
        return
    st.html(_coverage(balance))
    if not balance.labelled:
        st.info("No text has a label yet.")
        return
    rounds = live.rounds()
    predicted = rounds[-1].predicted if rounds else ()
    expected = _shares(live.reader.labels, predicted)
    st.html(
        facts.note(
            "Accepted labels by class and source."
            + (
                " The diamond is the share that the student predicts on the stop set, which was "
                "drawn from the pool at random."
                if expected
                else ""
            )
        )
    )
    counts = balance.by_label()
    names = sorted({*live.reader.labels, *counts}, key=lambda label: -counts.get(label, 0))
    sources = list(balance.by_source())
    bars = [
        {
            "name": charts.name(label),
            "share": n / balance.labelled,
            "series": source,
            "rank": sources.index(source),
            "shown": formats.number(n),
        }
        for (label, source), n in sorted(balance.accepted.items())
        if n
    ]
    ticks = [
        {"name": charts.name(label), "share": share, "shown": formats.percent(share)}
        for label, share in expected.items()
    ]
    spec = charts.bars([charts.name(label) for label in names], sources, ticks=bool(ticks))
    # The height is that of the whole figure: legend and axis take theirs off the rows.
    tall = _AROUND + _LEGEND_ROW * ((len(sources) + 1) // 2) + _ROW * len(names)
    with st.container(height=_MOST_HEIGHT if tall > _MOST_HEIGHT else "content", border=False):
        data = {"bars": bars, **({"ticks": ticks} if ticks else {})}
        charts.show(spec, data, "Accepted labels by class and source.", height=tall)


def _coverage(balance: Balance) -> str:
    parts = [(source, n) for source, n in balance.by_source().items() if n]
    parts += [("set apart", balance.set_apart), ("unlabelled", balance.unlabelled)]
    shown = [(name, n) for name, n in parts if n]
    blocks = "".join(
        f'<i style="width:{100 * n / balance.texts:.2f}%;background:{_colour(name)}"></i>'
        for name, n in shown
    )
    words = {
        "person": "by people or whom you trust",
        "panel": "by several annotators",
        "model": "by one annotator",
        "student": "by the student alone",
    }
    entries = [
        (
            name.capitalize(),
            formats.percent(n / balance.texts),
            f"{formats.number(n)} texts{', ' + words[name] if name in words else ''}",
        )
        for name, n in shown
    ]
    head = facts.note(f"What the {formats.number(balance.texts)} texts of the pool have.")
    return f'{head}<div class="lw-bar" style="height:.8rem">{blocks}</div>{facts.facts(entries)}'


def _colour(name: str) -> str:
    known = name in SOURCES or name in charts.SOURCE_COLOURS
    return charts.SOURCE_COLOURS[name] if known else charts.GREY


def _shares(labels: list[str], predicted: tuple[int, ...]) -> dict[str, float]:
    total = sum(predicted)
    if not total:
        return {}
    return {label: n / total for label, n in zip(labels, predicted, strict=False)}
