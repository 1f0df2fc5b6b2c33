"""Audits of changed predictions: what the stop rule buys to learn rho where that pays.

They are no random sample, so they never enter the figures of the audit; and they lie in the stop
set, so the loop does not learn from them. At the end they are trusted labels like any other.
"""

from __future__ import annotations

import numpy as np

from ..agents.ensemble import Ask, ask, reference
from ..tools.aggregation import NO_VOTE
from ..tools.ledger import Decision
from ..tools.plateau import Check
from ..tools.rho import Rho, rho_after_audit, strength_of, worth_of_audit
from .context import RunContext
from .state import RunState

AUDIT_CHANGE = "audit_change"
"""Kind of the decision that holds the sample, and purpose of its questions."""


def audit_of_changes(
    ctx: RunContext, state: RunState, history: list[np.ndarray], checked: Check
) -> list[Ask]:
    """Questions about changed predictions at the first proposal to stop, if they are worth it.

    Args:
        ctx: The run.
        state: Of the graph.
        history: Predictions of each round on the stop set.
        checked: The check that proposes to stop.

    Returns:
        An order to the trusted annotator, or none.
    """
    target = reference(ctx.voters)
    if (
        not ctx.config.stopping.audit_changes
        or checked.verdict != "propose_stop"
        or checked.churn is None
        or target is None
        or not target.trusted
        # One that this very step has written before a crash is put now.
        or any(made.step < state["step"] for made in ctx.ledger.log.decisions(AUDIT_CHANGE))
    ):
        return []
    before, after = history[-1 - checked.window], history[-1]
    changed = ctx.splits.stop_set[before != after]
    items = ctx.ids(ctx.rng(state["round"], AUDIT_CHANGE).permutation(changed))
    if target.person:
        items = items[: ctx.config.human.questions_per_round]
    if not items:
        return []
    who = ctx.people[target.name] if target.person else ctx.annotators[target.name]
    prices = who.expect(ctx.pool.texts(items))
    # Audits tell of rho alone; what is left to learn is expected whatever they say.
    share = checked.value * checked.next_share
    worth = worth_of_audit(
        checked.weight * share * checked.churn,
        checked.money_next - round((1 - checked.weight) * share * checked.learnable),
        checked.rho,
        len(items),
        round(float(prices.mean())),
        strength_of(checked.rho_from),
    )
    left = ctx.ledger.left()
    if not worth.items or (left is not None and worth.cost > left):
        return []
    chosen = items[: worth.items]
    rounds = [len(history) - checked.window, len(history)]
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            AUDIT_CHANGE,
            {"items": chosen, "rounds": rounds},
            {"worth": worth.worth, "cost": worth.cost, "rho": checked.rho, "judge": target.name},
        )
    )
    ctx.notify({"event": AUDIT_CHANGE, "asked": len(chosen), "judge": target.name})
    return [ask(target.name, chosen, AUDIT_CHANGE)]


def audited_changes(ctx: RunContext, history: list[np.ndarray]) -> tuple[int, int, int]:
    """(fixed, broken, audited) among the changed predictions that were audited so far."""
    target = reference(ctx.voters)
    fixed = broken = audited = 0
    for decision in ctx.ledger.log.decisions(AUDIT_CHANGE):
        if target is None:
            break
        items = decision.decision["items"]
        first, last = decision.decision["rounds"]
        truth = ctx.ballot(items).column(target.name)
        known = truth != NO_VOTE
        at = np.searchsorted(ctx.splits.stop_set, ctx.row_numbers(items))
        fixed += int((history[last - 1][at] == truth)[known].sum())
        broken += int((history[first - 1][at] == truth)[known].sum())
        audited += int(known.sum())
    return fixed, broken, audited


def with_audits(ctx: RunContext, history: list[np.ndarray], prior: Rho) -> Rho:
    """Rho with what the audits of changed predictions have said."""
    return rho_after_audit(*audited_changes(ctx, history), prior)
