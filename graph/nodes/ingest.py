"""Ingest: rows into the pool, once; gold where no agent can see it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from langgraph.runtime import Runtime

from ...tools.errors import DataError
from ...tools.export import write_jsonl
from ...tools.gold import Gold
from ...tools.ledger import Decision
from ...tools.near_duplicates import near_duplicates
from ...tools.readers import ReadReport, Row, read_rows
from ..context import RunContext
from ..state import RunState

BLOCK = 2000
GOLD_FILE = "gold.sqlite"
REJECTED_FILE = "rejected.jsonl"


def ingest(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Read the data, embed what is new, flag near-duplicates.

    Rows that are in the pool already are not embedded again, so it may be interrupted anywhere.

    Raises:
        DataError: No row can be used, or fewer than two different texts.
    """
    ctx = runtime.context
    report = ReadReport()
    fill_pool(ctx, report)
    counts = asdict(ctx.rows.counts())
    rejected = write_rejected(ctx) if report.rejected else None
    if len(ctx.pool) < 2:
        raise DataError(
            f"{ctx.config.data.path}: {counts['rows']} usable rows, {len(ctx.pool)} different "
            f"texts and {counts['rejected']} rejected rows; a pool needs two different texts. "
            "Check 'task.text' and 'data'."
        )
    twins = near_duplicates(ctx.pool.vectors(), rng=ctx.rng(0, "near_duplicates"))
    ids = ctx.pool.ids
    ctx.rows.set_near_duplicates({ids[late]: ids[early] for late, early in twins.items()})
    evidence: dict[str, Any] = {
        **counts,
        "texts": len(ctx.pool),
        "near_duplicates": len(twins),
        "stop_set": len(ctx.splits.stop_set),
        "gold_outside_label_set": dict(sorted(report.unknown_gold.items())),
        "embedder": ctx.embedder.fingerprint,
    }
    ctx.ledger.log.decide(Decision(state["step"], 0, "ingest", "ingest", {}, evidence))
    # The path is for people only: what is decided must not depend on where a run lies.
    for_people = {"reasons": report.reasons, "rejected_file": rejected and str(rejected)}
    ctx.notify({"event": "ingested", **evidence, **for_people})
    return {"step": state["step"] + 1}


def write_rejected(ctx: RunContext) -> Path:
    """Write the rows that can not be used: line, id and reason, in the order of the input."""
    path = ctx.folder / REJECTED_FILE
    rows = ({"line": r.line, "id": r.id, "reason": r.reason} for r in ctx.rows.rejected())
    write_jsonl(path, rows)
    return path


def fill_pool(ctx: RunContext, report: ReadReport) -> None:
    """Stream the data into rows, pool and gold."""
    with Gold(ctx.folder / GOLD_FILE) as gold:
        stream = read_rows(ctx.config.data, ctx.config.task, report)
        while block := list(islice(stream, BLOCK)):
            # An exact duplicate stays a row and is labelled through the first row of its text.
            firsts = ctx.rows.add_many(block)
            fresh = [row for row in firsts if row.id not in ctx.pool]
            if fresh:
                texts = [row.text for row in fresh]
                ctx.pool.add([row.id for row in fresh], texts, ctx.embedder.embed(texts))
            gold.put_many(
                (row.id, row.gold) for row in block if isinstance(row, Row) and row.gold is not None
            )
            ctx.notify({"event": "reading", "texts": len(ctx.pool)})
