"""From rulings to the ledger: labels with source, probability, reason and the votes behind them."""

from __future__ import annotations

from ..agents.ballot import Ballot
from ..agents.critic import Ruling
from ..agents.ensemble import distinct_voters
from ..agents.panel import Panel
from ..agents.verdict import Verdict, gold_labels
from ..tools.aggregation import NO_VOTE
from ..tools.ledger import Consensus
from .context import RunContext
from .corrections import corrected


def settle_labels(
    ctx: RunContext,
    step: int,
    round_: int,
    rulings: list[Ruling],
    ballot: Ballot,
    verdict: Verdict,
    panel: Panel,
    *,
    student_speaks: bool = False,
) -> list[Consensus]:
    """Write into the ledger every label that is accepted or set apart.

    Args:
        ctx: The run.
        step: Key under which it is kept once.
        round_: The round.
        rulings: What becomes of each item; others than accept and set_apart are passed over, as
            is what people have corrected: nothing but another correction changes that.
        ballot: Votes on the items.
        verdict: What they add up to.
        panel: Who is trusted.
        student_speaks: Whether an item without a vote has the student's label.

    Returns:
        What was written.
    """
    rows = {item: row for row, item in enumerate(ballot.item_ids)}
    gold = gold_labels(ballot, panel) != NO_VOTE
    # A model may be trusted as well, and stays a model.
    person = any(
        settings.name in panel.gold and settings.kind in {"human", "recorded"}
        for settings in ctx.config.annotators
    )
    voters = distinct_voters(ballot)
    final = corrected(ctx)
    settled = []
    for ruling in rulings:
        if ruling.action not in {"accept", "set_apart"} or ruling.item_id in final:
            continue
        row = rows[ruling.item_id]
        known = bool(voters[row]) or student_speaks
        settled.append(
            Consensus(
                item_id=ruling.item_id,
                label=ctx.labels[int(verdict.label[row])] if known else None,
                p_correct=round(float(verdict.p_correct[row]), 6) if known else None,
                calibrated=bool(verdict.calibrated[row]) and known,
                source=_source(person and bool(gold[row]), int(voters[row])),
                outcome=ruling.action,
                reason=ruling.reason,
                evidence={
                    "gold": bool(gold[row]),
                    "votes": {
                        name: ctx.labels[int(vote)]
                        for name, vote in zip(ballot.annotators, ballot.votes[row], strict=True)
                        if vote != NO_VOTE
                    },
                    "flags": list(ruling.flags),
                    "final": ruling.final,
                },
            )
        )
    ctx.ledger.votes.conclude(step, round_, settled)
    return settled


def _source(person: bool, voters: int) -> str:
    if person:
        return "person"
    return "panel" if voters > 1 else "model" if voters else "student"
