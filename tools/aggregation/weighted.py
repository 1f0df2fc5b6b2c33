"""Votes weighed by what an audit sample shows of them, with no assumption of independence.

A conditional logit over the labels (McFadden, 1974) whose evidence is who voted for which label,
what the student says and how common a label is. Fitted jointly, two annotators that make the same
mistakes share one weight, and one that adds nothing to the others gets none. The weights are a
maximum a posteriori fit, with a Gaussian prior at an aggregation that needs no audit: few audits
move little, none move nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ..threads import one_thread
from .votes import Ints, tally

OF_ANNOTATOR = 0.4
"""Standard deviation of an annotator's weight around the shared one, in log-odds."""
OF_LABEL = 0.5
"""Of how much likelier a label is than its evidence says: annotators that over-use one."""
OF_TRUST = 1.0
"""Of how much more votes for a label count than votes for others."""
_MOST_STEPS = 30
_CLOSE = 1e-4
"""Decrease of the loss (in nats, over all items) below which no further step is taken."""


@dataclass(frozen=True)
class Evidence:
    """What is seen of n items.

    Attributes:
        votes: (n, m) label indices, -1 for no vote.
        share: (n, K) share of the votes for each label, 0 without votes.
        scores: Log scores of the labels, each (n, K), which annotators have in common.
    """

    votes: Ints
    share: NDArray[np.float64]
    scores: tuple[NDArray[np.float64], ...]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Evidence:
        """The same of some of the items."""
        scores = tuple(score[rows] for score in self.scores)
        return Evidence(self.votes[rows], self.share[rows], scores)


@dataclass(frozen=True)
class Weights:
    """What the evidence counts for.

    Attributes:
        scores: (F,) factor of each shared score.
        annotator: (m,) log-odds added to the label that an annotator votes for.
        label: (K,) log-odds added to each label.
        trust: (K,) log-odds added to each label for all of the votes.
    """

    scores: NDArray[np.float64]
    annotator: NDArray[np.float64]
    label: NDArray[np.float64]
    trust: NDArray[np.float64]


def evidence(votes: Ints, n_labels: int, scores: tuple[NDArray[np.float64], ...]) -> Evidence:
    """Put votes and shared scores together.

    Raises:
        ValueError: if shapes do not match or a vote is not a label index.
    """
    counts = tally(votes, n_labels, None)
    if any(score.shape != counts.shape for score in scores):
        raise ValueError(f"scores must have shape {counts.shape}")
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Evidence(votes, counts / total, scores)


def weighted_posterior(seen: Evidence, weights: Weights) -> NDArray[np.float64]:
    """Probabilities of the labels, shape (n, K), rows sum to 1."""
    return _softmax(_score(seen, weights))


@one_thread()
def fit_weights(
    seen: Evidence,
    truth: Ints,
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    start: Weights | None = None,
) -> Weights:
    """Weights that make audited labels most probable, under their prior.

    Args:
        seen: Of the audited items.
        truth: (n,) audited labels.
        mean: (F,) what the factors of the shared scores are before any audit.
        sd: (F,) how far an audit may move them.
        start: Where the search begins: weights of nearly the same items save most of it.

    Returns:
        The weights; the prior's where there are no items.
    """
    m, n_labels, n_scores = seen.votes.shape[1], seen.share.shape[1], len(seen.scores)
    scale = np.concatenate(
        [sd, np.full(m, OF_ANNOTATOR), np.full(n_labels, OF_LABEL), np.full(n_labels, OF_TRUST)]
    )
    centre = np.concatenate([mean, np.zeros(m + 2 * n_labels)])
    ends = np.cumsum([n_scores, m, n_labels])
    at = centre if start is None else _joined(start)
    loss, p = _loss(seen, truth, Weights(*np.split(at, ends)))
    loss += 0.5 * float((((at - centre) / scale) ** 2).sum())
    for _ in range(_MOST_STEPS):
        slope, curvature = _derivatives(seen, truth, p)
        slope += (at - centre) / scale**2
        curvature[np.diag_indices(at.size)] += 1 / scale**2
        step = cho_solve(cho_factor(curvature, check_finite=False), slope, check_finite=False)
        promised = float(slope @ step)
        # Newton's method on a convex function; the step is halved until it keeps its promise.
        for _ in range(_MOST_STEPS):
            new = at - step
            new_loss, new_p = _loss(seen, truth, Weights(*np.split(new, ends)))
            new_loss += 0.5 * float((((new - centre) / scale) ** 2).sum())
            if new_loss <= loss - 1e-4 * promised:
                break
            step, promised = step / 2, promised / 2
        else:
            break
        at, loss, p = new, new_loss, new_p
        if promised < _CLOSE:
            break
    return Weights(*np.split(at, ends))


