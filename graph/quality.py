"""How good labels and students are, judged on the audit sample alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..agents.ensemble import reference
from ..agents.verdict import weigh
from ..tools.aggregation import NO_VOTE
from ..tools.audit import Interval, accuracy_interval
from ..tools.ledger import Consensus
from ..tools.prediction_powered import class_shares, powered_share
from .context import RunContext
from .rounds import RoundFit

ENOUGH = 30
"""Audited items from which one round's student may be preferred to another's."""
SURELY = 2.5
"""Standard errors by which it must lead: many rounds are compared on the same few texts."""


@dataclass(frozen=True)
class AuditFigures:
    """Figures backed by trusted labels of randomly chosen items.

    Attributes:
        n: Audited items with a trusted label.
        student: Out-of-sample accuracy of the student on them.
        why_not: Why there are no figures, where there are none.
    """

    n: int
    student: Interval
    why_not: str | None


@dataclass(frozen=True)
class Stratum:
    """Labels that came about in the same way, and how such labels fare on the audit sample.

    Attributes:
        voters: Whose votes are behind them, trusted ones left out.
        right: Audited items on which such a label would be right.
        n: Audited items on which there would be such a label.
        size: Labels of this kind.
    """

    voters: tuple[str, ...]
    right: int
    n: int
    size: int


def audit_figures(ctx: RunContext, audited: int, fit: RoundFit | None) -> AuditFigures:
    """Judge the student on the audit sample so far."""
    nothing = accuracy_interval(0, 0)
    target = reference(ctx.voters)
    if target is None or not target.trusted:
        return AuditFigures(0, nothing, "no annotator is trusted, so nothing is audited")
    ids = ctx.audit_ids(audited)
    truth = ctx.ballot(ids).column(target.name)
    known = truth != NO_VOTE
    if not known.any():
        return AuditFigures(0, nothing, "no audit has been answered yet")
    student = ctx.student_view(ids, fit)
    if student is None:
        return AuditFigures(int(known.sum()), nothing, None)
    right = int((student.argmax(axis=1) == truth)[known].sum())
    return AuditFigures(int(known.sum()), accuracy_interval(right, int(known.sum())), None)


def powered_figures(
    ctx: RunContext, audited: int, fit: RoundFit | None
) -> tuple[Interval, list[Interval]] | None:
    """The student's accuracy on texts to come and the share of each class in the pool.

    Trusted labels of the audit sample, made sharper by the student's probabilities on the whole
    pool: on a text that it was trained on they come from the fold that has not seen it.

    Returns:
        ``None`` without a student or without an answered audit.
    """
    target = reference(ctx.voters)
    if fit is None or target is None or not target.trusted:
        return None
    ids = ctx.ids(np.flatnonzero(~ctx.pool.origins()))
    place = {item: position for position, item in enumerate(ids)}
    sample = [item for item in ctx.audit_ids(audited) if item in place]
    truth = ctx.ballot(sample).column(target.name)
    known = truth != NO_VOTE
    proba = ctx.student_view(ids, fit)
    if proba is None or not known.any():
        return None
    rows = np.asarray([place[item] for item in sample], np.int64)[known]
    right = proba[rows].argmax(axis=1) == truth[known]
    student = powered_share(right, rows, proba.max(axis=1), to_come=True)
    return student, class_shares(truth[known], rows, proba)


def label_strata(
    ctx: RunContext, audited: int, fit: RoundFit | None, labels: Iterable[Consensus]
) -> list[Stratum]:
    """Accepted labels by whose votes are behind them, each kind judged on the audit sample.

    The audit sample was put to everybody; most labels rest on one cheap vote or on the student's
    word. So each kind of label is judged with the votes that it has, the others hidden. Trusted
    labels are right by configuration. A kind that the audit can not show is judged as the student
    alone.

    Returns:
        One stratum a kind, none where no annotator is trusted or no audit is answered.
    """
    target = reference(ctx.voters)
    if target is None or not target.trusted:
        return []
    ids = ctx.audit_ids(audited)
    ballot = ctx.ballot(ids)
    truth = ballot.column(target.name)
    if not (truth != NO_VOTE).any():
        return []
    accepted = [consensus for consensus in labels if consensus.outcome == "accept"]
    gold = sum(bool(consensus.evidence["gold"]) for consensus in accepted)
    kinds = Counter(tuple(sorted(c.evidence["votes"])) for c in accepted if not c.evidence["gold"])
    panel = replace(ctx.panel(audited, fit), gold=())
    student = ctx.student_view(ids, fit)

    def judge(voters: tuple[str, ...]) -> tuple[int, int]:
        shown = np.isin(ballot.annotators, voters)
        asked = (truth != NO_VOTE) & (ballot.votes[:, shown] != NO_VOTE).all(axis=1)
        seen = ballot.shown(shown)
        verdict = weigh(seen, panel, student, classes=len(ctx.labels))
        kept = asked & (verdict.p_correct >= ctx.config.critic.set_apart_below)
        return int((kept & (verdict.label == truth)).sum()), int(kept.sum())

    strata = [Stratum((), gold, gold, gold)] if gold else []
    for voters, size in sorted(kinds.items()):
        right, n = judge(voters)
        if not n:
            right, n = judge(())
        strata.append(Stratum(voters, right, n, size))
    return strata


def wrong_labels(strata: Sequence[Stratum], audited: int) -> int:
    """Of as many labels as were audited, how many would be wrong, each kind by its share."""
    judged = [stratum for stratum in strata if stratum.n]
    total = sum(stratum.size for stratum in judged)
    if not total:
        return 0
    wrong = sum(stratum.size * (1 - stratum.right / stratum.n) for stratum in judged)
    return min(audited, math.ceil(audited * wrong / total - 1e-9))


def best_round(ctx: RunContext, audited: int) -> int:
    """The round whose student is kept; 0 where there is none.

    The last one, unless an earlier student is right on more of the same audited texts by more than
    `SURELY` standard errors of the difference: the last has seen the most labels, and the best of
    many rounds on a small sample is the luckiest one.
    """
    closed = [number for number, _, _ in ctx.ledger.log.rounds()]
    if not closed:
        return 0
    last = _right(ctx, audited, ctx.round_fit(closed[-1]))
    if last is None or len(last) < ENOUGH:
        return closed[-1]
    best, most = closed[-1], 0.0
    for number in closed[:-1]:
        right = _right(ctx, audited, ctx.round_fit(number))
        if right is None:
            continue
        lead = right.astype(np.float64) - last
        surely = SURELY * float(lead.std()) / math.sqrt(len(lead))
        if lead.mean() > max(surely, most):
            best, most = number, float(lead.mean())
    return best


def _right(ctx: RunContext, audited: int, fit: RoundFit) -> NDArray[np.bool_] | None:
    """Whether a round's student is right on each text whose audit was answered."""
    target = reference(ctx.voters)
    if target is None or not target.trusted:
        return None
    ids = ctx.audit_ids(audited)
    truth = ctx.ballot(ids).column(target.name)
    student = ctx.student_view(ids, fit)
    if student is None:
        return None
    return np.asarray((student.argmax(axis=1) == truth)[truth != NO_VOTE], np.bool_)
