"""The pool as a map: texts that mean the like lie close to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .balance import pool_size
from .reader import RunReader

MOST = 2_000
"""Texts on the map; more could neither be told apart nor drawn quickly."""
TEXT = 120
"""Characters of a text that are shown."""
_SEED = 20_260


@dataclass(frozen=True)
class PoolMap:
    """A sample of the pool, projected on its two widest directions.

    Attributes:
        texts: Items of the pool when it was made.
        ids: Ids of the sample, n of them, in the order of the pool.
        places: (n, 2) coordinates.
        begins: The beginning of each text.
        synthetic: Whether each text was generated.
        kept: Share of the variance of the vectors that the map shows.
    """

    texts: int
    ids: tuple[str, ...]
    places: NDArray[np.float32]
    begins: tuple[str, ...]
    synthetic: tuple[bool, ...]
    kept: float


@dataclass(frozen=True)
class Standing:
    """What the run holds of one item; ``None`` for the label of one that it has not come to."""

    label: str | None
    p_correct: float | None
    source: str | None
    outcome: str


NOTHING = Standing(None, None, None, "unlabelled")


def pool_map(reader: RunReader, most: int = MOST) -> PoolMap | None:
    """Project a random sample of the pool by principal components (Pearson 1901).

    The sample is the same for a pool of the same size. Only its vectors are read.

    Args:
        reader: The run.
        most: Size of the sample.

    Returns:
        The map; ``None`` for a pool of fewer than three items.

    Raises:
        LedgerError: The pool can not be read.
    """
    texts = pool_size(reader)
    if texts < 3:
        return None
    rng = np.random.default_rng(_SEED)
    chosen = np.sort(rng.choice(texts, min(most, texts), replace=False))
    vectors = _vectors(reader, chosen)
    # Vectors are written before the item exists, so only a damaged file is shorter.
    chosen = chosen[: len(vectors)]
    if len(chosen) < 3:
        return None
    places, kept = _project(vectors)
    rows = _items(reader, chosen.tolist())
    return PoolMap(
        texts,
        tuple(row[0] for row in rows),
        places,
        tuple(row[1] for row in rows),
        tuple(bool(row[2]) for row in rows),
        kept,
    )


def standings(reader: RunReader, ids: Sequence[str]) -> list[Standing]:
    """The latest consensus of some items, in their order; looked up by index.

    Raises:
        LedgerError: The ledger can not be read.
    """
    found: dict[str, Standing] = {}
    for start in range(0, len(ids), MOST):
        page = ids[start : start + MOST]
        marks = ",".join("?" * len(page))
        rows = reader.rows(LATEST.format(marks), *page)
        found.update((row[0], Standing(*row[1:])) for row in rows)
    return [found.get(item, NOTHING) for item in ids]


LATEST = (
    "SELECT item_id, label, p_correct, source, outcome FROM consensus WHERE seq IN "
    "(SELECT max(seq) FROM consensus WHERE item_id IN ({}) GROUP BY item_id)"
)
"""The latest consensus of items, the marks of whose ids are to be filled in."""


def _vectors(reader: RunReader, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The vectors of the sample, shape (n, dim); neighbours in the file are read together."""
    breaks = np.flatnonzero(np.diff(chosen) > 1) + 1
    parts = [
        reader.vectors(int(run[0]), int(run[-1]) + 1)
        for run in np.split(chosen, breaks)
        if len(run)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def _project(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Coordinates on the two widest directions, and the share of the variance they hold."""
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    # The covariance is small beside the sample, and its axes are those of the sample.
    spread, axes = np.linalg.eigh(centred.T @ centred)
    widest = axes[:, ::-1][:, :2]
    # An axis has no direction of its own: the greatest component is made positive, so that the
    # same pool is never shown as its mirror image.
    signs = np.sign(widest[np.abs(widest).argmax(axis=0), np.arange(widest.shape[1])])
    places = centred @ (widest * signs)
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(places))])
    total = float(spread.sum())
    kept = float(spread[-2:].sum()) / total if total > 0 else 0.0
    return places.astype(np.float32), kept


def _items(reader: RunReader, chosen: list[int]) -> list[tuple[str, str, int]]:
    rows: list[tuple[str, str, int]] = []
    for start in range(0, len(chosen), MOST):
        page = chosen[start : start + MOST]
        marks = ",".join("?" * len(page))
        rows += reader.items(
            f"SELECT id, substr(text, 1, {TEXT + 1}), synthetic FROM items "
            f"WHERE position IN ({marks}) ORDER BY position",
            *page,
        )
    return rows
