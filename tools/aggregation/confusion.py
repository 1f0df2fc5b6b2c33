"""Dawid-Skene, and MACE as crowd-kit fits it, for whoever prefers them.

Both describe an annotator by how often it says l where k is right, and both take annotators to be
independent given the label. What was fitted on many votes is applied to any others by Bayes' rule.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ..errors import ConfigError
from .votes import NO_VOTE, Ints, check_votes, tally

_SMALLEST = 1e-10
_STEPS = 100
_GAIN = 1e-5
"""Of the bound on the likelihood, in nats a vote, below which Dawid-Skene has converged."""
_SEED = 0
_RESTARTS = 1
"""Of MACE. The ten of crowd-kit take minutes on a few thousand items."""


@dataclass(frozen=True)
class Confusions:
    """What each annotator says of each label.

    Attributes:
        prior: (K,) how common the labels are.
        tables: (m, K, K) probability that annotator j says l where k is right; rows sum to 1.
    """

    prior: NDArray[np.float64]
    tables: NDArray[np.float64]


def fit_confusions(
    votes: Ints,
    n_labels: int,
    method: Literal["dawid_skene", "mace"],
    truth: Ints | None = None,
) -> Confusions:
    """Fit a model of the annotators to votes.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        n_labels: number K of labels.
        method: Dawid & Skene (1979), or MACE (Hovy et al., 2013), which needs crowd-kit.
        truth: (n,) labels that are known, -1 elsewhere; Dawid-Skene takes them as given.

    Returns:
        Confusions; uniform for a label that nobody votes for and an annotator that has not voted.

    Raises:
        ConfigError: if crowd-kit is needed and not installed.
        ValueError: if a vote is not a label index.
    """
    check_votes(votes, n_labels)
    m = votes.shape[1]
    prior = np.full(n_labels, 1 / n_labels)
    tables = np.full((m, n_labels, n_labels), 1 / n_labels)
    if not (votes >= 0).any():
        return Confusions(prior, tables)
    if method == "dawid_skene":
        prior, tables = _dawid_skene(votes, n_labels, truth)
    else:
        _mace(votes, tables)
    tables = np.maximum(tables, _SMALLEST)
    return Confusions(prior / prior.sum(), tables / tables.sum(axis=2, keepdims=True))


def _dawid_skene(
    votes: Ints, n_labels: int, truth: Ints | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expectation maximisation from vote shares, step by step as in crowd-kit."""
    m = votes.shape[1]
    voted = (votes >= 0).any(axis=1)
    cast = votes[voted]
    known = np.full(len(cast), NO_VOTE) if truth is None else truth[voted]
    # Only labels that occur: any other would be as likely as its smallest prior lets it be.
    used = np.unique(np.r_[cast[cast >= 0], known[known >= 0]])
    item, annotator = np.nonzero(cast >= 0)
    said = annotator * n_labels + cast[item, annotator]
    shown = csr_matrix((np.ones(item.size), (item, said)), (len(cast), m * n_labels))
    heard = np.unique(said)
    shown = shown[:, heard]
    by_annotator = csr_matrix(
        (np.ones(heard.size), (heard // n_labels, np.arange(heard.size))), (m, heard.size)
    )
    given, fixed = np.eye(n_labels)[known[known >= 0]][:, used], known >= 0
    p = tally(cast, n_labels, None)[:, used]
    p /= p.sum(axis=1, keepdims=True)
    p[fixed] = given
    weight, bound = np.asarray(shown.sum(axis=1)), -np.inf
    for step in range(_STEPS + 1):
        prior = np.maximum(p.mean(axis=0), _SMALLEST)
        errors = np.maximum(np.asarray(shown.T @ p), _SMALLEST)
        errors /= (by_annotator @ errors)[heard // n_labels]
        score = np.asarray(shown @ np.log(errors))
        sure = np.maximum(p, _SMALLEST)
        joint = (p * (score + weight * np.log(prior))).sum()
        new = float(joint - (sure * np.log(sure)).sum()) / item.size
        # The shares that it starts from are no estimate yet: their bound says nothing.
        if step and new - bound < _GAIN:
            break
        bound = new if step else -np.inf
        score += np.log(prior)
        p = np.exp(score - score.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[fixed] = given
    common = np.full(n_labels, _SMALLEST)
    common[used] = prior
    tables = np.zeros((m, n_labels, n_labels))
    for row, place in zip(errors, heard, strict=True):
        tables[place // n_labels, used, place % n_labels] = row
    silent = np.setdiff1d(np.arange(m), heard // n_labels)
    tables[silent] = 1 / n_labels
    tables[:, np.setdiff1d(np.arange(n_labels), used)] = 1 / n_labels
    return common, tables


def _mace(votes: Ints, tables: NDArray[np.float64]) -> None:
    """Fill in the tables of the annotators that have voted."""
    try:
        # crowd-kit brings pandas along; it is an extra, and nothing else needs it.
        import pandas as pd
        from crowdkit.aggregation import MACE
    except ImportError:
        raise ConfigError(
            "ensemble.aggregation: mace needs crowd-kit, which is not installed; run "
            "pip install 'labelwright[aggregation]', or use auto"
        ) from None
    n_labels = tables.shape[1]
    item, annotator = np.nonzero(votes >= 0)
    frame = pd.DataFrame(
        {"task": item, "worker": annotator, "label": votes[item, annotator].astype(np.int64)}
    )
    mace = _quietly(MACE(n_restarts=_RESTARTS, random_state=_SEED), frame)
    workers = pd.factorize(frame["worker"])[1]
    labels = np.asarray(pd.factorize(frame["label"])[1], np.int64)
    for row, worker in enumerate(workers):
        spam = np.full(n_labels, _SMALLEST)
        spam[labels] = mace.thetas_[row]
        tables[worker] = mace.spamming_[row, 0] * spam + mace.spamming_[row, 1] * np.eye(n_labels)


def _quietly(model: Any, frame: Any) -> Any:
    # crowd-kit uses what newer versions of pandas discourage; the user can do nothing about it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(frame)


def confusion_posterior(votes: Ints, confusions: Confusions) -> NDArray[np.float64]:
    """Probabilities of the labels by Bayes' rule, annotators independent given the label.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        confusions: from `fit_confusions`.

    Returns:
        (n, K) probabilities, rows sum to 1; the prior where nobody has voted.

    Raises:
        ValueError: if a vote is not a label index.
    """
    check_votes(votes, confusions.prior.size)
    score = np.tile(np.log(confusions.prior), (len(votes), 1))
    for j, table in enumerate(np.log(confusions.tables)):
        cast = np.flatnonzero(votes[:, j] >= 0)
        score[cast] += table[:, votes[cast, j]].T
    likelihood = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True), np.float64)
