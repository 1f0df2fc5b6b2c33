"""Charts of a run as inline SVG: no fonts, no scripts, colours from the page's own style sheet.

Each chart is 420 units wide, so that its text can be read both on a phone and beside another chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from markupsafe import Markup

from ..money import NANO, show

Row: TypeAlias = Mapping[str, Any]
Point: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 26, 42
_GUTTER = 70
_DECADES = 5
_HIGH = "audit_student_high"


@dataclass(frozen=True)
class _Scale:
    """Maps values to the coordinates between start and end; a log scale needs positive ends."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            # What is not positive has no place on a log scale; it is drawn on the lower edge.
            value = math.log10(max(value, low))
            low, high = math.log10(low), math.log10(high)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


@dataclass
class _Plot:
    x: _Scale
    y: _Scale
    parts: list[Markup] = field(default_factory=list)

    def add(self, template: str, *values: object) -> None:
        rounded = [round(v, 1) if isinstance(v, float) else v for v in values]
        self.parts.append(Markup(template).format(*rounded))

    def place(self, point: Point) -> Point:
        """Where a point is drawn; its x is a coordinate already, its y a value."""
        return point[0], self.y.at(point[1])

    def rows(self, ticks: Sequence[float], text: Callable[[float], str], name: str) -> None:
        """Horizontal grid with the values of y, and above it what y is."""
        for tick in ticks:
            y = self.y.at(tick)
            self.add('<path class="grid" d="M{} {}H{}"/>', _LEFT, y, WIDTH - _RIGHT)
            self.add(
                '<text x="{}" y="{}" text-anchor="end">{}</text>', _LEFT - 7, y + 4, text(tick)
            )
        self.add('<text class="axis" x="{}" y="12">{}</text>', 4, name)

    def columns(self, ticks: Sequence[float], text: Callable[[float], str], name: str) -> None:
        """Values of x, and below them what x is."""
        for tick in ticks:
            self.column(self.x.at(tick), text(tick))
        self._below((self.x.start + self.x.end) / 2, name)

    def column(self, x: float, text: str, name: str = "") -> None:
        """One tick of the x axis at a coordinate, with its value and what it is."""
        y = HEIGHT - _BOTTOM
        self.add('<path class="tick" d="M{} {}v4"/>', x, y)
        self.add('<text x="{}" y="{}" text-anchor="middle">{}</text>', x, y + 17, text)
        if name:
            self._below(x, name)

    def _below(self, x: float, name: str) -> None:
        y = HEIGHT - 6
        self.add('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>', x, y, name)

    def line(self, points: Sequence[Point], css: str) -> None:
        if len(points) > 1:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in map(self.place, points))
            self.add('<path class="line {}" d="M{}"/>', css, path)

    def dots(self, points: Sequence[Point], css: str, titles: Sequence[str]) -> None:
        for point, title in zip(points, titles, strict=True):
            x, y = self.place(point)
            self.add(
                '<circle class="dot {}" cx="{}" cy="{}" r="3"><title>{}</title></circle>',
                css,
                x,
                y,
                title,
            )

    def band(self, bounds: Sequence[tuple[float, float, float]], css: str) -> None:
        """An interval (x, low, high) along the line, or a whisker where there is but one."""
        upper = [self.place((x, high)) for x, _, high in bounds]
        lower = [self.place((x, low)) for x, low, _ in reversed(bounds)]
        if len(bounds) == 1:
            self.add('<path class="line {}" d="M{} {}V{}"/>', css, *upper[0], lower[0][1])
        elif bounds:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in upper + lower)
            self.add('<path class="band {}" d="M{}Z"/>', css, path)

    def mark(self, x: float, text: str) -> None:
        """A vertical line through the chart at a coordinate, with words above it."""
        self.add('<path class="mark" d="M{} {}V{}"/>', x, _TOP - 4, HEIGHT - _BOTTOM)
        # Beyond the middle the word stands left of the line, so that it stays inside the chart.
        anchor, shift = ("end", -4) if x > WIDTH / 2 else ("start", 4)
        self.add(
            '<text class="word" x="{}" y="{}" text-anchor="{}">{}</text>',
            x + shift,
            _TOP - 4,
            anchor,
            text,
        )

    def svg(self, label: str) -> Markup:
        head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
        return head.format(WIDTH, HEIGHT, label) + Markup("").join(self.parts) + Markup("</svg>")


