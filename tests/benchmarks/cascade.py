"""The cascade's accuracy against its money, beside each model alone and the full panel.

    python tests/benchmarks/cascade.py --data DIR [--sets a,b] [--draws 8] [--sizes 3,5] [--jobs 2]

For every set of recorded answers and every draw of an ensemble (one annotator of each stretch of
the price list, and once the cheapest, the middle and the dearest): a random audit sample is put to
every annotator (paid) and to a trusted person (whose fee is left out of every figure here); then
the product's router asks about all other texts, at one stated cost of an error after another. The
student is the product's, trained on the audited labels, then on the labels of the first sweep, out
of sample. Accuracy is on the texts that were not audited; money is for all texts, audit included.
A single model and the panel pay no audit beyond the votes that they are.

How to read it. "made", "median" and "mean" are read off the router's curve: the cost of an error
is picked with the accuracy of the scored texts in view, which flatters router and tiers alike.
"held" is honest: of what the goal's money (0.40 of the single model's, 0.25 of the panel's) can
buy, one half of the texts chooses and the other scores; its accuracy less the target's. "strongest"
is the single model that is best on the scored texts, which nobody knows beforehand. The second
table picks nothing: net value at stated costs of an error.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from cascade_figures import STATED, Drawn, Point, show, show_value
from numpy.typing import NDArray
from recorded_sets import RecordedSet, load_set, recorded_sets

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.experience import Experience, gather
from labelwright.agents.panel import Panel, learn_panel
from labelwright.agents.routing import buy
from labelwright.agents.verdict import Verdict, weigh
from labelwright.tools.aggregation import NO_VOTE
from labelwright.tools.student import StudentConfig, fit

PERSON = "person"
COSTS = 4
"""Costs of an error that follow the prices, evenly spaced as logarithms; `STATED` come on top."""
THRESHOLDS = (0.4, 0.6, 0.75, 0.85, 0.95)
NANO = 1e9


@dataclass(frozen=True)
class Bench:
    """One ensemble on one set with its audit sample, as the product sees it.

    Attributes:
        votes: (n, m + 1) recorded votes, the person last; the person's on the audit sample only.
        prices: (n, m + 1) nanodollars; nobody can pay the person.
        audited: (n,) the audit sample.
        half: (n,) which half of the other texts, 0 or 1; -1 where audited.
    """

    data: RecordedSet
    annotators: tuple[str, ...]
    votes: NDArray[np.int64]
    prices: NDArray[np.float64]
    audited: NDArray[np.bool_]
    half: NDArray[np.int64]

    def point(self, asked: NDArray[np.bool_], label: NDArray[np.int64]) -> Point:
        """Money for the votes; accuracy on the texts that were not audited."""
        right = label == self.data.gold
        halves = (float(right[self.half == 0].mean()), float(right[self.half == 1].mean()))
        return Point(self.usd(asked), float(right[~self.audited].mean()), halves)

    def usd(self, asked: NDArray[np.bool_]) -> float:
        """Money for votes, the person's fee left out."""
        return float((self.prices * asked)[:, :-1].sum() / NANO)

    def panel(self, student: NDArray[np.float64]) -> Panel:
        """What the audit sample teaches."""
        critic = CriticConfig()
        return learn_panel(
            ballot_of(self.votes, self.annotators, self.audited),
            student[self.audited],
            reference=PERSON,
            gold=(PERSON,),
            classes=self.data.classes,
            prior_accuracy=critic.prior_accuracy,
            prior_strength=critic.prior_strength,
            strongest_accuracy=critic.strongest_accuracy,
            student_weight=critic.student_weight,
        )

    def verdict(
        self, seen: NDArray[np.int64], student: NDArray[np.float64], panel: Panel | None = None
    ) -> Verdict:
        """What the votes seen add up to, with the student's word."""
        ballot = ballot_of(seen, self.annotators)
        return weigh(ballot, panel or self.panel(student), student, classes=self.data.classes)

    def student(
        self, rows: NDArray[np.int64], labels: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Probabilities on all texts by the product's student, out of sample on ``rows``."""
        names = self.data.task.label_names
        fitted = fit(StudentConfig(), self.data.vectors[rows], labels, weights, names, seed=0)
        proba = fitted.student.predict_proba(self.data.vectors).astype(np.float64)
        proba[rows] = fitted.out_of_sample
        return proba


def ballot_of(
    votes: NDArray[np.int64],
    annotators: tuple[str, ...],
    rows: NDArray[np.bool_] | None = None,
) -> Ballot:
    """A ballot on which every answer was a vote, of some rows or all."""
    rows = np.ones(len(votes), bool) if rows is None else rows
    votes = votes[rows]
    ids = tuple(str(row) for row in np.flatnonzero(rows).tolist())
    return Ballot(ids, annotators, votes, (votes != NO_VOTE).astype(np.int64))


def prepare(data: RecordedSet, columns: list[int], audits: int, seed: int) -> Bench:
    """Draw the audit sample."""
    n = len(data.texts)
    order = np.random.default_rng(seed).permutation(n)
    half = np.full(n, -1)
    half[order[audits:]] = np.arange(n - audits) % 2
    audited = half < 0
    person = np.where(audited, data.gold, NO_VOTE)
    prices = np.rint(data.costs[:, columns] * NANO)
    return Bench(
        data,
        (*(data.annotators[column] for column in columns), PERSON),
        np.column_stack([data.votes[:, columns], person]),
        np.column_stack([prices, np.full(n, 1e15)]),
        audited,
        half,
    )


def first_student(bench: Bench) -> NDArray[np.float64]:
    """The student of the audited labels."""
    rows = np.flatnonzero(bench.audited)
    return bench.student(rows, bench.data.gold[rows], np.ones(len(rows)))


def experience_of(bench: Bench, student: NDArray[np.float64], panel: Panel) -> Experience:
    """What the audit sample shows of every set of annotators."""
    return gather(
        ballot_of(bench.votes, bench.annotators, bench.audited),
        student[bench.audited],
        panel,
        bench.data.classes,
        background=student,
        rng=np.random.default_rng(0),
    )


def cascade(
    bench: Bench, student: NDArray[np.float64], first: Experience, error_cost: float
) -> Point:
    """The product's router alone, as in a sweep; twice, with a training in between."""
    asked = audit_votes(bench)
    for known in (first, None):
        experience = known or experience_of(bench, student, bench.panel(student))
        panel = experience.panel
        while True:
            seen = np.where(asked, bench.votes, NO_VOTE)
            verdict = bench.verdict(seen, student, panel)
            open_to = ~asked
            open_to[:, -1] = False
            column = buy(
                experience,
                seen != NO_VOTE,
                verdict.p_correct,
                verdict.label,
                bench.prices,
                open_to,
                error_cost=error_cost,
                left=None,
            )
            wanted = np.flatnonzero(column >= 0)
            if not len(wanted):
                break
            asked[wanted, column[wanted]] = True
        student = _trained(bench, seen, verdict)
    return bench.point(asked, bench.verdict(seen, student).label)


def audit_votes(bench: Bench) -> NDArray[np.bool_]:
    """Everybody on the audit sample, shape (n, m + 1)."""
    return np.repeat(bench.audited[:, None], bench.votes.shape[1], axis=1)


def _trained(bench: Bench, seen: NDArray[np.int64], verdict: Verdict) -> NDArray[np.float64]:
    rows = np.flatnonzero((seen != NO_VOTE).any(axis=1))
    return bench.student(rows, verdict.label[rows], verdict.p_correct[rows])


def tier_order(bench: Bench, student: NDArray[np.float64], panel: Panel, threshold: float) -> Point:
    """A cascade in the order of prices that ends where a label is probable enough."""
    asked = audit_votes(bench)
    for column in range(len(bench.annotators) - 1):
        seen = np.where(asked, bench.votes, NO_VOTE)
        verdict = bench.verdict(seen, student, panel)
        low = (verdict.p_correct < threshold) | ~(seen != NO_VOTE).any(axis=1)
        asked[low, column] = True
    seen = np.where(asked, bench.votes, NO_VOTE)
    verdict = bench.verdict(seen, student, panel)
    student = _trained(bench, seen, verdict)
    return bench.point(asked, bench.verdict(seen, student).label)


def full_panel(bench: Bench, student: NDArray[np.float64]) -> Point:
    """Everybody on every text."""
    verdict = bench.verdict(bench.votes, student)
    student = _trained(bench, bench.votes, verdict)
    label = bench.verdict(bench.votes, student).label
    return bench.point(np.ones(bench.votes.shape, bool), label)


def alone(bench: Bench, column: int, *, audit: bool = False) -> Point:
    """One annotator on every text, the others on the audit sample too if that is paid."""
    asked = audit_votes(bench) if audit else np.zeros(bench.votes.shape, bool)
    asked[:, column] = True
    return bench.point(asked, bench.votes[:, column])


def best_by_audit(bench: Bench, error_cost: float) -> Point:
    """The single annotator that is worth most by the audit sample, in USD for an error."""
    right = (bench.votes == bench.data.gold[:, None])[bench.audited, :-1].mean(axis=0)
    usual = bench.prices[:, :-1].mean(axis=0) / NANO
    return alone(bench, int(np.argmax(right * error_cost - usual)), audit=True)


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
    return Drawn(
        set=data.name,
        annotators=list(bench.annotators[:-1]),
        kind=kind,
        singles=[alone(bench, column) for column in range(len(columns))],
        panel=full_panel(bench, student),
        router=[cascade(bench, student, first, cost) for cost in costs.tolist()],
        tiers=[tier_order(bench, student, panel, threshold) for threshold in THRESHOLDS],
        best_by_audit=[best_by_audit(bench, cost) for cost in STATED],
        audit_usd=bench.usd(audit_votes(bench)),
        texts=len(data.texts),
    )


def draw_by_price(usd: NDArray[np.float64], size: int, rng: np.random.Generator) -> list[int]:
    """One annotator of each of ``size`` stretches of the price list, cheap first."""
    known = np.flatnonzero(np.isfinite(usd))
    order = known[np.argsort(usd[known], kind="stable")]
    return [int(rng.choice(part)) for part in np.array_split(order, size)]


def by_price_alone(usd: NDArray[np.float64]) -> list[int]:
    """The cheapest, the middle and the dearest annotator."""
    known = np.flatnonzero(np.isfinite(usd))
    order = known[np.argsort(usd[known], kind="stable")]
    return [int(order[0]), int(order[len(order) // 2]), int(order[-1])]


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
