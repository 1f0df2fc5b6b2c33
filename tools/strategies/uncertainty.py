"""Uncertainty sampling: scores of the student's probabilities."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .arrays import BLOCK, Indices

Kind = Literal["margin", "entropy", "least_confidence"]


def uncertainty(proba: NDArray[np.floating[Any]], kind: Kind = "margin") -> NDArray[np.float32]:
    """Score how unsure the student is; higher is more uncertain, always within [0, 1].

    Args:
        proba: (n, K) probabilities, each row summing to 1.
        kind: `margin` is 1 - (p1 - p2), `entropy` is divided by log K, `least_confidence` is
            1 - p1.

    Returns:
        (n,) scores. All zero when there is only one label.
    """
    n, k = proba.shape
    scores = np.zeros(n, np.float32)
    if k < 2:
        return scores
    for start in range(0, n, BLOCK):
        # One contiguous row per label turns the top two into running maxima, which is several times
        # faster than a partial sort of every item.
        by_label = np.ascontiguousarray(proba[start : start + BLOCK].T, dtype=np.float32)
        out = scores[start : start + BLOCK]
        if kind == "entropy":
            logs = np.log(np.maximum(by_label, np.finfo(np.float32).tiny))
            out[:] = np.einsum("ki,ki->i", by_label, logs) / -np.log(k)
        elif kind == "least_confidence":
            out[:] = 1 - by_label.max(axis=0)
        else:
            first, second = (
                np.maximum(by_label[0], by_label[1]),
                np.minimum(by_label[0], by_label[1]),
            )
            for column in by_label[2:]:
                np.maximum(second, np.minimum(first, column), out=second)
                np.maximum(first, column, out=first)
            out[:] = 1 - (first - second)
    return np.clip(scores, 0, 1, out=scores)


def most_uncertain(
    proba: NDArray[np.floating[Any]], candidates: Indices, n: int, kind: Kind = "margin"
) -> Indices:
    """Take the n candidates with the highest `uncertainty`.

    Args:
        proba: (N, K) probabilities of every row of the pool.
        candidates: positions that may be picked.
        n: size of the batch.
        kind: see `uncertainty`.
    """
    rows = np.unique(np.asarray(candidates, np.intp))
    order = np.argsort(-uncertainty(proba, kind)[rows], kind="stable")
    return rows[order[: max(n, 0)]]
