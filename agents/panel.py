"""What the audit sample teaches about the annotators, and what their votes then add up to.

Annotators are independent given the label, each right with its own probability (one-coin model of
Dawid and Skene, 1979), as far as they do not make the same mistakes; the student's out-of-sample
probabilities enter as one more voter, as in CROWDLAB (Goh, Tkachenko and Mueller, 2022). How often
an annotator is right is learned from the audit sample only: items that were chosen at random and
put to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import (
    NO_VOTE,
    effective_weights,
    one_coin,
    redundancy,
    reliability,
)
from ..tools.calibration import Calibration, fit_calibration
from .ballot import Ballot

ENOUGH = 30
"""Audited items from which the student's weight is fitted."""
USUAL_OVERLAP = 0.4
"""Overlap of two language models' mistakes before any audit (cf. Kim et al., 2025)."""
OVERLAP_STRENGTH = 20
"""How many audited items that belief is worth."""
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class Panel:
    """What the audit sample has taught about the annotators.

    Attributes:
        reference: Whose labels the audit takes as true; ``None`` where there is nobody to compare.
        gold: Annotators whose labels are true by configuration; where there are any, the reference
            is one of them, and figures may be called calibrated.
        reliability: Probability of being right, shape (m,).
        overlap: How far each pair makes the same mistakes, shape (m, m), zero diagonal.
        audited: Items that back each figure, shape (m,).
        student_weight: Exponent of the student's probabilities beside votes: how far they hold up
            on the audit sample, at most 1. A student that has learned the mistakes of its labels
            is surest where it repeats them.
        ceiling: What no probability may pass: that the reference itself is right, or a lone
            annotator that nobody checks. 1 where the reference is trusted.
        calibrations: By who has voted (a mask over the annotators), the map from the posterior to
            the probability of agreeing with the reference, where there are audits enough.
    """

    reference: str | None
    gold: tuple[str, ...]
    reliability: NDArray[np.float64]
    overlap: NDArray[np.float64]
    audited: NDArray[np.int64]
    student_weight: float
    ceiling: float
    calibrations: Mapping[tuple[bool, ...], Calibration]


def learn_panel(
    ballot: Ballot,
    student: NDArray[np.float64] | None,
    *,
    reference: str | None,
    gold: Sequence[str],
    classes: int,
    prior_accuracy: float,
    prior_strength: float,
    strongest_accuracy: float,
    student_weight: float,
) -> Panel:
    """Judge the annotators on the audit sample.

    Args:
        ballot: Votes on the audit sample.
        student: Out-of-sample probabilities on the same items, shape (n, K).
        reference: The annotator whose labels stand for the truth.
        gold: Annotators whose labels are the truth by configuration.
        classes: K.
        prior_accuracy: What an annotator is believed to be right before any audit.
        prior_strength: How many audits that belief is worth.
        strongest_accuracy: What a reference that is not trusted is believed to be.
        student_weight: Weight of the student until there are audits enough to fit it.
    """
    m = len(ballot.annotators)
    if reference is None or not len(ballot.item_ids):
        prior = np.full(m, max(prior_accuracy, 1 / classes + 0.01))
        none = np.zeros(m, np.int64)
        return Panel(
            reference=reference,
            gold=tuple(gold),
            reliability=prior,
            overlap=_overlap(ballot.votes[:0], np.empty(0, np.int64), classes),
            audited=none,
            student_weight=student_weight,
            ceiling=1.0 if gold else strongest_accuracy if m > 1 else float(prior[0]),
            calibrations={},
        )
    truth = ballot.column(reference)
    known = truth != NO_VOTE
    votes, truth = ballot.votes[known], truth[known]
    figures = reliability(
        votes, truth, classes, prior_accuracy=prior_accuracy, prior_strength=prior_strength
    )
    ceiling = 1.0 if gold else strongest_accuracy
    # Agreement with a reference that errs understates accuracy where errors are independent; those
    # of language models are not, so the others' figures are taken as they are.
    figures[ballot.annotators.index(reference)] = ceiling
    seen_by_student = None if student is None else student[known]
    if seen_by_student is not None:
        student_weight = _fit_weight(seen_by_student, truth, student_weight)
    overlap = _overlap(votes, truth, classes)
    if not gold:
        # Held to itself it errs with nobody: that is no evidence either.
        column = ballot.annotators.index(reference)
        overlap[column, :] = overlap[:, column] = USUAL_OVERLAP
        overlap[column, column] = 0.0
    panel = Panel(
        reference=reference,
        gold=tuple(gold),
        reliability=figures,
        overlap=overlap,
        audited=(votes != NO_VOTE).sum(axis=0),
        student_weight=student_weight,
        ceiling=ceiling,
        calibrations={},
    )
    others = [
        column
        for column, name in enumerate(ballot.annotators)
        if name != reference and name not in gold
    ]
    return replace(
        panel, calibrations=_calibrations(panel, votes, truth, seen_by_student, others, classes)
    )


