"""The cascade's accuracy against its money, beside each model alone and the full panel.

    python tests/benchmarks/cascade.py --data DIR [--sets a,b] [--draws 8] [--sizes 3,5] [--jobs 2]

For every set of recorded answers and every draw of an ensemble (one annotator of each stretch of
the price list, and once the cheapest, the middle and the dearest): a random audit sample is put to
every annotator (paid) and to a trusted person (whose fee is left out of every figure here); then
the product's router asks about all other texts, at one stated cost of an error after another. The
student is the product's, trained on the audited labels, then on the labels of the first sweep, out
of sample. Accuracy is on the texts that were not audited; money is for all texts, audit included.
A single model and the panel pay no audit beyond the votes that they are.

How to read it. "capped" picks nothing: the router has the goal's money (0.40 of the single model's,
0.25 of the panel's) as its cap, and "capped" is how often it is as accurate as the target.
"possible" is how often it is, or would be if it knew the annotators from an audit several times as
large that costs nothing: what misses even so is out of its reach at that price. "strongest" is the
single model that is best on the scored texts, which nobody knows beforehand; "panel" is what the
product makes of all votes with its student, "majority" their plain majority. "made", "median" and
"mean" are read off the router's curve: the cost of an error is picked with the accuracy of the
scored texts in view, which flatters router and tiers alike. "held" is honest: of what the goal's
money can buy, one half of the texts chooses and the other scores; its accuracy less the target's.
The second table picks nothing either: net value at stated costs of an error.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from cascade_ensemble import (
    NANO,
    Bench,
    by_price_alone,
    draw_by_price,
    experience_of,
    first_student,
    prepare,
)
from cascade_figures import (
    GOALS,
    STATED,
    TARGETS,
    Drawn,
    Point,
    less_target,
    ruled_out,
    show,
    show_value,
    target_of,
)
from numpy.typing import NDArray
from recorded_sets import RecordedSet, load_set, recorded_sets
from threadpoolctl import threadpool_limits

from labelwright.agents.experience import Experience
from labelwright.agents.panel import Panel
from labelwright.agents.routing import buy
from labelwright.agents.verdict import Verdict
from labelwright.tools.aggregation import NO_VOTE, tally

Result: TypeAlias = tuple[NDArray[np.bool_], NDArray[np.int64]]
COSTS = 4
"""Costs of an error that follow the prices, evenly spaced as logarithms; `STATED` come on top."""
DEAR_ERROR = 10_000.0
"""Cost of an error, in votes of the dearest annotator, where a cap is to be spent."""
TOLD = 400
"""Audits that `informed` is given for nothing, at most, beside the audit sample."""
THRESHOLDS = (0.4, 0.6, 0.75, 0.85, 0.95)


def cascade(
    bench: Bench,
    student: NDArray[np.float64],
    first: Experience,
    error_cost: float,
    budget: float | None = None,
) -> Result:
    """The product's router alone, as in a sweep; twice, with a training in between.

    Args:
        bench: The ensemble.
        student: The student of the audited labels.
        first: What the audit sample shows by its word.
        error_cost: What a wrong label costs, in nanodollars.
        budget: USD that may be spent, audit included; half of what the audit leaves is for the
            first of the two. ``None`` is no cap.

    Returns:
        Who was asked, shape (n, m + 1), and the labels, shape (n,).
    """
    asked = bench.told.copy()
    audit = bench.usd(asked)
    for known, share in ((first, 0.5), (None, 1.0)):
        experience = known or experience_of(bench, student, bench.panel(student))
        panel = experience.panel
        while True:
            seen = np.where(asked, bench.votes, NO_VOTE)
            verdict = bench.verdict(asked, student, panel)
            open_to = ~asked
            open_to[:, -1] = False
            left = None
            if budget is not None:
                left = (audit + share * (budget - audit) - bench.usd(asked)) * NANO
            column = buy(
                experience,
                seen != NO_VOTE,
                verdict.p_correct,
                verdict.label,
                bench.prices,
                open_to,
                error_cost=error_cost,
                left=left,
            )
            wanted = np.flatnonzero(column >= 0)
            if not len(wanted):
                break
            asked[wanted, column[wanted]] = True
        student = _trained(bench, seen, verdict)
    return asked, bench.verdict(asked, student).label


def informed(
    bench: Bench, student: NDArray[np.float64], error_cost: float, usd: float
) -> tuple[float, float]:
    """Accuracy on each half of the router that knows the annotators from the other half.

    It has the same votes, money and labels to train a student on, but an audit sample several times
    as large for nothing, which teaches it whom to ask and how to add votes up. What it misses even
    so is out of reach at that price, as far as an audit could help.

    Args:
        bench: The ensemble.
        student: The student of the audited labels.
        error_cost: In nanodollars.
        usd: Money for all texts.
    """
    found = []
    for half in (0, 1):
        others = np.flatnonzero(bench.half == 1 - half)
        kept = bench.audited | (bench.half == half)
        kept[others[:: -(-len(others) // TOLD)]] = True
        rows = np.flatnonzero(kept)
        scored = bench.half[rows] == half
        votes = bench.votes[rows]
        votes[:, -1] = np.where(scored, NO_VOTE, bench.gold[rows])
        part = Bench(
            bench.names,
            bench.gold[rows],
            bench.vectors[rows],
            bench.annotators,
            votes,
            bench.prices[rows],
            ~scored,
            np.where(scored, half, -1),
            scored | bench.audited[rows],
        )
        view = student[rows]
        experience = experience_of(part, view, part.panel(view))
        money = usd * scored.sum() / len(bench.gold) + part.usd(part.told)
        _, label = cascade(part, view, experience, error_cost, money)
        found.append(float((label == part.gold)[scored].mean()))
    return found[0], found[1]


def _trained(bench: Bench, seen: NDArray[np.int64], verdict: Verdict) -> NDArray[np.float64]:
    rows = np.flatnonzero((seen != NO_VOTE).any(axis=1) & bench.teaches)
    return bench.student(rows, verdict.label[rows], verdict.p_correct[rows])


def tier_order(bench: Bench, student: NDArray[np.float64], panel: Panel, threshold: float) -> Point:
    """A cascade in the order of prices that ends where a label is probable enough."""
    asked = bench.told.copy()
    for column in range(len(bench.annotators) - 1):
        seen = np.where(asked, bench.votes, NO_VOTE)
        verdict = bench.verdict(asked, student, panel)
        low = (verdict.p_correct < threshold) | ~(seen != NO_VOTE).any(axis=1)
        asked[low, column] = True
    seen = np.where(asked, bench.votes, NO_VOTE)
    verdict = bench.verdict(asked, student, panel)
    student = _trained(bench, seen, verdict)
    return bench.point(asked, bench.verdict(asked, student).label)


def full_panel(bench: Bench, student: NDArray[np.float64]) -> Point:
    """Everybody on every text."""
    asked = np.ones(bench.votes.shape, bool)
    student = _trained(bench, bench.votes, bench.verdict(asked, student))
    return bench.point(asked, bench.verdict(asked, student).label)


def alone(bench: Bench, column: int, *, audit: bool = False) -> Point:
    """One annotator on every text, the others on the audit sample too if that is paid."""
    asked = bench.told.copy() if audit else np.zeros(bench.votes.shape, bool)
    asked[:, column] = True
    return bench.point(asked, bench.votes[:, column])


def best_by_audit(bench: Bench, error_cost: float) -> Point:
    """The single annotator that is worth most by the audit sample, in USD for an error."""
    right = (bench.votes == bench.gold[:, None])[bench.audited, :-1].mean(axis=0)
    usual = bench.prices[:, :-1].mean(axis=0) / NANO
    return alone(bench, int(np.argmax(right * error_cost - usual)), audit=True)


def majority_of(bench: Bench) -> Point:
    """The plain majority of everybody's votes; of labels with as many the first is taken."""
    label = tally(bench.votes[:, :-1], len(bench.names), None).argmax(axis=1)
    return bench.point(np.ones(bench.votes.shape, bool), label)


