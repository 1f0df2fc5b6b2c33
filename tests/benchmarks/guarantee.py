"""Does the guarantee hold, what does it cost, and are the intervals honest? On recorded answers.

For each set of recorded answers: many draws of an ensemble of three to five language models and of
an audit sample. A third of the audits teaches the panel, the rest tests its labels, as in a run. On
the texts that nobody audited is counted how often more than eps of what was accepted is wrong, and
how much was accepted; beside it what people do without a guarantee, with all the audits to learn
from. Then coverage and width of prediction-powered intervals beside exact ones.

    python tests/benchmarks/guarantee.py --data DIR [--sets NAME ...] [--draws 500] [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_sets import NO_VOTE, RecordedSet, load_set, recorded_sets
from threadpoolctl import threadpool_limits

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.panel import learn_panel
from labelwright.agents.verdict import Verdict, weigh
from labelwright.tools.aggregation import majority
from labelwright.tools.audit import Interval, accuracy_interval
from labelwright.tools.guarantee import accept_labels
from labelwright.tools.prediction_powered import class_shares, powered_share

LEARN = 1 / 3
"""Share of the audits that teaches the panel; chosen on tc_policy_en and babe_bias."""
CONFIDENCE = 0.9
FEWEST = 10
"""Audited labels above a plug-in threshold: below, its error is no figure at all."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def main() -> None:
    """Measure, print tables, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", type=lambda text: text.split(","))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--audits", type=int, nargs="*", default=[100, 200, 400])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--errors", type=float, nargs="*", default=[0.05, 0.1, 0.2, 0.3])
    args = parser.parse_args()
    figures: dict[str, Any] = {"draws": args.draws, "confidence": CONFIDENCE, "sets": {}}
    for name in recorded_sets(args.data, args.sets):
        loaded = load_set(args.data, name)
        found = measure(loaded, args.draws, args.audits, args.errors, args.jobs)
        figures["sets"][name] = found
        show(loaded, found)
    print(json.dumps(figures))


def measure(
    loaded: RecordedSet, draws: int, audits: Sequence[int], errors: Sequence[float], jobs: int = 1
) -> dict[str, Any]:
    """All figures of one set."""
    sizes = sorted({min(n, len(loaded.gold) // 2) for n in audits})
    one = partial(_alone, loaded, sizes, list(errors))
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            drawn = list(pool.map(one, range(draws), chunksize=5))
    else:
        drawn = [one(draw) for draw in range(draws)]
    kept: dict[tuple[int, float, str], list[tuple[bool, float]]] = defaultdict(list)
    covered: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for accepted, intervals in drawn:
        for key, value in accepted:
            kept[key].append(value)
        for what, inside in intervals:
            covered[what].append(inside)
    return {
        "texts": len(loaded.gold),
        "classes": loaded.classes,
        "annotators": len(loaded.annotators),
        "guarantee": [_kept(key, values) for key, values in kept.items()],
        "intervals": [_covered(key, values) for key, values in covered.items()],
    }


def _alone(
    loaded: RecordedSet, sizes: Sequence[int], errors: Sequence[float], draw: int
) -> tuple[list[Any], list[Any]]:
    # Of matrices this small more threads make nothing but work.
    with threadpool_limits(1):
        return trials(loaded, sizes, errors, draw)


def trials(
    loaded: RecordedSet, sizes: Sequence[int], errors: Sequence[float], draw: int
) -> tuple[list[Any], list[Any]]:
    """One draw of an ensemble and a nested series of audit samples."""
    rng = np.random.default_rng([draw, 20])
    most = min(5, len(loaded.annotators))
    count = rng.integers(min(3, most), most + 1)
    columns = rng.choice(len(loaded.annotators), count, replace=False)
    order = rng.permutation(len(loaded.gold))
    kept, covered = [], []
    for n in sizes:
        trial = Trial(loaded, columns, order[:n])
        for error in errors:
            for rule, accepted, of in trial.rules(error):
                wrong = int(trial.wrong(rule)[accepted].sum())
                share = float(accepted.sum() / trial.rest.sum())
                kept.append(((n, error, rule), (wrong > error * of + 1e-9, share)))
        for what, interval, truth in trial.intervals():
            inside = interval.low <= truth <= interval.high
            covered.append(((n, what), (inside, interval.high - interval.low)))
    return kept, covered


class Trial:
    """One ensemble and one audit sample; what nobody audited is ``rest``."""

    def __init__(self, loaded: RecordedSet, columns: Ints, audited: Ints) -> None:
        self._loaded, self._columns, self._audited = loaded, columns, audited
        taught = audited[: round(LEARN * len(audited))]
        self._tested = audited[len(taught) :]
        self._split, self._all = self._verdict(taught), self._verdict(audited)
        # The texts that the panel has not learned from are the pool of the last audit.
        self._pool = np.setdiff1d(np.arange(len(loaded.gold)), taught)
        self.rest: Bools = np.ones(len(loaded.gold), bool)
        self.rest[audited] = False

    def wrong(self, rule: str) -> Bools:
        """Which labels are wrong, by whose labels the rule accepts."""
        if rule.startswith("vote"):
            label = self._majority()[0]
        else:
            label = (self._split if rule.startswith("guarantee") else self._all).label
        return np.asarray(label != self._loaded.gold, bool)

    def rules(self, error: float) -> Iterator[tuple[str, Bools, int]]:
        """(rule, what it accepts, of how many labels eps may be wrong)."""
        for name, expert in (("guarantee", 0), ("guarantee (pool)", len(self._pool))):
            where = np.searchsorted(self._pool, self._tested)
            found = accept_labels(
                self._split.p_correct[self._pool],
                where,
                self.wrong(name)[self._tested],
                error=error,
                confidence=CONFIDENCE,
                expert=expert,
            )
            least = np.inf if found.threshold is None else found.threshold
            accepted = self.rest & (self._split.p_correct >= least)
            yield name, accepted, int((self.rest if expert else accepted).sum())
        p, wrong = self._all.p_correct, self.wrong("plug-in")
        share = self._majority()[1]
        seen, rest = self._audited, np.flatnonzero(self.rest)
        for name, score, least in (
            ("p >= 1-eps", p, 1 - error),
            ("vote share >= 1-eps", share, 1 - error),
            ("plug-in", p, lowest(p[seen], wrong[seen], error, FEWEST)),
            ("oracle", p, lowest(p[rest], wrong[rest], error, 1)),
        ):
            accepted = self.rest & (score >= least)
            yield name, accepted, int(accepted.sum())

    def intervals(self) -> Iterator[tuple[str, Interval, float]]:
        """(what and how, interval, truth): accuracy of the labels and share of each class."""
        pool, gold = self._pool, self._loaded.gold
        where = np.searchsorted(pool, self._tested)
        right = (self._split.label == gold)[pool]
        n = len(where)
        truth = float(right.mean())
        yield "accuracy, exact", accuracy_interval(int(right[where].sum()), n), truth
        p = self._split.p_correct[pool]
        yield "accuracy, powered", powered_share(right[where], where, p), truth
        found = class_shares(gold[pool][where], where, self._split.posterior[pool])
        for k, powered in enumerate(found):
            truth = float((gold[pool] == k).mean())
            exact = accuracy_interval(int((gold[pool][where] == k).sum()), n)
            size = "common" if truth * n >= 10 else "rare"
            yield f"share of a {size} class, exact", exact, truth
            yield f"share of a {size} class, powered", powered, truth

    def _verdict(self, taught: Ints) -> Verdict:
        """What the panel says of every text, its trusted votes hidden."""
        votes = self._loaded.votes[:, self._columns]
        names = (*(self._loaded.annotators[k] for k in self._columns), "gold")
        open_ = np.column_stack([votes, np.full(len(votes), NO_VOTE)])
        # An answer outside the label set is no vote, but an answer.
        blank = np.zeros(open_.shape, bool)
        blank[:, :-1] = self._loaded.outside[:, self._columns]
        answers = ((open_ != NO_VOTE) | blank).astype(np.int64)
        told, heard = open_[taught], answers[taught]
        told[:, -1], heard[:, -1] = self._loaded.gold[taught], 1
        ids = tuple(self._loaded.ids)
        some = tuple(ids[row] for row in taught)
        critic = CriticConfig()
        panel = learn_panel(
            Ballot(some, names, told, heard, blank=blank[taught]),
            None,
            reference="gold",
            gold=["gold"],
            classes=self._loaded.classes,
            prior_accuracy=critic.prior_accuracy,
            prior_strength=critic.prior_strength,
            strongest_accuracy=critic.strongest_accuracy,
            student_weight=critic.student_weight,
        )
        ballot = Ballot(ids, names, open_, answers, blank=blank)
        return weigh(ballot, panel, None, classes=self._loaded.classes)

    def _majority(self) -> tuple[Ints, NDArray[np.float64]]:
        votes = self._loaded.votes[:, self._columns]
        label, share = majority(votes, self._loaded.classes)
        return np.asarray(label), np.asarray(share)


def lowest(score: NDArray[np.float64], wrong: Bools, error: float, fewest: int) -> float:
    """The lowest threshold with at most ``error`` wrong of ``fewest`` labels or more above it."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.diff(score[order]) != 0, True)
    sizes = np.arange(1, len(order) + 1)
    fit = ends & (np.cumsum(wrong[order]) <= error * sizes) & (sizes >= fewest)
    return float(score[order][np.flatnonzero(fit)[-1]]) if fit.any() else np.inf


