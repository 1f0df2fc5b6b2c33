"""From a score of being right to a probability of being right, fitted on audited items.

Raw confidence of an LLM, a vote share or a student's probability must never be compared with a
threshold before it was calibrated. With too few audited items there is no calibration, and callers
say "uncalibrated" instead of inventing a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

Floats: TypeAlias = NDArray[np.floating[Any]]

MIN_POINTS = 50
MIN_ISOTONIC = 500
_EDGE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A monotone map from score to probability of being right.

    Attributes:
        kind: "platt" (two parameters) or "isotonic" (step-wise linear).
        n: audited items it was fitted on.
        scores: isotonic: knots, ascending. Platt: empty.
        values: isotonic: probability at each knot. Platt: (slope, intercept) over logit(score).
    """

    kind: Literal["platt", "isotonic"]
    n: int
    scores: tuple[float, ...]
    values: tuple[float, ...]


def fit_calibration(p: Floats, correct: NDArray[np.bool_]) -> Calibration | None:
    """Fit a calibration on audited items.

    Platt scaling on logit(p) with smoothed targets and a slope of at least 0 (Platt 1999; Lin, Lin
    & Weng 2007); from 500 items isotonic regression (Zadrozny & Elkan 2002), which needs more data
    than it takes to fit two parameters (Niculescu-Mizil & Caruana 2005).

    Args:
        p: (n,) scores in [0, 1].
        correct: (n,) whether the label of the item was right.

    Returns:
        The calibration, or None with fewer than 50 items or when all have the same outcome.

    Raises:
        ValueError: if shapes differ or a score is outside [0, 1].
    """
    scores = _scores(p)
    right = np.asarray(correct, dtype=bool)
    if right.shape != scores.shape:
        raise ValueError(f"{scores.shape} scores for {right.shape} outcomes")
    if scores.size < MIN_POINTS or right.all() or not right.any():
        return None
    if scores.size < MIN_ISOTONIC:
        return _platt(scores, right)
    return _isotonic(scores, right)


def apply_calibration(calibration: Calibration, p: Floats) -> NDArray[np.float64]:
    """Calibrated probabilities of being right.

    Args:
        calibration: from `fit_calibration`.
        p: (n,) scores in [0, 1].

    Returns:
        (n,) probabilities strictly between 0 and 1, non-decreasing in the score.

    Raises:
        ValueError: if a score is outside [0, 1].
    """
    scores = _scores(p)
    if calibration.kind == "isotonic":
        return np.asarray(np.interp(scores, calibration.scores, calibration.values))
    slope, intercept = calibration.values
    return _sigmoid(slope * _logit(scores) + intercept)


def calibration_error(p: Floats, correct: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean |confidence - accuracy| over equal-mass bins.

    Equal-mass bins instead of the equal widths of Guo et al. (2017), for confidences crowd at 1 and
    most equal-width bins would hold almost no item. It is biased upwards on few items.

    Args:
        p: (n,) probabilities in [0, 1], n >= 1.
        correct: (n,) outcomes.
        bins: number of bins, at most one an item is used.

    Returns:
        A figure in [0, 1].

    Raises:
        ValueError: if there are no items or shapes differ.
    """
    scores = _scores(p)
    right = np.asarray(correct, dtype=np.float64)
    if scores.size == 0 or right.shape != scores.shape:
        raise ValueError(f"{scores.shape} scores for {right.shape} outcomes")
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(bins, scores.size))
    gaps = [abs(float(scores[part].mean() - right[part].mean())) * part.size for part in parts]
    return sum(gaps) / scores.size


def _platt(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    positives = int(right.sum())
    negatives = right.size - positives
    target = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = _logit(scores)

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = theta[0] * x + theta[1]
        residual = _sigmoid(z) - target
        value = float(np.mean(np.logaddexp(0, z) - target * z))
        return value, np.array([np.mean(residual * x), np.mean(residual)])

    start = np.array([1.0, 0.0])
    # A negative slope would rank worse labels higher: less confidence than a constant is an
    # accident of the audit, so the worst allowed is the base rate for everyone.
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return Calibration("platt", right.size, (), (float(found.x[0]), float(found.x[1])))


def _isotonic(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    knots, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(where, weights=right.astype(np.float64)) / counts
    fitted = isotonic_regression(means, weights=counts.astype(np.float64)).x
    # Laplace bounds: a block without an error among n audited items does not prove certainty.
    edge = 1 / (right.size + 2)
    values = np.clip(fitted, edge, 1 - edge)
    return Calibration("isotonic", right.size, tuple(knots.tolist()), tuple(values.tolist()))


def _scores(p: Floats) -> NDArray[np.float64]:
    scores = np.asarray(p, dtype=np.float64)
    if scores.ndim != 1 or not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("scores must be one-dimensional and within [0, 1]")
    return scores


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(p, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    # Clipped, so that exp can not overflow and the result stays strictly inside (0, 1).
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -30, 30))))
