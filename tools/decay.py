"""How gains fall as labels are added: the share of a window's gain that the next batch can bring.

Learning curves follow inverse power laws, accuracy = a - b n^-c (Cortes et al. 1994; Figueroa et
al. 2012), so what the last window brought overstates what the next one will. The exponent is fitted
to the run's own churn and held near a usual value, for a few noisy rounds say little about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.integer[Any]]

EXPONENT = 0.5
"""Usual c; between the 0.2 to 1 of text classifiers on fixed features."""
STRENGTH = 1.0
"""Weight of the usual c, in squared log units: of as many rounds as spread log n by that much."""
LEAST, MOST = 0.1, 2.0
ENOUGH = 4
"""Churns of single rounds from which an exponent is fitted."""


def fit_exponent(history: Sequence[Ints], effort: Sequence[float]) -> float:
    """Exponent c of the learning curve, from the churn of each round.

    Churn per unit of effort falls like the slope of the curve, n^-(c + 1). Least squares of its
    logarithm on log n, the slope shrunk to the usual one (a ridge around it).

    Args:
        history: predictions of each round on the stop set, (n,) label indices.
        effort: labels (or money) by then, as many, positive.

    Returns:
        c within 0.1 and 2; the usual 0.5 while there are fewer than four churns.
    """
    points = [
        (b, max(float((old != new).mean()), 0.5 / len(new)) / (b - a))
        for old, new, a, b in zip(history, history[1:], effort, effort[1:], strict=False)
        if b > a > 0
    ]
    if len(points) < ENOUGH:
        return EXPONENT
    x, y = np.log(np.asarray(points, np.float64)).T
    centred = x - x.mean()
    usual = -(EXPONENT + 1)
    slope = float(centred @ y + STRENGTH * usual) / float(centred @ centred + STRENGTH)
    return float(np.clip(-slope - 1, LEAST, MOST))


def share_of_next(before: float, now: float, then: float, exponent: float) -> float:
    """Gain from `now` to `then` as a share of the gain from `before` to `now`, on one curve.

    Args:
        before: labels at the start of the window, positive.
        now: labels by now, more.
        then: labels after the next batch, no fewer.
        exponent: c.

    Returns:
        (now^-c - then^-c) / (before^-c - now^-c).
    """
    past = before**-exponent - now**-exponent
    return float((now**-exponent - then**-exponent) / past)
