"""The cost-plateau rule beside the usual stop rules, on learning curves of real pools.

    python tests/benchmarks/stop_rule.py --data DIR [--sets NAME ...] [--seeds N] [--jobs N]

Every set under --data with gold and 2,000 items or more gives curves with clean and with noisy
labels, by the product's selection policy and at random (see `trajectories`, which also says what is
cheaper there than in a run). Money is counted in labels; accuracy going from 0 to 1 is worth A
labels. A rule that stops after round t pays C(t) = (1 - accuracy of t) A + labels of t, and what
its audits cost; its score is how many per cent that is above the best C on the same curve. The best
of many noisy figures flatters itself: "no luck" is the score against the stop that is best on one
half of the held-out items, both measured on the other half, and both ways round. Half of the sets
served for tuning (TUNED); two constants were picked with the others in view, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from recorded_sets import RecordedSet, gold_sets, load_set
from trajectories import Setting, Trajectory, trajectory

from labelwright.tools.hindsight import checks_of
from labelwright.tools.outlook import next_dollars
from labelwright.tools.plateau import StoppingConfig, check
from labelwright.tools.rho import Rho, rho_after_audit, strength_of, worth_of_audit
from labelwright.tools.stop_rules import STOP_RULES, RunRecord

LABEL = 1_000_000
"""Nanodollars of one label."""
VALUES = (2_000, 10_000, 50_000, 200_000)
"""A, in labels."""
TUNED = ("trec6", "sms_spam", "subj")
"""Sets on which constants were chosen; `DOUBT` and `LEARNABLE` with all sets in view."""
FEWEST = 2_000
AUDIT_PRICE = 5
"""Labels that one gold answer costs."""


@dataclass(frozen=True)
class Contender:
    """A rule as it is compared: its parameters, and the gold items that it has to buy."""

    name: str
    rule: str
    parameters: dict[str, float]
    gold: int = 0


CONTENDERS = (
    Contender("cost plateau", "cost_plateau", {}),
    Contender("certificate only", "certificate", {}),
    Contender("kappa 0.99", "kappa", {"threshold": 0.99}),
    Contender("kappa 0.97", "kappa", {"threshold": 0.97}),
    Contender("kappa 0.95", "kappa", {"threshold": 0.95}),
    Contender("classification change 0", "classification_change", {}),
    Contender("classification change 1 %", "classification_change", {"threshold": 0.01}),
    Contender("overall uncertainty", "overall_uncertainty", {}),
    Contender("delta F", "delta_f", {}),
    Contender("accuracy plateau, 300 gold", "accuracy_plateau", {}, 300),
    Contender("marginal gain, 300 gold", "marginal_gain", {}, 300),
    Contender("marginal gain, 100 gold", "marginal_gain", {}, 100),
    Contender("fixed 300 labels", "fixed_labels", {"labels": 300}),
    Contender("fixed 1,000 labels", "fixed_labels", {"labels": 1000}),
    Contender("to the end", "to_the_end", {}),
)
BEFORE = "cost plateau, prior 0.15"
"""The rule with a fixed rho, no look ahead and two checks: what it was before."""
AUDITED = "cost plateau, audits where they pay"
AUDITED_FREE = "cost plateau, audits free"
SECOND = "best from round 2"
"""The best stop that any rule can find that compares two students."""


def main() -> None:
    """Read the arguments, make or read the curves, print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    parser.add_argument(
        "--sets", type=lambda text: text.split(","), help="only these; also those that are small"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cap", type=int, help="most labels of a curve")
    given = parser.parse_args()
    names = given.sets or [
        name for name in gold_sets(given.data) if len(_read(given.data, name).ids) >= FEWEST
    ]
    settings = [
        Setting(name, noisy, selection, seed)
        for seed in range(given.seeds)
        for name in names
        for noisy in (False, True)
        for selection in ("policy", "random")
    ]
    curves = curves_of(given.data, settings, given.cap, given.jobs)
    print(report(curves))


def curves_of(data: Path, settings: list[Setting], cap: int | None, jobs: int) -> list[Trajectory]:
    """All curves; what is not kept from an earlier run is computed by so many processes."""
    if jobs > 1:
        # Vectors first: two processes would embed the same set side by side.
        for name in dict.fromkeys(setting.set for setting in settings):
            _ = _read(data, name).vectors
        with ProcessPoolExecutor(jobs) as pool:
            list(pool.map(_prepare, *zip(*((data, s, cap) for s in settings), strict=True)))
    return [trajectory(_read(data, setting.set), setting, cap) for setting in settings]


def _prepare(data: Path, setting: Setting, cap: int | None) -> None:
    trajectory(_read(data, setting.set), setting, cap)


@cache
def _read(data: Path, name: str) -> RecordedSet:
    return load_set(data, name)


def costs(curve: Trajectory, value: int) -> NDArray[np.float64]:
    """C after each round, in labels."""
    return np.asarray((1 - curve.accuracy) * value + curve.labels, np.float64)


class Score(NamedTuple):
    """Per cent above the best C of stopping after some round, fees included.

    Attributes:
        excess: above the least C of the curve.
        no_luck: above the C of the round that is best on the other half of the held-out items.
    """

    excess: float
    no_luck: float


def score(curve: Trajectory, value: int, stop: int | None, fee: float = 0.0) -> Score:
    """What stopping after round `stop` (None: the last) comes to."""
    c, at = costs(curve, value), -1 if stop is None else stop - 1
    halves = [(1 - part.mean(axis=1)) * value + curve.labels for part in _halves(curve.right)]
    fair = [(own[at] + fee) / own[other.argmin()] - 1 for own, other in (halves, halves[::-1])]
    return Score(100 * float((c[at] + fee) / c.min() - 1), 100 * float(np.mean(fair)))


def _halves(right: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Held-out items stand in random order."""
    middle = right.shape[1] // 2
    return right[:, :middle], right[:, middle:]


def record(curve: Trajectory, value: int, gold: int = 0) -> RunRecord:
    """What a stop rule may see of a curve; the first `gold` items of the stop set are its audit."""
    right = curve.predictions[:, :gold] == curve.gold[:gold]
    return RunRecord(
        predictions=curve.predictions,
        money=curve.labels * LABEL,
        labels=curve.labels,
        value=value * LABEL,
        classes=curve.proba.shape[2],
        config=StoppingConfig(max_rounds=10_000),
        proba=curve.proba,
        audit_accuracy=right.mean(axis=1) if gold else None,
        audited=np.full(len(right), gold) if gold else None,
    )


def scores(curve: Trajectory, value: int) -> dict[str, Score]:
    """Every contender on one curve at one value, with fees; "free" without them."""
    found: dict[str, Score] = {}
    for one in CONTENDERS:
        seen = record(curve, value, one.gold)
        stop = STOP_RULES[one.rule](seen, **one.parameters)
        found[one.name] = score(curve, value, stop, one.gold * AUDIT_PRICE)
        if one.gold:
            found[f"{one.name}, free"] = score(curve, value, stop)
    found[BEFORE] = score(curve, value, as_before(record(curve, value)))
    stop, audits = audited_stop(curve, value, AUDIT_PRICE)
    found[AUDITED] = score(curve, value, stop, audits * AUDIT_PRICE)
    found[AUDITED_FREE] = score(curve, value, audited_stop(curve, value, 0)[0])
    second = 2 + int(costs(curve, value)[1:].argmin()) if len(curve.labels) > 1 else 1
    found[SECOND] = score(curve, value, second)
    return found


def as_before(seen: RunRecord) -> int | None:
    """Rho 0.15, whole windows of three rounds, their gain against their own price, twice."""
    streak, rows = 0, seen.predictions
    for t in range(3, len(rows)):
        moved = float((rows[t] != rows[t - 3]).mean())
        cost = seen.money[t] - seen.money[t - 3]
        streak = streak + 1 if seen.value * 0.15 * moved < cost else 0
        if streak == 2 or seen.value * moved < cost:
            return t + 1
    return None


def audited_stop(curve: Trajectory, value: int, price: float) -> tuple[int | None, int]:
    """The rule with one audit of changed predictions at the first proposal, where that pays.

    Returns:
        The round after which it stops, and how many items were audited.
    """
    seen = record(curve, value)
    audits: tuple[int, int, int] | None = None
    rng = np.random.default_rng([curve.setting.seed, value])
    for end in range(1, len(seen) + 1):
        arguments: dict[str, Any] = {
            "proba": curve.proba[end - 1],
            "labels": curve.labels[:end].tolist(),
        }
        history, money = list(seen.predictions[:end]), seen.money[:end].tolist()
        now = check(history, money, seen.value, seen.config, **arguments)
        if audits is None and now.verdict == "propose_stop":
            before, after = history[-1 - now.window], history[-1]
            changed = np.flatnonzero(before != after)
            share = now.value * now.next_share
            worth = worth_of_audit(
                now.weight * share * (now.churn or 0.0),
                now.money_next - round((1 - now.weight) * share * now.learnable),
                now.rho,
                len(changed),
                round(price * LABEL),
                strength_of(now.rho_from),
            )
            if worth.items:
                chosen = rng.permutation(changed)[: worth.items]
                fixed = int((after[chosen] == curve.gold[chosen]).sum())
                broken = int((before[chosen] == curve.gold[chosen]).sum())
                audits = fixed, broken, worth.items
        if audits is not None and now.churn is not None:
            prior = Rho(now.rho, now.rho_low, now.rho_high, now.rho_from)
            rho = rho_after_audit(*audits, prior)
            now = check(history, money, seen.value, seen.config, rho=rho, **arguments)
        if now.verdict != "continue":
            return end, audits[2] if audits else 0
    return None, audits[2] if audits else 0


def bands(curve: Trajectory, value: int) -> Iterator[tuple[bool, float, float]]:
    """What a check says of the next three rounds: whether the band holds, its width, the error.

    Held-out accuracy is itself a sample: 1.96 standard errors of its change are allowed for.
    """
    seen = record(curve, value)
    checks = checks_of(
        list(seen.predictions),
        seen.money.tolist(),
        seen.value,
        seen.config,
        labels=curve.labels.tolist(),
        proba=list(curve.proba),
    )
    for now in islice(checks, 3, len(seen) - 3):
        at, later = now.round - 1, now.round + 2
        told = next_dollars(now, float(seen.money[later] - seen.money[at]) / 1e9)
        if told.low_points is None or told.high_points is None or told.expected_points is None:
            continue
        gained = 100 * float(curve.accuracy[later] - curve.accuracy[at])
        moved = float((seen.predictions[later] != seen.predictions[at]).mean())
        noise = 196 * float(np.sqrt(moved / curve.right.shape[1]))
        holds = told.low_points - noise <= gained <= told.high_points + noise
        yield holds, told.high_points - told.low_points, told.expected_points - gained


def report(curves: list[Trajectory], values: tuple[int, ...] = VALUES) -> str:
    """The tables for people, and the last line for machines."""
    table = [(curve.setting, value, scores(curve, value)) for curve in curves for value in values]
    parts: dict[str, Callable[[Setting], bool]] = {
        "tuned on": lambda s: s.set in TUNED,
        "the others": lambda s: s.set not in TUNED,
        "all": lambda _: True,
    }
    figures: dict[str, Any] = {}
    lines: list[str] = []
    for part, holds in parts.items():
        rows = [row for row in table if holds(row[0])]
        if not rows:
            continue
        sets = sorted({setting.set for setting, _, _ in rows})
        lines += ["", f"{part}: {', '.join(sets)} ({len(rows)} stops), % above the best cost"]
        figures[part] = _table(rows, values, lines)
        figures[part]["sets"] = sets
    lines += ["", "cost plateau by set: mean, 90th percentile; the best rule that needs no gold"]
    figures["by set"] = {}
    for name in sorted({curve.setting.set for curve in curves}):
        rows = [row for row in table if row[0].set == name]
        own = np.asarray([row[2]["cost plateau"].excess for row in rows])
        other, figure = _next_best(rows)
        lines.append(
            f"  {name:<16} {own.mean():6.1f} {np.quantile(own, 0.9):6.1f}   {other} {figure:.1f}"
        )
        figures["by set"][name] = {"mean": own.mean(), "p90": np.quantile(own, 0.9)}
    told = [row for curve in curves for row in bands(curve, VALUES[1])]
    if told:
        inside, width, error = np.asarray(told, np.float64).mean(axis=0)
        figures["band"] = {"inside": inside, "width": width, "bias": error, "n": len(told)}
        lines.append(
            f"what the next three rounds bring: {inside:.0%} of {len(told):,} gains are in the "
            f"band, {width:.2f} points wide; the estimate is {error:+.2f} points off on average"
        )
    plain = json.dumps(figures, default=lambda x: round(float(x), 3))
    return "\n".join([*lines[1:], plain])


Row = tuple[Setting, int, dict[str, Score]]


def _table(rows: list[Row], values: tuple[int, ...], lines: list[str]) -> dict[str, Any]:
    heads = "".join(f"{f'A={value:,}':>11}" for value in values)
    lines.append(f"{'rule':<36}{heads}{'mean':>9}{'p90':>8}{'sd':>7}{'no luck':>9}{'p90':>8}")
    found: dict[str, Any] = {}
    for name in rows[0][2]:
        figures, fair = np.asarray([row[2][name] for row in rows]).T
        by_value = [
            float(np.mean([row[2][name].excess for row in rows if row[1] == value]))
            for value in values
        ]
        seeds = [
            np.mean([row[2][name].excess for row in rows if row[0].seed == seed])
            for seed in sorted({row[0].seed for row in rows})
        ]
        spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else 0.0
        mean, p90 = float(figures.mean()), float(np.quantile(figures, 0.9))
        fair_mean, fair_p90 = float(fair.mean()), float(np.quantile(fair, 0.9))
        cells = "".join(f"{figure:11.1f}" for figure in by_value)
        lines.append(
            f"{name:<36}{cells}{mean:9.2f}{p90:8.1f} ± {spread:4.2f}{fair_mean:9.2f}{fair_p90:8.1f}"
        )
        found[name] = {
            "mean": mean,
            "p90": p90,
            "sd": spread,
            "no luck": {"mean": fair_mean, "p90": fair_p90},
            "by value": dict(zip(map(str, values), by_value, strict=True)),
        }
    return found


def _next_best(rows: list[Row]) -> tuple[str, float]:
    others = [one.name for one in CONTENDERS[1:] if not one.gold]
    means = {name: float(np.mean([row[2][name].excess for row in rows])) for name in others}
    best = min(means, key=lambda name: means[name])
    return best, means[best]


if __name__ == "__main__":
    main()
