"""The selector's settings and its rule policy: which items the next round is about.

Cold start by clusters; then typical items of uncovered clusters, until the student's uncertainty
has been seen to predict its errors; then diverse margin. Always with a random slice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.metrics import roc_auc_score

from ..tools import strategies
from .model import AgentModelConfig

STUDENTLESS = ("random", "k_means", "typiclust", "k_center")
SEARCH = "search"
"""Not a strategy of its own: the likeliest items of classes that have too few labels."""


class SelectionConfig(BaseModel):
    """How items are chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int | None = Field(
        None, ge=1, le=5000, description="Items a round; absent: 2 a class, 50 to 200, by the pool."
    )
    random_share: float = Field(
        0.1, ge=0, le=1, description="Share of each batch that is chosen at random."
    )
    switch_at: float = Field(
        0.65,
        ge=0.5,
        le=1,
        description="AUROC of the student's margin against its errors from which it may choose.",
    )
    strategy: str | None = Field(
        None,
        pattern=f"^({'|'.join(strategies.STRATEGIES)})$",
        description="Use this query strategy beside the random slice; absent, the policy mixes.",
    )
    model: AgentModelConfig | None = Field(
        None, description="Chat model that chooses the mix; absent, the rules decide."
    )

    def size(self, pool_size: int, classes: int) -> int:
        """Items a round: as configured, else from the pool and the number of classes."""
        if self.batch_size is not None:
            return min(self.batch_size, pool_size)
        return max(1, min(max(50, 2 * classes), 200, pool_size // 10 or 1))


@dataclass(frozen=True)
class PoolView:
    """What a query strategy may see: vectors and probabilities, no label of an unlabelled item.

    Attributes:
        vectors: Unit rows, shape (n, dim).
        candidates: Rows that may be chosen.
        labelled: Rows that are labelled, as a mask of shape (n,).
        labels: Class of each labelled row, -1 elsewhere, shape (n,).
        proba: The student's probabilities, shape (n, K), or ``None`` before there is one.
        out_of_sample: Its out-of-sample probabilities on labelled rows of the data; NaN rows
            elsewhere, written texts included.
        similarity: Of each row to each label's description, shape (n, K); only for a search.
    """

    vectors: NDArray[np.float32]
    candidates: NDArray[np.int64]
    labelled: NDArray[np.bool_]
    labels: NDArray[np.int64]
    proba: NDArray[np.float32] | None
    out_of_sample: NDArray[np.float32] | None
    similarity: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Mix:
    """Shares of query strategies in one batch, and why; the shares sum to 1."""

    shares: dict[str, float]
    reason: str


def mix_by_rule(
    config: SelectionConfig,
    view: PoolView,
    *,
    another: bool = False,
    wanted: Sequence[int] = (),
) -> Mix:
    """The rule policy's mix of strategies.

    Args:
        config: Settings.
        view: The pool.
        another: Leave the strategy that led to the plateau for one round.
        wanted: Classes that have too few labels and are to be searched for.
    """
    random_share = config.random_share
    rest = 1.0 - random_share
    if wanted and view.proba is not None:
        shares = {SEARCH: rest, "random": random_share}
        return _mix(shares, f"{len(wanted)} classes have too few labels: their likeliest items")
    if another:
        return _mix(
            {"typiclust": rest / 2, "random": random_share + rest / 2},
            "predictions stand still: another strategy must not set them moving",
        )
    blind = view.proba is None or not view.labelled.any()
    if config.strategy is not None and not (blind and config.strategy not in STUDENTLESS):
        shares = {config.strategy: rest, "random": random_share}
        if config.strategy == "random":
            shares = {"random": 1.0}
        return _mix(shares, "strategy is configured")
    if blind:
        return _mix({"k_means": rest, "random": random_share}, "cold start: cover the clusters")
    auroc = error_auroc(view)
    if auroc is None or auroc < config.switch_at:
        seen = "not enough errors to judge" if auroc is None else f"AUROC {auroc:.2f}"
        return _mix(
            {"typiclust": 0.7 * rest, "margin": 0.3 * rest, "random": random_share},
            f"the student's uncertainty does not predict its errors yet ({seen})",
        )
    return _mix(
        {"diverse_margin": rest, "random": random_share},
        f"the student's uncertainty predicts its errors (AUROC {auroc:.2f})",
    )


def error_auroc(view: PoolView, at_least: int = 15) -> float | None:
    """How well the student's uncertainty ranks its own out-of-sample errors.

    Returns:
        Area under the ROC curve; ``None`` with fewer than ``at_least`` errors or right answers.
    """
    if view.out_of_sample is None:
        return None
    rows = view.labelled & ~np.isnan(view.out_of_sample[:, 0])
    proba, labels = view.out_of_sample[rows], view.labels[rows]
    wrong = proba.argmax(axis=1) != labels
    if min(int(wrong.sum()), int((~wrong).sum())) < at_least:
        return None
    return float(roc_auc_score(wrong, strategies.uncertainty(proba, "margin")))


def fill_batch(
    view: PoolView,
    mix: Mix,
    size: int,
    rng: np.random.Generator,
    *,
    wanted: Sequence[int] = (),
    first: Sequence[int] = (),
    avoid: Sequence[int] = (),
) -> NDArray[np.int64]:
    """Rows of the batch: the given ones first, then each strategy's share of what is left.

    Args:
        view: The pool.
        mix: Shares of the strategies.
        size: Most items.
        rng: Source of randomness.
        wanted: Classes that ``search`` looks for, in turn.
        first: Rows that must be in.
        avoid: Rows that must not be in.

    Returns:
        Distinct candidate rows, at most ``size``.
    """
    candidates = np.setdiff1d(view.candidates, np.asarray(avoid, np.int64))
    allowed = set(candidates.tolist())
    chosen = [row for row in dict.fromkeys(first) if row in allowed][:size]
    open_size = size - len(chosen)
    names = sorted(mix.shares, key=lambda name: (-mix.shares[name], name))
    for position, name in enumerate(names):
        share = size - len(chosen)
        if position < len(names) - 1:
            share = min(share, round(open_size * mix.shares[name]))
        left = np.setdiff1d(candidates, np.asarray(chosen, np.int64))
        picked = _pick(name, view, left, share, rng, wanted)
        chosen += picked.tolist()
    left = np.setdiff1d(candidates, np.asarray(chosen, np.int64))
    if len(chosen) < size and len(left):
        chosen += strategies.random_pick(left, size - len(chosen), rng).tolist()
    return np.asarray(chosen[:size], np.int64)


def _pick(
    name: str,
    view: PoolView,
    candidates: NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
    wanted: Sequence[int],
) -> NDArray[np.int64]:
    if n <= 0 or not len(candidates):
        return np.empty(0, np.int64)
    if name == SEARCH:
        return _likeliest(view, candidates, n, rng, wanted)
    if view.proba is None and name not in STUDENTLESS:
        name = "random"
    picked = strategies.pick(
        name,
        candidates,
        n,
        rng,
        vectors=view.vectors,
        labelled_mask=view.labelled,
        proba=view.proba,
    )
    return np.asarray(picked, np.int64)


def _likeliest(
    view: PoolView,
    candidates: NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
    wanted: Sequence[int],
) -> NDArray[np.int64]:
    """The items that are likeliest to be of the wanted classes, in equal parts.

    By the student, then by nearness to the label's description; by that alone for a class that the
    student has seen no label of, for it holds all items equally unlikely to be of it.
    """
    if view.proba is None or not wanted:
        return np.empty(0, np.int64)
    share = math.ceil(n / len(wanted))
    seen = set(view.labels[view.labelled].tolist())
    # What still ties is in no order, rather than in that of the file.
    shuffled = rng.permutation(candidates)
    level = np.zeros(len(shuffled), np.float32)
    ranked = []
    for label in wanted:
        likely = view.proba[shuffled, label] if label in seen else level
        near = view.similarity[shuffled, label] if view.similarity is not None else level
        ranked.append(shuffled[np.lexsort((-near, -likely))[:share]])
    # First choices of every class before second choices of any.
    by_turn = [int(row) for turn in zip_longest(*ranked) for row in turn if row is not None]
    return np.asarray(list(dict.fromkeys(by_turn))[:n], np.int64)


def _mix(shares: dict[str, float], reason: str) -> Mix:
    total = sum(shares.values())
    kept = {name: share / total for name, share in shares.items() if share > 0}
    return Mix(kept, reason)
