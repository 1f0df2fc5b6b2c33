"""What the user takes away: labels, student, report and card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..tools.card import write_card
from ..tools.export import write_jsonl, write_parquet
from ..tools.report import write_report
from .context import RunContext
from .rounds import round_folder

SUMMARY_FILE = "summary.json"


def deliver(ctx: RunContext, summary: dict[str, Any]) -> dict[str, str]:
    """Write everything; each file is replaced whole.

    Returns:
        Paths by what they hold.
    """
    folder = ctx.folder
    files = {
        "labels": folder / "labels.jsonl",
        "table": folder / "labels.parquet",
        "report": folder / "report.html",
        "card": folder / "card.md",
    }
    write_jsonl(files["labels"], delivered_rows(ctx))
    write_parquet(files["table"], delivered_rows(ctx))
    if summary["best_round"]:
        files["student"] = folder / "student.skops"
        partial = folder / "student.skops.partial"
        shutil.copyfile(round_folder(folder, summary["best_round"]) / "student.skops", partial)
        os.replace(partial, files["student"])
    paths = {name: str(path) for name, path in files.items()}
    summary["files"] = paths
    write_report(files["report"], summary)
    write_card(files["card"], summary, ctx.config.task)
    write_summary(folder, summary)
    return paths


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Keep the summary for `status`, which opens nothing else."""
    partial = folder / f"{SUMMARY_FILE}.partial"
    partial.write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(partial, folder / SUMMARY_FILE)


def delivered_rows(ctx: RunContext) -> Iterator[dict[str, Any]]:
    """One record for each input row that was not rejected, in the order of the input.

    A duplicate has the label of the row it repeats. A row that was set apart has no label; what
    was most probable stands under ``suggestion``.
    """
    concluded = ctx.ledger.votes.concluded()
    texts: dict[str, str] = {}
    for row in ctx.rows:
        item = row.duplicate_of or row.id
        consensus = concluded.get(item)
        accepted = consensus is not None and consensus.outcome == "accept"
        if item not in texts:
            position = ctx.pool.index(item)
            page = ctx.pool.ids[position : position + 1000]
            texts = dict(zip(page, ctx.pool.texts(page), strict=True)) | {
                item: ctx.pool.texts([item])[0]
            }
        yield {
            "id": row.id,
            "text": texts[item],
            "label": consensus.label if consensus and accepted else None,
            "source": consensus.source if consensus and accepted else None,
            "p_correct": consensus.p_correct if consensus else None,
            "calibrated": consensus.calibrated if consensus else False,
            "outcome": consensus.outcome if consensus else "unlabelled",
            "reason": consensus.reason if consensus else "the run has not come to it",
            "suggestion": consensus.label if consensus and not accepted else None,
            "duplicate_of": row.duplicate_of,
            "near_duplicate_of": row.near_duplicate_of,
            "line": row.line,
            "fields": row.fields,
        }
