"""How stable answers are: under another order of the labels, in other words, or asked once more.

Statistics over pairs and groups of answers by the same annotator on the same item. An answer is a
class number, or -1 where it was no label; -1 is an answer like any other when answers are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audit import Interval, accuracy_interval, upper_bound

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]

BUCKETS = 4
"""Stretches of the shown list whose shares are compared: first, ..., last."""
FEWEST_FLIPS = 6
"""Answers that must have changed before their positions are tested: fewer can prove nothing."""
FOLLOWS = 0.01
"""p-value below which changed answers are said to follow the order of the labels."""
STABLE = 0.95
"""Agreement of repeated answers below which a model is called unstable."""
DROP = 0.03
"""Fall of that agreement between earlier rounds and this one that hints at another model."""
DRIFT = 0.1
"""Divergence of the labels' shares from what was expected that calls for a look, in nats."""


@dataclass(frozen=True)
class PositionBias:
    """Result of `position_bias`.

    Attributes:
        flips: Answers that changed with the order.
        shares: Share of the chosen labels by stretch of the list, over both orders of those flips.
        p_value: ``None`` where too few answers changed.
    """

    flips: int
    shares: tuple[float, ...]
    p_value: float | None


@dataclass(frozen=True)
class Drift:
    """Result of `prior_drift`. ``divergence`` is KL(observed || expected) in nats."""

    divergence: float
    p_value: float
    alarm: bool


def flip_rate(first: Ints, again: Ints) -> Interval:
    """Share of the items whose answer changed, with its exact interval."""
    return accuracy_interval(int((first != again).sum()), len(first))


def position_bias(first: Ints, again: Ints, places: Ints, places_again: Ints) -> PositionBias:
    """Whether answers that change with the order of the labels follow the order.

    Only an answer that changed says anything. If the order has no pull, its two answers could as
    well have come the other way round: the stretches of the list in which the chosen labels stood
    are compared with those after swapping the two. The statistic is that of Stuart and Maxwell
    (1955, 1970) on signed counts, chi-squared; with two labels it is McNemar's.

    Args:
        first: (n,) answers under the one order.
        again: (n,) answers under the other.
        places: (n, K) place of each label in the first list.
        places_again: (n, K) place of each label in the second.
    """
    classes = places.shape[1]
    usable = (first != again) & (first >= 0) & (again >= 0)
    buckets = min(classes, BUCKETS)
    rows = np.flatnonzero(usable)
    stretch = places[rows] * buckets // classes
    stretch_again = places_again[rows] * buckets // classes
    each = np.arange(len(rows))
    seen = _counts(stretch[each, first[rows]], stretch_again[each, again[rows]], buckets)
    swapped = _counts(stretch[each, again[rows]], stretch_again[each, first[rows]], buckets)
    total = max(1, 2 * len(rows))
    shares = tuple(round(float(share), 4) for share in seen.sum(axis=0) / total)
    if len(rows) < FEWEST_FLIPS:
        return PositionBias(len(rows), shares, None)
    signed = seen - swapped
    summed, spread = signed.sum(axis=0), signed.T @ signed
    rank = int(np.linalg.matrix_rank(spread))
    if not rank:
        return PositionBias(len(rows), shares, None)
    statistic = float(summed @ np.linalg.pinv(spread) @ summed)
    return PositionBias(len(rows), shares, _chi_squared(statistic, rank))


def total_agreement(answers: Ints) -> Interval:
    """TARa@N: share of the items on which all N answers are the same (Atil et al., 2408.04667).

    Args:
        answers: (n, N).
    """
    same = (answers == answers[:, :1]).all(axis=1)
    return accuracy_interval(int(same.sum()), len(answers))


def model_changed(now: Interval, before: Interval) -> str | None:
    """Why repeated answers hint at a model that is unstable or was exchanged, or ``None``.

    A few answers more or less are chance: only what a one-sided 95 % bound leaves no other reading
    of is called.

    Args:
        now: Total agreement of late.
        before: Total agreement in earlier rounds.
    """
    if now.estimate is None:
        return None
    most = upper_bound(round(now.estimate * now.n), now.n)
    if before.estimate is not None and most < before.estimate - DROP:
        return f"agreement with itself fell from {before.estimate:.3f} to {now.estimate:.3f}"
    if most < STABLE:
        return f"agreement with itself is {now.estimate:.3f}, below {STABLE:g}"
    return None


def prior_drift(counts: Ints, expected: Floats) -> Drift:
    """How far the labels of a round are from what its items were expected to bring.

    The expectation must be of the chosen items, so that what the query strategy itself has shifted
    is no drift. The divergence that sampling alone causes, (K - 1) / 2n, is taken off.

    Args:
        counts: (K,) labels observed.
        expected: (K,) expected shares, summing to 1.
    """
    n = int(counts.sum())
    if not n:
        return Drift(0.0, 1.0, False)
    # Nothing is impossible: half a label is expected of every class.
    shares = (np.asarray(expected, np.float64) * n + 0.5) / (n + 0.5 * len(counts))
    observed = counts[counts > 0] / n
    raw = float((observed * np.log(observed / shares[counts > 0])).sum())
    p_value = _chi_squared(2 * n * max(raw, 0.0), len(counts) - 1)
    divergence = max(0.0, raw - (len(counts) - 1) / (2 * n))
    return Drift(round(divergence, 6), p_value, divergence > DRIFT and p_value < 0.01)


def _counts(one: Ints, other: Ints, buckets: int) -> NDArray[np.float64]:
    return np.asarray(np.eye(buckets)[one] + np.eye(buckets)[other], np.float64)


def _chi_squared(statistic: float, degrees: int) -> float:
    # Slow to import, and most of this module does without it.
    from scipy.special import chdtrc

    return float(chdtrc(degrees, statistic))
