"""How cheaply the cascade reaches a single model or the panel: the figures of the benchmark."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

STRONGEST_AT, PANEL_AT = 0.40, 0.25
"""Goals: shares of the cost of the strongest model, and of the full panel."""
TARGETS = ("strongest", "dearest", "panel")


@dataclass(frozen=True)
class Point:
    """Money in USD over all texts, and accuracy on those that were not audited."""

    usd: float
    accuracy: float


@dataclass(frozen=True)
class Drawn:
    """What one draw came to.

    Attributes:
        singles: Each annotator alone, in the order of prices.
        panel: All votes, added up by the product.
        router: The product's router at each cost of an error.
        tiers: A plain cascade in the order of prices at each threshold of confidence.
        audit_usd: What the panel's votes on the audit sample cost; part of router and tiers.
    """

    set: str
    annotators: list[str]
    kind: str
    singles: list[Point]
    panel: Point
    router: list[Point]
    tiers: list[Point]
    audit_usd: float


def share_to_reach(curve: list[Point], target: Point) -> float:
    """Share of the target's money at which a curve has its accuracy; infinite where it never has.

    Between two points of the curve's upper edge one may label part of the texts by each.
    """
    edge: list[Point] = []
    for point in sorted(curve, key=lambda point: (point.usd, -point.accuracy)):
        if not edge or point.accuracy > edge[-1].accuracy:
            edge.append(point)
    before: Point | None = None
    for point in edge:
        if point.accuracy >= target.accuracy - 1e-12:
            usd = point.usd
            if before is not None:
                part = (target.accuracy - before.accuracy) / (point.accuracy - before.accuracy)
                usd = before.usd + part * (point.usd - before.usd)
            return usd / target.usd if target.usd else math.inf
        before = point
    return math.inf


def mixing(drawn: Drawn, target: Point) -> float:
    """Share of the target's money at which a random mix of cheapest and dearest reaches it."""
    return share_to_reach([drawn.singles[0], drawn.singles[-1]], target)


def accuracy_at(curve: list[Point], usd: float) -> float:
    """The best accuracy of a curve for no more than some money; NaN where it costs more."""
    return max((point.accuracy for point in curve if point.usd <= usd + 1e-12), default=math.nan)


def target_of(drawn: Drawn, name: str) -> Point:
    """What is to be reached: the most accurate single model, the dearest, or the panel."""
    if name == "panel":
        return drawn.panel
    if name == "dearest":
        return drawn.singles[-1]
    return max(drawn.singles, key=lambda point: (point.accuracy, -point.usd))


def summarise(draws: list[Drawn], name: str) -> dict[str, Any]:
    """How cheaply one target is reached, over draws in which the goal is not ruled out by prices.

    It is ruled out where the cheapest model on every text and the audit sample cost more already.
    """
    goal = PANEL_AT if name == "panel" else STRONGEST_AT
    found: dict[str, list[float]] = {"router": [], "tiers": [], "mix": []}
    gains, bounded = [], 0
    for drawn in draws:
        target = target_of(drawn, name)
        if drawn.singles[0].usd + drawn.audit_usd > goal * target.usd:
            bounded += 1
            continue
        found["router"].append(share_to_reach(drawn.router, target))
        found["tiers"].append(share_to_reach(drawn.tiers, target))
        found["mix"].append(mixing(drawn, target))
        gains.append(accuracy_at(drawn.router, goal * target.usd) - target.accuracy)
    result: dict[str, Any] = {"goal": goal, "draws": len(gains), "bounded_by_price": bounded}
    for arm, shares in found.items():
        reached = [share for share in shares if math.isfinite(share)]
        result[arm] = {
            "made": sum(share <= goal for share in shares) / len(shares) if shares else None,
            "reached": len(reached) / len(shares) if shares else None,
            "median": statistics.median(shares) if shares else None,
            "mean_where_reached": statistics.mean(reached) if reached else None,
            "sd_where_reached": statistics.stdev(reached) if len(reached) > 1 else None,
        }
        if result[arm]["median"] == math.inf:
            result[arm]["median"] = None
    known = [gain for gain in gains if not math.isnan(gain)]
    result["accuracy_at_goal_less_target"] = statistics.mean(known) if known else None
    result["sd"] = statistics.stdev(known) if len(known) > 1 else None
    return result


def show(draws: list[Drawn], kinds: list[str]) -> dict[str, Any]:
    """Print a table of every set and kind of ensemble; returns its figures."""
    figures: dict[str, Any] = {}
    print(
        f"{'set':>18} {'ensemble':>8} {'target':>9} {'draws':>5} {'apart':>5} |"
        f" {'made':>5} {'median':>6} {'mean ± sd':>13} | {'tiers':>5} {'mix':>5} |"
        f" {'at goal - target':>17}"
    )
    for name in [*sorted({drawn.set for drawn in draws}), "all"]:
        for kind in kinds:
            mine = [d for d in draws if name in (d.set, "all") and d.kind == kind]
            for target in TARGETS if mine else ():
                row = summarise(mine, target)
                figures.setdefault(name, {}).setdefault(kind, {})[target] = row
                ours = row["router"]
                print(
                    f"{name:>18} {kind:>8} {target:>9} {row['draws']:>5}"
                    f" {row['bounded_by_price']:>5} | {_cell(ours['made'], 5)}"
                    f" {_cell(ours['median'], 6)} {_cell(ours['mean_where_reached'], 6)} ±"
                    f"{_cell(ours['sd_where_reached'], 5)} | {_cell(row['tiers']['made'], 5)}"
                    f" {_cell(row['mix']['made'], 5)} |"
                    f" {_cell(row['accuracy_at_goal_less_target'], 8)} ±{_cell(row['sd'], 6)}"
                )
    return figures


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.3f}"
