"""Which items carry an accepted label at this moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.ledger import Consensus
from .context import RunContext
from .corrections import corrected


@dataclass(frozen=True)
class TrainingSet:
    """Accepted labels as arrays of length n, in the order of the pool."""

    ids: list[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def labelled_items(ctx: RunContext) -> dict[str, Consensus]:
    """The latest consensus of every item that the run has settled, accepted or set apart.

    A delivery settles nothing: a run that goes on after it, under a higher cap, neither learns from
    labels that the student gave without a vote nor takes such items for done. What people have
    corrected holds as soon as it is taken, whenever that is.
    """
    deliveries = [decision.step for decision in ctx.ledger.log.decisions("deliver")]
    concluded = ctx.ledger.votes.concluded(ctx.step, without=deliveries) | corrected(ctx)
    return {
        item: consensus
        for item, consensus in concluded.items()
        if consensus.outcome in {"accept", "set_apart"}
    }


def training_set(ctx: RunContext, *, in_loop: bool = False) -> TrainingSet:
    """Accepted labels, weighted by how probably they are correct; synthetic items count less.

    Args:
        ctx: The run.
        in_loop: Whether another round may follow: then the stop set waits, for churn is measured on
            it. It has labels where people have corrected it, and after a sweep.
    """
    waiting = set(ctx.ids(ctx.splits.stop_set)) if in_loop else set()
    number = {label: position for position, label in enumerate(ctx.labels)}
    synthetic = ctx.pool.origins()
    accepted = []
    for item, consensus in labelled_items(ctx).items():
        if consensus.outcome != "accept" or consensus.label is None or item in waiting:
            continue
        row = ctx.pool.index(item)
        weight = (consensus.p_correct or 0.0) * (
            ctx.config.generation.weight if synthetic[row] else 1.0
        )
        # A weight of 0 leaves an item out; the student takes positive ones only.
        if weight > 0:
            accepted.append((row, item, number[consensus.label], weight))
    accepted.sort()
    return TrainingSet(
        [item for _, item, _, _ in accepted],
        np.asarray([row for row, _, _, _ in accepted], np.int64),
        np.asarray([label for _, _, label, _ in accepted], np.int64),
        np.asarray([weight for _, _, _, weight in accepted], np.float64),
    )
