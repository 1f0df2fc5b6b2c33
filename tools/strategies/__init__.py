"""Query strategies: which items of the pool to annotate next.

Every strategy takes the rows that may be picked (`candidates`, positions in the full matrix) and
returns positions in the full matrix: no repeats, `min(n, distinct candidates)` of them, the most
wanted first, ties broken by the lower position. The order of `candidates` does not matter. Work is
done in blocks, so that memory above the data stays bounded on a memory-mapped pool.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .arrays import Indices, Mask, Vectors
from .clusters import diverse_margin, k_means_pick, typiclust
from .core_set import k_center
from .uncertainty import Kind, most_uncertain, uncertainty

__all__ = [
    "STRATEGIES",
    "diverse_margin",
    "k_center",
    "k_means_pick",
    "most_uncertain",
    "pick",
    "random_pick",
    "typiclust",
    "uncertainty",
]

STRATEGIES: dict[str, str] = {
    "random": "Uniform sample. Unbiased; the baseline, and the exploration share of a batch.",
    "margin": "Smallest gap between the student's two likeliest labels. Needs a usable student.",
    "entropy": "Highest entropy of the student's probabilities. Needs a usable student.",
    "least_confidence": "Lowest top probability of the student. Needs a usable student.",
    "k_means": "The item nearest to each of n k-means centres: a spread batch without a student.",
    "typiclust": "The most typical items of the clusters with fewest labels: for the cold start.",
    "k_center": "Farthest from everything labelled (core-set): covers the pool, likes outliers.",
    "diverse_margin": "Small margin, then spread by k-means. Needs a usable student.",
}


def random_pick(candidates: Indices, n: int, rng: np.random.Generator) -> Indices:
    """Draw a uniform sample without replacement."""
    rows = np.unique(np.asarray(candidates, np.intp))
    return rng.choice(rows, min(max(n, 0), len(rows)), replace=False)


def pick(
    strategy: str,
    candidates: Indices,
    n: int,
    rng: np.random.Generator,
    *,
    vectors: Vectors,
    labelled_mask: Mask,
    proba: NDArray[np.floating[Any]] | None = None,
) -> Indices:
    """Run the strategy of that name, one of `STRATEGIES`.

    Raises:
        ValueError: the name is unknown, or the strategy needs `proba` and there is none.
    """
    plain: dict[str, Callable[[], Indices]] = {
        "random": lambda: random_pick(candidates, n, rng),
        "k_means": lambda: k_means_pick(vectors, candidates, n, rng),
        "typiclust": lambda: typiclust(vectors, labelled_mask, candidates, n, rng),
        "k_center": lambda: k_center(vectors, labelled_mask, candidates, n),
    }
    if strategy in plain:
        return plain[strategy]()
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown query strategy {strategy!r}: use one of {', '.join(STRATEGIES)}")
    if proba is None:
        raise ValueError(
            f"query strategy {strategy!r} needs the student's probabilities and there is no "
            f"student yet: use one of {', '.join(plain)}"
        )
    if strategy == "diverse_margin":
        return diverse_margin(vectors, proba, candidates, n, rng)
    return most_uncertain(proba, candidates, n, cast(Kind, strategy))
