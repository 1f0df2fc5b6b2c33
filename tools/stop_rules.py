"""Stop rules to compare the cost-plateau rule with, each over the same record of a run.

A rule is a pure function of what a run leaves behind: the student's predictions (and, for some, its
probabilities) on the unlabelled stop set after each round, the money by then, and the accuracy on
the audit sample. It says after which round it would have stopped. None of them knows what accuracy
is worth, except those that have ``money`` in ``reads``; that is what they are compared for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .hindsight import simulate
from .money import to_nano
from .plateau import StoppingConfig

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What a stop rule may look at, of r rounds.

    Attributes:
        predictions: (r, n) predicted labels of the n items of the stop set.
        money: (r,) cumulative nanodollars when each of them was made.
        labels: (r,) labels that each student was trained on.
        value: A, nanodollars that accuracy going from 0 to 1 is worth.
        classes: number K of labels.
        config: parameters of the cost-plateau rule.
        proba: (r, n, K) the student's probabilities; None where the students were not kept.
        audit_accuracy: (r,) accuracy on the audit sample; NaN where nothing is audited.
        audited: (r,) items of the audit sample by then.
    """

    predictions: Ints
    money: NDArray[np.int64]
    labels: Ints
    value: int
    classes: int
    config: StoppingConfig = field(default_factory=StoppingConfig)
    proba: Floats | None = None
    audit_accuracy: Floats | None = None
    audited: Ints | None = None

    def __len__(self) -> int:
        return len(self.predictions)


Stop: TypeAlias = Callable[..., int | None]


@dataclass(frozen=True)
class StopRule:
    """A rule with its defaults.

    Attributes:
        stop: takes a `RunRecord` and the parameters by name; the round (from 1) after which it
            stops, or None where it never does.
        defaults: parameters as in the source.
        reads: what it needs beside the predictions: "money", "proba", "audit", "labels".
        source: where it comes from.
        churns: whether it looks at the predictions on the stop set.
    """

    stop: Stop
    defaults: Mapping[str, float]
    reads: tuple[str, ...]
    source: str
    churns: bool = True

    def __call__(self, record: RunRecord, **parameters: float) -> int | None:
        """The round after which the rule stops, or None.

        Raises:
            ValueError: a parameter that it does not have, or the record lacks what it reads.
        """
        unknown = sorted(set(parameters) - set(self.defaults))
        if unknown:
            has = ", ".join(self.defaults) or "none"
            raise ValueError(f"no parameter {unknown[0]!r} of this stop rule; it has: {has}")
        lacking = self.lacks(record)
        if lacking:
            raise ValueError(f"this stop rule needs {lacking}, which the record does not hold")
        return self.stop(record, **{**self.defaults, **parameters})

    def lacks(self, record: RunRecord) -> str | None:
        """What the rule reads and the record does not hold."""
        if self.churns and not record.predictions.shape[1]:
            return "a stop set, for which the pool is too small"
        if "proba" in self.reads and record.proba is None:
            return "the student's probabilities"
        audit = record.audit_accuracy
        if "audit" in self.reads and (audit is None or np.isnan(audit).all()):
            return "an audit"
        return None


def cost_plateau(record: RunRecord) -> int | None:
    """The product's rule as configured: expected gain of the next window against its price."""
    return simulate(
        list(record.predictions),
        [int(m) for m in record.money],
        record.value,
        record.config,
        labels=[int(n) for n in record.labels],
        proba=None if record.proba is None else list(record.proba),
        classes=record.classes,
    )


def certificate(record: RunRecord, *, window: float) -> int | None:
    """A times the churn of the window is less than what the window cost."""
    w = int(window)
    for t in range(w, len(record)):
        moved = float((record.predictions[t] != record.predictions[t - w]).mean())
        if record.value * moved < record.money[t] - record.money[t - w]:
            return t + 1
    return None


def kappa(record: RunRecord, *, threshold: float, window: float) -> int | None:
    """Mean pairwise Cohen's kappa of the last `window` models is at least the threshold."""
    w = int(window)
    for t in range(w - 1, len(record)):
        last = record.predictions[t - w + 1 : t + 1]
        pairs = [cohens_kappa(a, b, record.classes) for a, b in combinations(last, 2)]
        if np.mean(pairs) >= threshold:
            return t + 1
    return None


def cohens_kappa(a: Ints, b: Ints, classes: int) -> float:
    """Agreement of two labelings beyond chance (Cohen 1960); 1 where both are one same class."""
    observed = float((a == b).mean())
    shares = np.bincount(a, minlength=classes) @ np.bincount(b, minlength=classes)
    chance = float(shares) / len(a) ** 2
    return 1.0 if chance >= 1 else (observed - chance) / (1 - chance)


def classification_change(record: RunRecord, *, threshold: float) -> int | None:
    """No more than `threshold` of the predictions changed in the last round."""
    return _first(moved <= threshold for moved in _moved(record))


