"""Select: what the next round is about, and who is asked first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray

from ...agents.annotators.embedded import class_similarity, label_directions, pool_centre
from ...agents.ensemble import first_asks, next_voter, reference
from ...agents.selector import SEARCH, Mix, PoolView, fill_batch, mix_by_rule
from ...agents.selector_agent import Choice, choose_mix
from ...tools.aggregation import crowdlab
from ...tools.consistency import active_lab
from ...tools.errors import BudgetExceeded
from ...tools.ledger import Decision
from ..briefing import class_counts, findings, student_summary
from ..checks import flagged_labels
from ..context import RunContext
from ..corrections import take_corrections
from ..directives import FOCUS, take, taken
from ..labelled import labelled_items
from ..roster import roster, spare
from ..rounds import RoundFit
from ..state import Order, RunState
from ..whom import first_of

_BLOCK = 16_384
"""Rows whose similarities are taken at a time: a centred copy of a large pool would be large."""


def select(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Choose the batch, the audit sample and the accepted labels that are to be checked again."""
    ctx = runtime.context
    round_ = state["round"] + 1
    # First: what people have corrected is not chosen any more.
    take_corrections(ctx, state, round_)
    config = ctx.config.selection
    fit = ctx.latest_fit(state["round"])
    view = pool_view(ctx, fit)
    size = config.size(len(ctx.pool), len(ctx.labels))
    order = state["order"]
    focus = in_focus(ctx, state, round_) if order is None and fit is not None else None
    if focus:
        classes = [ctx.labels.index(label) for label in focus["labels"]]
        order = Order(action="search", classes=classes)
    action = order["action"] if order else None
    wanted = order["classes"] if order and action in {"search", "generate"} else []
    rule = mix_by_rule(config, view, another=action == "other_strategy", wanted=wanted)
    if SEARCH in rule.shares:
        view = replace(view, similarity=similarities(ctx))
    lead = state["lead"] + (action == "escalate")
    if action in {"relabel", "escalate"}:
        chosen: list[str] = []
        rechecks = doubtful_labels(ctx, size)
        choice = Choice(Mix({action: 1.0}, "the audit found the labels too noisy"), (), "rule")
    else:
        # What a gate or the operator has ordered is not up for discussion.
        who = "the operator" if focus else "a gate"
        if focus:
            names = ", ".join(focus["labels"])
            rule = replace(rule, reason=f"the operator's order: the likeliest items of {names}")
        choice = (
            Choice(rule, (), f"rule: {who} ordered {action}")
            if action
            else _choose(ctx, view, fit, rule, round_, size)
        )
        chosen = ctx.ids(
            fill_batch(
                view,
                choice.mix,
                size,
                ctx.rng(round_, "select"),
                wanted=wanted,
                first=choice.first,
                avoid=choice.avoid,
            )
        )
        most = 0 if action else math.floor(ctx.config.critic.recheck_share * size)
        chosen, rechecks = new_or_again(ctx, fit, chosen, most)
    audit, audited = next_audits(ctx, state["audited"], round_, size)
    rechecks = [item for item in rechecks if item not in {*chosen, *audit}]
    members = roster(ctx)
    routed = first_of(ctx, chosen, members, audited=state["audited"], fit=fit, lead=lead)
    asks = first_asks(members.voters, chosen, audit, lead=lead, routed=routed)
    spare(ctx, state["step"], round_, dict.fromkeys(sorted(members.dropped), audit))
    people = set(ctx.people)
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            round_,
            "selector",
            "batch",
            {"batch": chosen, "audit": audit, "recheck": rechecks},
            {
                "mix": choice.mix.shares,
                "reason": choice.mix.reason,
                "by": choice.by,
                "must_include": [ctx.pool.ids[row] for row in choice.first],
                "avoid": [ctx.pool.ids[row] for row in choice.avoid],
                **({"focus": focus} if focus else {}),
            },
        )
    )
    ctx.notify(
        {
            "event": "selected",
            "round": round_,
            "batch": len(chosen),
            "audit": len(audit),
            "recheck": len(rechecks),
        }
    )
    return {
        "step": state["step"] + 1,
        "round": round_,
        "passes": 0,
        "batch": list(dict.fromkeys([*chosen, *audit, *rechecks])),
        "sent_on": [],
        "audited": audited,
        "asks": [order for order in asks if order["annotator"] not in people],
        "questions": [order for order in asks if order["annotator"] in people],
        "put": 0,
        "recheck": rechecks if action in {"relabel", "escalate"} else [],
        "out_of_reach": [],
        "order": order if action == "generate" else None,
        "intended": {},
        "settled": [],
        "lead": lead,
        "go": "generate" if action == "generate" else "annotate" if asks else "critique",
    }


