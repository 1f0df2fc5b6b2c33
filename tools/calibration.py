"""From a score of being right to a probability of being right, fitted on audited items.

Raw confidence of an LLM, a vote share or a student's probability must never be compared with a
threshold before it was calibrated. With too few audited items there is no calibration, and callers
say "uncalibrated" instead of inventing a figure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

Floats: TypeAlias = NDArray[np.floating[Any]]

MIN_POINTS = 50
MIN_ISOTONIC = 500
OF_LOGIT = 0.35
"""Standard deviation of the shift around none."""
OF_SLOPE = 0.25
"""Of the slope around 1."""
OF_GROUP = 0.35
"""Of a group's own shift."""
OF_FEATURE = 0.1
"""Of the weight of a standardised feature around none."""
OF_BLANK = (-1.0, 1.0)
"""Mean and standard deviation of what is added where nobody who answered gave a valid vote."""
_EDGE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A map from score, features and group to the probability of being right.

    Attributes:
        n: Audited items it was fitted on.
        centre: Score, as a logit, around which the slope turns.
        shift: Added to the logit.
        slope: Of the logit around ``centre``; 1 is the identity.
        features: (mean, standard deviation, weight) of each feature.
        groups: Added to the logit of each group.
        blank: Added for the share of answers that were no valid vote.
        blanks: Items with such answers among those it was fitted on.
        knots: Isotonic step after that, ascending; empty with fewer than `MIN_ISOTONIC` items.
        values: Probability at each knot.
    """

    n: int
    centre: float
    shift: float
    slope: float
    features: tuple[tuple[float, float, float], ...] = ()
    groups: tuple[float, ...] = ()
    blank: float = 0.0
    blanks: int = 0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


def fit_calibration(
    p: Floats,
    correct: NDArray[np.bool_],
    features: Floats | None = None,
    groups: NDArray[np.int64] | None = None,
    n_groups: int = 0,
    blank: Floats | None = None,
) -> Calibration | None:
    """Fit a calibration on audited items that the score has not seen.

    Platt scaling on logit(p) (Platt, 1999) as a maximum a posteriori fit whose prior is the
    identity: no feature counts, and no group differs, further than the audit shows. From 500 items
    isotonic regression (Zadrozny & Elkan, 2002) of the result, which needs more data than it takes
    to fit a few parameters (Niculescu-Mizil & Caruana, 2005).

    Args:
        p: (n,) scores in [0, 1].
        correct: (n,) whether the label of the item was right.
        features: (n, F) whatever else may tell right from wrong; NaN where it is unknown.
        groups: (n,) group of each item, such as its label.
        n_groups: how many groups there are.
        blank: (n,) share of the answers that were no valid vote, in [0, 1].

    Returns:
        The calibration, or None with fewer than 50 items.

    Raises:
        ValueError: if shapes differ or a score is outside [0, 1].
    """
    scores = _scores(p)
    right = np.asarray(correct, dtype=bool)
    if right.shape != scores.shape:
        raise ValueError(f"{scores.shape} scores for {right.shape} outcomes")
    n = scores.size
    if n < MIN_POINTS:
        return None
    x = _logit(scores)
    centre = float(x.mean())
    described = np.empty((n, 0)) if features is None else np.asarray(features, np.float64)
    standard = tuple(_moments(column) for column in described.T)
    member = np.zeros(n, np.int64) if groups is None else groups
    none = np.zeros(n) if blank is None else np.asarray(blank, np.float64)
    columns = np.column_stack([np.ones(n), x - centre, none, _standardised(described, standard)])
    scale = np.r_[OF_LOGIT, OF_SLOPE, OF_BLANK[1], np.full(len(standard), OF_FEATURE)]
    found = _fit(x + OF_BLANK[0] * none, columns, scale, member, n_groups, right)
    weights, own = found[: scale.size], found[scale.size :]
    calibration = Calibration(
        n=n,
        centre=centre,
        shift=float(weights[0]),
        # A negative slope would rank worse labels higher: an accident of the audit.
        slope=max(0.0, 1 + float(weights[1])),
        features=tuple(
            (mean, deviation, float(weight))
            for (mean, deviation), weight in zip(standard, weights[3:], strict=True)
        ),
        groups=tuple(own.tolist()),
        blank=OF_BLANK[0] + float(weights[2]),
        blanks=int((none > 0).sum()),
    )
    if n < MIN_ISOTONIC or right.all() or not right.any():
        return calibration
    knots, values = _isotonic(apply_calibration(calibration, p, features, groups, blank), right)
    return replace(calibration, knots=knots, values=values)


def apply_calibration(
    calibration: Calibration,
    p: Floats,
    features: Floats | None = None,
    groups: NDArray[np.int64] | None = None,
    blank: Floats | None = None,
) -> NDArray[np.float64]:
    """Calibrated probabilities of being right.

    Args:
        calibration: from `fit_calibration`.
        p: (n,) scores in [0, 1].
        features: as it was fitted, or None where none is known.
        groups: as it was fitted.
        blank: as it was fitted; ``None`` is none.

    Returns:
        (n,) probabilities strictly between 0 and 1, non-decreasing in the score.

    Raises:
        ValueError: if a score is outside [0, 1].
    """
    x = _logit(_scores(p))
    z = calibration.centre + calibration.shift + calibration.slope * (x - calibration.centre)
    if features is not None:
        standard = tuple((mean, deviation) for mean, deviation, _ in calibration.features)
        weights = np.asarray([weight for _, _, weight in calibration.features])
        z = z + _standardised(np.asarray(features, np.float64), standard) @ weights
    if blank is not None:
        z = z + calibration.blank * np.asarray(blank, np.float64)
    if groups is not None and calibration.groups:
        z = z + np.asarray(calibration.groups)[groups]
    found = _sigmoid(z)
    if calibration.knots:
        return np.asarray(np.interp(found, calibration.knots, calibration.values))
    return found


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


def _fit(
    x: NDArray[np.float64],
    columns: NDArray[np.float64],
    scale: NDArray[np.float64],
    groups: NDArray[np.int64],
    n_groups: int,
    right: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Weights of the columns and shifts of the groups, around the offset ``x``."""
    full = np.r_[scale, np.full(n_groups, OF_GROUP)]
    ends = scale.size

    def loss(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta = full * z
        logit = x + columns @ theta[:ends]
        if n_groups:
            logit = logit + theta[ends:][groups]
        residual = _sigmoid(logit) - right
        value = float((np.logaddexp(0, logit) - right * logit).sum() + 0.5 * (z @ z))
        own = np.bincount(groups, weights=residual, minlength=n_groups)[:n_groups]
        return value, z + full * np.r_[columns.T @ residual, own]

    found = minimize(loss, np.zeros(full.size), jac=True, method="L-BFGS-B")
    return np.asarray(full * found.x, np.float64)


def _moments(column: NDArray[np.float64]) -> tuple[float, float]:
    known = column[~np.isnan(column)]
    if not known.size:
        return 0.0, 1.0
    spread = float(known.std())
    return float(known.mean()), spread if spread > _EDGE else 1.0


def _standardised(
    features: NDArray[np.float64], standard: tuple[tuple[float, float], ...]
) -> NDArray[np.float64]:
    """Features around their means in units of their spread, 0 where unknown."""
    if not standard:
        return np.empty((len(features), 0))
    mean, deviation = np.asarray(standard).T
    return np.asarray(np.nan_to_num((features - mean) / deviation), np.float64)


def _isotonic(
    scores: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    knots, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(where, weights=right.astype(np.float64)) / counts
    fitted = isotonic_regression(means, weights=counts.astype(np.float64)).x
    # Laplace bounds: a block without an error among n audited items does not prove certainty.
    edge = 1 / (right.size + 2)
    values = np.clip(fitted, edge, 1 - edge)
    return tuple(knots.tolist()), tuple(values.tolist())


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
