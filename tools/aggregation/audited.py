"""Annotators whose accuracies were audited: what each is worth, and what they share.

Counting votes is not enough: LLM annotators make the same mistakes (Kim et al. 2025), so a vote
counts for the audited reliability of its annotator and for how little it repeats the mistakes of
the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .votes import Floats, Ints, check_votes, tally

_ABOVE_CHANCE = 0.01


def reliability(
    votes: Ints,
    truth: Ints,
    n_labels: int,
    prior_accuracy: float = 0.8,
    prior_strength: float = 10.0,
) -> NDArray[np.float64]:
    """Audited accuracy of each annotator, shrunk to a Beta prior.

    Posterior mean (correct + s * a) / (audited + s) of a Beta(s * a, s * (1 - a)) prior: an
    annotator that was hardly audited keeps the prior accuracy.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        truth: (n,) audited label, -1 where the item was not audited.
        n_labels: number K of labels.
        prior_accuracy: a, in (0, 1): what is believed of an annotator nobody audited.
        prior_strength: s > 0, in audited items.

    Returns:
        (m,) accuracies, at least 1/K + 0.01: an annotator worse than chance is ignored, its votes
        are not turned round (with few audits that would be noise).

    Raises:
        ValueError: if shapes or priors are out of range.
    """
    check_votes(votes, n_labels)
    if truth.shape != (votes.shape[0],):
        raise ValueError(f"truth has shape {truth.shape}, expected ({votes.shape[0]},)")
    if not 0 < prior_accuracy < 1 or prior_strength <= 0:
        raise ValueError("prior_accuracy must be in (0, 1) and prior_strength above 0")
    audited = (votes >= 0) & (truth >= 0)[:, None]
    correct = (audited & (votes == truth[:, None])).sum(axis=0)
    mean = (correct + prior_strength * prior_accuracy) / (audited.sum(axis=0) + prior_strength)
    return np.asarray(np.maximum(mean, 1 / n_labels + _ABOVE_CHANCE), dtype=np.float64)


def one_coin(
    votes: Ints,
    reliability: Floats,
    n_labels: int,
    prior: Floats | None = None,
    prior_weight: float = 1.0,
    weights: Floats | None = None,
) -> NDArray[np.float64]:
    """Posterior over labels when annotator j is right with probability r_j, else uniformly wrong.

    One-coin model of Dawid & Skene (1979) with known reliabilities: log p(k | votes) =
    prior_weight * log prior_k + sum_j w_j * log(r_j if vote_j = k else (1 - r_j) / (K - 1)).

    Args:
        votes: (n, m) label indices, -1 for no vote.
        reliability: (m,) accuracies, from `reliability`.
        n_labels: number K >= 2 of labels.
        prior: (n, K) probabilities, such as those of the student; None is uniform.
        prior_weight: exponent of the prior; below 1 where its probabilities are over-confident.
        weights: (m,) from `effective_weights`; None counts every annotator fully.

    Returns:
        (n, K) probabilities, rows sum to 1. An item without votes has its prior.

    Raises:
        ValueError: if shapes do not match or a vote is not a label index.
    """
    if n_labels < 2 or reliability.shape != (votes.shape[1],):
        raise ValueError("one_coin needs two or more labels and one reliability an annotator")
    strength = vote_strength(reliability, n_labels)
    score = tally(votes, n_labels, strength if weights is None else strength * weights)
    if prior is not None:
        if prior.shape != score.shape:
            raise ValueError(f"prior has shape {prior.shape}, expected {score.shape}")
        score += prior_weight * np.log(np.maximum(prior, 1e-12))
    score -= score.max(axis=1, keepdims=True)
    likelihood = np.exp(score)
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True), dtype=np.float64)


def vote_strength(reliability: Floats, n_labels: int) -> NDArray[np.float64]:
    """Log-odds of the label that an annotator votes for against any other label, one-coin model.

    Args:
        reliability: (m,) accuracies.
        n_labels: number K >= 2 of labels.

    Returns:
        (m,) log(r (K - 1) / (1 - r)).
    """
    right = np.clip(np.asarray(reliability, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(right) - np.log((1 - right) / (n_labels - 1)), np.float64)


def redundancy(
    votes: Ints, truth: Ints, n_labels: int, prior_strength: float = 4.0
) -> NDArray[np.float64]:
    """How far each pair of annotators makes the same mistakes, beyond chance; 1 is a copy.

    Share of the audited items that both annotators voted on and at least one got wrong on which
    both gave the same wrong label (J), corrected for what independent annotators of the same error
    rates would show: (J - J0) / (1 - J0), J0 = e_i e_j / (K - 1) / (e_i + e_j - e_i e_j). Kim et
    al. (2025) condition on both being wrong instead; with two labels that is always 1, and with a
    natural pair of confused labels it calls independent annotators copies.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        truth: (n,) audited label, -1 where the item was not audited.
        n_labels: number K >= 2 of labels.
        prior_strength: items at chance level added to each pair, so that few mistakes prove little.

    Returns:
        (m, m) symmetric, in [0, 1], zero diagonal. Without audits it is zero.

    Raises:
        ValueError: if shapes do not match or a vote is not a label index.
    """
    check_votes(votes, n_labels)
    if n_labels < 2 or truth.shape != (votes.shape[0],):
        raise ValueError("redundancy needs two or more labels and one truth an item")
    m = votes.shape[1]
    audited = (votes >= 0) & (truth >= 0)[:, None]
    wrong = audited & (votes != truth[:, None])
    result = np.zeros((m, m))
    for i in range(m):
        for j in range(i + 1, m):
            both = audited[:, i] & audited[:, j]
            either = int((both & (wrong[:, i] | wrong[:, j])).sum())
            if either == 0:
                continue
            same = int((both & wrong[:, i] & (votes[:, i] == votes[:, j])).sum())
            e_i, e_j = wrong[both, i].mean(), wrong[both, j].mean()
            chance = e_i * e_j / (n_labels - 1) / (e_i + e_j - e_i * e_j)
            share = (same + prior_strength * chance) / (either + prior_strength)
            # chance is 1 only if both are wrong on everything with K = 2: nothing to correct.
            excess = (share - chance) / (1 - chance) if chance < 1 else 1.0
            result[i, j] = result[j, i] = max(excess, 0.0)
    return result


def effective_weights(redundancy: Floats) -> NDArray[np.float64]:
    """Weight of each annotator, 1 / (1 + sum of its redundancies with the others).

    The weight of one of m equicorrelated votes in Kish's effective sample size m / (1 + (m - 1) r):
    two copies weigh one half each, an independent annotator weighs 1.

    Args:
        redundancy: (m, m) symmetric with a zero diagonal, from `redundancy`.

    Returns:
        (m,) weights in (0, 1].
    """
    return np.asarray(1 / (1 + redundancy.sum(axis=1)), dtype=np.float64)
