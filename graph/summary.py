"""What a run came to, as plain values: the source of the report, the card and what is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from ..tools.audit import stratified_interval
from ..tools.ledger import CHECK_ATTEMPTS, Consensus
from ..tools.money import to_usd
from ..tools.watch.agreement import right_on_audits
from .consistency import consistency_so_far
from .context import RunContext
from .corrections import corrected_since
from .evaluation import against_gold
from .guarantee import proof_stands
from .nodes.critique import panel_table
from .quality import (
    AuditFigures,
    Stratum,
    audit_figures,
    best_round,
    label_strata,
    powered_figures,
)
from .relearned import LEARNED
from .roster import money_saved
from .state import RunState
from .value import value


def summarise(ctx: RunContext, state: RunState, status: str) -> dict[str, Any]:
    """Everything that a report says of a run, at whatever point it is.

    Args:
        ctx: The run.
        state: Of the graph.
        status: finished, stopped or waiting_for_people.
    """
    balance = ctx.ledger.balance()
    spending = ctx.ledger.spending()
    synthetic = ctx.pool.origins()
    labels = {
        item: consensus
        for item, consensus in ctx.ledger.votes.concluded().items()
        if not synthetic[ctx.pool.index(item)]
    }
    kept = best_round(ctx, state["audited"])
    fit = ctx.round_fit(kept) if kept else None
    figures = audit_figures(ctx, state["audited"], fit)
    gold = against_gold(ctx, labels, fit)
    powered = powered_figures(ctx, state["audited"], fit)
    student = powered[0] if powered else figures.student
    guarantee = _guarantee(ctx) if status == "finished" else None
    counts = label_counts(ctx, labels)
    worth = value(ctx)
    return {
        "name": ctx.folder.name,
        "replay_of": ctx.config.replay_of,
        "task": ctx.config.task.name,
        "status": status,
        "stop": state["stop"],
        "rounds": len(ctx.ledger.log.decisions("batch")),
        "best_round": kept or None,
        "seconds": round(state["seconds"], 1),
        "money": {
            "spent_usd": to_usd(balance.spent),
            "uncertain_usd": to_usd(balance.uncertain),
            "saved_usd": to_usd(sum(saved["nano"] for saved in money_saved(ctx).values())),
            "cap_usd": ctx.config.budget.usd,
            "value_usd": to_usd(worth.nano),
            "value_from": worth.explanation,
        },
        "tokens": balance.tokens,
        "requests": balance.requests,
        "pool": {**asdict(ctx.rows.counts()), "synthetic": int(ctx.pool.origins().sum())},
        "labels": counts,
        "guarantee": guarantee,
        "learned": _learned(ctx) if status == "finished" else None,
        "class_shares": {
            label: asdict(share) for label, share in zip(ctx.labels, powered[1], strict=True)
        }
        if powered
        else None,
        "quality": {
            "labels": _tested_labels(guarantee, counts["accepted"])
            or _label_quality(figures, label_strata(ctx, state["audited"], fit, labels.values())),
            "student": {**asdict(student), "why_not": figures.why_not},
            "gold": asdict(gold) if gold else None,
        },
        "annotators": _annotators(ctx, state["audited"], spending),
        "consistency": consistency_so_far(ctx),
        "agents": _agents(spending),
        "curve": _curve(ctx),
        "stop_checks": [d.evidence for d in ctx.ledger.log.decisions("stop_check")],
        "generator": ctx.config.generation.enabled,
        "embedder": ctx.embedder.fingerprint,
        "seed": ctx.config.seed,
        "decisions_sha256": ctx.ledger.log.digest(),
    }


def label_counts(ctx: RunContext, labels: dict[str, Consensus]) -> dict[str, Any]:
    """How many texts got a label, from whom, of which class, and why others did not."""
    accepted = [c for c in labels.values() if c.outcome == "accept"]
    apart = [c for c in labels.values() if c.outcome == "set_apart"]
    texts = len(ctx.pool) - int(ctx.pool.origins().sum())
    return {
        "texts": texts,
        "accepted": len(accepted),
        "set_apart": len(apart),
        "unlabelled": texts - len(accepted) - len(apart),
        "completion": len(accepted) / texts if texts else 0.0,
        "by_source": dict(sorted(Counter(c.source for c in accepted).items())),
        "by_label": dict.fromkeys(ctx.labels, 0)
        | dict(Counter(c.label for c in accepted if c.label is not None)),
        "calibrated": sum(c.calibrated for c in accepted),
        "set_apart_why": dict(Counter(_why(c) for c in apart).most_common()),
    }


def _why(consensus: Consensus) -> str:
    # Reasons carry an item's own figures; in a table the kind is what counts.
    return "too improbable" if consensus.p_correct is not None else consensus.reason


def _guarantee(ctx: RunContext) -> dict[str, Any] | None:
    """What the last test has proven of the labels, and how many people have corrected since."""
    tested = proof_stands(ctx)
    if tested is None:
        return None
    found: dict[str, Any] = tested.decision
    changed = len(corrected_since(ctx, tested.step))
    return {**found, "corrected": changed} if changed else found


def _learned(ctx: RunContext) -> dict[str, Any] | None:
    """What the last delivery has made of corrections, where it came after some."""
    delivered = ctx.ledger.log.decisions("deliver")
    return delivered[-1].decision.get(LEARNED) if delivered else None


def _tested_labels(guarantee: dict[str, Any] | None, accepted: int) -> dict[str, Any] | None:
    """Accuracy of the delivered labels by the last audit, its corrections and trusted labels in."""
    tested = guarantee["labels"] if guarantee else None
    if not tested or tested["estimate"] is None or not accepted:
        return None

    def of_all(share: float) -> float:
        wrong: float = max(0.0, tested["of"] * (1 - share) - tested["wrong"])
        return max(0.0, 1 - wrong / accepted)

    ends = {end: of_all(tested[end]) for end in ("estimate", "low", "high")}
    return {**ends, "n": tested["n"], "why_not": None}


def _label_quality(figures: AuditFigures, strata: list[Stratum]) -> dict[str, Any]:
    """Accuracy of the delivered labels by the audit, each kind of label judged by itself."""
    if figures.why_not or not strata:
        return {
            "estimate": None,
            "low": 0.0,
            "high": 1.0,
            "n": 0,
            "why_not": figures.why_not or "no label was accepted",
        }
    interval = stratified_interval(
        [stratum.right for stratum in strata],
        [stratum.n for stratum in strata],
        [stratum.size for stratum in strata],
    )
    why_not = None if interval.estimate is not None else "the audit does not show every label"
    return {**asdict(interval), "n": figures.n, "why_not": why_not}


def _annotators(
    ctx: RunContext, audited: int, spending: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    kept = best_round(ctx, audited)
    panel = ctx.panel(audited, ctx.round_fit(kept) if kept else None)
    kinds = {settings.name: settings for settings in ctx.config.annotators}
    votes: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    first = [vote for vote in ctx.ledger.votes.all() if vote.attempt < CHECK_ATTEMPTS]
    for vote in first:
        votes[vote.annotator] += 1
        invalid[vote.annotator] += vote.label is None
    right = right_on_audits(first, {name for name, one in kinds.items() if one.trusted})
    table = []
    for row in panel_table(ctx, panel):
        name = str(row["annotator"])
        spent = sum(entry["cost"] for entry in spending if entry["annotator"] == name)
        table.append(
            {
                **row,
                "kind": kinds[name].kind,
                "trusted": kinds[name].trusted,
                "votes": votes[name],
                "invalid": invalid[name],
                "right": asdict(right[name]) if name in right else None,
                "spent_usd": to_usd(spent),
            }
        )
    return table


def _agents(spending: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**entry, "cost": to_usd(entry["cost"])}
        for entry in spending
        if entry["agent"] != "annotator"
    ]


def _curve(ctx: RunContext) -> list[dict[str, Any]]:
    checks = {d.round: d.evidence.get("check") for d in ctx.ledger.log.decisions("stop_check")}
    batches = {d.round for d in ctx.ledger.log.decisions("batch")}
    rows = []
    previous: Any = None
    for number, metrics, predictions in ctx.ledger.log.rounds():
        moved = None
        if previous is not None and len(predictions):
            moved = float(np.mean(previous != predictions))
        previous = predictions
        rows.append(
            {
                "round": number,
                "in_round": number in batches,
                **metrics,
                "spent_usd": to_usd(metrics["spent"]),
                "moved": moved,
                "check": checks.get(number),
            }
        )
    return rows
