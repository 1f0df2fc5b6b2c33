"""Finish: a label with source and probability for every item, or set apart with a reason.

First the sweep: a vote is bought for an item where its expected gain in accuracy, at the stated
cost of an error, is more than its price. Then a last training, a last audit where a guarantee is
wanted, and the delivery.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from ...agents.ballot import Ballot
from ...agents.critic import Ruling
from ...agents.ensemble import Ask, distinct_voters
from ...agents.panel import Panel
from ...agents.verdict import Verdict, declined_by_gold, weigh
from ...tools.guarantee import REST
from ...tools.ledger import Consensus, Decision
from ..audit_proof import judge_labels, proof
from ..context import RunContext
from ..corrections import corrected_since, take_corrections
from ..directives import FINISH, take
from ..escalation import escalate_rest
from ..guarantee import (
    PROVEN,
    audit_under_way,
    draw_last_audit,
    escalated,
    finished_labels,
    last_audit,
    proof_stands,
    questions_left,
    rulings,
    trusted_rulings,
    unanswered_audits,
)
from ..labelled import labelled_items, training_set
from ..quality import best_round
from ..relearned import learned
from ..rounds import RoundFit
from ..settle import settle_labels
from ..state import RunState
from ..sweep import worth_asking
from ..value import error_cost
from .critique import panel_table
from .decide import time_is_up


def finish(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Sweep until no vote is worth its price, train once more, then deliver."""
    ctx = runtime.context
    ended = state.get("ended", False) or FINISH in take(ctx, state, state["round"], FINISH)
    # While labels are being tested they stay as they are; what waits is taken afterwards.
    if not audit_under_way(ctx):
        take_corrections(ctx, state, state["round"])
    refused = {report["annotator"] for report in state["reports"] if report["not_asked"]}
    out_of_reach = sorted({*state["out_of_reach"], *refused})
    bought = any(report["answered"] for report in state["reports"])
    kept = best_round(ctx, state["audited"])
    fit = ctx.round_fit(kept) if kept else None
    open_items = _open_items(ctx)
    panel = ctx.panel(state["audited"], fit)
    ballot, verdict = _weigh(ctx, open_items, panel, fit)
    update: RunState = {
        "step": state["step"] + 1,
        "out_of_reach": out_of_reach,
        "best_round": kept,
        "ended": ended,
        "passes": state["passes"] + 1,
        "reports": Overwrite([]),  # type: ignore[typeddict-item]
    }
    if state["phase"] == "sweep":
        asks = (
            []
            if ended or time_is_up(ctx, state)
            else worth_asking(
                ctx,
                ballot,
                verdict,
                panel,
                set(out_of_reach),
                audited=state["audited"],
                fit=fit,
            )
        )
        _note_sweep(ctx, state, asks, panel)
        if asks:
            return {**update, "asks": asks, "go": "annotate"}
        if bought or state["passes"] > 1:
            _settle_voted(ctx, state, ballot, verdict, panel)
            return {**update, "asks": [], "phase": "deliver", "go": "train"}
    update |= {"asks": [], "phase": "deliver"}
    if _unlearned(ctx):
        return {**update, "go": "train"}
    tested = proof_stands(ctx)
    if tested is not None and corrected_since(ctx, tested.step):
        # The student has learned the corrections. The labels are those that were tested.
        _deliver(ctx, state, kept, panel, [])
        return {**update, "go": "end"}
    if ctx.config.ensemble.guarantee is None:
        _deliver(ctx, state, kept, panel, _settle_open(ctx, state, ballot, verdict, panel, kept))
        return {**update, "go": "end"}
    asks = [] if ended else _last_questions(ctx, state, panel, fit, open_items)
    if asks and asks[0]["annotator"] in ctx.people:
        return {**update, "questions": asks, "put": 0, "go": "ask_human"}
    if asks:
        return {**update, "asks": asks, "go": "annotate"}
    _deliver(ctx, state, kept, panel, _settle_proven(ctx, state, panel, fit, open_items, ended))
    return {**update, "go": "end"}


