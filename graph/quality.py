"""How good labels and students are, judged on the audit sample alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..agents.ballot import Ballot
from ..agents.ensemble import reference
from ..agents.verdict import weigh
from ..tools.aggregation import NO_VOTE
from ..tools.audit import Interval, accuracy_interval
from .context import RunContext
from .rounds import RoundFit

ENOUGH = 30
"""Audited items from which one round's student may be preferred to another's."""


@dataclass(frozen=True)
class AuditFigures:
    """Figures backed by trusted labels of randomly chosen items.

    Attributes:
        n: Audited items with a trusted label.
        label_errors: Labels among them that the ensemble would have accepted and that are wrong.
        kept: Items whose label, without the trusted annotator, would not be set apart.
        kept_right: Those of them whose label is right.
        student: Out-of-sample accuracy of the student on them.
        why_not: Why there are no figures, where there are none.
    """

    n: int
    label_errors: int
    kept: int
    kept_right: int
    student: Interval
    why_not: str | None


def audit_figures(ctx: RunContext, audited: int, fit: RoundFit | None) -> AuditFigures:
    """Judge the ensemble's labels and the student on the audit sample so far.

    The ensemble is judged as it works without the trusted annotator: a label that it would not
    have accepted would have been sent on, and is no error.
    """
    target = reference(ctx.voters)
    nothing = accuracy_interval(0, 0)
    if target is None or not target.trusted:
        return AuditFigures(0, 0, 0, 0, nothing, "no annotator is trusted, so nothing is audited")
    ids = ctx.audit_ids(audited)
    ballot = ctx.ballot(ids)
    truth = ballot.column(target.name)
    known = np.flatnonzero(truth != NO_VOTE)
    if not len(known):
        return AuditFigures(0, 0, 0, 0, nothing, "no audit has been answered yet")
    panel = ctx.panel(audited, fit)
    hidden = ballot.votes.copy()
    hidden[:, [ballot.annotators.index(name) for name in panel.gold]] = NO_VOTE
    blind = Ballot(ballot.item_ids, ballot.annotators, hidden, ballot.answers)
    student = ctx.student_view(ids, fit)
    verdict = weigh(
        blind,
        replace(panel, gold=()),
        student,
        classes=len(ctx.labels),
    )
    voted = (hidden != NO_VOTE).any(axis=1)
    accepted = voted & (verdict.p_correct >= ctx.config.critic.accept_at)
    errors = int((accepted & (verdict.label != truth))[known].sum())
    kept = verdict.p_correct[known] >= ctx.config.critic.set_apart_below
    kept_right = int((kept & (verdict.label == truth)[known]).sum())
    right = 0 if student is None else int((student.argmax(axis=1) == truth)[known].sum())
    judged = 0 if student is None else len(known)
    return AuditFigures(
        len(known), errors, int(kept.sum()), kept_right, accuracy_interval(right, judged), None
    )


def best_round(ctx: RunContext, audited: int) -> int:
    """The round whose student is kept; 0 where there is none.

    The last one, unless an earlier student is better on the audit sample by more than one standard
    error: the last has seen the most labels, and small samples are noisy.
    """
    closed = [number for number, _, _ in ctx.ledger.log.rounds()]
    if not closed:
        return 0
    last = audit_figures(ctx, audited, ctx.round_fit(closed[-1])).student
    if last.estimate is None or last.n < ENOUGH:
        return closed[-1]
    best, best_accuracy = closed[-1], last.estimate
    threshold = last.estimate + math.sqrt(last.estimate * (1 - last.estimate) / last.n)
    for number in closed[:-1]:
        accuracy = audit_figures(ctx, audited, ctx.round_fit(number)).student.estimate
        if accuracy is not None and accuracy > max(threshold, best_accuracy):
            best, best_accuracy = number, accuracy
    return best
