"""Runs side by side: what each came to, and their curves over one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.watch.curve import Round, proposed_at
from ....tools.watch.measures import Measures, measures
from .. import formats
from ..plain import visible
from ..run_page import charts, facts
from ..run_page.learning import SHARES, at, x_axis, x_of
from ..run_page.watched import watched

_DASH = "\N{EN DASH}"
_AUDIT, _AGREES, _F1 = "right on audits", "agrees with the labels", "macro-F1"


def show_table(folders: Sequence[Path]) -> None:
    """Show a table of what the runs came to."""
    columns = {name: _measures(folder) for name, folder in distinct(folders).items()}
    measures = next(iter(columns.values()))
    rows = [[measure, *(found[measure] for found in columns.values())] for measure in measures]
    st.html(facts.table(["", *columns], rows))


def distinct(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by names that can be shown, no two alike."""
    found: dict[str, Path] = {}
    for folder in folders:
        name = charts.name(folder.name)
        while name in found or not name.strip():
            name += "*"
        found[name] = folder
    return found


def _measures(folder: Path) -> dict[str, str]:
    found = measures(watched(folder))
    labelled = f"{formats.number(found.labelled)} ({formats.percent(found.completion)})"
    return {
        "state": formats.STATES[found.state],
        "replay of": visible(found.replay_of) or "no",
        "texts": formats.number(found.texts),
        "labelled": labelled,
        "set apart": formats.number(found.set_apart),
        "labels right": ", ".join(facts.accuracy(found.labels)),
        "student right": ", ".join(facts.accuracy(found.student)),
        "macro-F1": _DASH if found.macro_f1 is None else f"{found.macro_f1:.2f}",
        "spent": formats.money(found.spent),
        "cap": "none" if found.cap is None else formats.money(found.cap),
        "requests": formats.number(found.requests),
        "rounds": formats.number(found.rounds),
        "time": _DASH if found.seconds is None else formats.duration(found.seconds),
        "why it stopped": _why(found),
    }


def _why(found: Measures) -> str:
    if found.stop is None:
        return "it has not stopped by itself"
    number, why = found.stop
    return f"after round {number}: {visible(why)}"


def show_curves(folders: Sequence[Path]) -> None:
    """Draw one measure of all runs over a common axis."""
    left, right = st.columns(2)
    with left:
        measure = st.segmented_control(
            "Measure", [_AUDIT, _AGREES, _F1], default=_AUDIT, required=True, key="compare_measure"
        )
    with right:
        axis = st.segmented_control(
            "Against",
            ["money", "labels", "rounds"],
            default="money",
            required=True,
            key="compare_axis",
        )
    points: list[dict[str, Any]] = []
    stops: list[tuple[float, str, str]] = []
    names = distinct(folders)
    for name, folder in names.items():
        rounds = watched(folder).rounds()
        points += [p for found in rounds if (p := _point(found, name, measure, axis)) is not None]
        stopped = proposed_at(rounds)
        if stopped is not None and stopped.check is not None and stopped.check.stop:
            word = f"{name} stops"
            stops.append((x_of(stopped, axis), word, word))
    if not points:
        why = "nothing is audited" if measure == _AUDIT else "no round is closed yet"
        st.info(f"There is nothing to draw: {why}.")
        return
    places = [point["x"] for point in points]
    low = 0.0 if axis == "money" else min(places)
    marks = charts.placed(stops, low, max(places))
    series = dict(zip(names, charts.MANY * (1 + len(names) // len(charts.MANY)), strict=False))
    spec = charts.lines(series, x=x_axis(axis), y=SHARES, marks=marks, band=measure == _AUDIT)
    data: dict[str, Any] = {"points": points}
    if marks:
        data["marks"] = marks
    tall = 320 + charts.WORDS * charts.words_above(marks)
    charts.show(spec, data, f"The runs' students, {measure}, by {axis}.", height=tall)


def _point(found: Round, name: str, measure: str, axis: str) -> dict[str, Any] | None:
    audit = found.student
    value, low, high = {
        _AUDIT: (audit.estimate, audit.low, audit.high),
        _AGREES: (found.agreement, None, None),
        _F1: (found.macro_f1, None, None),
    }[measure]
    if value is None:
        return None
    words = " ".join(facts.accuracy(audit)) if measure == _AUDIT else formats.percent(value)
    return {
        "x": x_of(found, axis),
        "at": at(found),
        "series": name,
        "value": value,
        "shown": words,
        "low": low,
        "high": high,
    }
