"""Labels and student against gold; nothing in here is seen by an agent or changes a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tools.audit import accuracy_interval, macro_f1
from ..tools.gold import Gold
from ..tools.ledger import Consensus
from .context import RunContext
from .nodes.ingest import GOLD_FILE
from .rounds import RoundFit


@dataclass(frozen=True)
class GoldFigures:
    """Accuracy against a gold column.

    Attributes:
        items: Texts with gold.
        completion: Share of them that got a label.
        accuracy: Of those that got one, with 95 % interval.
        macro_f1: Of the labels; an item without one counts as wrong.
        student_accuracy: Of the student, each item judged by a model that has not seen it.
    """

    items: int
    completion: float
    accuracy: dict[str, Any]
    macro_f1: float
    student_accuracy: dict[str, Any] | None
    student_macro_f1: float | None


def read_gold(folder: Path) -> dict[str, str]:
    """Gold labels by row id; empty where no column was named."""
    path = folder / GOLD_FILE
    if not path.exists():
        return {}
    with Gold(path) as gold:
        return gold.get_all()


def against_gold(
    ctx: RunContext, labels: dict[str, Consensus], fit: RoundFit | None
) -> GoldFigures | None:
    """Judge the delivered labels and the student; ``None`` without gold."""
    gold = read_gold(ctx.folder)
    number = {label: position for position, label in enumerate(ctx.labels)}
    ids = [item for item in ctx.pool.ids if item in gold]
    if not ids:
        return None
    truth = np.asarray([number[gold[item]] for item in ids], np.int64)
    given = np.asarray(
        [
            number[c.label]
            if (c := labels.get(item)) and c.outcome == "accept" and c.label is not None
            else -1
            for item in ids
        ],
        np.int64,
    )
    done = given >= 0
    right = int((given == truth).sum())
    student: NDArray[np.int64] | None = None
    proba = ctx.student_view(ids, fit)
    if proba is not None:
        student = proba.argmax(axis=1)
    return GoldFigures(
        items=len(ids),
        completion=float(done.mean()),
        accuracy=asdict(accuracy_interval(right, int(done.sum()))),
        macro_f1=macro_f1(truth, given, len(ctx.labels)),
        student_accuracy=None
        if student is None
        else asdict(accuracy_interval(int((student == truth).sum()), len(ids))),
        student_macro_f1=None if student is None else macro_f1(truth, student, len(ctx.labels)),
    )
