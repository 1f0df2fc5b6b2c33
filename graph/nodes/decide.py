"""Decide: the cost-plateau rule, its gates and the hard caps."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from ...agents.ensemble import Ask
from ...agents.stop_agent import Explanation, explain_stop
from ...tools.gates import Action, Gate, blocking, gates, gold
from ...tools.hindsight import sensitivity
from ...tools.ledger import Decision
from ...tools.outlook import explain, next_dollars
from ...tools.plateau import Check
from ..change_audits import audit_of_changes, audited_changes
from ..context import RunContext
from ..directives import FINISH, OPERATOR, VALUE, take
from ..guarantee import money_kept
from ..labelled import labelled_items
from ..proposals import order_of_proposals
from ..roster import roster
from ..state import Order, RunState
from ..stop_check import check_round, loop_rounds
from ..value import value
from .select import pool_view

HARDLY = 2
"""Times its price that a batch must be expected to gain, or the model is asked to explain."""
ENDED = {"reason": OPERATOR, "detail": "the operator ended the run"}
PRICED_TEXTS = 200
"""Texts whose prices stand for those of the rest."""


def decide(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Go on, act on a failed gate, or stop, with the arithmetic in the ledger."""
    ctx = runtime.context
    # First: what accuracy is worth is looked up from here on.
    ordered = take(ctx, state, state["round"], FINISH, VALUE)
    hard = ENDED if FINISH in ordered else _hard_stop(ctx, state)
    rounds = loop_rounds(ctx)
    checked = check_round(ctx, rounds, state["streak"]) if rounds else None
    shown = _gates(ctx, state, rounds, checked) if checked else []
    stop, order = _conclude(hard, checked, shown)
    # What a person has accepted is carried out before the run may end of its own accord.
    waiting, accepted = order_of_proposals(ctx, state, hard)
    if waiting:
        stop, order = None, order or accepted
    if hard is None and stop is not None and checked is not None:
        history = [predictions for _, _, predictions in rounds]
        if asks := audit_of_changes(ctx, state, history, checked):
            return _audit(ctx, state, asks)
    explained = _explained(ctx, state, checked, shown) if hard is None else None
    if explained is not None and explained.spend_less and stop is None and order is None:
        stop = {"reason": "spend_less", "detail": f"{explained.by}: {explained.reason}"}
    streak = checked.streak if checked else 0
    tried = [*state["tried"], order["action"]] if order else state["tried"]
    if order and order["action"] in {"relabel", "escalate"}:
        # What was a plateau on noisy labels says nothing about better ones.
        streak = 0
    evidence = _evidence(ctx, rounds, checked, shown)
    if explained is not None:
        evidence["model_explanation"] = asdict(explained)
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            "stop_check",
            {"stop": stop, "order": order},
            evidence,
        )
    )
    ctx.notify(
        {
            "event": "decided",
            "round": state["round"],
            "stop": stop,
            "order": order,
            "why": checked.why if checked else None,
            "explanation": evidence.get("explanation"),
        }
    )
    update: RunState = {
        "step": state["step"] + 1,
        "streak": streak,
        "order": order,
        "tried": tried if streak or order else [],
        "stop": stop,
        "phase": "loop",
        "asks": [],
        "questions": [],
        "reports": Overwrite([]),  # type: ignore[typeddict-item]
        "go": "select" if stop is None else "finish",
    }
    if stop is not None:
        update |= {"phase": "sweep", "passes": 0, "out_of_reach": []}
        update |= {"ended": FINISH in ordered, "cap": ctx.config.budget.usd}
    return update


def _audit(ctx: RunContext, state: RunState, asks: list[Ask]) -> RunState:
    """Put the questions of an audit of changes, and decide again with the answers."""
    people = {order["annotator"] for order in asks} & set(ctx.people)
    return {
        "step": state["step"] + 1,
        "phase": "audit",
        "asks": [order for order in asks if order["annotator"] not in people],
        "questions": [order for order in asks if order["annotator"] in people],
        "put": 0,
        "go": "ask_human" if people else "annotate",
    }


def _hard_stop(ctx: RunContext, state: RunState) -> dict[str, str] | None:
    budget = ctx.config.budget
    refused = [name for name in state["out_of_reach"] if name not in ctx.people]
    if refused:
        return {"reason": "cap", "detail": f"the caps no longer pay for {', '.join(refused)}"}
    if _rest_is_next(ctx):
        detail = "what is left of the cap is kept for a first vote on every other item"
        return {"reason": "cap", "detail": detail}
    if time_is_up(ctx, state):
        return {"reason": "cap", "detail": f"wall clock: {budget.wall_clock_s:g} s are used up"}
    if not len(pool_view(ctx, None).candidates):
        detail = "every text outside the stop set has been asked about"
        return {"reason": "pool_exhausted", "detail": detail}
    if state["round"] >= ctx.config.stopping.max_rounds:
        return {"reason": "max_rounds", "detail": f"{state['round']} rounds, as configured"}
    return None


def time_is_up(ctx: RunContext, state: RunState) -> bool:
    """Whether the run has taken all its wall time, over all resumes."""
    limit = ctx.config.budget.wall_clock_s
    return limit is not None and state["seconds"] + time.monotonic() - ctx.started >= limit