def _unlearned(ctx: RunContext) -> bool:
    """Whether there are labels that the last training ought to have seen."""
    trained = ctx.ledger.log.decisions("trained")
    if corrected_since(ctx, trained[-1].step if trained else 0):
        return len(training_set(ctx).ids) > 0
    # Those of the stop set, which a sweep may have labelled, too, have waited for the end.
    waiting = set(ctx.ids(ctx.splits.stop_set)).intersection(training_set(ctx).ids)
    if not waiting or not trained:
        return bool(waiting)
    return not waiting.issubset(ctx.round_fit(trained[-1].round).ids)


def _open_items(ctx: RunContext) -> list[str]:
    """Items without an accepted label, but those of which it is settled that no label is right."""
    settled = labelled_items(ctx)
    synthetic = ctx.pool.origins()
    closed = {
        item
        for item, consensus in settled.items()
        if consensus.outcome == "accept" or consensus.evidence["final"]
    }
    return [
        item for row, item in enumerate(ctx.pool.ids) if not synthetic[row] and item not in closed
    ]


def _weigh(
    ctx: RunContext, items: list[str], panel: Panel, fit: RoundFit | None
) -> tuple[Ballot, Verdict]:
    ballot = ctx.ballot(items)
    verdict = weigh(
        ballot,
        panel,
        ctx.student_view(items, fit),
        classes=len(ctx.labels),
    )
    return ballot, verdict


def _note_sweep(ctx: RunContext, state: RunState, asks: list[Ask], panel: Panel) -> None:
    counts = {order["annotator"]: len(order["items"]) for order in asks}
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            "sweep",
            counts,
            {"error_cost": error_cost(ctx), "annotators": panel_table(ctx, panel)},
        )
    )
    ctx.notify({"event": "sweep", "asked": counts})


def _settle_voted(
    ctx: RunContext, state: RunState, ballot: Ballot, verdict: Verdict, panel: Panel
) -> None:
    """Accept what the votes of the sweep make sure enough, so that the student can learn it."""
    limit = ctx.config.critic.set_apart_below
    voted = (distinct_voters(ballot) > 0) & ~declined_by_gold(ballot, panel)
    rulings = [
        Ruling(item, "accept", f"p_correct {verdict.p_correct[row]:.3f} after the sweep")
        for row, item in enumerate(ballot.item_ids)
        if voted[row] and verdict.p_correct[row] >= limit
    ]
    settle_labels(ctx, state["step"], state["round"], rulings, ballot, verdict, panel)


def _settle_open(
    ctx: RunContext,
    state: RunState,
    ballot: Ballot,
    verdict: Verdict,
    panel: Panel,
    kept: int,
) -> list[Consensus]:
    limit = ctx.config.critic.set_apart_below
    voted = distinct_voters(ballot) > 0
    ruled = []
    for row, (item, trusted) in enumerate(
        zip(ballot.item_ids, trusted_rulings(ballot, panel), strict=True)
    ):
        p = float(verdict.p_correct[row])
        if trusted:
            ruled.append(trusted)
        elif not voted[row] and not kept:
            ruled.append(Ruling(item, "set_apart", "no vote and no student"))
        elif p >= limit:
            ruled.append(Ruling(item, "accept", f"p_correct {p:.3f}"))
        else:
            ruled.append(Ruling(item, "set_apart", f"p_correct {p:.3f} < {limit:g}"))
    return settle_labels(
        ctx,
        state["step"],
        state["round"],
        ruled,
        ballot,
        verdict,
        panel,
        student_speaks=kept > 0,
    )


