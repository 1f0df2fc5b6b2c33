"""Votes as a matrix, and what they add up to.

Annotators are independent given the label, each right with its own probability (one-coin model of
Dawid and Skene, 1979); the student's out-of-sample probabilities enter as one more voter, as in
CROWDLAB (Goh, Tkachenko and Mueller, 2022). How often an annotator is right is learned from the
audit sample only: items that were chosen at random and put to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import (
    NO_VOTE,
    effective_weights,
    one_coin,
    redundancy,
    reliability,
)
from ..tools.calibration import Calibration, apply_calibration, fit_calibration
from ..tools.ledger import Vote

ENOUGH = 30
"""Audited items from which the student's weight is fitted."""
USUAL_OVERLAP = 0.4
"""Overlap of two language models' mistakes before any audit (cf. Kim et al., 2025)."""
OVERLAP_STRENGTH = 20
"""How many audited items that belief is worth."""
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class Ballot:
    """Votes on some items.

    Attributes:
        item_ids: Length n.
        annotators: Length m, in the order in which the cascade asks them.
        votes: Class numbers, shape (n, m); ``NO_VOTE`` where there is no valid vote.
        answers: Answers of whatever kind, invalid ones included, shape (n, m).
    """

    item_ids: tuple[str, ...]
    annotators: tuple[str, ...]
    votes: NDArray[np.int64]
    answers: NDArray[np.int64]

    def column(self, annotator: str) -> NDArray[np.int64]:
        """One annotator's votes, shape (n,)."""
        return self.votes[:, self.annotators.index(annotator)]


def count_votes(
    votes: Mapping[str, Sequence[Vote]], annotators: Sequence[str], labels: Sequence[str]
) -> Ballot:
    """Make a ballot; of several valid answers by one annotator the last one counts.

    Args:
        votes: Votes by item, each list in the order of attempts.
        annotators: Columns of the ballot.
        labels: The label set; index = class number.
    """
    column = {name: position for position, name in enumerate(annotators)}
    number = {label: position for position, label in enumerate(labels)}
    matrix = np.full((len(votes), len(annotators)), NO_VOTE, np.int64)
    answers = np.zeros_like(matrix)
    for row, given in enumerate(votes.values()):
        for vote in given:
            if vote.annotator not in column:
                continue
            answers[row, column[vote.annotator]] += 1
            if vote.label is not None and vote.label in number:
                matrix[row, column[vote.annotator]] = number[vote.label]
    return Ballot(tuple(votes), tuple(annotators), matrix, answers)


@dataclass(frozen=True)
class Panel:
    """What the audit sample has taught about the annotators.

    Attributes:
        reference: Whose labels the audit takes as true; ``None`` where there is nobody to compare.
        trusted: Whether the reference is gold, so that figures may be called calibrated.
        reliability: Probability of being right, shape (m,).
        overlap: How far each pair makes the same mistakes, shape (m, m), zero diagonal.
        audited: Items that back each figure, shape (m,).
        student_weight: Exponent of the student's probabilities beside votes: how far they hold up
            on the audit sample, at most 1. A student that has learned the mistakes of its labels
            is surest where it repeats them.
        ceiling: What no probability may pass: that the reference itself is right, or a lone
            annotator that nobody checks. 1 where the reference is trusted.
        calibrations: By how many annotators had voted (index 0: the student alone), the map from
            the posterior to the probability of agreeing with the reference; ``None`` without enough
            audits.
    """

    reference: str | None
    trusted: bool
    reliability: NDArray[np.float64]
    overlap: NDArray[np.float64]
    audited: NDArray[np.int64]
    student_weight: float
    ceiling: float
    calibrations: tuple[Calibration | None, ...]