def one_draw(data: RecordedSet, columns: list[int], kind: str, audits: int, seed: int) -> Drawn:
    """All arms for one ensemble and one audit sample."""
    bench = prepare(data, columns, audits, seed)
    student = first_student(bench)
    panel = bench.panel(student)
    usual = bench.prices[:, :-1].mean(axis=0)
    # From where only a sure gain pays for the cheapest to where one in 500 pays for the dearest.
    costs = np.geomspace(max(usual.min(), 1.0), usual.max() * 500, COSTS)
    costs = np.concatenate([costs, np.asarray(STATED) * NANO])
    first = experience_of(bench, student, panel)
    drawn = Drawn(
        set=data.name,
        annotators=list(bench.annotators[:-1]),
        kind=kind,
        singles=[alone(bench, column) for column in range(len(columns))],
        panel=full_panel(bench, student),
        majority=majority_of(bench),
        router=[bench.point(*cascade(bench, student, first, cost)) for cost in costs.tolist()],
        tiers=[tier_order(bench, student, panel, threshold) for threshold in THRESHOLDS],
        best_by_audit=[best_by_audit(bench, cost) for cost in STATED],
        capped={},
        informed={},
        audit_usd=bench.usd(bench.told),
        texts=len(data.texts),
    )
    # An error costs so much that only the cap ends the buying.
    most = float(usual.max() * DEAR_ERROR)
    budgets = {name: GOALS[name] * target_of(drawn, name).usd for name in TARGETS}
    bought = {
        usd: bench.point(*cascade(bench, student, first, most, usd))
        for usd in dict.fromkeys(budgets[name] for name in TARGETS if not ruled_out(drawn, name))
    }
    drawn.capped.update({name: bought[usd] for name, usd in budgets.items() if usd in bought})
    missed = [name for name in drawn.capped if less_target(drawn, name) < -1e-12]
    told = {usd: informed(bench, student, most, usd) for usd in {budgets[name] for name in missed}}
    drawn.informed.update({name: told[budgets[name]] for name in missed})
    return drawn


