"""Vega-Lite descriptions of the figures, with their data; texts in them are data, never markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import streamlit as st

from ..plain import visible

Spec: TypeAlias = dict[str, Any]
Rows: TypeAlias = Sequence[Mapping[str, Any]]

ONE, TWO, THREE, GREY = "#3d8f86", "#c77f3a", "#7a7fc4", "#8a908d"
"""Colours that can be told apart, and read, on the light and on the dark page."""
MANY = [
    "#3d8f86",
    "#c77f3a",
    "#7a7fc4",
    "#b5617d",
    "#6f9a3e",
    "#4f93c0",
    "#b59b2e",
    "#9a6fb0",
    "#c4645a",
    "#5aa878",
    "#8f7a5a",
    "#5d7fa8",
]
SOURCE_COLOURS = {
    "person": "#3d8f86",
    "panel": "#4f93c0",
    "model": "#c77f3a",
    "student": "#7a7fc4",
    "set apart": "#b5617d",
    "unlabelled": GREY,
    "generated": "#b59b2e",
}
_LOOK = {
    "axis": {"labelLimit": 140, "titleFontSize": 11, "labelFontSize": 11, "titlePadding": 4},
    "legend": {
        "labelLimit": 160,
        "labelFontSize": 12,
        "titleFontSize": 11,
        "symbolOpacity": 1,
        "offset": 6,
        "padding": 0,
        "rowPadding": 2,
    },
}
_ALL_NAMED = 30
"""Classes of which each is named on the axis."""
NAME = 60
"""Characters of a label's or an annotator's name in a figure."""
WORDS = 13
"""Pixels of a line of words above a figure."""
_CHARACTER = 0.022
"""A character of them, as a share of the width of the narrowest figure."""


def show(spec: Spec, data: Mapping[str, Rows], alt: str, *, height: int = 220) -> None:
    """Draw a figure.

    Args:
        spec: Its description, without size and data.
        data: Its tables by name; a table without rows is given as none.
        alt: What it shows, for those who can not see it.
        height: In pixels.
    """
    import pyarrow

    st.vega_lite_chart(
        {
            **spec,
            "height": height,
            # A frame would turn what is missing into NaN.
            "datasets": {
                name: pyarrow.Table.from_pylist(list(rows)) for name, rows in data.items()
            },
            "config": _LOOK,
        },
        alt=alt,
    )


def name(text: str) -> str:
    """A name of the run's own, as it may stand in a figure: on one line, short and visible."""
    flat = visible(text).replace("\n", " ")
    return flat if len(flat) <= NAME else f"{flat[: NAME - 1]}\N{HORIZONTAL ELLIPSIS}"


def colours(domain: Sequence[str], chosen: Sequence[str], columns: int = 2) -> Spec:
    """A scale that gives each name its colour, with a legend above the figure."""
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(domain), "range": list(chosen)},
        "legend": {"orient": "top", "title": None, "symbolType": "circle", "columns": columns},
    }


def tips(**fields: str) -> list[Spec]:
    """What is shown on hover: fields by their titles."""
    return [
        {"field": field, "type": "nominal", "title": title.replace("_", " ")}
        for title, field in fields.items()
    ]


def placed(
    marks: Sequence[tuple[float, str, str]], low: float, high: float
) -> list[dict[str, Any]]:
    """Rows of the table ``marks`` of `lines`, so that no words are written over others.

    Args:
        marks: Where each is, what is shown when it is pointed at, and its words above the figure;
            none where another one's words speak for it.
        low: Where the axis begins.
        high: Where it ends.
    """
    lines: list[list[tuple[float, float]]] = []
    rows = []
    for x, tip, word in marks:
        place = (x - low) / (high - low) if high > low else 0.0
        right, reach = place > 0.5, _CHARACTER * (len(word) + 1)
        # Words go from their mark towards the farther end, where there is more room.
        span = (place - reach, place) if right else (place, place + reach)
        level = 0
        if word:
            while level < len(lines) and any(
                span[0] < end and start < span[1] for start, end in lines[level]
            ):
                level += 1
            if level == len(lines):
                lines.append([])
            lines[level].append(span)
        rows.append({"x": x, "tip": tip, "word": word, "right": right, "level": level})
    return rows


def words_above(marks: Rows) -> int:
    """Lines of words above a figure with these marks."""
    return 1 + max((mark["level"] for mark in marks), default=-1)


def lines(
    series: Mapping[str, str],
    *,
    x: Spec,
    y: Spec,
    marks: Rows = (),
    band: bool = True,
) -> Spec:
    """Lines over a common axis with a band where there is an interval.

    The data: ``points`` with x, value, low, high, series, at and shown; ``marks`` as `placed` makes
    them, if there are any.
    """
    across = {"field": "x", "type": "quantitative", **x}
    up = {"field": "value", "type": "quantitative", **y}
    colour = colours(list(series), list(series.values()))
    # Room between legend and figure: over the lines themselves the words could not be read.
    colour["legend"]["offset"] = 6 + WORDS * words_above(marks)
    layers: list[Spec] = []
    if band:
        layers.append(
            {
                "data": {"name": "points"},
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "area", "opacity": 0.16},
                "encoding": {
                    "x": across,
                    "y": {**up, "field": "low"},
                    "y2": {"field": "high"},
                    "color": colour,
                },
            }
        )
    if marks:
        layers += _marks(across)
    layers.append(
        {
            "data": {"name": "points"},
            "mark": {"type": "line", "point": {"size": 28}, "strokeWidth": 1.8},
            "encoding": {
                "x": across,
                "y": up,
                "color": colour,
                "tooltip": tips(series="series", value="shown", at="at"),
            },
        }
    )
    return {"layer": layers}