def _last_questions(
    ctx: RunContext,
    state: RunState,
    panel: Panel,
    fit: RoundFit | None,
    open_items: list[str],
) -> list[Ask]:
    """What the last audit has still to ask, and then of the rest, where that is escalated.

    Nothing once an attempt has brought no answer; but what a person leaves open is an answer of the
    audit, and does not keep the rest from being asked about.
    """
    items, sent = last_audit(ctx), escalated(ctx)
    late = time_is_up(ctx, state)
    if items is None:
        return [] if late else questions_left(ctx, draw_last_audit(ctx, state, panel, fit))
    answered = any(report["answered"] for report in state["reports"])
    if sent is not None:
        return questions_left(ctx, sent.decision["items"], REST) if answered else []
    asks = questions_left(ctx, items)
    if asks and answered:
        return asks
    if late or (asks and asks[0]["annotator"] not in ctx.people):
        return []
    tested = {*finished_labels(ctx, state, panel, fit, items).ballot.item_ids}
    untested = _untested(ctx, state, open_items, tested)
    return questions_left(ctx, escalate_rest(ctx, state, panel, fit, items, untested), REST)


def _untested(
    ctx: RunContext, state: RunState, open_items: list[str], tested: set[str]
) -> list[str]:
    """Texts without a trusted label that no last audit could be drawn from."""
    return sorted({*open_items, *unanswered_audits(ctx, state["audited"])} - tested)


def _settle_proven(
    ctx: RunContext,
    state: RunState,
    panel: Panel,
    fit: RoundFit | None,
    open_items: list[str],
    ended: bool,
) -> list[Consensus]:
    """Accept what the last audit has proven and the trusted annotator has labelled."""
    drawn, sent = last_audit(ctx), escalated(ctx)
    rest = sent.decision["items"] if sent else []
    finished = finished_labels(ctx, state, panel, fit, drawn or [], rest)
    proven = judge_labels(ctx, finished, panel)
    if ended and not drawn:
        why = "the operator ended the run before its last audit"
        proven = replace(proven, why_not=why, short_of=None)
    tested = set(finished.ballot.item_ids)
    ruled = rulings(ctx, finished, panel, proven)
    settled = settle_labels(
        ctx,
        state["step"],
        state["round"],
        ruled,
        finished.ballot,
        finished.delivered,
        panel,
        student_speaks=fit is not None,
    )
    if proven.threshold is None:
        open_ = [item for item in dict.fromkeys((*open_items, *rest)) if item not in tested]
        ballot, verdict = _weigh(ctx, open_, panel, fit)
        settled += _settle_open(ctx, state, ballot, verdict, panel, int(fit is not None))
    else:
        others = {*_untested(ctx, state, open_items, tested), *rest} - tested
        ballot, verdict = _weigh(ctx, sorted(others), panel, fit)
        why = "no last audit could test it"
        settled += settle_labels(
            ctx,
            state["step"],
            state["round"],
            [
                trusted or Ruling(item, "set_apart", why)
                for item, trusted in zip(
                    ballot.item_ids, trusted_rulings(ballot, panel), strict=True
                )
            ],
            ballot,
            verdict,
            panel,
            student_speaks=fit is not None,
        )
    shown = proof(ctx, finished, panel, proven)
    if sent:
        asked = [one for one in settled if one.item_id in set(rest)]
        shown["escalated"] = len(asked)
        shown["escalated_labels"] = sum(
            one.outcome == "accept" and one.evidence["gold"] for one in asked
        )
    ctx.ledger.log.decide(
        Decision(state["step"], state["round"], "critic", PROVEN, shown, proven.why_not)
    )
    return settled


def _deliver(
    ctx: RunContext, state: RunState, kept: int, panel: Panel, last: list[Consensus]
) -> None:
    counts: dict[str, int] = defaultdict(int)
    for consensus in last:
        counts[consensus.source if consensus.outcome == "accept" else "set_apart"] += 1
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            "deliver",
            {
                "best_round": kept,
                "labelled_last": dict(sorted(counts.items())),
                **learned(ctx, state["step"], kept),
            },
            {"annotators": panel_table(ctx, panel), "stop": state["stop"]},
        )
    )