def training(row: Row) -> str:
    """Which training a row of the curve is about: that after the last batch is in no round."""
    # Summaries of earlier versions do not tell them apart.
    return f"round {row['round']}" if row.get("in_round", True) else "the last training"


def learning_curve(rows: Sequence[Row], stop_round: int | None) -> Markup | None:
    """The student's agreement and audited accuracy against money, or labels where nothing was paid.

    Args:
        rows: the summary's ``curve``.
        stop_round: the round after which the run stopped; a later one (the training after the
            sweep) stands apart on the right, because its money would press the rounds together.

    Returns:
        The chart; None without rounds.
    """
    drawn = [row for row in rows if row.get("agreement") is not None]
    if not drawn:
        return None
    swept = stop_round is not None and len(drawn) > 1 and drawn[-1]["round"] > stop_round
    loop, sweep = (drawn[:-1], drawn[-1:]) if swept else (drawn, [])
    audited = [row for row in drawn if row.get("audit_student") is not None]
    paid = any(row["spent_usd"] for row in drawn)
    key, text = ("spent_usd", _usd) if paid else ("labels", lambda v: f"{v:,.0f}")
    shares = [float(row["agreement"]) for row in drawn]
    shares += [float(row[end]) for row in audited for end in ("audit_student_low", _HIGH)]
    right = WIDTH - _RIGHT - (_GUTTER if swept else 0)
    x = _Scale(0, max(float(row[key]) for row in loop) or 1, _LEFT, right)
    plot = _Plot(x, _Scale(*_shares(shares), HEIGHT - _BOTTOM, _TOP))
    plot.rows(_ticks(plot.y.low, plot.y.high), lambda v: f"{v:.0%}", "accuracy")
    plot.columns(_ticks(x.low, x.high, 4), text, "spent" if paid else "labels")
    at = {row["round"]: x.at(float(row[key])) for row in loop}
    for row in sweep:
        at[row["round"]] = WIDTH - _RIGHT - _GUTTER / 2
        plot.add('<path class="tick" d="M{} {}V{}"/>', right + 12, _TOP, HEIGHT - _BOTTOM)
        plot.column(at[row["round"]], text(row[key]), "after sweep")
    if stop_round in at:
        plot.mark(at[stop_round], f"stop, round {stop_round}")
    for part in (loop, sweep):
        seen = [row for row in part if row in audited]
        bounds = [(at[r["round"]], r["audit_student_low"], r[_HIGH]) for r in seen]
        plot.band(bounds, "two")
    for part, name, css, title in (
        (audited, "audit_student", "two", "audited accuracy"),
        (drawn, "agreement", "one", "agreement"),
    ):
        points = [(at[row["round"]], float(row[name])) for row in part]
        plot.line(points, css)
        plot.dots(points, css, [f"{training(r)}: {title} {r[name]:.1%}, {_at(r)}" for r in part])
    return plot.svg(f"Learning curve: the student's accuracy against {key.split('_')[0]}")


def stop_evidence(rows: Sequence[Row], stop_round: int | None) -> Markup | None:
    """What each window cost, against what it can be expected to have gained.

    Args:
        rows: the summary's ``curve``; those with a check are drawn.
        stop_round: as `learning_curve`.

    Returns:
        The chart on a log scale of money; None where nothing cost or gained anything.
    """
    # Rounds that an earlier version has checked say nothing of a next batch.
    checks = [(r["round"], r["check"]) for r in rows if "next_gain" in (r.get("check") or {})]
    gained = [(n, c) for n, c in checks if c["next_gain"] is not None]
    amounts = [c["money_next"] / NANO for _, c in checks]
    amounts += [c[k] / NANO for _, c in gained for k in ("next_gain", "certificate_gain")]
    positive = [amount for amount in amounts if amount > 0]
    if not positive:
        return None
    low = 10.0 ** math.floor(math.log10(min(positive)))
    high = 10.0 ** math.ceil(math.log10(max(positive) * 1.0001))
    # A log scale has no zero: where a gain is nothing, one more decade stands for it.
    nothing = any(c["next_gain"] <= 0 for _, c in gained)
    low = low / 10 if nothing else low
    plot = _Plot(_rounds([n for n, _ in checks]), _Scale(low, high, HEIGHT - _BOTTOM, _TOP, True))
    decades = round(math.log10(high / low))
    step = math.ceil(decades / _DECADES)
    plot.rows(
        [low * 10.0**k for k in range(0, decades + 1, step)],
        lambda v: "$0" if nothing and v == low else _power(v),
        "USD, log scale",
    )
    _round_axis(plot)
    width = min(24.0, 0.7 * (plot.x.at(1) - plot.x.at(0)))
    for number, check in checks:
        money = check["money_next"]
        if not money:
            continue
        plot.add(
            '<rect class="bar" x="{}" y="{}" width="{}" height="5">'
            "<title>round {}: the next batch costs {}</title></rect>",
            plot.x.at(number) - width / 2,
            plot.y.at(money / NANO) - 2.5,
            width,
            number,
            show(money),
        )
    if any(n == stop_round for n, _ in checks):
        plot.mark(plot.x.at(stop_round or 0), f"stop, round {stop_round}")
    for key, css, title in (
        ("certificate_gain", "two dashed", "the window, at most"),
        ("next_gain", "one", "expected gain of the next batch"),
    ):
        points = [(plot.x.at(n), c[key] / NANO) for n, c in gained]
        plot.line(points, css)
        plot.dots(points, css, [f"round {n}: {title} {show(c[key])}" for n, c in gained])
    return plot.svg("Stop evidence: price of the next batch against its expected gain, by round")


