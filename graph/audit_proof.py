"""What the last audit has shown of the labels, and what the escalation after it leaves of that.

The sample is closed once the rest is escalated: what comes back then is counted as labels that the
trusted annotator has given, and never as outcomes of the test.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import NOT_RECORDED
from ..agents.panel import Panel
from ..agents.verdict import gold_labels
from ..tools.aggregation import NO_VOTE
from ..tools.guarantee import Acceptance, accept_labels
from ..tools.prediction_powered import powered_share
from .context import RunContext
from .guarantee import Finished, escalated, expert_planned, least, terms, times_tested


def judge_labels(ctx: RunContext, finished: Finished, panel: Panel) -> Acceptance:
    """What the last audit proves, and the escalation after it.

    Where the error is a share of the labels that this was to bring as well, and they have not come,
    what the audit has shown is not enough.
    """
    planned, sent = audited_proof(ctx, finished, panel), escalated(ctx)
    if planned.threshold is None or not expert_planned(ctx):
        return planned
    gave = int((gold_labels(finished.ballot, panel)[finished.escalated] != NO_VOTE).sum())
    proven = audited_proof(ctx, finished, panel, gave=gave)
    if proven.threshold is not None:
        return proven
    why = "the texts that could not be accepted were not put to the trusted annotator"
    if sent is not None:
        of = f"{gave} of the {len(sent.decision['items'])} texts that were put to it afterwards"
        why = f"the trusted annotator gave a label to {of}, which is too few"
    why += "; the error was to be a share of these labels, too (ensemble.guarantee.of)"
    return replace(proven, why_not=why, short_of="labels")


def audited_proof(
    ctx: RunContext,
    finished: Finished,
    panel: Panel,
    *,
    gave: int | None = None,
    lowest: float = 0.0,
) -> Acceptance:
    """What the last audit proves if as many labels come of the rest as it was planned with.

    A text of it that a person left unanswered, or found no label right for, counts as wrong. A
    model that the caps did not pay for to the end was asked about a shorter sample. Where recorded
    votes lack a text that was drawn, as they do in most replays, nothing is proven: the others are
    no random sample, and that nobody was asked says nothing of a label.

    Args:
        ctx: The run.
        finished: The labels.
        panel: Who is trusted.
        gave: If so many labels come, instead.
        lowest: No threshold below; of an escalation that was made, that by which it was made.
    """
    guarantee, judge = terms(ctx)
    sent, audited = escalated(ctx), finished.audited
    planned = {} if sent is None else sent.evidence
    lacking = _not_recorded(ctx, judge.name, [finished.ballot.item_ids[row] for row in audited])
    answered = np.flatnonzero(finished.heard)[: 0 if lacking else None]
    if not len(answered):
        audited = audited[:0]
    elif "audits" in planned:
        # The rest was chosen by what this sample has shown.
        audited = audited[: planned["audits"]]
    elif not judge.person:
        audited = audited[: int(answered[-1]) + 1]
    proven = accept_labels(
        np.clip(finished.verdict.p_correct, 0.0, 1.0),
        audited,
        ~_audited_right(finished, panel)[: len(audited)],
        error=guarantee.error,
        confidence=guarantee.confidence,
        expert=expert_planned(ctx),
        gave=gave,
        lowest=max(lowest, planned.get("threshold", 0.0)),
    )
    if not lacking:
        return proven
    of = f"{lacking} of the {len(finished.audited)} texts that the last audit drew"
    why = f"the recorded votes of {judge.name} lack {of}"
    return replace(proven, why_not=why, short_of=None)


def proof(ctx: RunContext, finished: Finished, panel: Panel, proven: Acceptance) -> dict[str, Any]:
    """What was proven, and how often the labels that are kept are right, as plain values."""
    guarantee, _ = terms(ctx)
    limit = least(ctx, proven)
    audited, p = finished.audited[: proven.audits], finished.verdict.p_correct
    above = p >= limit
    place = np.cumsum(above) - 1
    seen = audited[above[audited]]
    right = _audited_right(finished, panel)[: proven.audits][above[audited]]
    tests, confidence = times_tested(ctx)
    return {
        **asdict(proven),
        "error": guarantee.error,
        "of": guarantee.of,
        "confidence": confidence,
        "tests": tests,
        "labels": {
            **asdict(powered_share(right, place[seen], p[above])),
            "of": int(above.sum()),
            "wrong": int((~right).sum()),
        },
    }


def _audited_right(finished: Finished, panel: Panel) -> NDArray[np.bool_]:
    """Whether the label of each of the last audit's texts has proven right, shape (n,)."""
    audited = finished.audited
    truth = gold_labels(finished.ballot, panel)[audited]
    return np.asarray(finished.heard & (truth == finished.verdict.label[audited]), np.bool_)


def _not_recorded(ctx: RunContext, judge: str, items: list[str]) -> int:
    votes = ctx.ledger.votes.of_items(items).values()
    return sum(
        any(vote.annotator == judge and vote.invalid == NOT_RECORDED for vote in given)
        for given in votes
    )
