"""How suspect each label is, from what is known without asking anybody again.

Two witnesses: the posterior of the label (votes, and a student that has not seen the item), and how
near the text lies to the label's description. The student learns the mistakes of the labels it is
trained on; the description knows nothing of them. So the description counts by how well it agrees
with the labels as a whole: a weak agreement is noise, a fair one is independent evidence.
Audits improve the posterior before it comes here; here they only turn the score into a probability
(Platt, 1999), for weights of the two witnesses fitted to them did no better than the fixed ones.

The form and its constants were chosen on random panels of three recorded annotators of four pools;
``tests/benchmarks/critic.py`` measures it on any pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]

LONE = 1 / 3
"""Weight of the posterior where one vote stands behind a label: it is then the student's word."""
_NOISE, _EQUAL = 0.25, 0.45
"""Agreement (Cohen's kappa) up to which the description says nothing, and from which it weighs as
much as the posterior of several votes."""
_PRIOR_SD = 0.5
"""How far audits may easily move the slope of the score from 1, as a standard deviation."""
ENOUGH = 30
"""Audited labels from which probabilities are fitted."""


@dataclass(frozen=True)
class Suspicion:
    """Result of `suspicion`.

    Attributes:
        score: (n,) higher is more suspect; for ranking.
        p_wrong: (n,) estimated probability that the label is wrong.
        fitted: Whether audited labels back ``p_wrong``.
        kappa: Agreement of the nearest description with the labels beyond chance, 0 without.
    """

    score: NDArray[np.float64]
    p_wrong: NDArray[np.float64]
    fitted: bool
    kappa: float

    def suspects(self) -> NDArray[np.bool_]:
        """As many of the most suspect labels as are expected to be wrong, shape (n,)."""
        n = round(float(self.p_wrong.sum()))
        chosen = np.zeros(len(self.score), bool)
        chosen[np.argsort(-self.score, kind="stable")[:n]] = True
        return chosen


def suspicion(
    labels: Ints,
    p_label: Floats,
    similarity: Floats | None,
    *,
    voters: Ints,
    audited: Ints | None = None,
    wrong: NDArray[np.bool_] | None = None,
) -> Suspicion:
    """Rank labels by how probably they are wrong.

    Args:
        labels: (n,) the labels in question.
        p_label: (n,) posterior probability of that label, calibrated or not.
        similarity: (n, K) similarity of each text to each label's description, if there is any.
        voters: (n,) annotators with a vote on the item.
        audited: (a,) rows whose labels were compared with the truth.
        wrong: (a,) whether they were wrong.

    Returns:
        Scores; with `ENOUGH` audits of which some were wrong and some right, the probabilities are
        fitted to them.
    """
    p = np.clip(np.asarray(p_label, np.float64), 1e-4, 1 - 1e-4)
    lone = np.where(np.asarray(voters) > 1, 1.0, LONE)
    score = -lone * _standard(np.log(p / (1 - p)))
    kappa = 0.0
    if similarity is not None:
        kappa = _agreement(labels, similarity)
        weight = min(1.0, max(0.0, (kappa - _NOISE) / (_EQUAL - _NOISE)))
        score = score - weight * _standard(_lead(labels, similarity))
    # Sums of many products differ in their last digits from one machine to the next.
    score = np.round(score, 4)
    if audited is None or wrong is None or len(audited) < ENOUGH or wrong.all() or not wrong.any():
        return Suspicion(score, 1 - p, False, kappa)
    slope, intercept = _platt(score[audited], wrong)
    return Suspicion(
        score, 1 / (1 + np.exp(-np.clip(slope * score + intercept, -500, 500))), True, kappa
    )


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def _lead(labels: Ints, similarity: Floats) -> NDArray[np.float64]:
    """By how much the label's description is nearer than the best other one, shape (n,)."""
    rows = np.arange(len(labels))
    others = np.array(similarity, np.float64)
    own = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    return np.asarray(own - others.max(axis=1), np.float64)


def _agreement(labels: Ints, similarity: Floats) -> float:
    """Cohen's kappa between labels and nearest descriptions, at least 0."""
    nearest = similarity.argmax(axis=1)
    classes, n = similarity.shape[1], len(labels)
    if not n:
        return 0.0
    by_chance = float(
        np.bincount(nearest, minlength=classes) @ np.bincount(labels, minlength=classes)
    ) / (n * n)
    agreed = float((nearest == labels).mean())
    return max(0.0, (agreed - by_chance) / (1 - by_chance)) if by_chance < 1 else 0.0


def _platt(score: NDArray[np.float64], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of a logistic regression, by Newton's method; the slope stays above 0."""
    design = np.column_stack([score, np.ones(len(score))])
    # The slope is drawn towards 1; a weak pull to even odds keeps the intercept finite.
    prior, precision = np.asarray([1.0, 0.0]), np.asarray([1 / _PRIOR_SD**2, 0.01])

    def loss(beta: NDArray[np.float64]) -> float:
        logits = design @ beta
        fit = np.logaddexp(0.0, logits) - wrong * logits
        return float(fit.sum() + 0.5 * (precision * (beta - prior) ** 2).sum())

    beta = prior.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -500, 500)))
        gradient = design.T @ (p - wrong) + precision * (beta - prior)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step, before = np.linalg.solve(hessian, gradient), loss(beta)
        # A full step may jump over the minimum, and from there away from it.
        while loss(beta - step) > before and np.abs(step).max() > 1e-8:
            step = step / 2
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    return max(float(beta[0]), 1e-3), float(beta[1])