def in_focus(ctx: RunContext, state: RunState, round_: int) -> dict[str, Any] | None:
    """The operator's order to search for classes, while its rounds last.

    Returns:
        The order's number, its labels, and which of its rounds this is; ``None`` without one.
    """
    take(ctx, state, round_, FOCUS)
    orders = taken(ctx, FOCUS)
    if not orders:
        return None
    seq, payload = orders[-1]["seq"], orders[-1]["payload"]
    batches = ctx.ledger.log.decisions("batch")
    used = sum(
        (made.evidence.get("focus") or {}).get("directive") == seq
        for made in batches
        if made.step < state["step"]
    )
    if used >= payload["rounds"]:
        return None
    return {
        "directive": seq,
        "labels": payload["labels"],
        "round": used + 1,
        "of": payload["rounds"],
    }


def _choose(
    ctx: RunContext, view: PoolView, fit: RoundFit | None, rule: Mix, round_: int, size: int
) -> Choice:
    config = ctx.config.selection
    return choose_mix(
        ctx.desk,
        config,
        view,
        rule,
        round_=round_,
        size=size,
        findings=findings(ctx, fit) if config.model else [],
        counts=class_counts(ctx),
        student_summary=student_summary(ctx),
        seed=ctx.config.seed,
    )


def pool_view(ctx: RunContext, fit: RoundFit | None) -> PoolView:
    """What the selector may see of the pool."""
    n = len(ctx.pool)
    labels = np.full(n, -1, np.int64)
    out_of_sample = None
    proba = None
    vectors = ctx.pool.vectors()
    seen = labelled_items(ctx)
    if fit is not None:
        rows = ctx.row_numbers(fit.ids)
        labels[rows] = fit.labels
        out_of_sample = np.full((n, len(ctx.labels)), np.nan, np.float32)
        out_of_sample[rows] = fit.out_of_sample
        # How the student does on written texts says nothing about the pool.
        out_of_sample[ctx.pool.origins()] = np.nan
        texts = ctx.pool.texts(ctx.pool.ids) if fit.student.tfidf is not None else None
        proba = fit.student.predict_proba(vectors, texts)
    closed = ctx.pool.origins().copy()
    closed[ctx.splits.stop_set] = True
    closed[ctx.row_numbers(sorted(seen))] = True
    return PoolView(
        vectors=vectors,
        candidates=np.flatnonzero(~closed),
        labelled=labels >= 0,
        labels=labels,
        proba=proba,
        out_of_sample=out_of_sample,
    )