def _joined(weights: Weights) -> NDArray[np.float64]:
    return np.concatenate([weights.scores, weights.annotator, weights.label, weights.trust])


def _loss(seen: Evidence, truth: Ints, weights: Weights) -> tuple[float, NDArray[np.float64]]:
    """Negative log-likelihood of the truth, and the probabilities of the labels."""
    p = weighted_posterior(seen, weights)
    given = p[np.arange(len(truth)), truth]
    return -float(np.log(np.maximum(given, 1e-300)).sum()), p


def _derivatives(
    seen: Evidence, truth: Ints, p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient and Hessian of the loss over factors, annotators, labels and trust.

    With J_i (K, P) the derivatives of the scores of item i: sum_i J_i' (p_i - y_i) and
    sum_i J_i' (diag(p_i) - p_i p_i') J_i. Most of J is zero, so its blocks are summed one by one.
    """
    (n, n_labels), m, share = p.shape, seen.votes.shape[1], seen.share
    rows = np.arange(n)
    excess = p.copy()
    excess[rows, truth] -= 1
    voters = np.flatnonzero((seen.votes >= 0).any(axis=0))
    votes = seen.votes[:, voters]
    cast = (votes >= 0).astype(np.float64)
    said = (rows[:, None], np.maximum(votes, 0))
    n_scores = len(seen.scores)
    first, places = n_scores + m, n_scores + voters
    labels, trust = slice(first, first + n_labels), slice(first + n_labels, first + 2 * n_labels)

    mean = np.zeros((n, first + 2 * n_labels))
    slope = np.zeros(first + 2 * n_labels)
    full = np.zeros((slope.size, slope.size))
    by_label, with_share = p, p * share
    for f, score in enumerate(seen.scores):
        weighed = p * score
        mean[:, f] = weighed.sum(axis=1)
        slope[f] = (excess * score).sum()
        for g in range(f, n_scores):
            full[f, g] = (weighed * seen.scores[g]).sum()
        full[f, places] = (weighed[said] * cast).sum(axis=0)
        full[f, labels] = weighed.sum(axis=0)
        full[f, trust] = (weighed * share).sum(axis=0)
    chance = p[said] * cast
    mean[:, places] = chance
    slope[places] = (excess[said] * cast).sum(axis=0)
    for j, (place, likely) in enumerate(zip(places, chance.T, strict=True)):
        full[place, places[j:]] = likely @ (votes[:, j:] == votes[:, j : j + 1])
        full[place, labels] = np.bincount(said[1][:, j], weights=likely, minlength=n_labels)
        full[place, trust] = np.bincount(
            said[1][:, j], weights=likely * share[rows, said[1][:, j]], minlength=n_labels
        )
    mean[:, labels], mean[:, trust] = by_label, with_share
    slope[labels], slope[trust] = excess.sum(axis=0), (excess * share).sum(axis=0)
    own = first + np.arange(n_labels)
    full[own, own] = by_label.sum(axis=0)
    full[own, own + n_labels] = with_share.sum(axis=0)
    full[own + n_labels, own + n_labels] = (with_share * share).sum(axis=0)
    full += np.triu(full, 1).T
    return slope, full - mean.T @ mean


def _score(seen: Evidence, weights: Weights) -> NDArray[np.float64]:
    score = weights.label + seen.share * weights.trust
    for factor, given in zip(weights.scores, seen.scores, strict=True):
        score += factor * given
    score += tally(seen.votes, score.shape[1], weights.annotator)
    return np.asarray(score, np.float64)


def _softmax(score: NDArray[np.float64]) -> NDArray[np.float64]:
    likelihood = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True), np.float64)
