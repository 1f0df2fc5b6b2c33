"""What the student made of corrections: labels of other texts that a new delivery has changed."""

from __future__ import annotations

from typing import Any

from .context import RunContext
from .corrections import corrected_since, correctors_since
from .guarantee import bought_since

LEARNED = "learned"
"""Name under which a delivery holds it. Deliveries of earlier versions have none."""


def learned(ctx: RunContext, step: int, kept: int) -> dict[str, Any]:
    """What a delivery after corrections has changed besides them, for its decision.

    Only where nothing was bought since the delivery before: else not the corrections alone have
    changed the labels.

    Args:
        ctx: The run.
        step: Of this delivery, whose labels are written down.
        kept: The round whose student is delivered; 0 without one.

    Returns:
        Under `LEARNED`: how many texts were corrected and by whom; how many others have another
        label, have one that had none, and have none that had one; and whether the student that is
        delivered has learned the corrections. Empty where there is nothing to say.
    """
    before = [made for made in ctx.ledger.log.decisions("deliver") if made.step < step]
    if not before or bought_since(ctx, before[-1].step):
        return {}
    last = before[-1].step
    theirs = set(corrected_since(ctx, last))
    if not theirs:
        return {}
    trained = [made.round for made in ctx.ledger.log.decisions("trained") if made.step > last]
    counts = {"relabelled": 0, "accepted": 0, "set_apart": 0}
    for item, was, now in ctx.ledger.votes.relabelled(last, step):
        if item in theirs:
            continue
        had, has = was is not None and was[0] == "accept", now[0] == "accept"
        if had or has:
            counts["relabelled" if had and has else "accepted" if has else "set_apart"] += 1
    found = {
        "corrected": len(theirs),
        "by": correctors_since(ctx, last),
        "by_student": kept in trained,
        **counts,
    }
    return {LEARNED: found}
