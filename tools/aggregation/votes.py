"""Votes as arrays, and the plainest way to count them.

Votes are an integer array of shape (n items, m annotators); -1 means that the annotator did not
vote on the item.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]

NO_VOTE = -1


def majority(
    votes: Ints, n_labels: int, weights: Floats | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label with the greatest share of the votes of each item.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        n_labels: number K of labels.
        weights: (m,) weight of each annotator; None counts each as one.

    Returns:
        (n,) labels and (n,) shares of the leading label in [0, 1]. A tie and an item without votes
        have label -1: no unique mode is no consensus, and must be asked again rather than guessed.

    Raises:
        ValueError: if a vote is not a label index, or shapes do not match.
    """
    counts = tally(votes, n_labels, weights)
    top = counts.max(axis=1)
    total = counts.sum(axis=1)
    unique = (counts >= top[:, None] * (1 - 1e-9)).sum(axis=1) == 1
    labels = np.where(unique & (total > 0), counts.argmax(axis=1), NO_VOTE)
    return labels.astype(np.int64), np.divide(top, total, out=np.zeros_like(top), where=total > 0)


def tally(votes: Ints, n_labels: int, weights: Floats | None) -> NDArray[np.float64]:
    """Shape (n, K): sum of the weights of the votes for each label."""
    check_votes(votes, n_labels)
    if weights is not None and weights.shape != (votes.shape[1],):
        raise ValueError(f"weights have shape {weights.shape}, expected ({votes.shape[1]},)")
    counts = np.zeros((votes.shape[0], n_labels))
    for j in range(votes.shape[1]):
        cast = np.flatnonzero(votes[:, j] >= 0)
        counts[cast, votes[cast, j]] += 1.0 if weights is None else weights[j]
    return counts


def check_votes(votes: Ints, n_labels: int) -> None:
    """Raise ValueError unless votes are (n, m) label indices or -1."""
    if votes.ndim != 2 or votes.shape[1] == 0:
        raise ValueError(f"votes must be items x annotators, got shape {votes.shape}")
    if votes.size and (votes.min() < NO_VOTE or votes.max() >= n_labels):
        raise ValueError(f"votes must be -1 or 0..{n_labels - 1}, got {votes.min()}..{votes.max()}")
