"""The verdict on an item: its most probable label, and how probably that is correct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE
from ..tools.calibration import apply_calibration
from .ballot import Ballot, by_pattern
from .lessons import blanks_of, features_of
from .panel import Panel, calibration_of, posterior_of


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

    An item of the audit sample is judged by weights that have not seen its label.

    Args:
        ballot: Votes on n items.
        panel: What is known of the annotators, in the ballot's order.
        student: Probabilities of a student that has not seen the item, shape (n, K).
        classes: K.
    """
    votes = ballot.votes
    posterior = posterior_of(votes, panel, classes, student, ballot.item_ids)
    label = posterior.argmax(axis=1)
    p_correct = posterior.max(axis=1)
    calibrated = np.zeros(len(votes), bool)
    answered = _answered(ballot, panel, student is not None)
    for pattern, rows in by_pattern(answered):
        calibration = calibration_of(panel, classes, pattern, student is not None)
        if calibration is not None:
            view = None if student is None else student[rows]
            nearby = None if panel.lessons is None else panel.lessons.nearby
            features = features_of(ballot.take(rows), label[rows], view, nearby)
            blank = blanks_of(votes[rows], answered[rows])
            p_correct[rows] = apply_calibration(
                calibration, p_correct[rows], features, label[rows], blank=blank
            )
            # Of answers without a vote the audit may have shown none.
            known = (blank == 0) | (calibration.blanks > 0)
            calibrated[rows] = known if panel.gold else False
    p_correct = np.minimum(p_correct, panel.ceiling)
    gold = gold_labels(ballot, panel)
    known = gold != NO_VOTE
    label[known], p_correct[known], calibrated[known] = gold[known], 1.0, True
    return Verdict(label, p_correct, calibrated, posterior)


def _answered(ballot: Ballot, panel: Panel, student: bool) -> NDArray[np.bool_]:
    """Who has answered, with a vote or without, as far as the audits can judge it, shape (n, m).

    Where they can not, because an annotator is trusted or has not been audited, its answers without
    a vote are no evidence, and the votes are judged as if it had not been asked.
    """
    voted: NDArray[np.bool_] = ballot.votes != NO_VOTE
    if panel.lessons is None:
        return voted
    answered: NDArray[np.bool_] = voted | (ballot.answered & panel.lessons.judged)
    for pattern, rows in by_pattern(answered):
        classes = panel.lessons.classes
        if calibration_of(panel, classes, pattern, student) is None:
            answered[rows] = voted[rows]
    return answered


def gold_labels(ballot: Ballot, panel: Panel) -> NDArray[np.int64]:
    """Labels that are true by configuration, ``NO_VOTE`` elsewhere, shape (n,).

    Where trusted annotators differ, the last of the cascade has the say.
    """
    gold = np.full(len(ballot.item_ids), NO_VOTE, np.int64)
    for name in ballot.annotators:
        if name in panel.gold:
            column = ballot.column(name)
            gold = np.where(column != NO_VOTE, column, gold)
    return gold


def declined_by_gold(ballot: Ballot, panel: Panel) -> NDArray[np.bool_]:
    """Items of which a trusted annotator says that no label fits, and none says otherwise."""
    none = np.zeros(len(ballot.item_ids), bool)
    if ballot.declined is None:
        return none
    columns = [ballot.annotators.index(name) for name in panel.gold]
    declined = ballot.declined[:, columns].any(axis=1) if columns else none
    return np.asarray(declined & (gold_labels(ballot, panel) == NO_VOTE), np.bool_)