@lru_cache(maxsize=2)
def _set(data: Path, name: str) -> RecordedSet:
    return load_set(data, name)


def run_one(task: tuple[str, str, int], *, data: Path, audits: int) -> Drawn:
    """One draw, by its place: set, kind of ensemble (a size, or ``price``), seed."""
    name, kind, seed = task
    loaded = _set(data, name)
    usd = loaded.costs.sum(axis=0)
    rng = np.random.default_rng([seed, 0 if kind == "price" else int(kind)])
    columns = by_price_alone(usd) if kind == "price" else draw_by_price(usd, int(kind), rng)
    # The products are small: threads that wait for each other cost many times the work.
    with threadpool_limits(1):
        return one_draw(loaded, columns, kind, audits, seed)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets")
    parser.add_argument("--sizes", default="3,5")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--audits", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    names = recorded_sets(arguments.data, arguments.sets and arguments.sets.split(","))
    sizes = arguments.sizes.split(",")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.draws)
    tasks = []
    for name in names:
        loaded = _set(arguments.data, name)
        priced = int(np.isfinite(loaded.costs.sum(axis=0)).sum())
        _ = loaded.vectors  # once, before several processes want them
        for kind in [*(size for size in sizes if int(size) <= priced), *(["price"] * (priced > 2))]:
            tasks += [(name, kind, seed) for seed in seeds]
    work = partial(run_one, data=arguments.data, audits=arguments.audits)
    if arguments.jobs > 1:
        with ProcessPoolExecutor(arguments.jobs) as processes:
            draws = list(processes.map(work, tasks))
    else:
        draws = [work(task) for task in tasks]
    figures = show(draws, [*sizes, "price"])
    value = show_value(draws)
    print(
        json.dumps(
            {"figures": figures, "net_value": value, "draws": [asdict(drawn) for drawn in draws]}
        )
    )


if __name__ == "__main__":
    main()
