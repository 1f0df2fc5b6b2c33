"""Runs side by side: what each came to, and their curves over one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.report import STOPS
from ....tools.watch import run_status
from ....tools.watch.curve import Round, proposed_at
from .. import formats
from ..plain import visible
from ..run_page import charts, facts
from ..run_page.head import STATES
from ..run_page.learning import SHARES, at, x_axis, x_of
from ..run_page.quality import accuracies
from ..run_page.watched import watched

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
    live, status = watched(folder), run_status(folder)
    balance, rounds, money = live.balance(), live.rounds(), live.money()
    labels, student = accuracies(folder, status, rounds)
    last = rounds[-1] if rounds else None
    seconds = _seconds(folder)
    share = balance.labelled / balance.texts if balance.texts else None
    return {
        "state": STATES[status.state][0],
        "replay of": visible(Path(live.reader.config.get("replay_of") or "").name) or "no",
        "texts": formats.number(balance.texts),
        "labelled": f"{formats.number(balance.labelled)} ({formats.percent(share)})",
        "set apart": formats.number(balance.set_apart),
        "labels right": ", ".join(facts.accuracy(labels)),
        "student right": ", ".join(facts.accuracy(student)),
        "macro-F1": "\N{EN DASH}" if last is None else f"{last.macro_f1:.2f}",
        "spent": formats.money(money.spent),
        "cap": "none" if money.cap is None else formats.money(money.cap),
        "requests": formats.number(money.requests),
        "rounds": formats.number(len(rounds)),
        "time": "\N{EN DASH}" if seconds is None else formats.duration(seconds),
        "why it stopped": _why(rounds),
    }


def _why(rounds: tuple[Round, ...]) -> str:
    found = proposed_at(rounds)
    check = found.check if found else None
    if found is None or check is None or check.stop is None:
        return "it has not stopped by itself"
    reason, detail = check.stop
    return f"after round {found.round}: {STOPS.get(reason, visible(detail))}"


def _seconds(folder: Path) -> float | None:
    from ....tools.watch.stage import finished_seconds

    return finished_seconds(watched(folder).reader)


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
    marks: list[dict[str, Any]] = []
    names = distinct(folders)
    for name, folder in names.items():
        rounds = watched(folder).rounds()
        points += [p for found in rounds if (p := _point(found, name, measure, axis)) is not None]
        stopped = proposed_at(rounds)
        if stopped is not None and stopped.check is not None and stopped.check.stop:
            place = {"x": x_of(stopped, axis), "level": len(marks)}
            marks.append({**place, "word": f"{name} stops"})
    if not points:
        why = "nothing is audited" if measure == _AUDIT else "no round is closed yet"
        st.info(f"There is nothing to draw: {why}.")
        return
    most = max(point["x"] for point in points)
    series = dict(zip(names, charts.MANY * (1 + len(names) // len(charts.MANY)), strict=False))
    spec = charts.lines(series, x=x_axis(axis), y=SHARES, marks=bool(marks), band=measure == _AUDIT)
    data: dict[str, Any] = {"points": points}
    if marks:
        data["marks"] = [{**mark, "middle": most / 2} for mark in marks]
    charts.show(spec, data, f"The runs' students, {measure}, by {axis}.", height=320)


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