def churn(rows: Sequence[Row], stop_round: int | None) -> Markup | None:
    """Share of the stop set whose predicted label changed, in each round and over the window.

    Args:
        rows: the summary's ``curve``.
        stop_round: as `learning_curve`.

    Returns:
        The chart; None before the second round.
    """
    # By round: the training after the last batch is in none.
    moved = [r for r in rows if r.get("moved") is not None and r.get("in_round", True)]
    if not moved:
        return None
    checks = [
        (row["round"], row["check"])
        for row in rows
        if row.get("check") and row["check"]["churn"] is not None
    ]
    top = max([r["moved"] for r in moved] + [c["churn_high"] for _, c in checks])
    ticks = _ticks(0, max(top, 0.01))
    numbers = sorted({row["round"] for row in moved} | {n for n, _ in checks})
    plot = _Plot(_rounds(numbers), _Scale(0, max(top, ticks[-1]), HEIGHT - _BOTTOM, _TOP))
    digits = 0 if ticks[1] >= 0.01 else 1
    plot.rows(ticks, lambda v: f"{v:.{digits}%}", "of the stop set")
    _round_axis(plot)
    if stop_round in numbers:
        plot.mark(plot.x.at(stop_round or 0), f"stop, round {stop_round}")
    plot.band([(plot.x.at(n), c["churn_low"], c["churn_high"]) for n, c in checks], "one")
    for shares, css, title in (
        ([(r["round"], float(r["moved"])) for r in moved], "three", "changed in the round"),
        ([(n, float(c["churn"])) for n, c in checks], "one", "churn over the window"),
    ):
        points = [(plot.x.at(n), share) for n, share in shares]
        plot.line(points, css)
        plot.dots(points, css, [f"round {n}: {title} {share:.1%}" for n, share in shares])
    return plot.svg("Churn: changed predictions on the stop set, by round")


def _at(row: Row) -> str:
    return f"{row.get('labels', 0):,} labels, {show(round((row['spent_usd'] or 0) * NANO))}"


def _usd(value: float) -> str:
    return "$0" if value == 0 else show(round(value * NANO)).removesuffix(".00")


def _power(value: float) -> str:
    """A power of ten of USD: ``$0.01``, where `show` would write ``$0.010``."""
    digits = max(0, -round(math.log10(value)))
    return f"${value:,.{digits}f}"


def _rounds(numbers: Sequence[int]) -> _Scale:
    return _Scale(min(numbers) - 0.5, max(numbers) + 0.5, _LEFT, WIDTH - _RIGHT)


def _round_axis(plot: _Plot) -> None:
    first, last = math.ceil(plot.x.low), math.floor(plot.x.high)
    step = math.ceil((last - first + 1) / 10)
    plot.columns(range(first, last + 1, step), lambda v: f"{v:g}", "round")


def _shares(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis of shares: whole tenths around the values."""
    low = max(0.0, math.floor(min(values) * 10 - 1e-9) / 10)
    high = min(1.0, math.ceil(max(values) * 10 + 1e-9) / 10)
    return (low, high) if high > low else (max(0.0, high - 0.1), high)


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between the ends, a step of 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
