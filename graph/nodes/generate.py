"""Generate: texts for classes that the pool lacks, put blind to an annotator who did not write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from langgraph.runtime import Runtime

from ...agents.annotators.settings import ChatAnnotatorConfig
from ...agents.ensemble import Voter, ask
from ...agents.generator_agent import Generated, Wanted, write_items
from ...tools.ledger import Decision
from ..config import RunConfig
from ..context import RunContext
from ..labelled import labelled_items
from ..state import RunState

PURPOSE = "generated"


def generate(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Have texts written, add them to the pool and order blind labels for them."""
    ctx = runtime.context
    round_ = state["round"]
    judge = blind_annotator(ctx.config, ctx.voters)
    order = state["order"]
    wanted = wanted_texts(ctx, order["classes"] if order else [])
    made = _write(ctx, state, wanted, judge)
    ids = [item.item_id for item in made.items]
    if ids:
        ctx.pool.add(ids, [item.text for item in made.items], made.vectors, origin="synthetic")
    intended = {item.item_id: item.label for item in made.items}
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            round_,
            "generator",
            "generated",
            {
                "items": intended,
                "attributes": {item.item_id: item.attributes for item in made.items},
                "failure": made.failure,
            },
            {
                "by": made.by,
                "wanted": [[want.label, want.count, want.why] for want in wanted],
                "dropped": made.dropped,
                "labelled_blind_by": judge,
            },
        )
    )
    ctx.notify({"event": "generated", "round": round_, "texts": len(ids), "failure": made.failure})
    asks = list(state["asks"])
    if ids and judge is not None:
        asks.append(ask(judge, ids, PURPOSE))
    return {
        "step": state["step"] + 1,
        "batch": [*state["batch"], *ids],
        "asks": asks,
        "intended": intended,
        "order": None,
        "go": "annotate" if asks else "critique",
    }


def blind_annotator(config: RunConfig, voters: Sequence[Voter]) -> str | None:
    """The strongest annotator that can read new texts and is not the model that writes them.

    Recorded votes know the old texts only; people are asked where they pay off.
    """
    writer = config.generation.model
    able: list[tuple[bool, int, str]] = []
    for position, voter in enumerate(voters):
        settings: Any = next(a for a in config.annotators if a.name == voter.name)
        if settings.kind == "embedded":
            able.append((False, position, voter.name))
        elif isinstance(settings, ChatAnnotatorConfig) and (
            writer is None or settings.model != writer.model
        ):
            able.append((True, position, voter.name))
    return max(able)[2] if able else None


def wanted_texts(ctx: RunContext, classes: list[int]) -> list[Wanted]:
    """How many texts each class gets, within the share that may be synthetic."""
    settings = ctx.config.generation
    synthetic = ctx.pool.origins()
    accepted = [c for c in labelled_items(ctx).items() if c[1].outcome == "accept"]
    written = sum(bool(synthetic[ctx.pool.index(item)]) for item, _ in accepted)
    real = len(accepted) - written
    room = math.floor(settings.max_share / (1 - settings.max_share) * real + 1e-9) - written
    wanted = []
    for position, number in enumerate(classes):
        share = min(settings.per_class, max(0, room) // (len(classes) - position))
        room -= share
        if share:
            label = ctx.labels[number]
            known = sum(consensus.label == label for _, consensus in accepted)
            wanted.append(Wanted(label, share, f"rare: {known} labelled so far"))
    return wanted


def _write(ctx: RunContext, state: RunState, wanted: list[Wanted], judge: str | None) -> Generated:
    why = None
    if judge is None:
        why = "no annotator but the generator's own model could label its texts"
    elif not wanted:
        why = "no more texts may be synthetic"
    if why is not None:
        nothing = np.empty((0, ctx.embedder.dim), np.float32)
        return Generated([], nothing, f"rule: {why}", why)
    return write_items(
        ctx.desk,
        ctx.config.generation,
        wanted=wanted,
        examples=_examples(ctx, state["audited"]),
        round_=state["round"],
        embedder=ctx.embedder,
        rng=ctx.rng(state["round"], "generate"),
    )


def _examples(ctx: RunContext, audited: int) -> dict[str, list[str]]:
    """Accepted real items by label, the surest first.

    Audited items are left out: a text written after one of them would teach the student what it is
    audited on.
    """
    synthetic = ctx.pool.origins()
    barred = set(ctx.audit_ids(audited))
    found: dict[str, list[tuple[float, str]]] = {label: [] for label in ctx.labels}
    for item, consensus in labelled_items(ctx).items():
        if consensus.outcome != "accept" or consensus.label is None or item in barred:
            continue
        if not synthetic[ctx.pool.index(item)]:
            found[consensus.label].append((-(consensus.p_correct or 0.0), item))
    return {label: [item for _, item in sorted(items)] for label, items in found.items()}
