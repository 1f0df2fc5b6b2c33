"""Greedy k-centre (core-set) selection."""

import numpy as np
from threadpoolctl import threadpool_limits

from .arrays import BLOCK, Indices, Mask, Vectors, nearest


def k_center(vectors: Vectors, labelled_mask: Mask, candidates: Indices, n: int) -> Indices:
    """Greedy k-centre: each pick is the candidate farthest from all labelled and picked items.

    Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
    ICLR 2018 (algorithm 1, L2). With nothing labelled the first pick is the one nearest the mean.

    Args:
        vectors: (N, d) embeddings of every row of the pool.
        labelled_mask: (N,) true where an item has its label; must not be true at a candidate.
        candidates: positions that may be picked.
        n: size of the batch.
    """
    rows = np.unique(np.asarray(candidates, np.intp))
    n = min(n, len(rows))
    if n < 1:
        return rows[:0]
    if 4 * len(rows) <= len(vectors):
        points, open_rows = vectors[rows], np.arange(len(rows))
    else:  # a copy would cost more memory than passing over some rows too many costs time
        points, open_rows = vectors, rows
    squares = np.einsum("ij,ij->i", points, points)
    gap = np.full(len(points), -np.inf, np.float32)
    if labelled_mask.any():
        with threadpool_limits(1):  # many small products; the long ones below gain from threads
            gap[open_rows] = nearest(vectors, rows, vectors[labelled_mask])[1]
        pick = int(gap.argmax())
    else:
        gap[open_rows] = np.inf
        mean = _mean(vectors, rows)
        distance = squares[open_rows] - 2 * (points @ mean)[open_rows]
        pick = int(open_rows[distance.argmin()])
    picks = np.empty(n, np.intp)
    for i in range(n):
        picks[i] = pick
        distance = points @ points[pick]
        distance *= -2
        distance += squares
        distance += squares[pick]
        np.minimum(gap, distance, out=gap)
        gap[pick] = -np.inf
        pick = int(gap.argmax())
    return picks if points is vectors else rows[picks]


def _mean(vectors: Vectors, rows: Indices) -> Vectors:
    total = np.zeros(vectors.shape[1])
    for start in range(0, len(rows), BLOCK):
        total += vectors[rows[start : start + BLOCK]].sum(axis=0)
    return (total / len(rows)).astype(np.float32)
