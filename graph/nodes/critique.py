"""Critique: what the votes add up to, and what becomes of each label."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from ...agents.ballot import Ballot
from ...agents.checks import choose_checks
from ...agents.critic import Ruling, rule_on_labels
from ...agents.critic_agent import review, same_voter
from ...agents.ensemble import Ask, Voter, ask, next_voter
from ...agents.panel import Panel
from ...agents.verdict import Verdict, declined_by_gold, gold_labels, weigh
from ...tools.aggregation import NO_VOTE, effective_weights
from ...tools.ledger import Decision
from ..checks import flagged_labels, flags_of_new, unstable_labels
from ..consistency import write_consistency
from ..context import RunContext
from ..corrections import corrected
from ..findings import proposals_by_rule
from ..proposals import propose, take_up
from ..roster import roster
from ..settle import settle_labels
from ..state import RunState
from ..whom import following_of

PURPOSES = {"re_ask": "re_ask", "escalate": "escalate", "ask_person": "escalate"}


def critique(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Rule on every item that the round is about; orders further votes where they are due."""
    ctx = runtime.context
    round_, batch = state["round"], state["batch"]
    out_of_reach = _out_of_reach(state)
    ordered = [] if state["passes"] else take_up(ctx, state)
    batch = list(dict.fromkeys([*batch, *ordered]))
    if not batch:
        return {"asks": [], "go": "train"}
    fit = ctx.latest_fit(round_ - 1)
    panel = ctx.panel(state["audited"], fit)
    ballot = ctx.ballot(batch)
    verdict = weigh(
        ballot,
        panel,
        ctx.student_view(batch, fit),
        classes=len(ctx.labels),
    )
    flags = flags_of_new(ctx, batch, verdict.label, fit)
    if fit is not None:
        for item, failed in flagged_labels(ctx, fit).items():
            flags[item] = sorted({*flags.get(item, []), *failed})
    for item in [*state["recheck"], *ordered]:
        flags.setdefault(item, ["noisy labels"])
    for item, failed in unstable_labels(ctx, ballot, verdict.label).items():
        flags[item] = sorted({*flags.get(item, []), *failed})
    gold = gold_labels(ballot, panel) != NO_VOTE
    synthetic = np.asarray([item in state["intended"] for item in batch], bool)
    # A trusted vote that came later counts for more than what the model has said.
    done = set(state["settled"])
    settled = np.asarray([item in done for item in batch], bool) & ~gold
    # An audit may still draw what people have corrected; its votes change no label.
    final = np.isin(batch, list(corrected(ctx)))
    settled |= final
    # A written text has one chance: a second vote on it would be money for a made-up item.
    closed = synthetic | settled
    sent_on = set(state["sent_on"])
    limit = math.ceil(ctx.config.critic.escalate_share * len(batch)) - len(sent_on)

    by_worth, never = following_of(
        ctx,
        state,
        ballot,
        verdict,
        panel,
        fit,
        doubted=flags,
        closed=closed,
        out_of_reach=out_of_reach,
    )
    limits: dict[str, Any] = {"out_of_reach": never, "attempts": ctx.config.critic.attempts}

    def following(row: int) -> tuple[Voter, int] | None:
        found = by_worth(row)
        if found is None and ballot.item_ids[row] in ordered and not closed[row]:
            # What was accepted is bought at the price that it was proposed at.
            return next_voter(ctx.voters, ballot, row, **limits)
        return found

    rulings = rule_on_labels(
        ctx.config.critic,
        ballot,
        verdict,
        flags,
        following,
        allowed=max(0, limit),
        gold=gold,
        declined=declined_by_gold(ballot, panel),
        labels=ctx.labels,
    )
    reviewed = review(
        ctx.desk,
        ctx.config.critic,
        rulings,
        ballot,
        verdict,
        following,
        same_voter=lambda row: same_voter(ctx.voters, ballot, row, **limits),
        price=lambda items: _price_of_next(ctx, items, limits),
        fixed=gold | synthetic | final,
        allowed=max(0, limit),
        round_=round_,
        passes=state["passes"],
        table=panel_table(ctx, panel),
    )
    propose(ctx, state, reviewed.proposals, reviewed.by, reviewed.reason)
    rulings = blind_labels(reviewed.rulings, ballot, ctx.labels, state["intended"])
    rulings = [ruling for ruling, over in zip(rulings, settled, strict=True) if not over]
    settle_labels(ctx, state["step"], round_, rulings, ballot, verdict, panel)
    asks, questions = _orders(ctx, rulings)
    if not state["passes"]:
        asks += _checks(ctx, state, rulings, batch, verdict)
    questions = _merge(state["questions"], questions)
    _write_down(ctx, state, rulings, panel, reviewed.by)
    if not asks and not questions:
        write_consistency(ctx, state["step"], round_, fit)
        made = proposals_by_rule(ctx, fit, panel, lambda ids: _price_of_next(ctx, ids, limits))
        propose(ctx, state, made, "rule", "what checks and audits show")
    moved = [r.item_id for r in rulings if r.action in PURPOSES]
    return {
        "step": state["step"] + 1,
        "passes": state["passes"] + 1,
        "batch": batch,
        "asks": asks,
        "questions": questions,
        "sent_on": sorted(sent_on | set(moved)),
        "settled": sorted({*state["settled"], *reviewed.settled}),
        "out_of_reach": out_of_reach,
        "reports": Overwrite([]),  # type: ignore[typeddict-item]
        "go": "annotate" if asks else "ask_human" if questions else "train",
    }