def overall_uncertainty(record: RunRecord, *, threshold: float) -> int | None:
    """Mean entropy of the probabilities, divided by log K, is below the threshold."""
    assert record.proba is not None
    scale = np.log(max(record.classes, 2))
    for t, proba in enumerate(record.proba):
        p = np.maximum(proba.astype(np.float64), 1e-12)
        if float(-(p * np.log(p)).sum(axis=1).mean()) / scale < threshold:
            return t + 1
    return None


def delta_f(record: RunRecord, *, threshold: float, window: float) -> int | None:
    """The estimated change of F1 was below the threshold in each of the last `window` rounds.

    Taking the new model for the truth, F1 of the old one is 2a / (2a + b + c) with a items in the
    class before and after, b before only, c after only. With more than two classes, the mean over
    those predicted.
    """
    run = 0
    for t in range(1, len(record)):
        before, after = record.predictions[t - 1], record.predictions[t]
        size = np.bincount(before, minlength=record.classes)
        size = size + np.bincount(after, minlength=record.classes)
        same = np.bincount(after[before == after], minlength=record.classes)
        present = size > 0
        change = float((1 - 2 * same[present] / size[present]).mean())
        run = run + 1 if change < threshold else 0
        if run >= window:
            return t + 1
    return None


def accuracy_plateau(record: RunRecord, *, epsilon: float, patience: float) -> int | None:
    """Accuracy on the audit has not passed its best by `epsilon` for `patience` rounds."""
    assert record.audit_accuracy is not None
    best, since = -np.inf, 0
    for t, accuracy in enumerate(record.audit_accuracy):
        if np.isnan(accuracy):
            continue
        if accuracy > best + epsilon:
            best, since = float(accuracy), 0
        else:
            since += 1
        if since >= patience:
            return t + 1
    return None


def marginal_gain(record: RunRecord, *, window: float, patience: float) -> int | None:
    """What accuracy on the audit gained over the window is worth less than the window cost."""
    assert record.audit_accuracy is not None
    w, streak = int(window), 0
    for t in range(w, len(record)):
        gained = record.audit_accuracy[t] - record.audit_accuracy[t - w]
        cost = record.money[t] - record.money[t - w]
        # Comparison with NaN is false: no audit, no reason to stop.
        streak = streak + 1 if record.value * gained < cost else 0
        if streak >= patience:
            return t + 1
    return None


def fixed_labels(record: RunRecord, *, labels: float) -> int | None:
    """A number of labels that was set beforehand."""
    return _first(bool(n >= labels) for n in record.labels)


def fixed_budget(record: RunRecord, *, usd: float) -> int | None:
    """An amount of money that was set beforehand."""
    return _first(bool(spent >= to_nano(usd)) for spent in record.money)


def to_the_end(_: RunRecord) -> int | None:
    """Never: the run goes on to its caps."""
    return None


def _moved(record: RunRecord) -> list[float]:
    """Share of predictions that changed in each round; infinite in the first."""
    changed = record.predictions[1:] != record.predictions[:-1]
    return [float("inf"), *changed.mean(axis=1).tolist()]


def _first(holds: Iterator[bool]) -> int | None:
    return next((t for t, stops in enumerate(holds, 1) if stops), None)


STOP_RULES: dict[str, StopRule] = {
    "cost_plateau": StopRule(
        cost_plateau, {}, ("money",), "the rule of a run; see `labelwright.tools.plateau`"
    ),
    "certificate": StopRule(
        certificate,
        {"window": 3},
        ("money",),
        "the part of the cost-plateau rule that assumes nothing",
    ),
    "kappa": StopRule(
        kappa,
        {"threshold": 0.99, "window": 3},
        (),
        "stabilising predictions: Bloodgood & Vijay-Shanker, CoNLL 2009",
    ),
    "classification_change": StopRule(
        classification_change, {"threshold": 0.0}, (), "Zhu, Wang & Hovy, COLING 2008"
    ),
    "overall_uncertainty": StopRule(
        overall_uncertainty,
        {"threshold": 0.05},
        ("proba",),
        "Zhu, Wang & Hovy, COLING 2008; threshold as in small-text",
    ),
    "delta_f": StopRule(
        delta_f,
        {"threshold": 0.05, "window": 3},
        (),
        "Altschuler & Bloodgood, ICSC 2019; window as in small-text",
    ),
    "accuracy_plateau": StopRule(
        accuracy_plateau,
        {"epsilon": 0.005, "patience": 2},
        ("audit",),
        "usual early stopping, on the audit sample",
        churns=False,
    ),
    "marginal_gain": StopRule(
        marginal_gain,
        {"window": 3, "patience": 1},
        ("money", "audit"),
        "gain of measured accuracy per cost, after the performance-improvement-cost ratio of "
        "Rouzegar (2024); its formula is not published, so this is an own reading",
        churns=False,
    ),
    "fixed_labels": StopRule(
        fixed_labels, {"labels": 1000}, ("labels",), "a fixed label budget", churns=False
    ),
    "fixed_budget": StopRule(
        fixed_budget, {"usd": 10}, ("money",), "a fixed money budget", churns=False
    ),
    "to_the_end": StopRule(to_the_end, {}, (), "no rule: the caps end the run", churns=False),
}
"""Every rule by name, at the defaults of its source."""