def similarities(ctx: RunContext) -> NDArray[np.float32] | None:
    """How near each text lies to the description of each label, as a cosine, shape (n, K).

    Returns:
        ``None`` where a cap does not pay for the vectors of the descriptions.
    """
    centre = pool_centre(ctx.pool)
    try:
        directions = label_directions(ctx.config.task, ctx.embedder, centre)
    except BudgetExceeded:
        return None
    vectors = ctx.pool.vectors()
    near = np.empty((len(vectors), len(directions)), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        near[block] = class_similarity(vectors[block], centre, directions)
    return near


def next_audits(ctx: RunContext, audited: int, round_: int, size: int) -> tuple[list[str], int]:
    """This round's audit sample, and how far the audits then are in their fixed order."""
    if reference(ctx.voters) is None:
        return [], audited
    critic = ctx.config.critic
    wanted = critic.audit_first if round_ == 1 else math.ceil(critic.audit_share * size)
    rows: NDArray[np.int64] = ctx.splits.audit_order[audited : audited + wanted]
    return ctx.ids(rows), audited + len(rows)


def new_or_again(
    ctx: RunContext, fit: RoundFit | None, chosen: list[str], most: int
) -> tuple[list[str], list[str]]:
    """Let labels that are worth asking about again take the place of new items.

    ActiveLab (Goh and Mueller, 2023) scores both on one scale, the lowest first: the least sure
    label takes the place of the surest new item as long as it scores lower. Only labels that can
    move compete: those that a check has flagged and those less probable than is accepted at once,
    with somebody left to be asked.

    Args:
        ctx: The run.
        fit: The last student; without one nothing is asked again.
        chosen: New items, which keep their order.
        most: Most labels that are asked again.

    Returns:
        The new items that stay, and the labels that are asked again, the least sure first.
    """
    if fit is None or not most:
        return chosen, []
    doubted = set(flagged_labels(ctx, fit))
    limit = ctx.config.critic.accept_at
    movable = [
        item for item, probability in _accepted(ctx) if item in doubted or probability < limit
    ]
    movable = _open_ones(ctx, movable, len(movable))
    scores = asking_scores(ctx, fit, [*movable, *chosen])
    again = sorted(movable, key=lambda item: (scores[item], item))[:most]
    surest = sorted(chosen, key=lambda item: (-scores[item], item))
    pairs = zip(again, surest, strict=False)
    taken = [(old, new) for old, new in pairs if scores[old] < scores[new]]
    gone = {new for _, new in taken}
    return [item for item in chosen if item not in gone], [old for old, _ in taken]


def asking_scores(ctx: RunContext, fit: RoundFit, items: list[str]) -> dict[str, float]:
    """ActiveLab score of items with and without votes; the lowest is to be asked about first.

    How far annotators and student agree is learned on all labelled items.
    """
    known = {item: None for item, _ in _accepted(ctx)}
    ids = list(dict.fromkeys([*known, *items]))
    proba = ctx.student_view(ids, fit)
    if proba is None:
        return {}
    votes = ctx.ballot(ids).votes
    scores = active_lab(votes, crowdlab(votes, proba))
    return {item: float(score) for item, score in zip(ids, scores, strict=True)}


def doubtful_labels(ctx: RunContext, n: int) -> list[str]:
    """Accepted labels of no trusted annotator, the least probable first, at most ``n``."""
    return _open_ones(ctx, [i for _, i in sorted((p, i) for i, p in _accepted(ctx))], n)


def _accepted(ctx: RunContext) -> list[tuple[str, float]]:
    """Real items with an accepted label of no trusted annotator, and how probable it is."""
    synthetic = ctx.pool.origins()
    return [
        (item, consensus.p_correct or 0.0)
        for item, consensus in labelled_items(ctx).items()
        if consensus.outcome == "accept"
        and not consensus.evidence["gold"]
        and not synthetic[ctx.pool.index(item)]
    ]


def _open_ones(ctx: RunContext, items: Iterable[str], n: int) -> list[str]:
    """The first ``n`` that somebody is left to be asked about; no check can move the others."""
    ballot = ctx.ballot(list(items))
    attempts = ctx.config.critic.attempts
    gone = roster(ctx).dropped
    still_open = (
        item
        for row, item in enumerate(ballot.item_ids)
        if next_voter(ctx.voters, ballot, row, out_of_reach=gone, attempts=attempts)
    )
    return list(islice(still_open, n))
