"""How far the labelled neighbours of a text agree with a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .consistency import neighbour_disagreement
from .pool import Pool

Nearby: TypeAlias = Callable[[Sequence[str], NDArray[np.int64]], NDArray[np.float64]]
"""From n ids and a label of each to the share of neighbours with that label, NaN where unknown."""


def neighbour_agreement(
    pool: Pool, labelled: Sequence[str], labels: NDArray[np.int64], k: int
) -> Nearby | None:
    """Hold labels to those of the k nearest labelled texts, by similarity; no text to itself.

    Args:
        pool: Where the texts are.
        labelled: Ids of the labelled texts; written ones are no evidence.
        labels: Their class numbers.
        k: Neighbours looked at.

    Returns:
        ``None`` where there are no more than k.
    """
    rows = np.asarray([pool.index(item) for item in labelled], np.int64)
    real = ~pool.origins()[rows] if len(rows) else np.zeros(0, bool)
    if real.sum() <= k:
        return None
    base, given = rows[real], labels[real]

    def agreement(ids: Sequence[str], label: NDArray[np.int64]) -> NDArray[np.float64]:
        known = np.asarray([item in pool for item in ids], bool)
        asked = np.asarray([pool.index(item) for item in ids if item in pool], np.int64)
        every = np.union1d(base, asked)
        neighbour = np.isin(every, base)
        of = np.zeros(len(every), np.int64)
        of[np.searchsorted(every, base)] = given
        found = np.full(len(ids), np.nan)
        found[known] = 1 - neighbour_disagreement(
            pool.vectors()[every],
            of,
            k=k,
            exclude=~neighbour,
            rows=np.searchsorted(every, asked),
            against=label[known],
        )
        return found

    return agreement
