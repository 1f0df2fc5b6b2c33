"""How cheaply the cascade reaches a single model or the panel: the figures of the benchmark.

A share of a target's money is read off a curve, so that the point is chosen on the very texts on
which it is scored. That flatters a curve of many points; "held" does not: there the point that the
goal's money can buy is chosen on one half of the texts and scored on the other, both ways round.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

STRONGEST_AT, PANEL_AT = 0.40, 0.25
"""Goals: shares of the cost of the strongest model, and of the full panel."""
GOALS = {
    "strongest": STRONGEST_AT,
    "dearest": STRONGEST_AT,
    "panel": PANEL_AT,
    "majority": PANEL_AT,
}
TARGETS = tuple(GOALS)
STATED = (0.01, 0.03, 0.1, 0.3)
"""Costs of an error, in USD, at which the net value is shown: nothing is chosen there."""


@dataclass(frozen=True)
class Point:
    """Money in USD for all texts, accuracy on those not audited, and on halves of those."""

    usd: float
    accuracy: float
    halves: tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """What one draw came to.

    Attributes:
        singles: Each annotator alone, in the order of prices.
        panel: All votes, added up by the product.
        majority: The plain majority of all votes.
        router: The product's router at each cost of an error, `STATED` last.
        tiers: A plain cascade in the order of prices at each threshold of confidence.
        best_by_audit: At each cost of `STATED` the single model that is worth most by the audit
            sample, whose votes are paid.
        capped: By target, the router with the goal's money to spend; none where prices rule it out.
        informed: By target that it missed, the accuracy on each half of the router that knows the
            annotators from the other half.
        audit_usd: What the panel's votes on the audit sample cost; part of router and tiers.
        texts: n.
    """

    set: str
    annotators: list[str]
    kind: str
    singles: list[Point]
    panel: Point
    majority: Point
    router: list[Point]
    tiers: list[Point]
    best_by_audit: list[Point]
    capped: dict[str, Point]
    informed: dict[str, tuple[float, float]]
    audit_usd: float
    texts: int


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


def held_out(curve: list[Point], target: Point, usd: float) -> list[float]:
    """Accuracy over the target's on each half of the texts, of what the other half would choose.

    Args:
        curve: What may be chosen.
        target: What it is held against.
        usd: Money that may be spent.

    Returns:
        Two differences; none where all of the curve costs more.
    """
    affordable = [point for point in curve if point.usd <= usd + 1e-12]
    found = []
    for half in (0, 1) if affordable else ():
        chosen = max(affordable, key=lambda point: (point.halves[half], -point.usd))
        found.append(chosen.halves[1 - half] - target.halves[1 - half])
    return found


def net_value(drawn: Drawn, point: Point, error_cost: float) -> float:
    """Accuracy less what money is worth in it: money for a text by the cost of an error."""
    return point.accuracy - point.usd / (drawn.texts * error_cost)


def target_of(drawn: Drawn, name: str) -> Point:
    """What is to be reached: the most accurate single model, the dearest, or the panel."""
    if name == "panel":
        return drawn.panel
    if name == "majority":
        return drawn.majority
    if name == "dearest":
        return drawn.singles[-1]
    return max(drawn.singles, key=lambda point: (point.accuracy, -point.usd))


def less_target(drawn: Drawn, name: str) -> float:
    """Accuracy of the router with the goal's money to spend, less the target's."""
    return drawn.capped[name].accuracy - target_of(drawn, name).accuracy


def reachable(drawn: Drawn, name: str) -> bool:
    """Whether the router, or the one that knows the annotators better, has reached the target."""
    if name not in drawn.informed:
        return True
    return sum(drawn.informed[name]) >= sum(target_of(drawn, name).halves) - 1e-12


def ruled_out(drawn: Drawn, name: str) -> bool:
    """Whether the cheapest model on every text and the audit sample cost more than the goal."""
    target = target_of(drawn, name)
    return drawn.singles[0].usd + drawn.audit_usd > GOALS[name] * target.usd


def summarise(draws: list[Drawn], name: str) -> dict[str, Any]:
    """How cheaply one target is reached, over draws in which the goal is not ruled out by prices.

    It is ruled out where the cheapest model on every text and the audit sample cost more already.
    """
    goal = GOALS[name]
    found: dict[str, list[float]] = {"router": [], "tiers": [], "mix": []}
    gains: dict[str, list[float]] = {"router": [], "tiers": []}
    within: list[float] = []
    possible: list[bool] = []
    bounded = 0
    for drawn in draws:
        target = target_of(drawn, name)
        if drawn.singles[0].usd + drawn.audit_usd > goal * target.usd:
            bounded += 1
            continue
        found["router"].append(share_to_reach(drawn.router, target))
        found["tiers"].append(share_to_reach(drawn.tiers, target))
        found["mix"].append(mixing(drawn, target))
        gains["router"] += held_out(drawn.router, target, goal * target.usd)
        gains["tiers"] += held_out(drawn.tiers, target, goal * target.usd)
        within.append(less_target(drawn, name))
        possible.append(reachable(drawn, name))
    kept = len(draws) - bounded
    result: dict[str, Any] = {"goal": goal, "draws": kept, "bounded_by_price": bounded}
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
    result["held"] = {
        arm: {
            "accuracy_less_target": statistics.mean(known) if known else None,
            "sd": statistics.stdev(known) if len(known) > 1 else None,
        }
        for arm, known in gains.items()
    }
    result["capped"] = {
        "made": statistics.mean(less >= -1e-12 for less in within) if within else None,
        "possible": statistics.mean(possible) if possible else None,
        "accuracy_less_target": statistics.mean(within) if within else None,
        "sd": statistics.stdev(within) if len(within) > 1 else None,
    }
    return result


def show(draws: list[Drawn], kinds: list[str]) -> dict[str, Any]:
    """Print a table of every set and kind of ensemble; returns its figures."""
    figures: dict[str, Any] = {}
    print(
        f"{'set':>18} {'ensemble':>8} {'target':>9} {'draws':>5} {'apart':>5} |"
        f" {'capped':>6} {'possible':>8} {'less target':>14} |"
        f" {'made':>5} {'median':>6} {'mean ± sd':>13} | {'tiers':>5} {'mix':>5} |"
        f" {'held - target':>17} {'tiers':>8}"
    )
    for name in [*sorted({drawn.set for drawn in draws}), "all"]:
        for kind in kinds:
            mine = [d for d in draws if name in (d.set, "all") and d.kind == kind]
            for target in TARGETS if mine else ():
                row = summarise(mine, target)
                figures.setdefault(name, {}).setdefault(kind, {})[target] = row
                ours, capped = row["router"], row["capped"]
                print(
                    f"{name:>18} {kind:>8} {target:>9} {row['draws']:>5}"
                    f" {row['bounded_by_price']:>5} | {_cell(capped['made'], 6)}"
                    f" {_cell(capped['possible'], 8)} {_cell(capped['accuracy_less_target'], 7)} ±"
                    f"{_cell(capped['sd'], 5)} | {_cell(ours['made'], 5)}"
                    f" {_cell(ours['median'], 6)} {_cell(ours['mean_where_reached'], 6)} ±"
                    f"{_cell(ours['sd_where_reached'], 5)} | {_cell(row['tiers']['made'], 5)}"
                    f" {_cell(row['mix']['made'], 5)} |"
                    f" {_cell(row['held']['router']['accuracy_less_target'], 8)} ±"
                    f"{_cell(row['held']['router']['sd'], 6)}"
                    f" {_cell(row['held']['tiers']['accuracy_less_target'], 8)}"
                )
    return figures


def show_value(draws: list[Drawn]) -> dict[str, Any]:
    """Print the net value at stated costs of an error beside single models; returns the figures.

    The router has bought the audit sample's votes, and so has the best model by the audit. The
    cheapest and the dearest model are taken as they are, without an audit.
    """
    figures: dict[str, Any] = {}
    print(
        f"\nNet value: accuracy - money for a text / cost of an error; others less the router\n"
        f"{'set':>18} {'error':>7} {'draws':>5} | {'usd':>7} {'right':>6} {'router':>13} |"
        f" {'cheapest':>14} {'dearest':>14} {'best by audit':>14} {'panel':>14} | best of all"
    )
    for name in [*sorted({drawn.set for drawn in draws}), "all"]:
        mine = [drawn for drawn in draws if name in (drawn.set, "all")]
        for place, cost in enumerate(STATED):
            row = figures.setdefault(name, {})[str(cost)] = value_at(mine, place)
            others = " ".join(
                f"{_cell(other['mean'], 7)} ±{_cell(other['sd'], 5)}"
                for other in row["others_less_router"].values()
            )
            ours = row["router"]
            print(
                f"{name:>18} {cost:>7.2f} {len(mine):>5} | {ours['usd']:>7.2f}"
                f" {ours['accuracy']:>6.3f} {ours['mean']:>6.3f} ±{_cell(ours['sd'], 5)} |"
                f" {others} | {row['router_best']:.2f}"
            )
    return figures


def value_at(draws: list[Drawn], place: int) -> dict[str, Any]:
    """Net values of all draws at one cost of `STATED`."""
    cost = STATED[place]
    ours = [drawn.router[place - len(STATED)] for drawn in draws]
    values = [net_value(drawn, point, cost) for drawn, point in zip(draws, ours, strict=True)]
    arms = {
        "cheapest": [drawn.singles[0] for drawn in draws],
        "dearest": [drawn.singles[-1] for drawn in draws],
        "best_by_audit": [drawn.best_by_audit[place] for drawn in draws],
        "panel": [drawn.panel for drawn in draws],
    }
    less = {
        arm: [
            net_value(drawn, point, cost) - value
            for drawn, point, value in zip(draws, points, values, strict=True)
        ]
        for arm, points in arms.items()
    }
    best = [max(differences) <= 0 for differences in zip(*less.values(), strict=True)]
    return {
        "router": {
            "usd": statistics.mean(point.usd for point in ours),
            "accuracy": statistics.mean(point.accuracy for point in ours),
            **_spread(values),
        },
        "others_less_router": {arm: _spread(differences) for arm, differences in less.items()},
        "router_best": statistics.mean(best),
    }


def _spread(values: list[float]) -> dict[str, float | None]:
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "sd": sd}


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.3f}"
