"""Near-duplicate texts by the cosine of their vectors, below quadratic cost on large pools."""

import numpy as np
from numpy.typing import NDArray

# Up to here every pair is compared: about two seconds on two cores at 384 components.
_EXACT_LIMIT = 20_000
_BLOCK = 1_024
_SAMPLE = 50_000


def near_duplicates(
    vectors: NDArray[np.float32], threshold: float = 0.95, *, rng: np.random.Generator
) -> dict[int, int]:
    """Find items that are nearly the same as an earlier one.

    Items are taken in order; one is kept unless its cosine similarity with an item kept before is
    at least the threshold, and then it belongs to the earliest such item. So no value of the result
    is a key of it, and every pair is as similar as promised.

    Up to 20,000 items the result is exact. Above, pairs are looked for within cells of k-means
    (about sqrt(n) of them), each item in its two nearest cells; a pair without a common cell is
    missed.

    Args:
        vectors: (n, d) float32, no zero vector; lengths do not matter.
        threshold: Least cosine similarity of a near duplicate, in (0, 1].
        rng: Draws the sample and the start of k-means; not used when the result is exact.

    Returns:
        Index of each near duplicate -> index of the item that is kept for it.
    """
    n = len(vectors)
    everything = np.arange(n)
    if n <= _EXACT_LIMIT:
        return _by_leader(vectors, everything, threshold)
    candidates: dict[int, list[int]] = {}
    for members in _cells(vectors, rng):
        for later, earlier in _by_leader(vectors, members, threshold).items():
            candidates.setdefault(later, []).append(earlier)
    kept_for: dict[int, int] = {}
    for later in sorted(candidates):
        # In its other cell the candidate itself may have given way to an even earlier item.
        leaders = {kept_for.get(earlier, earlier) for earlier in candidates[later]}
        for leader in sorted(leaders):
            a, b = _unit(vectors[[later, leader]])
            if a @ b >= threshold:
                kept_for[later] = leader
                break
    return kept_for


def _by_leader(
    vectors: NDArray[np.float32], members: NDArray[np.intp], threshold: float
) -> dict[int, int]:
    """Compare each member with the members kept before it, in blocks."""
    kept_for: dict[int, int] = {}
    kept: list[NDArray[np.intp]] = []
    kept_vectors: list[NDArray[np.float32]] = []
    for start in range(0, len(members), _BLOCK):
        rows = members[start : start + _BLOCK]
        block = _unit(vectors[rows])
        for leaders, leader_vectors in zip(kept, kept_vectors, strict=True):
            similar = block @ leader_vectors.T >= threshold
            found = similar.any(axis=1)
            first = leaders[similar.argmax(axis=1)]
            kept_for.update(zip(rows[found].tolist(), first[found].tolist(), strict=True))
            rows, block = rows[~found], block[~found]
        similar = np.triu(block @ block.T >= threshold, k=1)
        alone = np.ones(len(rows), dtype=np.bool_)
        for i in np.flatnonzero(similar.any(axis=1)):
            if alone[i]:
                followers = np.flatnonzero(similar[i] & alone)
                alone[followers] = False
                kept_for.update((int(rows[j]), int(rows[i])) for j in followers)
        if alone.any():
            kept.append(rows[alone])
            kept_vectors.append(block[alone])
    return kept_for


def _cells(vectors: NDArray[np.float32], rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Put each vector into its two nearest k-means cells; members are in ascending order."""
    from sklearn.cluster import MiniBatchKMeans

    n = len(vectors)
    count = int(np.sqrt(n))
    chosen = np.sort(rng.choice(n, size=min(n, _SAMPLE), replace=False))
    means = MiniBatchKMeans(
        count,
        # The cells need not be good clusters; k-means++ would cost nine tenths of the time.
        init="random",
        batch_size=2_048,
        max_iter=2,
        n_init=1,
        random_state=int(rng.integers(2**31)),
    ).fit(_unit(vectors[chosen]))
    centres = _unit(means.cluster_centers_.astype(np.float32))
    nearest = np.empty((n, 2), dtype=np.intp)
    for start in range(0, n, _BLOCK):
        # The length of a vector does not change which centre is nearest in angle.
        similarity = vectors[start : start + _BLOCK] @ centres.T
        nearest[start : start + _BLOCK] = np.argpartition(-similarity, 1, axis=1)[:, :2]
    cells = nearest.ravel()
    order = np.argsort(cells, kind="stable")
    bounds = np.searchsorted(cells[order], np.arange(1, count))
    return [part // 2 for part in np.split(order, bounds)]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
