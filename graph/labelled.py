"""Which items carry an accepted label at this moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.ledger import Consensus
from .context import RunContext


@dataclass(frozen=True)
class TrainingSet:
    """Accepted labels as arrays of length n, in the order of the pool."""

    ids: list[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def labelled_items(ctx: RunContext) -> dict[str, Consensus]:
    """The latest consensus of every item that the run has settled, accepted or set apart."""
    return {
        item: consensus
        for item, consensus in ctx.ledger.votes.concluded(ctx.step).items()
        if consensus.outcome in {"accept", "set_apart"}
    }


def training_set(ctx: RunContext) -> TrainingSet:
    """Accepted labels, weighted by how probably they are correct; synthetic items count less."""
    number = {label: position for position, label in enumerate(ctx.labels)}
    synthetic = ctx.pool.origins()
    accepted = [
        (ctx.pool.index(item), item, consensus)
        for item, consensus in labelled_items(ctx).items()
        if consensus.outcome == "accept" and consensus.label is not None
    ]
    accepted.sort(key=lambda entry: entry[0])
    rows = np.asarray([row for row, _, _ in accepted], np.int64)
    weights = np.asarray([c.p_correct or 0.0 for _, _, c in accepted], np.float64)
    weights[synthetic[rows]] *= ctx.config.generation.weight
    labels = [number[c.label] for _, _, c in accepted if c.label is not None]
    return TrainingSet(
        [item for _, item, _ in accepted], rows, np.asarray(labels, np.int64), weights
    )
