"""CROWDLAB: consensus of votes and student without any audit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .votes import Floats, Ints, tally

_SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Crowd:
    """Result of `crowdlab`.

    Attributes:
        posterior: (n, K) probabilities, rows sum to 1.
        consensus: (n,) label of each item.
        annotator_weight: (m,) trust in each annotator.
        model_weight: trust in the student's probabilities.
        agreement: mean agreement of the votes on an item with its consensus.
    """

    posterior: NDArray[np.float64]
    consensus: NDArray[np.int64]
    annotator_weight: NDArray[np.float64]
    model_weight: float
    agreement: float


def crowdlab(votes: Ints, proba: Floats) -> Crowd:
    """Consensus of votes and student without any audit (Goh, Tkachenko & Mueller 2022, CROWDLAB).

    Weights come from the agreement of annotators with each other and of the student with the
    consensus, both against always predicting the most common label. The consensus starts as the
    majority (ties go to the student) and is refined once, as in the reference implementation.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        proba: (n, K) *out-of-sample* probabilities of the student, K >= 2.

    Returns:
        The posterior and weights. Where no item has two votes nothing can be compared: all weights
        are 1 and the posterior is the student's. An item without votes has the student's too.

    Raises:
        ValueError: if shapes do not match or a vote is not a label index.
    """
    n, n_labels = proba.shape
    if votes.shape[0] != n or n_labels < 2:
        raise ValueError(f"votes of {votes.shape[0]} items, probabilities of shape {proba.shape}")
    counts = tally(votes, n_labels, None)
    model = np.asarray(proba, dtype=np.float64)
    leading = counts == counts.max(axis=1, keepdims=True)
    consensus = np.where(leading, model, -1.0).argmax(axis=1)
    if not (counts.sum(axis=1) > 1).any():
        return Crowd(model, consensus, np.ones(votes.shape[1]), 1.0, 1.0)
    first = _weigh(votes, counts, model, consensus)
    return _weigh(votes, counts, model, first.posterior.argmax(axis=1))


def _weigh(
    votes: Ints, counts: Floats, model: NDArray[np.float64], consensus: NDArray[np.int64]
) -> Crowd:
    """One pass of CROWDLAB for a given consensus (paper, sections 3 and 4)."""
    n, n_labels = model.shape
    n_votes = counts.sum(axis=1)
    several, voted = n_votes > 1, n_votes > 0
    agreement = float((counts[np.arange(n), consensus] / np.maximum(n_votes, 1))[several].mean())
    baseline = 1 - np.bincount(consensus[several], minlength=n_labels).max() / several.sum()
    baseline = max(float(baseline), _SMALLEST_WEIGHT)

    with_others = np.full(votes.shape[1], np.nan)
    for j in range(votes.shape[1]):
        own = np.flatnonzero((votes[:, j] >= 0) & several)
        if own.size:
            others = counts[own, votes[own, j]] - 1
            with_others[j] = others.sum() / (n_votes[own] - 1).sum()
    with_others = np.where(np.isnan(with_others), np.nanmean(with_others), with_others)
    weight = np.maximum(1 - (1 - with_others) / baseline, _SMALLEST_WEIGHT)

    model_error = float((model.argmax(axis=1) != consensus)[several].mean())
    model_weight = max(1 - model_error / baseline, _SMALLEST_WEIGHT)
    model_weight *= float(np.sqrt(n_votes[voted].mean()))

    crowd = Crowd(model, consensus, weight, model_weight, agreement)
    return replace(crowd, posterior=crowd_posterior(votes, model, crowd))


def crowd_posterior(votes: Ints, proba: Floats, crowd: Crowd) -> NDArray[np.float64]:
    """Probabilities of the labels of any items by weights that are already known.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        proba: (n, K) out-of-sample probabilities of the student.
        crowd: from `crowdlab`; weights and agreement are used.

    Returns:
        (n, K) probabilities, rows sum to 1.
    """
    n_labels = proba.shape[1]
    weight, model_weight, agreement = crowd.annotator_weight, crowd.model_weight, crowd.agreement
    elsewhere = (1 - agreement) / (n_labels - 1)
    total = (votes >= 0) @ weight
    mass = tally(votes, n_labels, weight) * (agreement - elsewhere) + elsewhere * total[:, None]
    return np.asarray((mass + model_weight * proba) / (total + model_weight)[:, None], np.float64)
