"""How suspect labels are, judged as a run judges them: votes, student, descriptions, audits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE
from ..tools.suspicion import Suspicion, suspicion
from .ballot import Ballot
from .ensemble import distinct_voters
from .panel import Panel
from .verdict import declined_by_gold, gold_labels, weigh


@dataclass(frozen=True)
class Suspects:
    """Labels as they are without the trusted annotators, and how suspect they are.

    Attributes:
        ballot: The votes, those of trusted annotators hidden.
        labels: The labels in question, shape (n,).
        truth: Labels of trusted annotators, ``NO_VOTE`` elsewhere, shape (n,).
        suspicion: Of ``labels``.
    """

    ballot: Ballot
    labels: NDArray[np.int64]
    truth: NDArray[np.int64]
    suspicion: Suspicion


def suspect_labels(
    ballot: Ballot,
    panel: Panel,
    student: NDArray[np.float64] | None,
    similarity: NDArray[np.float32] | None,
    *,
    audited: NDArray[np.bool_],
    classes: int,
    held: NDArray[np.int64] | None = None,
) -> Suspects:
    """Judge labels; where audits were answered, they say how far each witness can be believed.

    Args:
        ballot: Votes on n items.
        panel: What is known of the annotators.
        student: Probabilities of a student that has not seen the items, shape (n, K).
        similarity: Of each text to each label's description, shape (n, K).
        audited: Items that were drawn at random for the audit, shape (n,).
        classes: K.
        held: Labels that are in question, shape (n,); those that the votes add up to without. On
            items with a trusted label it is asked whether the others would have erred.
    """
    truth = gold_labels(ballot, panel)
    trusted = np.isin(ballot.annotators, panel.gold)
    hidden = ballot.shown(~trusted)
    verdict = weigh(hidden, panel, student, classes=classes)
    labels = verdict.label.copy()
    if held is not None:
        labels = np.where(truth == NO_VOTE, held, labels)
    p_label = verdict.posterior[np.arange(len(labels)), labels]
    voters = distinct_voters(hidden)
    # Where a person finds that no label fits, whatever label there is is wrong.
    answered = (truth != NO_VOTE) | declined_by_gold(ballot, panel)
    rows = np.flatnonzero(audited & answered & (voters > 0))
    judged = suspicion(
        labels,
        p_label,
        similarity,
        voters=voters,
        audited=rows,
        wrong=labels[rows] != truth[rows],
    )
    return Suspects(hidden, labels, truth, judged)