def blind_labels(
    rulings: Sequence[Ruling],
    ballot: Ballot,
    labels: Sequence[str],
    intended: Mapping[str, str],
) -> list[Ruling]:
    """Set apart the synthetic items whose blind vote is not the label they were written for."""
    number = {label: position for position, label in enumerate(labels)}
    ruled = []
    for ruling, votes in zip(rulings, ballot.votes, strict=True):
        wanted = intended.get(ruling.item_id)
        given = set(votes[votes != NO_VOTE].tolist())
        if wanted is None or not given:
            ruled.append(ruling)
        elif given != {number[wanted]}:
            ruled.append(replace(ruling, action="set_apart", reason="blind label disagrees"))
        elif ruling.action == "accept":
            ruled.append(replace(ruling, reason="blind label agrees"))
        else:
            ruled.append(ruling)
    return ruled


def _price_of_next(ctx: RunContext, items: Sequence[str], limits: dict[str, Any]) -> int | None:
    """Expected cost of asking the next annotator about each item; ``None`` without one for all."""
    ballot = ctx.ballot(list(items))
    total = 0
    for row, text in enumerate(ctx.pool.texts(items)):
        found = next_voter(ctx.voters, ballot, row, **limits)
        if found is None:
            return None
        name = found[0].name
        who = ctx.people[name] if name in ctx.people else ctx.annotators[name]
        total += int(who.expect([text])[0])
    return total


def _orders(ctx: RunContext, rulings: list[Ruling]) -> tuple[list[Ask], list[Ask]]:
    grouped: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for ruling in rulings:
        if ruling.action in PURPOSES and ruling.annotator is not None:
            key = (ruling.annotator, PURPOSES[ruling.action], ruling.attempt)
            grouped[key].append(ruling.item_id)
    orders = [
        ask(name, items, purpose, attempt)
        for (name, purpose, attempt), items in sorted(grouped.items())
    ]
    people = set(ctx.people)
    return (
        [order for order in orders if order["annotator"] not in people],
        [order for order in orders if order["annotator"] in people],
    )


def _checks(
    ctx: RunContext,
    state: RunState,
    rulings: Sequence[Ruling],
    batch: Sequence[str],
    verdict: Verdict,
) -> list[Ask]:
    """What is asked again in this round to see whether answers are stable."""
    row = {item: at for at, item in enumerate(batch)}
    order = sorted(rulings, key=lambda ruling: float(verdict.p_correct[row[ruling.item_id]]))
    kept = [ruling.item_id for ruling in order if ruling.action == "accept"]
    top = np.argsort(-verdict.posterior, axis=1, kind="stable")[:, :2].tolist()
    chosen = choose_checks(
        [voter for voter in roster(ctx).voters if voter.name not in _out_of_reach(state)],
        ctx.ledger.votes.all(),
        # Those that are sent on anyway get a better answer than the same annotator's.
        {item: (top[row[item]][0], top[row[item]][1]) for item in kept},
        [ruling.item_id for ruling in order if ruling.action in PURPOSES or ruling.soft],
        ctx.config.critic.checks,
        ctx.labels,
        ctx.rng(state["round"], "checks"),
    )
    if chosen.asks:
        ctx.ledger.log.decide(
            Decision(
                state["step"],
                state["round"],
                "critic",
                "checks",
                {"random": chosen.random, "queued": chosen.queued},
                {"shares": ctx.config.critic.checks.model_dump()},
            )
        )
    return chosen.asks


def _merge(old: list[Ask], new: list[Ask]) -> list[Ask]:
    waiting = {item for order in old for item in order["items"]}
    fresh = [{**order, "items": [i for i in order["items"] if i not in waiting]} for order in new]
    return old + [order for order in fresh if order["items"]]  # type: ignore[misc]


def _out_of_reach(state: RunState) -> list[str]:
    refused = {report["annotator"] for report in state["reports"] if report["not_asked"]}
    return sorted({*state["out_of_reach"], *refused})


def _write_down(
    ctx: RunContext, state: RunState, rulings: list[Ruling], panel: Panel, by: str
) -> None:
    counts: dict[str, int] = defaultdict(int)
    for ruling in rulings:
        counts["soft" if ruling.soft else ruling.action] += 1
    names = tuple(voter.name for voter in ctx.voters)
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            "critic",
            "rulings",
            {
                "counts": dict(sorted(counts.items())),
                "sent_on": {
                    r.item_id: [r.action, r.annotator, r.reason]
                    for r in rulings
                    if r.action in PURPOSES
                },
            },
            {
                "by": by,
                "annotators": panel_table(ctx, panel),
                "aggregation": panel.choice.evidence(names) if panel.choice else None,
            },
        )
    )
    ctx.notify({"event": "ruled", "round": state["round"], **counts})


def panel_table(ctx: RunContext, panel: Panel) -> list[dict[str, object]]:
    """What the audits say of each annotator; weight is its share of a vote in the full panel."""
    weights = effective_weights(panel.overlap)
    return [
        {
            "annotator": voter.name,
            "tier": voter.tier,
            "reliability": round(float(panel.reliability[column]), 4),
            "audited": int(panel.audited[column]),
            "weight": round(float(weights[column]), 4),
            "reference": voter.name == panel.reference,
        }
        for column, voter in enumerate(ctx.voters)
    ]
