"""What must hold before a proposal to stop is accepted.

The plateau rule sees that nothing changes any more, not why. A class may never have been labelled,
the labels may be too noisy to learn from, or the query strategy may be stuck in one region. Each
gate is arithmetic on counts; one that fails names the action that would settle the question.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from math import ceil, log
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audit import accuracy_interval, upper_bound
from .money import show
from .plateau import StoppingConfig

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]
Action: TypeAlias = Literal["generate", "search", "relabel", "escalate", "other_strategy"]

MIN_GOLD = 300
FOLLOW_STUDENT = frozenset(("margin", "entropy", "least_confidence", "diverse_margin", "search"))
"""Query strategies that choose by what the student predicts."""


@dataclass(frozen=True)
class Gate:
    """Result of one gate.

    Attributes:
        name: "rounds", "labels", "classes", "label_noise", "monoculture" or "gold".
        passed: whether the condition holds.
        detail: the numbers, for a person.
        action: what to do if it does not hold; None is one more ordinary batch.
        classes: label indices that the action is for.
        waived: it does not hold, but every action was tried since the streak began. It is shown
            with the proposal and no longer holds it back: a tolerance that the annotators can not
            reach must not spend the budget to the cap.
    """

    name: str
    passed: bool
    detail: str
    action: Action | None = None
    classes: tuple[int, ...] = ()
    waived: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the ledger."""
        return asdict(self)


def blocking(gates: Sequence[Gate]) -> list[Gate]:
    """The gates that hold a proposal to stop back, most basic first."""
    return [gate for gate in gates if not gate.passed and not gate.waived]


def gates(
    config: StoppingConfig,
    *,
    rounds: int,
    label_counts: Ints,
    stop_set_predictions: Ints,
    label_names: Sequence[str],
    audit_errors: int,
    audited: int,
    strategies: Sequence[str],
    streak: int,
    tried: Collection[Action] = (),
) -> list[Gate]:
    """All gates that need no gold labels beyond the audit, in the order they should be acted on.

    Args:
        config: thresholds.
        rounds: rounds that are finished.
        label_counts: (K,) accepted labels of each class.
        stop_set_predictions: (n,) the student's labels of the stop set.
        label_names: (K,) for the details.
        audit_errors: wrong ones among the audited labels.
        audited: accepted labels that were audited at random.
        strategies: main query strategy of each round.
        streak: length of the streak of the plateau rule.
        tried: actions taken since the streak began.

    Returns:
        Gates "rounds", "labels", "classes", "label_noise" and "monoculture".
    """
    return [
        *coverage(config, rounds, label_counts, stop_set_predictions, label_names, tried),
        label_noise(config, audit_errors, audited, tried),
        monoculture(strategies, streak, tried),
    ]


def coverage(
    config: StoppingConfig,
    rounds: int,
    label_counts: Ints,
    stop_set_predictions: Ints,
    label_names: Sequence[str],
    tried: Collection[Action] = (),
) -> list[Gate]:
    """Enough rounds, labels, and labels of every class that matters.

    A class matters if the student predicts it for `class_min_share` of the stop set, or if it has
    no label at all: a class that was never seen is never predicted, so predictions alone would
    declare it rare. Arguments as `gates`.
    """
    n_labels, total = len(label_counts), int(label_counts.sum())
    need_rounds = max(2, config.min_rounds)
    need_labels = max(config.min_labels, 2 * n_labels)
    counts = np.bincount(stop_set_predictions, minlength=n_labels)
    share = counts / max(len(stop_set_predictions), 1)
    matters = (share >= config.class_min_share) | (label_counts == 0)
    short = np.flatnonzero(matters & (label_counts < config.class_min_labels)).tolist()
    listed = ", ".join(
        f"{label_names[k]!r} {label_counts[k]} (predicted share {share[k]:.1%})" for k in short
    )
    wanted = f"{config.class_min_labels} labels for each class seen in {config.class_min_share:.0%}"
    detail = f"too few labels of {listed}; wanted {wanted}" if short else f"{wanted}: met"
    action, waived = _next(("search", "generate"), tried)
    return [
        Gate("rounds", rounds >= need_rounds, f"{rounds} rounds, at least {need_rounds} wanted"),
        Gate("labels", total >= need_labels, f"{total} labels, at least {need_labels} wanted"),
        _gate("classes", not short, detail, action, waived, tuple(short)),
    ]


def label_noise(
    config: StoppingConfig, errors: int, audited: int, tried: Collection[Action] = ()
) -> Gate:
    """Upper 95 % bound of the audited error (Clopper & Pearson 1934) within the tolerance.

    Above it, the plateau may be one of noise instead of data: relabel, then a stronger annotator.
    If even the lower bound is above it, the annotators are too weak and relabelling by the same
    ones is skipped. Without any audit the gate can not fail, and says so. Arguments as `gates`.
    """
    tolerance = config.noise_tolerance
    if audited == 0:
        return Gate("label_noise", True, "uncalibrated: no label was audited")
    high = upper_bound(errors, audited)
    interval = accuracy_interval(errors, audited)
    detail = (
        f"{errors} of {audited} audited labels wrong ({errors / audited:.1%}), true error at most "
        f"{high:.1%} (95 %), tolerance {tolerance:.1%}"
    )
    if high > tolerance and errors / audited <= tolerance:
        fewest = ceil(log(0.05) / log(1 - tolerance)) if tolerance < 1 else 1
        detail += f"; the audit is too small to tell (without an error {fewest} would do)"
    hopeless = interval.low > tolerance
    ladder: tuple[Action, ...] = ("escalate",) if hopeless else ("relabel", "escalate")
    return _gate("label_noise", high <= tolerance, detail, *_next(ladder, tried))


