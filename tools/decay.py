"""How gains fall as labels are added: the share of a window's gain that the next batch can bring.

Learning curves follow inverse power laws, accuracy = a - b n^-c (Cortes et al. 1994; Figueroa et
al. 2012), so what the last window brought overstates what the next one will. The exponent is fitted
to the run's own churn and held near a usual value, for a few noisy rounds say little about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

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
LEARNABLE = 0.5
"""Part of the student's expected error that further labels can take away; the rest is noise."""


class Ahead(NamedTuple):
    """The next batch on the learning curve of a run.

    Attributes:
        exponent: c of the curve.
        share: part of the window's gain that the next batch can bring.
        effort: labels (or nanodollars) at the start of the window, now, and after the next batch;
            None where the window starts at nothing or brought nothing.
        by_money: whether effort is money.
    """

    exponent: float
    share: float
    effort: tuple[float, float, float] | None
    by_money: bool


def look_ahead(
    history: Sequence[Ints],
    money: Sequence[int],
    labels: Sequence[int] | None,
    window: int,
    planned: int,
) -> Ahead:
    """Where the next batch lies on the curve, by labels; by money where rounds bring none.

    Args:
        history: predictions of each round on the stop set, two rounds or more.
        money: cumulative nanodollars of each round.
        labels: labels by each round, or None.
        window: rounds to look back.
        planned: nanodollars of the next batch.
    """
    by_money = labels is None or labels[-1] <= labels[-2] or labels[-1 - window] <= 0
    effort: Sequence[int] = money if by_money or labels is None else labels
    start, now = effort[-1 - window], effort[-1]
    if start <= 0 or now <= start:
        return Ahead(EXPONENT, 1.0 / window, None, by_money)
    then = now + (planned if by_money else effort[-1] - effort[-2])
    exponent = fit_exponent(history, effort)
    share = share_of_next(start, now, then, exponent)
    return Ahead(exponent, share, (start, now, then), by_money)


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


def learnable(error: float, before: float, now: float, exponent: float) -> float:
    """Gain from `before` to `now` labels if half of the error that is left falls as n^-c.

    Args:
        error: expected error of the student now.
        before: labels at the start of the window, positive.
        now: labels by now, no fewer.
        exponent: c.

    Returns:
        error / 2 x ((now / before)^c - 1), in accuracy.
    """
    return float(LEARNABLE * error * ((now / before) ** exponent - 1))