def _rest_is_next(ctx: RunContext) -> bool:
    """Whether another round like the last would use money that cheap votes on the rest need.

    At most half of the cap is kept back: where a first vote is dear, training comes first.
    """
    left, cap = ctx.ledger.left(), ctx.ledger.caps.money
    rounds = ctx.ledger.log.rounds()
    if left is None or cap is None or not rounds:
        return False
    spent = [metrics["spent"] for _, metrics, _ in rounds]
    last: int = spent[-1] - (spent[-2] if len(spent) > 1 else 0)
    rest = max(0, len(ctx.pool) - len(labelled_items(ctx)))
    sample = ctx.pool.texts(ctx.pool.ids[:PRICED_TEXTS])
    gone = roster(ctx).dropped
    asked = [one for name, one in ctx.annotators.items() if name not in gone]
    cheapest = min((float(one.expect(sample).mean()) for one in asked), default=0.0)
    kept = round(cheapest * rest) + money_kept(ctx)
    return kept > 0 and left - last < min(kept, cap // 2)


def _gates(
    ctx: RunContext, state: RunState, rounds: list[tuple[int, Any, Any]], checked: Check
) -> list[Gate]:
    _, metrics, predictions = rounds[-1]
    mixes = [d.evidence["mix"] for d in ctx.ledger.log.decisions("batch")]
    main = [max(sorted(mix), key=lambda name: mix[name]) for mix in mixes]
    # An action that this run can not take counts as tried, so that it holds nothing back.
    impossible: list[Action] = []
    if not ctx.config.generation.enabled or ctx.config.generation.model is None:
        impossible.append("generate")
    if len(ctx.voters) == 1:
        impossible += ["relabel", "escalate"]
    # A quarter of a small pool is as much as a gate may ask for.
    stopping = ctx.config.stopping
    fewest = min(stopping.min_labels, len(ctx.pool) // 4)
    found = gates(
        stopping.model_copy(update={"min_labels": fewest}),
        rounds=len(rounds),
        label_counts=np.asarray([metrics["classes"][label] for label in ctx.labels]),
        stop_set_predictions=predictions,
        label_names=ctx.labels,
        audit_errors=metrics["audit_label_errors"],
        audited=metrics["audited"],
        strategies=main,
        streak=checked.streak,
        tried=[*state["tried"], *impossible],
    )
    return [*found, _gold_gate(ctx, rounds, checked)]


def _gold_gate(ctx: RunContext, rounds: list[tuple[int, Any, Any]], checked: Check) -> Gate:
    """The learning curve on trusted audits; it may hold a proposal back for one round."""
    judged = [metrics for _, metrics, _ in rounds if metrics["audit_student"] is not None]
    batch = ctx.config.selection.size(len(ctx.pool), len(ctx.labels))
    return gold(
        [metrics["labels"] for metrics in judged],
        np.asarray([metrics["audit_student"] for metrics in judged]),
        rounds[-1][1]["audited"],
        checked.value,
        round(checked.money_next / batch),
        held=checked.streak > ctx.config.stopping.patience,
    )


def _conclude(
    hard: dict[str, str] | None, checked: Check | None, shown: list[Gate]
) -> tuple[dict[str, str] | None, Order | None]:
    """(why to stop, what to do in the next round); hard caps always win."""
    if hard is not None:
        return hard, None
    if checked is None or checked.verdict == "continue":
        return None, None
    failed = blocking(shown)
    if not failed:
        reason = "certificate" if checked.certificate else "cost_plateau"
        return {"reason": reason, "detail": checked.why}, None
    acting = next((gate for gate in failed if gate.action is not None), None)
    if acting is None or acting.action is None:
        return None, None
    return None, Order(action=acting.action, classes=list(acting.classes))


def _explained(
    ctx: RunContext, state: RunState, checked: Check | None, shown: list[Gate]
) -> Explanation | None:
    """The model's explanation, where there is one and the rule sees a reason to stop.

    Where the next batch hardly pays the model may spend less.
    """
    critic = ctx.config.critic
    if critic.model is None or checked is None:
        return None
    hardly = (checked.next_gain or 0) < HARDLY * checked.money_next
    if checked.verdict == "continue" and not (checked.rule or hardly):
        return None
    return explain_stop(
        ctx.desk,
        critic,
        lines=explain(checked).splitlines(),
        gates=shown,
        verdict=checked.verdict,
        round_=state["round"],
    )


def _evidence(
    ctx: RunContext,
    rounds: list[tuple[int, Any, Any]],
    checked: Check | None,
    shown: list[Gate],
) -> dict[str, Any]:
    worth = value(ctx)
    evidence: dict[str, Any] = {"value": worth.nano, "value_from": worth.explanation}
    if checked is None:
        return evidence
    earlier = [
        d.evidence["check"]
        for d in ctx.ledger.log.decisions("stop_check")
        if d.evidence.get("check")
    ]
    checks = [*map(Check.from_dict, earlier), checked]
    fixed, broken, audited = audited_changes(ctx, [predictions for _, _, predictions in rounds])
    return {
        **evidence,
        "check": checked.to_dict(),
        "gates": [gate.to_dict() for gate in shown],
        "explanation": explain(checked),
        "next_dollar": next_dollars(checked, 1.0).text,
        "stop_round_if": sensitivity(checks, ctx.config.stopping),
        "changes_audited": {"fixed": fixed, "broken": broken, "audited": audited},
    }
