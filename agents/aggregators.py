"""Other ways of adding votes up than the panel's own, chosen by configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import (
    confusion_posterior,
    crowd_posterior,
    crowdlab,
    fit_confusions,
    tally,
)

Aggregation = Literal["auto", "weighted", "one_coin", "majority", "dawid_skene", "mace", "crowdlab"]
FROM_ALL_VOTES: frozenset[Aggregation] = frozenset(("dawid_skene", "mace", "crowdlab"))
"""Methods that learn from every vote there is, audited or not."""

Aggregator = Callable[[NDArray[np.int64], NDArray[np.float64] | None], NDArray[np.float64]]
"""From votes (n, m) and the student's probabilities (n, K) to those of the labels (n, K)."""


def build_aggregator(
    method: Aggregation,
    votes: NDArray[np.int64],
    student: NDArray[np.float64] | None,
    classes: int,
) -> Aggregator | None:
    """Learn a method from the votes that there are.

    Args:
        method: As configured.
        votes: Every vote, shape (n, m).
        student: Out-of-sample probabilities on the same items, shape (n, K).
        classes: K.

    Returns:
        ``None`` for the methods that the panel has built in.

    Raises:
        ConfigError: The method needs a library that is not installed.
    """
    if method == "majority":
        return lambda cast, _: _shares(cast, classes)
    if method == "dawid_skene" or method == "mace":
        confusions = fit_confusions(votes, classes, method)
        return lambda cast, _: confusion_posterior(cast, confusions)
    if method == "crowdlab":
        crowd = crowdlab(votes, _or_uniform(student, len(votes), classes))
        return lambda cast, view: crowd_posterior(
            cast, _or_uniform(view, len(cast), classes), crowd
        )
    return None


def _shares(votes: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    counts = tally(votes, classes, None)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), 1 / classes)


def _or_uniform(student: NDArray[np.float64] | None, n: int, classes: int) -> NDArray[np.float64]:
    return np.full((n, classes), 1 / classes) if student is None else student
