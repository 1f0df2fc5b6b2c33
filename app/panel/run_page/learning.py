"""The learning curve against money, with the evidence that the stop rule goes by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from ....tools.money import to_usd
from ....tools.watch.curve import Round, StopCheck
from ....tools.watch.live import Live
from .. import formats
from ..plain import show_text
from . import charts, facts

_AUDIT, _AGREES, _F1 = "right on audits", "agrees with the labels", "macro-F1"
_GAIN, _PRICE = "expected gain", "price"
_WINDOW, _MOVED = "over the window", "in the round"
_PROPOSED, _STOPS = "stop proposed", "stops"
_NEAR, _LISTED = 0.1, 3
"""Share of the axis within which marks have common words; rounds that these list one by one."""
_AXES = {"money": "spent, USD", "labels": "labels", "rounds": "round"}


def show_learning(live: Live) -> None:
    """Draw the curve, the stop evidence and the churn."""
    rounds = live.rounds()
    if not rounds:
        st.info(
            "No round is closed yet. The first figures come when the first batch has been asked "
            "about and the student has learned from it."
        )
        return
    paid = any(found.spent for found in rounds)
    axis = st.segmented_control(
        "Against",
        list(_AXES),
        default="money" if paid else "labels",
        required=True,
        key="run_axis",
    )
    st.html(facts.note("The student by the money spent. The band is the audit's 95% interval."))
    _curve(rounds, axis)
    checks = [(found, found.check) for found in rounds if found.check is not None]
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(
            facts.note(
                "The next batch: its expected gain against its price, by round. Each step of the "
                "upright axis is the same number of times more (a logarithmic axis)."
            )
        )
        _evidence(checks)
    with right:
        st.html(facts.note("Churn: answers of the student on the stop set that changed, by round."))
        _churn(rounds)
    if checks:
        _arithmetic(*checks[-1])


def x_of(found: Round, axis: str) -> float:
    """Where a round stands on an axis of `_AXES`."""
    if axis == "money":
        return to_usd(found.spent)
    return float(found.labels if axis == "labels" else found.round)


def x_axis(axis: str) -> dict[str, Any]:
    """How an axis of `_AXES` is drawn."""
    form = "$~f" if axis == "money" else ",d"
    ticks: dict[str, Any] = {"format": form, "title": _AXES[axis], "tickCount": 6}
    if axis == "rounds":
        ticks["tickMinStep"] = 1
    return {"axis": ticks, "scale": {"nice": False, "zero": axis == "money"}}


SHARES = {"axis": {"format": ".0%", "title": None, "tickCount": 5}, "scale": {"zero": False}}
"""An axis of shares."""


def at(found: Round) -> str:
    """Where a round stands, in words."""
    return f"{found.name}, {formats.number(found.labels)} labels, {formats.money(found.spent)}"


def _curve(rounds: Sequence[Round], axis: str) -> None:
    points = []
    for found in rounds:
        place = {"x": x_of(found, axis), "at": at(found)}
        audit = found.student
        if audit.estimate is not None:
            words = " ".join(facts.accuracy(audit))
            points.append(_point(place, _AUDIT, audit.estimate, words, audit.low, audit.high))
        points.append(_point(place, _AGREES, found.agreement, formats.percent(found.agreement)))
        points.append(_point(place, _F1, found.macro_f1, formats.number(found.macro_f1, 2)))
    series = {_AUDIT: charts.ONE, _AGREES: charts.TWO, _F1: charts.THREE}
    if not any(point["series"] == _AUDIT for point in points):
        del series[_AUDIT]
        st.caption("Nothing is audited, so how right the student is, is not known.")
    marks = _proposals(rounds, axis)
    spec = charts.lines(series, x=x_axis(axis), y=SHARES, marks=marks, band=_AUDIT in series)
    charts.show(
        spec,
        {"points": points, **({"marks": marks} if marks else {})},
        f"The student's accuracy by {_AXES[axis]}.",
        height=300 + charts.WORDS * charts.words_above(marks),
    )


def _point(
    place: dict[str, Any],
    series: str,
    value: float,
    shown: str,
    low: float | None = None,
    high: float | None = None,
) -> dict[str, Any]:
    return {**place, "series": series, "value": value, "shown": shown, "low": low, "high": high}


def _proposals(rounds: Sequence[Round], axis: str) -> list[dict[str, Any]]:
    """A mark where the rule first proposed to stop, and where the run did."""
    found: list[tuple[float, str, int]] = []
    proposed = False
    for one in rounds:
        check = one.check
        if check is None:
            continue
        if check.stop:
            found.append((x_of(one, axis), _STOPS, one.round))
        elif check.proposed and not proposed:
            found.append((x_of(one, axis), _PROPOSED, one.round))
        proposed = check.proposed
    ends = [x_of(one, axis) for one in rounds]
    low = 0.0 if axis == "money" else min(ends)
    marks: list[tuple[float, str, str]] = []
    for group in _neighbours(found, _NEAR * (max(ends) - low)):
        words = _words(group)
        for x, what, number in group:
            # One of neighbours speaks for all of them.
            marks.append((x, f"{what}, round {number}", words))
            words = ""
    return charts.placed(marks, low, max(ends))


def _neighbours(
    found: Sequence[tuple[float, str, int]], near: float
) -> list[list[tuple[float, str, int]]]:
    groups: list[list[tuple[float, str, int]]] = []
    for one in found:
        if groups and one[0] - groups[-1][0][0] <= near:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _words(group: Sequence[tuple[float, str, int]]) -> str:
    parts = []
    for what in (_PROPOSED, _STOPS):
        numbers = [number for _, said, number in group if said == what]
        if len(numbers) > _LISTED:
            times = f"{len(numbers)} times"
            parts.append(f"{what} {times}, rounds {numbers[0]} to {numbers[-1]}")
        elif numbers:
            many = "s" if len(numbers) > 1 else ""
            parts.append(f"{what}, round{many} {', '.join(map(str, numbers))}")
    return "; ".join(parts)


def _evidence(checks: Sequence[tuple[Round, StopCheck]]) -> None:
    amounts = [
        (found.round, series, nano)
        for found, check in checks
        for series, nano in ((_GAIN, check.next_gain), (_PRICE, check.next_price))
        if nano is not None
    ]
    positive = [to_usd(nano) for _, _, nano in amounts if nano > 0]
    if not positive:
        st.caption("Nothing costs anything, so there is nothing to weigh.")
        return
    # A log scale has no zero: what is nothing lies below the least of the others.
    floor = min(positive) / 3
    points = [
        {
            "x": number,
            "series": series,
            "value": max(to_usd(nano), floor),
            "shown": formats.money(nano),
            "at": f"round {number}",
            "low": None,
            "high": None,
        }
        for number, series, nano in amounts
    ]
    marks = _proposals([found for found, _ in checks], "rounds")
    spec = charts.lines(
        {_GAIN: charts.ONE, _PRICE: charts.TWO},
        x=x_axis("rounds"),
        y={
            "scale": {"type": "log", "nice": False},
            "axis": {"format": "$~r", "title": None, "values": _powers(floor, max(positive))},
        },
        marks=marks,
        band=False,
    )
    data = {"points": points, **({"marks": marks} if marks else {})}
    tall = 215 + charts.WORDS * charts.words_above(marks)
    charts.show(spec, data, "Expected gain of the next batch and its price, by round.", height=tall)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten for an axis, at most five."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / 5))
    return [10.0**power for power in range(first, last + 1, step)]


def _churn(rounds: Sequence[Round]) -> None:
    points = []
    for found in rounds:
        place = {"x": found.round, "at": f"round {found.round}"}
        churn = found.check.churn if found.check else None
        if churn is not None and churn.estimate is not None:
            words = " ".join(facts.accuracy(churn))
            points.append(_point(place, _WINDOW, churn.estimate, words, churn.low, churn.high))
        if found.moved is not None and found.in_round:
            points.append(_point(place, _MOVED, found.moved, formats.percent(found.moved)))
    if not points:
        st.caption("Churn is known from the second round on.")
        return
    spec = charts.lines(
        {_WINDOW: charts.ONE, _MOVED: charts.TWO},
        x=x_axis("rounds"),
        y={"axis": {"format": ".0%", "title": None, "tickCount": 4}, "scale": {"zero": True}},
    )
    charts.show(spec, {"points": points}, "Churn of the stop set by round.", height=215)


def _arithmetic(found: Round, check: StopCheck) -> None:
    st.html(facts.note(f"The stop rule after round {found.round}. {check.plain}"))
    if not st.toggle(f"The stop rule's arithmetic, round {found.round}", key="run_arithmetic"):
        return
    words = [check.explanation, check.next_dollar]
    show_text("\n".join(word for word in words if word) or check.why)
    if check.gates:
        st.dataframe(
            [
                {"gate": name.replace("_", " "), "state": "open" if passed else "shut", "why": why}
                for name, passed, why in check.gates
            ],
            hide_index=True,
            width="stretch",
        )