def monoculture(strategies: Sequence[str], streak: int, tried: Collection[Action] = ()) -> Gate:
    """Batches that did not all follow the student did not break the streak.

    Uncertainty batches can stay in one region whose labels change nothing elsewhere. A strategy
    that does not ask the student (random, clusters) can not be stuck there; one that does is
    confirmed by a round of another. Arguments as `gates`.
    """
    since = list(strategies[-streak:]) if streak else []
    passed = any(name != since[0] or name not in FOLLOW_STUDENT for name in since)
    action, waived = _next(("other_strategy",), tried)
    detail = f"query strategies since the streak began: {', '.join(since) or 'none'}"
    return _gate("monoculture", passed, detail, action, waived)


class PowerLaw(NamedTuple):
    """Accuracy a - b * n ** -c of n labels."""

    a: float
    b: float
    c: float

    def slope(self, n: float) -> float:
        """Accuracy gained by one more label at n labels."""
        return float(self.b * self.c * n ** (-self.c - 1))


def fit_power_law(labels: Sequence[int], accuracy: Floats) -> PowerLaw:
    """Least squares over a grid of exponents, with b >= 0 and a <= 1.

    The inverse power law of Cortes et al. (1994), as used to forecast annotation by Figueroa et al.
    (2012).

    Args:
        labels: (r,) labels at each round, positive, r >= 4.
        accuracy: (r,) accuracy on the gold items at each round.

    Returns:
        The best curve; b is 0 if accuracy does not grow.

    Raises:
        ValueError: with fewer than four rounds or labels that are not positive.
    """
    n = np.asarray(labels, dtype=np.float64)
    y = np.asarray(accuracy, dtype=np.float64)
    if n.size < 4 or n.shape != y.shape or n.min() <= 0:
        raise ValueError("a learning curve needs four or more rounds, each with labels")
    best, best_error = PowerLaw(float(y.mean()), 0.0, 1.0), float(((y - y.mean()) ** 2).sum())
    for c in np.arange(0.1, 1.55, 0.05):
        x = n**-c
        centred = x - x.mean()
        spread = float((centred**2).sum())
        b = -float(centred @ y) / spread if spread > 0 else 0.0
        a = float(y.mean()) + b * float(x.mean())
        if a > 1:
            # On the bound a = 1 the best b is that of a line through (0, 1).
            a, b = 1.0, float(x @ (1 - y)) / float(x @ x)
        error = float(((y - a + b * x) ** 2).sum())
        if b > 0 and error < best_error:
            best, best_error = PowerLaw(a, b, float(c)), error
    return best


def gold(
    labels: Sequence[int],
    accuracy: Floats,
    gold_items: int,
    value: int,
    label_price: int,
    *,
    held: bool = False,
) -> Gate:
    """The learning curve on gold items agrees that one more label is not worth its price.

    Optional: only with 300 or more random gold items is the curve less noisy than churn. If it
    disagrees with the rule, one more round is run.

    Args:
        labels: (r,) labels at each round.
        accuracy: (r,) student's accuracy on the gold items at each round.
        gold_items: how many gold items.
        value: A in nanodollars.
        label_price: nanodollars of one more label.
        held: whether it has held the proposal back for a round already.

    Returns:
        Gate "gold"; passed with a reason where there is too little to judge.
    """
    if gold_items < MIN_GOLD or len(labels) < 4:
        detail = f"not judged: {gold_items} gold items and {len(labels)} rounds"
        return Gate("gold", True, f"{detail}, at least {MIN_GOLD} and 4 wanted")
    if label_price <= 0:
        return Gate("gold", True, "not judged: labels cost nothing")
    curve = fit_power_law(labels, accuracy)
    gain = round(value * curve.slope(labels[-1]))
    detail = (
        f"accuracy = {curve.a:.3f} - {curve.b:.3f} n^-{curve.c:.2f}: one more label gains "
        f"{show(gain)} and costs {show(label_price)}"
    )
    if gain < label_price:
        return Gate("gold", True, detail)
    tail = "; it has had its round" if held else "; one more round"
    return Gate("gold", False, detail + tail, waived=held)


def _next(ladder: tuple[Action, ...], tried: Collection[Action]) -> tuple[Action | None, bool]:
    """First action of the ladder that was not tried; waived when there is none."""
    left = [action for action in ladder if action not in tried]
    return (left[0], False) if left else (None, True)


def _gate(
    name: str,
    passed: bool,
    detail: str,
    action: Action | None,
    waived: bool,
    classes: tuple[int, ...] = (),
) -> Gate:
    if passed:
        return Gate(name, True, detail)
    tail = "; every action was tried, so it no longer holds the stop back" if waived else ""
    return Gate(name, False, detail + tail, action, classes, waived)
