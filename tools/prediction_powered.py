"""Shares of a pool from few trusted labels and many predictions, with intervals.

Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633) with power tuning
(Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453): the mean of the predictions over the whole
pool, put right by what the audit sample says of them. In a pool of which the audit is a random
sample this is the regression estimator of survey sampling (Cochran 1977, chapter 7). It is unbiased
whatever the predictions are worth; good ones make the interval narrow, useless ones leave it what
it was.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audit import Interval, accuracy_interval

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]

FEWEST = 30
"""Audited items from which a variance is estimated."""
RAREST = 5
"""Audited items of either outcome from which a variance is estimated; exact intervals below."""


def powered_share(
    outcome: NDArray[np.bool_],
    audited: Ints,
    predicted: Floats,
    *,
    level: float = 0.95,
    to_come: bool = False,
) -> Interval:
    """A share of the pool, from outcomes of a random sample and a prediction of every outcome.

    Estimate ``mean(y) + lambda (mean of all f - mean of audited f)``, lambda = cov(y, f) / var(f)
    within [0, 1]. The interval is that of Clopper and Pearson (1934) at the effective sample size
    that the estimated variance stands for (Korn and Graubard 1998), which keeps its coverage near 0
    and 1, where a normal one does not. The variance is at least that of one surprise among the
    audits: sure predictions that were all right would leave no interval at all. With few audits, or
    few of either outcome, it is the exact interval of the audits alone.

    Args:
        outcome: (n,) what the audit found.
        audited: (n,) positions of the audited items, drawn at random without replacement.
        predicted: (N,) predictions of the outcome, such as probabilities, made without its item's
            audit.
        level: Coverage in (0, 1).
        to_come: The share among texts still to come, of which the pool is a sample, too; else the
            share of this pool.

    Returns:
        The share with its interval; n counts the audits.

    Raises:
        ValueError: If shapes differ.
    """
    if outcome.shape != audited.shape or outcome.ndim != 1 or predicted.ndim != 1:
        raise ValueError(f"{outcome.shape} outcomes, {audited.shape} audited: not of one length")
    n, right = len(outcome), int(outcome.sum())
    exact = accuracy_interval(right, n, level)
    if n < FEWEST or min(right, n - right) < RAREST:
        return exact
    y, f = outcome.astype(np.float64), np.asarray(predicted, np.float64)
    seen = f[audited]
    spread = float(seen.var())
    tuned = float(np.cov(y, seen, ddof=0)[0, 1]) / spread if spread > 0 else 0.0
    tuned = min(max(tuned, 0.0), 1.0)
    estimate = float(y.mean()) + tuned * float(f.mean() - seen.mean())
    # Two degrees of freedom: for the mean and for the weight of the predictions.
    # Where no prediction was off, the sample can not tell that none is.
    spread_off = max(float((y - tuned * seen).var(ddof=2)), 1 / (n + 2))
    variance = (1 - n / len(f)) * spread_off / n
    if to_come:
        variance += float(y.var(ddof=1)) / len(f)
    if not 0 < estimate < 1 or variance <= 0:
        return exact
    return _interval(estimate, variance, n, level)


def class_shares(
    truth: Ints, audited: Ints, proba: Floats, *, level: float = 0.95
) -> list[Interval]:
    """Share of each class in the pool, with an interval for each by itself.

    Args:
        truth: (n,) trusted class numbers of the audited items.
        audited: (n,) their positions.
        proba: (N, K) class probabilities of every item, made without its own audit.
        level: Coverage of each interval.

    Returns:
        K intervals; each has its own tuning, so that the estimates need not sum to 1.
    """
    return [
        powered_share(truth == k, audited, proba[:, k], level=level) for k in range(proba.shape[1])
    ]


def _interval(estimate: float, variance: float, n: int, level: float) -> Interval:
    from scipy.special import betaincinv, ndtri, stdtrit

    tail = (1 - level) / 2
    # The variance is an estimate itself: Student's quantile in place of the normal one.
    slack = float(stdtrit(n - 2, 1 - tail) / ndtri(1 - tail)) ** 2
    size = estimate * (1 - estimate) / (variance * slack)
    count = size * estimate
    low = float(betaincinv(count, size - count + 1, tail))
    high = float(betaincinv(count + 1, size - count, 1 - tail))
    return Interval(estimate, low, high, n)
