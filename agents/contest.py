"""Which way of adding votes up holds on the audit sample: weights, unless another is surely better.

Each method judges the audited items by what it has learned without their labels. Another method
than weights is taken only where its lead, item by item, is well beyond two standard errors: among
methods that are about as good the choice by a small audit is made by luck, and costs more than it
gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE

Method = Literal["weighted", "one_coin", "dawid_skene", "single"]

FEWEST_TO_SWITCH = 50
"""Audited items below which nothing but weights is considered."""
SURELY = 2.4
"""Standard errors of the paired difference: two of a single rival, for the luckiest of three."""


@dataclass(frozen=True)
class Choice:
    """What the audit says of each way of adding votes up.

    Attributes:
        method: What is used.
        annotator: Whose votes alone are taken where the method is ``single``.
        audited: Items compared.
        accuracy: Of each method, on audited items whose labels it had not seen.
        lead: Of the method with the best claim over weights: difference of accuracies.
        standard_error: Of the lead, from paired differences.
    """

    method: Method
    annotator: int | None
    audited: int
    accuracy: Mapping[Method, float]
    lead: float
    standard_error: float

    def evidence(self, annotators: tuple[str, ...]) -> dict[str, Any]:
        """As it is written down with a decision."""
        return {
            "method": self.method,
            "annotator": None if self.annotator is None else annotators[self.annotator],
            "audited": self.audited,
            "accuracy": {name: round(value, 4) for name, value in self.accuracy.items()},
            "lead": round(self.lead, 4),
            "standard_error": round(self.standard_error, 4),
        }


def compare(
    votes: NDArray[np.int64],
    truth: NDArray[np.int64],
    labels: Mapping[Method, NDArray[np.int64]],
    folds: int,
) -> Choice:
    """Hold methods, and the annotator that is best alone, to audited items.

    Args:
        votes: Shape (n, m).
        truth: Shape (n,).
        labels: By each method, from what it learned without these items' labels, shape (n,).
        folds: How often an annotator is chosen on the rest of the items.
    """
    right = {name: found == truth for name, found in labels.items()}
    right["single"] = single_right(votes, truth, folds)
    return choose(right, best_single(votes, truth))


def choose(right: Mapping[Method, NDArray[np.bool_]], best: int) -> Choice:
    """Weights, or the method that is surely better than they are.

    Args:
        right: Whether each method had each of n audited items right; ``weighted`` is among them.
        best: Column of the annotator that ``single`` would take.
    """
    accuracy = {name: float(found.mean()) for name, found in right.items()}
    base = right["weighted"].astype(np.float64)
    n = len(base)
    method: Method = "weighted"
    lead, error, most = 0.0, 0.0, -np.inf
    for name, found in right.items():
        if name == "weighted":
            continue
        difference = found - base
        # One item more on each side: a lead that never varied is not thereby beyond doubt.
        spread = float(np.sqrt(((difference**2).sum() + 1) / n - difference.mean() ** 2))
        of = spread / np.sqrt(n)
        claim = float(difference.mean()) - SURELY * of
        if claim > most:
            most, lead, error = claim, float(difference.mean()), float(of)
            method = name if claim > 0 and n >= FEWEST_TO_SWITCH else "weighted"
    return Choice(method, best if method == "single" else None, n, accuracy, lead, error)


def best_single(votes: NDArray[np.int64], truth: NDArray[np.int64]) -> int:
    """Column with most audited items right."""
    return int((votes == truth[:, None]).sum(axis=0).argmax())


def single_right(
    votes: NDArray[np.int64], truth: NDArray[np.int64], folds: int
) -> NDArray[np.bool_]:
    """Whether the annotator that is best on the other folds has each item right, shape (n,)."""
    right = (votes == truth[:, None]) & (votes != NO_VOTE)
    found = np.zeros(len(truth), bool)
    fold_of = np.arange(len(truth)) % folds
    for fold in range(folds):
        own = fold_of == fold
        found[own] = right[own, best_single(votes[~own], truth[~own])]
    return found
