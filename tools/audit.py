"""What a random sample proves: intervals for accuracy, error and churn, F1 by class.

Only a *random* sample is evidence, be it labelled (audit) or not (stop set). Items that a query
strategy picked over-estimate the error (Kossen et al. 2021), so nothing here may be fed with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Interval:
    """An estimated share with a confidence interval.

    Attributes:
        estimate: in [0, 1], or None where nothing (or not everything) was audited.
        low: lower end of the interval.
        high: upper end of the interval.
        n: audited items.
    """

    estimate: float | None
    low: float
    high: float
    n: int


def accuracy_interval(correct: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval of a share (Clopper & Pearson 1934).

    Args:
        correct: audited items that were right.
        n: audited items; 0 gives no estimate and the interval [0, 1].
        level: coverage in (0, 1).

    Returns:
        The share and its interval.

    Raises:
        ValueError: if correct is not within 0..n or the level not within (0, 1).
    """
    tail = (1 - level) / 2
    low, high = lower_bound(correct, n, 1 - tail), upper_bound(correct, n, 1 - tail)
    return Interval(correct / n if n else None, low, high, n)


def wilson_interval(correct: int, n: int) -> Interval:
    """Approximate 95 % interval of a share (Wilson 1927), for displays that must stay light.

    Args:
        correct: items that were right.
        n: items looked at; 0 gives no estimate and the interval [0, 1].

    Returns:
        The share and its interval.

    Raises:
        ValueError: if correct is not within 0..n.
    """
    _check(correct, n, 0.95)
    if not n:
        return Interval(None, 0.0, 1.0, 0)
    z, share = 1.959964, correct / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0), n)


def upper_bound(count: int, n: int, level: float = 0.95) -> float:
    """One-sided upper confidence bound of a share (Clopper & Pearson 1934).

    Args:
        count: items that have the property, such as audited labels that were wrong.
        n: items looked at.
        level: coverage in (0, 1).

    Returns:
        The bound; 1.0 when n is 0 or all have the property.

    Raises:
        ValueError: if count is not within 0..n or the level not within (0, 1).
    """
    # Slow to import, and most of this module does without it.
    from scipy.special import betaincinv

    _check(count, n, level)
    return 1.0 if count == n else float(betaincinv(count + 1, n - count, level))


def lower_bound(count: int, n: int, level: float = 0.95) -> float:
    """One-sided lower confidence bound of a share; the mirror of `upper_bound`."""
    return 1 - upper_bound(n - count, n, level)


def stratified_interval(
    correct: Sequence[int], n: Sequence[int], sizes: Sequence[int], level: float = 0.95
) -> Interval:
    """Accuracy of a whole that was audited by strata, such as by source of the label.

    Weighted sum of the strata's shares; the exact intervals of the strata are combined by MOVER
    (Zou & Donner 2008): low = p - sqrt(sum W^2 (p_h - low_h)^2), high likewise.

    Args:
        correct: right among the audited items of each stratum.
        n: audited items of each stratum, drawn at random within it.
        sizes: items of each stratum in the whole.
        level: coverage in (0, 1).

    Returns:
        The accuracy of the whole. A stratum with items and without audits leaves no estimate, and
        the interval allows it to be all wrong or all right.

    Raises:
        ValueError: if lengths differ, or all sizes are 0.
    """
    if not len(correct) == len(n) == len(sizes) or sum(sizes) <= 0:
        raise ValueError("strata need equal numbers of counts, audits and sizes, not all empty")
    total = sum(sizes)
    estimate = below = above = unknown = 0.0
    for right, audited, size in zip(correct, n, sizes, strict=True):
        part = accuracy_interval(right, audited, level)
        weight = size / total
        if part.estimate is None:
            unknown += weight
            continue
        estimate += weight * part.estimate
        below += (weight * (part.estimate - part.low)) ** 2
        above += (weight * (part.high - part.estimate)) ** 2
    low = max(estimate - sqrt(below), 0.0)
    high = min(estimate + sqrt(above) + unknown, 1.0)
    return Interval(None if unknown else estimate, low, high, sum(n))