def _kept(key: tuple[int, float, str], values: list[tuple[bool, float]]) -> dict[str, Any]:
    broken, shares = zip(*values, strict=True)
    interval = accuracy_interval(sum(broken), len(broken))
    return {
        "audits": key[0],
        "error": key[1],
        "rule": key[2],
        "broken": interval.estimate,
        "broken_low": interval.low,
        "broken_high": interval.high,
        "accepted": float(np.mean(shares)),
        "accepted_sd": float(np.std(shares)),
        "nothing": float(np.mean(np.asarray(shares) == 0)),
    }


def _covered(key: tuple[int, str], values: list[tuple[float, float]]) -> dict[str, Any]:
    inside, widths = zip(*values, strict=True)
    return {
        "audits": key[0],
        "what": key[1],
        "covered": float(np.mean(inside)),
        "width": float(np.mean(widths)),
        "width_sd": float(np.std(widths)),
    }


def show(loaded: RecordedSet, found: dict[str, Any]) -> None:
    """Print one set's tables."""
    print(f"\n{loaded.name}: {found['texts']} texts, {found['classes']} classes")
    print(f"{'audits':>6} {'eps':>5}  {'rule':20} {'broken (95% interval)':24} accepted (sd)")
    for row in found["guarantee"]:
        print(
            f"{row['audits']:6} {row['error']:5.2f}  {row['rule']:20} "
            f"{row['broken']:.3f} ({row['broken_low']:.3f} to {row['broken_high']:.3f})   "
            f"{row['accepted']:.3f} ± {row['accepted_sd']:.3f}"
        )
    print(f"{'audits':>6}  {'95% interval of':36} covered  width (sd)")
    for row in sorted(found["intervals"], key=lambda row: (row["audits"], row["what"])):
        print(
            f"{row['audits']:6}  {row['what']:36} {row['covered']:.3f}    "
            f"{row['width']:.3f} ± {row['width_sd']:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
