"""rho: the net improvement among changed predictions, with or without labels.

Of the predictions that a window changed, some were wrong and are right now, others the reverse; rho
is the difference as a share of all changed ones. Unchanged items say nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audit import audited_rho

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]
RhoSource: TypeAlias = Literal["confidence", "prior", "audit"]

PRIOR_RHO = 0.15
"""Mean of three text classification tasks; where nothing about the run is known."""
TRUST = 0.8
"""What the student's own view of its changes is worth: it is their author."""
PRIOR_ITEMS = 20.0
"""Audited items that an assumed value counts for."""
CONFIDENCE_ITEMS = 100.0
"""Audited items that the student's confidence counts for: it is taken over all changed items."""
AUDITS = (20, 30, 40)
"""How many changed predictions may be audited."""


@dataclass(frozen=True)
class Rho:
    """Net improvement among changed predictions with a 95 % interval, and where it comes from."""

    estimate: float
    low: float
    high: float
    source: RhoSource


def rho_interval(estimate: float, items: float, source: RhoSource) -> Rho:
    """An estimate as if from `items` changed items beside the prior's.

    An outcome is +1, 0 or -1. Its variance is at most 1 - rho^2; where half of the changes are from
    one wrong label to another, or neither way, it is half of that.
    """
    half = 1.96 * sqrt(max(1 - estimate**2, 0.0) / 2 / (items + PRIOR_ITEMS))
    return Rho(estimate, max(estimate - half, -1.0), min(estimate + half, 1.0), source)


def confidence_rho(
    before: Ints, after: Ints, proba: Floats, class_weights: Floats | None = None
) -> Rho:
    """Rho without labels: how much likelier the last student holds its new labels than the old.

    If its probabilities are right, an item that moved from a to b gained p(b) - p(a) in expected
    accuracy. The student is calibrated out of sample, and partial to its own changes: see `TRUST`.

    Args:
        before: (n,) labels at the start of the window.
        after: (n,) labels now.
        proba: (n, K) probabilities of the last student.
        class_weights: (K,) weights m of the classes; then m_b p(b) - m_a p(a), by max(m_a, m_b).

    Returns:
        rho in [-1, 1]; the usual one where nothing changed.
    """
    rows = np.flatnonzero(before != after)
    if not len(rows):
        return rho_interval(PRIOR_RHO, 0, "prior")
    old, new = before[rows], after[rows]
    weights = np.ones(proba.shape[1]) if class_weights is None else class_weights
    p = proba[rows].astype(np.float64)
    at = np.arange(len(rows))
    gained = weights[new] * p[at, new] - weights[old] * p[at, old]
    moved = np.maximum(weights[old], weights[new])
    return rho_interval(TRUST * float(gained.sum() / moved.sum()), len(rows), "confidence")


def expected_error(now: Ints, proba: Floats, class_weights: Floats | None = None) -> float:
    """Mean probability that a prediction is wrong, by the student's own probabilities.

    Args:
        now: (n,) predicted labels, n >= 1.
        proba: (n, K) probabilities of the same student.
        class_weights: (K,) weights m of the classes; then the expected loss of weighted accuracy.

    Returns:
        Mean of 1 - p(label); with weights of sum_k m_k p(k) - m_label p(label).
    """
    p = proba.astype(np.float64)
    weights = np.ones(p.shape[1]) if class_weights is None else class_weights
    kept = weights[now] * p[np.arange(len(now)), now]
    return max(float((p @ weights - kept).mean()), 0.0)


def rho_after_audit(fixed: int, broken: int, audited: int, prior: Rho) -> Rho:
    """The prior with an audit of changed predictions folded in; see `audit.audited_rho`."""
    if not audited:
        return prior
    estimate = audited_rho(fixed, broken, audited, prior.estimate, strength_of(prior.source))
    return rho_interval(estimate, audited, "audit")


def strength_of(source: RhoSource) -> float:
    """Audited items that a value counts for before an audit, by where it comes from."""
    return CONFIDENCE_ITEMS if source == "confidence" else PRIOR_ITEMS


@dataclass(frozen=True)
class AuditWorth:
    """What an audit of changed predictions is worth. Money is in nanodollars.

    Attributes:
        items: how many to audit; 0 where no number pays.
        worth: what its answer is worth on average.
        cost: what it costs.
    """

    items: int
    worth: int
    cost: int


def worth_of_audit(
    gain_at_one: float,
    cost_next: int,
    rho: float,
    changed: int,
    price: int,
    strength: float = PRIOR_ITEMS,
) -> AuditWorth:
    """The number of audits whose answer is worth most above its price.

    The expected value of sample information (Raiffa & Schlaifer 1961). Without an audit the run
    stops, for rho x gain_at_one < cost_next. With q audits rho moves by about s = sqrt((1 - rho^2)
    / 2 / strength x q / (q + strength)); where it then comes out above the break-even, the next
    batch is bought and brings the difference.

    Args:
        gain_at_one: nanodollars that the next batch would gain at rho = 1.
        cost_next: nanodollars of the next batch.
        rho: before the audit.
        changed: predictions that changed, and so may be audited.
        price: nanodollars of one audit.
        strength: audited items that rho counts for before the audit.

    Returns:
        The best of 20, 30 and 40 audits.
    """
    from scipy.stats import norm

    best = AuditWorth(0, 0, 0)
    for items in AUDITS:
        if items > changed:
            break
        spread = sqrt(max(1 - rho**2, 0.0) / 2 / strength * items / (items + strength))
        sigma, short = gain_at_one * spread, rho * gain_at_one - cost_next
        if sigma <= 0:
            break
        z = short / sigma
        worth = round(sigma * float(norm.pdf(z)) + short * float(norm.cdf(z)) - max(short, 0.0))
        found = AuditWorth(items, worth, price * items)
        if found.worth - found.cost > best.worth - best.cost:
            best = found
    return best