def _marks(across: Spec) -> list[Spec]:
    base = {"data": {"name": "marks"}}
    return [
        {
            **base,
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": GREY, "strokeWidth": 1.5},
            "encoding": {"x": across, "tooltip": tips(stop="tip")},
        },
        {
            **base,
            "mark": {
                "type": "text",
                "align": {"expr": "datum.right ? 'right' : 'left'"},
                "dy": {"expr": f"-3 - {WORDS} * datum.level"},
                "baseline": "bottom",
                "color": GREY,
                "fontSize": 11,
            },
            "encoding": {"x": across, "y": {"value": 0}, "text": {"field": "word"}},
        },
    ]


def bars(labels: Sequence[str], sources: Sequence[str], *, ticks: bool) -> Spec:
    """Classes as bars by source, with a tick where the student expects each in the pool.

    The data: ``bars`` with name, share, series, shown; ``ticks`` with name, share, shown.
    """
    down = {
        "field": "name",
        "type": "nominal",
        "sort": list(labels),
        "axis": {
            "title": None,
            "ticks": False,
            "domain": False,
            # Every name is to be read; of very many, those that find room.
            "labelOverlap": len(labels) > _ALL_NAMED,
            "labelLimit": 200,
        },
    }
    across = {
        "field": "share",
        "type": "quantitative",
        "axis": {"format": ".0%", "title": "share of the labels", "grid": True, "tickCount": 5},
    }
    shown = [SOURCE_COLOURS.get(source, GREY) for source in sources]
    layers: list[Spec] = [
        {
            "data": {"name": "bars"},
            "mark": {"type": "bar", "height": {"band": 0.62}},
            "encoding": {
                "y": down,
                "x": {**across, "stack": "zero"},
                "color": colours(sources, shown),
                "order": {"field": "rank", "type": "quantitative"},
                "tooltip": tips(label="name", source="series", labels="shown"),
            },
        }
    ]
    if ticks:
        layers.append(
            {
                "data": {"name": "ticks"},
                "mark": {
                    "type": "point",
                    "shape": "diamond",
                    "size": 70,
                    "opacity": 1,
                    "fill": "#fcfcfa",
                    "stroke": "#23292b",
                    "strokeWidth": 1.2,
                },
                "encoding": {
                    "y": down,
                    "x": across,
                    "tooltip": tips(label="name", student_expects="shown"),
                },
            }
        )
    return {"layer": layers}


def heat(names: Sequence[str], low: float) -> Spec:
    """Pairs of annotators as a matrix; the data ``cells`` with one, other, value, text, tip, n."""
    axis = {"title": None, "domain": False, "ticks": False, "labelOverlap": False}
    # Every name is to be read, however narrow the column.
    slanted = {**axis, "labelAngle": -35, "labelLimit": 90}
    place = {
        "x": {"field": "one", "type": "nominal", "sort": list(names), "axis": slanted},
        "y": {"field": "other", "type": "nominal", "sort": list(names), "axis": axis},
    }
    return {
        "data": {"name": "cells"},
        "encoding": place,
        "layer": [
            {
                "mark": {"type": "rect", "cornerRadius": 3},
                "encoding": {
                    "color": {
                        "field": "value",
                        "type": "quantitative",
                        "scale": {"domain": [low, 1], "range": ["#e9ece6", ONE], "clamp": True},
                        "legend": None,
                    },
                    "tooltip": tips(one="one", other="other", agreement="tip", labels="n"),
                },
            },
            {
                "mark": {"type": "text", "fontSize": 12},
                "encoding": {
                    "text": {"field": "text"},
                    "color": {
                        "condition": {"test": "datum.value > 0.75", "value": "#ffffff"},
                        "value": "#23292b",
                    },
                },
            },
        ],
    }


def intervals(names: Sequence[str]) -> Spec:
    """Accuracies with their intervals; the data ``points`` with name, value, low, high, shown."""
    down = {
        "field": "name",
        "type": "nominal",
        "sort": list(names),
        # Every name is to be read.
        "axis": {
            "title": None,
            "ticks": False,
            "domain": False,
            "labelOverlap": False,
            "labelLimit": 160,
        },
    }
    across = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "title": "right on audited texts, 95% interval", "tickCount": 5},
    }
    return {
        "data": {"name": "points"},
        "encoding": {"y": down, "tooltip": tips(annotator="name", right="shown")},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "color": ONE, "opacity": 0.5},
                "encoding": {"x": {**across, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "color": ONE, "opacity": 1},
                "encoding": {"x": {**across, "field": "value"}},
            },
        ],
    }


def scatter(colour: Spec) -> Spec:
    """The map; the data ``points`` with x, y, series or doubt, text, label, sure and source."""
    axis = {"axis": None, "scale": {"zero": False, "nice": False, "padding": 8}}
    return {
        "data": {"name": "points"},
        "mark": {"type": "circle", "size": 26, "opacity": 0.75},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", **axis},
            "y": {"field": "y", "type": "quantitative", **axis},
            "color": colour,
            "tooltip": tips(text="text", label="label", sure="sure", source="source"),
        },
    }
