"""After the last audit: the texts that could not be accepted, put to the trusted annotator.

What comes back is right by configuration. It changes nothing of what the last audit has shown of
the other labels, which were settled before it was drawn.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from ..agents.ensemble import reference
from ..agents.panel import Panel
from ..tools.guarantee import ANSWERED, REST
from ..tools.ledger import Decision
from .audit_proof import audited_proof
from .context import RunContext
from .guarantee import asking_costs, finished_labels, rulings
from .rounds import RoundFit
from .state import RunState


def escalate_rest(
    ctx: RunContext,
    state: RunState,
    panel: Panel,
    fit: RoundFit | None,
    items: list[str],
    untested: list[str],
) -> list[str]:
    """Choose what of the rest the trusted annotator is asked about, and write it down.

    The least probable labels come first, as far as the money goes; texts that no last audit could
    test are the last; those of the last audit are not among them, answered or not. Where nothing is
    proven, or what the money pays for could not bring as many labels as the proof takes, nobody is
    asked: the labels are kept as they are.

    Args:
        ctx: The run.
        state: Of the graph.
        panel: What the audits of the rounds have taught.
        fit: The student that is kept.
        items: The last audit's texts.
        untested: Texts without a label that were not among those it was drawn from.

    Returns:
        The texts; none where nobody is to be asked.
    """
    guarantee, judge = ctx.config.ensemble.guarantee, reference(ctx.voters)
    if guarantee is None or guarantee.rest != "escalate" or judge is None:
        return []
    finished = finished_labels(ctx, state, panel, fit, items)
    proven = audited_proof(ctx, finished, panel)
    if proven.threshold is None:
        return []
    tested, sample = {*finished.ballot.item_ids}, {*items}
    below = [
        row
        for row, ruling in enumerate(rulings(ctx, finished, panel, proven))
        if ruling.action == "set_apart" and not ruling.final and ruling.item_id not in sample
    ]
    order = np.argsort(finished.verdict.p_correct[below], kind="stable")
    rest = [finished.ballot.item_ids[below[place]] for place in order.tolist()]
    asked = ctx.ledger.votes.attempts(judge.name, [*rest, *untested])
    rest = [item for item in [*rest, *untested] if item not in asked]
    wanted, left = len(rest), ctx.ledger.left()
    if left is not None and rest:
        costs = np.cumsum(asking_costs(ctx, rest))
        rest = rest[: int(np.searchsorted(costs, left, side="right"))]
    if guarantee.of == "delivered":
        gave = ceil(ANSWERED * sum(item in tested for item in rest))
        lowest = proven.threshold
        if audited_proof(ctx, finished, panel, gave=gave, lowest=lowest).threshold is None:
            return []
    if rest:
        shown = {
            "of": wanted,
            "judge": judge.name,
            "threshold": proven.threshold,
            "audits": proven.audits,
        }
        ctx.ledger.log.decide(
            Decision(state["step"], state["round"], "critic", REST, {"items": rest}, shown)
        )
        ctx.notify({"event": REST, "asked": len(rest), "judge": judge.name})
    return rest
