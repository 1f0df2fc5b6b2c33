"""The votes of a run weighed again in another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from ..agents.aggregators import Aggregation
from ..agents.verdict import weigh
from ..tools.aggregation import NO_VOTE
from ..tools.audit import accuracy_interval
from ..tools.errors import ConfigError
from .context import RunContext
from .evaluation import read_gold
from .quality import best_round

AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
"""As `ensemble.aggregation` of the configuration."""


@dataclass(frozen=True)
class Reweighed:
    """What another aggregation makes of the same votes.

    Attributes:
        aggregation: Its name.
        items: Items with a vote.
        differ: Items whose label is not the delivered one.
        calibrated: Items whose probability was fitted on audited items, or is gold.
        mean_p_correct: What it believes of its labels; a figure to be trusted where all are
            calibrated.
        gold: Its accuracy, and that of the delivered labels, on the items with gold that have a
            label under both; None where there are none.
        labels: New label, probability, whether that is calibrated, and delivered label by item,
            where the two labels differ.
    """

    aggregation: str
    items: int
    differ: int
    calibrated: int
    mean_p_correct: float | None
    gold: dict[str, Any] | None
    labels: dict[str, dict[str, Any]]


def reweigh(ctx: RunContext, aggregation: str) -> Reweighed:
    """Weigh the votes of a finished run again, with what its audits have taught.

    Raises:
        ConfigError: There is no such aggregation.
    """
    if aggregation not in AGGREGATIONS:
        raise ConfigError(
            f"aggregation {aggregation!r}: expected one of {', '.join(AGGREGATIONS)}."
        )
    ensemble = ctx.config.ensemble.model_copy(update={"aggregation": aggregation})
    # The context of a copy, which nobody uses after this.
    ctx.config = ctx.config.model_copy(update={"ensemble": ensemble})
    audited = sum(len(d.decision["audit"]) for d in ctx.ledger.log.decisions("batch"))
    kept = best_round(ctx, audited)
    fit = ctx.round_fit(kept) if kept else None
    panel = ctx.panel(audited, fit)
    real = [item for item, made in zip(ctx.pool.ids, ctx.pool.origins(), strict=True) if not made]
    ballot = ctx.ballot(real)
    voted = np.flatnonzero((ballot.votes != NO_VOTE).any(axis=1))
    items = [real[row] for row in voted]
    ballot = ctx.ballot(items)
    student = ctx.student_view(items, fit) if items else None
    verdict = weigh(ballot, panel, student, classes=len(ctx.labels))
    label, p = verdict.label, verdict.p_correct
    delivered = ctx.ledger.votes.concluded()
    given = [
        c.label if (c := delivered.get(item)) and c.outcome == "accept" else None for item in items
    ]
    names = [ctx.labels[k] for k in label.tolist()]
    differing = {
        item: {
            "label": new,
            "p_correct": round(float(p[row]), 6),
            "calibrated": bool(verdict.calibrated[row]),
            "delivered": old,
        }
        for row, (item, new, old) in enumerate(zip(items, names, given, strict=True))
        if new != old
    }
    return Reweighed(
        aggregation=aggregation,
        items=len(items),
        differ=len(differing),
        calibrated=int(verdict.calibrated.sum()),
        mean_p_correct=float(p.mean()) if len(p) else None,
        gold=_on_gold(read_gold(ctx.folder), items, names, given),
        labels=differing,
    )


def _on_gold(
    gold: Mapping[str, str], items: Sequence[str], new: Sequence[str], old: Sequence[str | None]
) -> dict[str, Any] | None:
    # What was set apart has no delivered label, and is harder than the rest: on other texts the two
    # figures could not be compared.
    true = [
        (gold[item], again, given)
        for item, again, given in zip(items, new, old, strict=True)
        if item in gold and given is not None
    ]
    if not true:
        return None
    again = sum(label == new for label, new, _ in true)
    delivered = sum(label == old for label, _, old in true)
    return {
        "items": len(true),
        "again": asdict(accuracy_interval(again, len(true))),
        "delivered": asdict(accuracy_interval(delivered, len(true))),
    }
