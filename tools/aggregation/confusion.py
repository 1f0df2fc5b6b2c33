"""Dawid-Skene and MACE as crowd-kit fits them, without any audit, for whoever prefers them.

Both describe an annotator by how often it says l where k is right, and both take annotators to be
independent given the label. What was fitted on many votes is applied to any others by Bayes' rule.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .votes import Ints, check_votes

_SMALLEST = 1e-10
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
    votes: Ints, n_labels: int, method: Literal["dawid_skene", "mace"]
) -> Confusions:
    """Fit a model of crowd-kit to votes.

    Args:
        votes: (n, m) label indices, -1 for no vote.
        n_labels: number K of labels.
        method: Dawid & Skene (1979), or MACE (Hovy et al., 2013).

    Returns:
        Confusions; uniform for a label that nobody votes for and an annotator that has not voted.

    Raises:
        ConfigError: if crowd-kit is not installed.
        ValueError: if a vote is not a label index.
    """
    check_votes(votes, n_labels)
    m = votes.shape[1]
    prior = np.full(n_labels, 1 / n_labels)
    tables = np.full((m, n_labels, n_labels), 1 / n_labels)
    item, annotator = np.nonzero(votes >= 0)
    if not item.size:
        return Confusions(prior, tables)
    try:
        # crowd-kit brings pandas along; it is an extra, and nothing else needs it.
        import pandas as pd
        from crowdkit.aggregation import MACE, DawidSkene
    except ImportError:
        raise ConfigError(
            f"ensemble.aggregation: {method} needs crowd-kit, which is not installed; run "
            "pip install 'labelwright[aggregation]', or use auto"
        ) from None
    frame = pd.DataFrame(
        {"task": item, "worker": annotator, "label": votes[item, annotator].astype(np.int64)}
    )
    if method == "dawid_skene":
        model = _quietly(DawidSkene(n_iter=100), frame)
        found = np.asarray(model.priors_.index, np.int64)
        prior = np.full(n_labels, _SMALLEST)
        prior[found] = np.maximum(model.priors_.to_numpy(), _SMALLEST)
        columns = np.asarray(model.errors_.columns, np.int64)
        for worker in np.unique(annotator):
            tables[worker, columns] = 0.0
        for (worker, said), row in zip(model.errors_.index, model.errors_.to_numpy(), strict=True):
            tables[worker, columns, said] = row
    else:
        mace = _quietly(MACE(n_restarts=_RESTARTS, random_state=_SEED), frame)
        workers = pd.factorize(frame["worker"])[1]
        labels = np.asarray(pd.factorize(frame["label"])[1], np.int64)
        for row, worker in enumerate(workers):
            spam = np.full(n_labels, _SMALLEST)
            spam[labels] = mace.thetas_[row]
            tables[worker] = mace.spamming_[row, 0] * spam + mace.spamming_[row, 1] * np.eye(
                n_labels
            )
    tables = np.maximum(tables, _SMALLEST)
    return Confusions(prior / prior.sum(), tables / tables.sum(axis=2, keepdims=True))


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
