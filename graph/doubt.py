"""How suspect the labels of a run are, with all that it knows at no further cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..agents.annotators.embedded import class_similarity
from ..agents.suspects import Suspects, suspect_labels
from .context import RunContext
from .rounds import RoundFit


def audits_so_far(ctx: RunContext) -> int:
    """How far the audits are in their fixed order."""
    return sum(len(made.decision["audit"]) for made in ctx.ledger.log.decisions("batch"))


def was_audited(ctx: RunContext, ids: list[str]) -> NDArray[np.bool_]:
    """Which items are of the audit sample, shape (n,)."""
    drawn = set(ctx.audit_ids(audits_so_far(ctx)))
    return np.asarray([item in drawn for item in ids], bool)


def doubt(
    ctx: RunContext,
    ids: list[str],
    fit: RoundFit | None,
    held: NDArray[np.int64] | None = None,
) -> Suspects:
    """Judge labels by votes, student and descriptions.

    Args:
        ctx: The run.
        ids: Items, length n.
        fit: The last student.
        held: Labels that the run holds, shape (n,), where they are in question.
    """
    return suspect_labels(
        ctx.ballot(ids),
        ctx.panel(audits_so_far(ctx), fit),
        ctx.student_view(ids, fit),
        _similarity(ctx, ids),
        audited=was_audited(ctx, ids),
        classes=len(ctx.labels),
        held=held,
    )


def _similarity(ctx: RunContext, ids: list[str]) -> NDArray[np.float32] | None:
    if ctx.config.embedder.kind == "openai" or not ids:
        return None  # Descriptions would be embedded, and paid, in every process anew.
    centre, directions = ctx.descriptions
    return class_similarity(ctx.pool.vectors()[ctx.row_numbers(ids)], centre, directions)