def churn(before: Ints, after: Ints, class_weights: Floats | None = None) -> Interval:
    """Share of the stop set whose predicted label changed.

    With class weights m the aim is weighted accuracy, mean of m[y] * [right]: a change from a to b
    can move it by max(m[a], m[b]), which is what it counts. Without weights the interval is exact
    (Clopper & Pearson 1934), with weights empirical Bernstein (Maurer & Pontil 2009, theorem 4).

    Args:
        before: (n,) predicted label indices, n >= 2.
        after: (n,) predicted label indices.
        class_weights: (K,) weights m, such as `macro_weights`.

    Returns:
        Churn, which bounds |change of (weighted) accuracy| on these items, and its interval.

    Raises:
        ValueError: if shapes differ or there are fewer than two items.
    """
    n = len(before)
    if before.shape != after.shape or before.ndim != 1 or n < 2:
        raise ValueError(f"predictions on the stop set: {before.shape} before, {after.shape} after")
    changed = before != after
    if class_weights is None:
        return accuracy_interval(int(changed.sum()), n)
    moved = changed * np.maximum(class_weights[before], class_weights[after])
    mean, greatest = float(moved.mean()), float(class_weights.max())
    tail = log(4 / 0.05)  # ln(2 / delta), delta = 0.025 on each side
    slack = sqrt(2 * float(moved.var(ddof=1)) * tail / n) + 7 * greatest * tail / (3 * (n - 1))
    return Interval(mean, max(mean - slack, 0.0), min(mean + slack, greatest), n)


def macro_weights(predicted: Ints, n_labels: int) -> NDArray[np.float64]:
    """Class weights that make rare classes count as much as frequent ones, as macro averages do.

    Args:
        predicted: (n,) predicted labels of the stop set.
        n_labels: number K of labels.

    Returns:
        (K,) weights 1 / (K * share of the class), a class without predictions having that of one
        item. Mean 1 over the items when every class is predicted.
    """
    counts = np.maximum(np.bincount(predicted, minlength=n_labels), 1)
    return np.asarray(len(predicted) / (n_labels * counts), dtype=np.float64)


def audited_rho(
    fixed: int, broken: int, audited: int, prior: float = 0.15, strength: float = 20.0
) -> float:
    """Net improvement among changed predictions, from an audit of changed stop-set items only.

    Unchanged items say nothing about a change of accuracy. Shrunk to the prior as if it had been
    seen on `strength` items: (fixed - broken + strength * prior) / (audited + strength).

    Args:
        fixed: changed items that were wrong and are right now.
        broken: changed items that were right and are wrong now.
        audited: changed items audited; with three or more labels both may be wrong.
        prior: rho before any audit.
        strength: weight of the prior in items.

    Returns:
        rho in [-1, 1].

    Raises:
        ValueError: if fixed and broken exceed audited.
    """
    if min(fixed, broken) < 0 or fixed + broken > audited:
        raise ValueError(f"{fixed} fixed and {broken} broken of {audited} audited items")
    return (fixed - broken + strength * prior) / (audited + strength)


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, arrays of shape (K,); a share without a denominator is 0."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]


def class_scores(gold: Ints, predicted: Ints, n_labels: int) -> ClassScores:
    """Precision, recall, F1 and number of gold items of each class.

    Args:
        gold: (n,) label indices.
        predicted: (n,) label indices, or -1 for no answer, which counts as wrong.
        n_labels: number K of labels.

    Returns:
        The scores.

    Raises:
        ValueError: if shapes differ.
    """
    if gold.shape != predicted.shape:
        raise ValueError(f"gold of shape {gold.shape}, predictions of shape {predicted.shape}")
    support = np.bincount(gold, minlength=n_labels)
    claimed = np.bincount(predicted[predicted >= 0], minlength=n_labels)
    hit = np.bincount(gold[gold == predicted], minlength=n_labels)
    precision = hit / np.maximum(claimed, 1)
    recall = hit / np.maximum(support, 1)
    return ClassScores(precision, recall, 2 * hit / np.maximum(support + claimed, 1), support)


def macro_f1(gold: Ints, predicted: Ints, n_labels: int) -> float:
    """Mean F1 over the classes that occur in gold or among the predictions.

    Args:
        gold: (n,) label indices.
        predicted: (n,) label indices, or -1 for no answer.
        n_labels: number K of labels.

    Returns:
        A figure in [0, 1]; 0 without items.

    Raises:
        ValueError: if shapes differ.
    """
    scores = class_scores(gold, predicted, n_labels)
    present = scores.support > 0
    present[np.unique(predicted[predicted >= 0])] = True
    return float(scores.f1[present].mean()) if present.any() else 0.0


def _check(count: int, n: int, level: float) -> None:
    if not 0 <= count <= n or not 0 < level < 1:
        raise ValueError(f"need 0 <= count <= n and 0 < level < 1, got {count}, {n}, {level}")