def _calibrations(
    panel: Panel,
    votes: NDArray[np.int64],
    truth: NDArray[np.int64],
    student: NDArray[np.float64] | None,
    others: Sequence[int],
    classes: int,
) -> dict[tuple[bool, ...], Calibration]:
    """A calibration for each stretch of the cascade that an item may have met.

    The audit sample was put to everybody; hiding votes shows it as it would have been.
    """
    found: dict[tuple[bool, ...], Calibration] = {}
    for first in range(len(others) + 1):
        for last in range(first, len(others) + 1):
            if first == last and (first or student is None):
                continue
            pattern = np.zeros(votes.shape[1], bool)
            pattern[list(others[first:last])] = True
            asked = (votes[:, pattern] != NO_VOTE).all(axis=1)
            shown = np.where(pattern, votes, NO_VOTE)[asked]
            prior = None if student is None else student[asked]
            posterior = posterior_of(shown, panel, classes, prior)
            fitted = fit_calibration(
                posterior.max(axis=1), posterior.argmax(axis=1) == truth[asked]
            )
            if fitted is not None:
                found[tuple(pattern.tolist())] = fitted
    return found


def _overlap(
    votes: NDArray[np.int64], truth: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """How far each pair makes the same mistakes, shrunk to what is usual, shape (m, m)."""
    m, audited = votes.shape[1], len(truth)
    usual = np.full((m, m), USUAL_OVERLAP)
    np.fill_diagonal(usual, 0.0)
    if not audited:
        return usual
    seen = redundancy(votes, truth, classes)
    return np.asarray(
        (audited * seen + OVERLAP_STRENGTH * usual) / (audited + OVERLAP_STRENGTH), np.float64
    )


def posterior_of(
    votes: NDArray[np.int64],
    panel: Panel,
    classes: int,
    student: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """One-coin posterior in which the votes on an item share what they have in common.

    A vote weighs 1 / (1 + its overlaps with the other votes on the same item), after Kish's
    effective sample size: one vote alone counts in full, two that err alike count as little more.

    Args:
        votes: Shape (n, m).
        panel: What is known of the annotators.
        classes: K.
        student: Probabilities by a student that has not seen the items, shape (n, K).

    Returns:
        Probabilities, shape (n, K).
    """
    prior = None if student is None else _student_prior(student, panel, classes)
    present = votes != NO_VOTE
    posterior = np.empty((len(votes), classes))
    patterns, members = np.unique(present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = members.reshape(-1) == number
        shared = panel.overlap * pattern[:, None] * pattern[None, :]
        posterior[rows] = one_coin(
            votes[rows],
            panel.reliability,
            classes,
            None if prior is None else prior[rows],
            1.0,
            effective_weights(shared),
        )
    return posterior


def _student_prior(student: NDArray[np.float64], panel: Panel, classes: int) -> NDArray[np.float64]:
    """The student's word as far as it holds up, and no surer than what it learned from."""
    tempered = np.maximum(student, 1e-12) ** panel.student_weight
    tempered /= tempered.sum(axis=1, keepdims=True)
    mixed = panel.ceiling * tempered + (1 - panel.ceiling) * (1 - tempered) / (classes - 1)
    return np.asarray(mixed, np.float64)


def _fit_weight(student: NDArray[np.float64], truth: NDArray[np.int64], prior: float) -> float:
    """Exponent under which the student's probabilities fit the audit best, in (0, 1]."""
    if len(truth) < ENOUGH:
        return prior
    logs = np.log(np.maximum(student, 1e-12))
    fits = []
    for exponent in EXPONENTS:
        scaled = logs * exponent
        total = np.log(np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1))
        fits.append(
            float((scaled[np.arange(len(truth)), truth] - scaled.max(axis=1) - total).sum())
        )
    return EXPONENTS[int(np.argmax(fits))]
