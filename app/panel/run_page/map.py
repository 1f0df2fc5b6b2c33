"""The map of the pool: texts that mean the like lie close to each other."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import streamlit as st

from ....tools.watch.live import Live
from ....tools.watch.pool_map import MOST, NOTHING, TEXT, PoolMap, Standing
from .. import formats
from ..plain import visible
from ..review.desk import desk
from ..review.who import reviewer
from . import charts, facts

_LABEL, _DOUBT, _ORIGIN = "label", "uncertainty", "origin"
_OTHERS, _NONE = "other labels", "without a label"
_MOST_LABELS = 11
_DOUBTS = ["#3d8f86", "#d9b23c", "#c4473a"]


def show_map(live: Live) -> None:
    """Draw the map in the colours that are chosen."""
    found = live.pool_map()
    if found is None:
        st.info("The map comes when the first texts have been read.")
        return
    chart, standing = found
    hidden = _hidden(live)
    standing = [
        NOTHING if item in hidden else one for item, one in zip(chart.ids, standing, strict=True)
    ]
    colour = st.segmented_control(
        "Colour", [_LABEL, _DOUBT, _ORIGIN], default=_LABEL, required=True, key="run_colour"
    )
    sample = (
        f"{formats.number(len(chart.ids))} of {formats.number(chart.texts)} texts, drawn at random"
        if len(chart.ids) < chart.texts
        else f"All {formats.number(chart.texts)} texts"
    )
    st.html(
        facts.note(
            f"{sample}, on the two widest directions of their vectors, which hold "
            f"{formats.percent(chart.kept, 0)} of what sets them apart."
        )
    )
    scale, series = _colours(colour, chart, standing)
    charts.show(
        charts.scatter(scale),
        {"points": _points(chart, standing, series)},
        f"Map of the pool by {colour}.",
        height=430,
    )


def _hidden(live: Live) -> set[str]:
    """Items of which nothing may be told to this reader: an audit asks about them."""
    at = desk(live.reader.folder)
    at.log.refresh()
    return at.hidden(reviewer())


def _colours(
    colour: str, chart: PoolMap, standing: list[Standing]
) -> tuple[dict[str, Any], list[str]]:
    """The scale, and the name that each point has on it."""
    if colour == _DOUBT:
        scale = {
            "field": "doubt",
            "type": "quantitative",
            "scale": {
                "domain": [0, 0.6],
                "range": _DOUBTS,
                "clamp": True,
            },
            "legend": {
                "orient": "top",
                "title": "probability of being wrong",
                "format": ".0%",
                "gradientLength": 160,
            },
        }
        grey = {"test": "!isValid(datum.doubt)", "value": charts.GREY}
        return {"condition": grey, **scale}, [""] * len(standing)
    if colour == _ORIGIN:
        series = [
            "generated" if synthetic else _source(one)
            for one, synthetic in zip(standing, chart.synthetic, strict=True)
        ]
        names = [name for name in charts.SOURCE_COLOURS if name in set(series)]
        names += sorted(set(series) - set(names))
        range_ = [charts.SOURCE_COLOURS.get(name, charts.GREY) for name in names]
        return charts.colours(names, range_), series
    counts = Counter(one.label for one in standing if one.label is not None)
    shown = [label for label, _ in counts.most_common()]
    if len(shown) > _MOST_LABELS + 1:
        shown = shown[:_MOST_LABELS]
    names = [charts.name(label) for label in shown]
    place = dict(zip(shown, names, strict=True))
    series = [_NONE if one.label is None else place.get(one.label, _OTHERS) for one in standing]
    range_ = charts.MANY[: len(names)]
    for rest in (_OTHERS, _NONE):
        if rest in series:
            names.append(rest)
            range_.append(charts.GREY if rest == _NONE else charts.MANY[-1])
    return charts.colours(names, range_), series


def _points(chart: PoolMap, standing: list[Standing], series: list[str]) -> list[dict[str, Any]]:
    points = []
    for (x, y), text, one, name in zip(
        chart.places.tolist(), chart.begins, standing, series, strict=True
    ):
        sure = one.p_correct
        points.append(
            {
                "x": x,
                "y": y,
                "series": name,
                "doubt": None if sure is None else 1.0 - sure,
                "text": begin(text),
                "label": _NONE if one.label is None else charts.name(one.label),
                "sure": "\N{EN DASH}" if sure is None else formats.percent(sure, 0),
                "source": _source(one),
            }
        )
    return points


# The map is drawn every few seconds, and looking at each character of it takes a while.
@lru_cache(maxsize=4 * MOST)
def begin(text: str) -> str:
    """The beginning of a text on one line, with nothing in it that can not be seen."""
    flat = " ".join(visible(text[:TEXT]).split())
    return f"{flat}\N{HORIZONTAL ELLIPSIS}" if len(text) > TEXT else flat


def _source(one: Standing) -> str:
    if one.outcome == "accept":
        return one.source or "unlabelled"
    return one.outcome.replace("_", " ")