def learn_panel(
    ballot: Ballot,
    student: NDArray[np.float64] | None,
    *,
    reference: str | None,
    trusted: bool,
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
        trusted: Whether they are the truth by configuration.
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
            trusted=trusted,
            reliability=prior,
            overlap=_overlap(ballot.votes[:0], np.empty(0, np.int64), classes),
            audited=none,
            student_weight=student_weight,
            ceiling=1.0 if trusted else strongest_accuracy if reference else float(prior[0]),
            calibrations=(None,) * (m + 1),
        )
    truth = ballot.column(reference)
    known = truth != NO_VOTE
    votes, truth = ballot.votes[known], truth[known]
    figures = reliability(
        votes, truth, classes, prior_accuracy=prior_accuracy, prior_strength=prior_strength
    )
    others = [i for i, name in enumerate(ballot.annotators) if name != reference]
    ceiling = 1.0 if trusted else strongest_accuracy
    # Agreement with a reference that errs understates accuracy where errors are independent; those
    # of language models are not, so the others' figures are taken as they are.
    figures[ballot.annotators.index(reference)] = ceiling
    overlap = _overlap(votes, truth, classes)
    calibrations: list[Calibration | None] = [None] * (m + 1)
    prior_rows = None if student is None else student[known]
    if prior_rows is not None:
        student_weight = _fit_weight(prior_rows, truth, student_weight)
    for depth in range(0 if student is not None else 1, len(others) + 1):
        seen = votes.copy()
        hidden = np.ones(m, bool)
        hidden[others[:depth]] = False
        seen[:, hidden] = NO_VOTE
        voted = (seen != NO_VOTE).sum(axis=1) == depth
        posterior = posterior_of(seen, figures, overlap, classes, prior_rows, student_weight)
        best = posterior.argmax(axis=1)
        calibrations[depth] = fit_calibration(posterior.max(axis=1)[voted], (best == truth)[voted])
    audited = (votes != NO_VOTE).sum(axis=0)
    return Panel(
        reference,
        trusted,
        figures,
        overlap,
        audited,
        student_weight,
        ceiling,
        tuple(calibrations),
    )


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
    panel_reliability: NDArray[np.float64],
    overlap: NDArray[np.float64],
    classes: int,
    prior: NDArray[np.float64] | None,
    prior_weight: float,
) -> NDArray[np.float64]:
    """One-coin posterior in which the votes on an item share what they have in common.

    A vote weighs 1 / (1 + its overlaps with the other votes on the same item), after Kish's
    effective sample size: one vote alone counts in full, two that err alike count as little more.

    Args:
        votes: Shape (n, m).
        panel_reliability: Shape (m,).
        overlap: Shape (m, m), zero diagonal.
        classes: K.
        prior: Probabilities before the votes, shape (n, K), or ``None`` for none.
        prior_weight: Their exponent.

    Returns:
        Probabilities, shape (n, K).
    """
    present = votes != NO_VOTE
    posterior = np.empty((len(votes), classes))
    patterns, members = np.unique(present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = members.reshape(-1) == number
        shared = overlap * pattern[:, None] * pattern[None, :]
        posterior[rows] = one_coin(
            votes[rows],
            panel_reliability,
            classes,
            None if prior is None else prior[rows],
            prior_weight,
            effective_weights(shared),
        )
    return posterior


@dataclass(frozen=True)
class Verdict:
    """What the votes on some items add up to.

    Attributes:
        label: Most probable class, shape (n,).
        p_correct: Probability that it is correct, shape (n,).
        calibrated: Whether the probability was fitted on audited items, shape (n,).
        posterior: Before calibration, shape (n, K).
    """

    label: NDArray[np.int64]
    p_correct: NDArray[np.float64]
    calibrated: NDArray[np.bool_]
    posterior: NDArray[np.float64]


def weigh(
    ballot: Ballot,
    panel: Panel,
    student: NDArray[np.float64] | None,
    *,
    classes: int,
) -> Verdict:
    """Add the votes up; a trusted vote decides alone.

    Args:
        ballot: Votes on n items.
        panel: What is known of the annotators, in the ballot's order.
        student: Probabilities of a student that has not seen the item, shape (n, K).
        classes: K.
    """
    votes = ballot.votes
    prior = None if student is None else _below(student, panel, classes)
    posterior = posterior_of(votes, panel.reliability, panel.overlap, classes, prior, 1.0)
    label = posterior.argmax(axis=1)
    p_correct = np.minimum(posterior.max(axis=1), panel.ceiling)
    calibrated = np.zeros(len(votes), bool)
    gold = np.full(len(votes), NO_VOTE)
    if panel.trusted and panel.reference is not None:
        gold = ballot.column(panel.reference)
    depth = (votes != NO_VOTE).sum(axis=1)
    for voters, calibration in enumerate(panel.calibrations):
        rows = (depth == voters) & (gold == NO_VOTE)
        if calibration is not None and rows.any():
            p_correct[rows] = apply_calibration(calibration, p_correct[rows])
            calibrated |= rows & panel.trusted
    known = gold != NO_VOTE
    label[known], p_correct[known], calibrated[known] = gold[known], 1.0, True
    return Verdict(label, p_correct, calibrated, posterior)


def _below(student: NDArray[np.float64], panel: Panel, classes: int) -> NDArray[np.float64]:
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


def accuracy_after_vote(
    posterior: NDArray[np.float64], reliability: float, *, trusted: bool = False
) -> NDArray[np.float64]:
    """Expected accuracy of the best label after one more vote, shape (n,).

    The sum over the K answers ``v`` that may come of the largest joint probability:
    ``sum_v max(pi_v r, max_{k != v} pi_k (1 - r) / (K - 1))`` (one-step value of information).

    Args:
        posterior: Belief before the vote, shape (n, K).
        reliability: Probability ``r`` that the annotator is right.
        trusted: Its label is taken as gold, so that the accuracy after it is 1.
    """
    n, classes = posterior.shape
    if trusted:
        return np.ones(n)
    wrong = (1.0 - reliability) / (classes - 1)
    order = np.sort(posterior, axis=1)
    top, second = order[:, -1:], order[:, -2:-1]
    best_other = np.where(posterior == top, second, top)
    # Two equal maxima: the best other one is the maximum itself.
    best_other = np.where((posterior == top) & (second == top), top, best_other)
    return np.asarray(
        np.maximum(posterior * reliability, best_other * wrong).sum(axis=1), np.float64
    )
