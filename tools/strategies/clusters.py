"""Query strategies that cluster the embeddings: k-means, diverse margin and TypiClust."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .arrays import BLOCK, Indices, Mask, Vectors, nearest
from .core_set import k_center
from .uncertainty import most_uncertain

_SAMPLE = 20_000  # rows that k-means is fitted on; all rows are then assigned
_SEEDED = 100  # clusters; seeding more by k-means++ costs minutes and gains nothing measurable
_MAX_CLUSTERS = 500  # TypiClust: the authors' bound
_SMALL_CLUSTER = 5  # TypiClust: clusters of so few points are left for last
_NEIGHBOURS = 20  # TypiClust
_TYPICALITY_SAMPLE = 512  # rows of one cluster that are compared with each other


def k_means_pick(
    vectors: Vectors, candidates: Indices, n: int, rng: np.random.Generator
) -> Indices:
    """Cluster the candidates into n and take the one nearest to each centre, largest cluster first.

    When fewer than n clusters come out (duplicates), the rest is filled by `k_center`.

    Args:
        vectors: (N, d) embeddings of every row of the pool.
        candidates: positions that may be picked.
        n: size of the batch.
        rng: source of the k-means seed and sub-sample.
    """
    rows = np.unique(np.asarray(candidates, np.intp))
    if len(rows) <= n or n < 1:
        return rows[: max(n, 0)]
    cluster, distance = _cluster(vectors, rows, n, rng)
    by_distance = np.lexsort((distance, cluster))
    _, first, size = np.unique(cluster[by_distance], return_index=True, return_counts=True)
    picks = rows[by_distance[first[np.argsort(-size, kind="stable")]]]
    if len(picks) == n:
        return picks
    chosen = np.zeros(len(vectors), dtype=np.bool_)
    chosen[picks] = True
    rest = k_center(vectors, chosen, rows[~chosen[rows]], n - len(picks))
    return np.concatenate([picks, rest])


def diverse_margin(
    vectors: Vectors,
    proba: NDArray[np.floating[Any]],
    candidates: Indices,
    n: int,
    rng: np.random.Generator,
    prefilter: int = 10,
) -> Indices:
    """Keep the `prefilter * n` smallest margins, then spread n over them by k-means.

    Zhdanov, "Diverse mini-batch active learning", 2019 (unweighted form).
    """
    return k_means_pick(vectors, most_uncertain(proba, candidates, prefilter * n), n, rng)


def typiclust(
    vectors: Vectors, labelled_mask: Mask, candidates: Indices, n: int, rng: np.random.Generator
) -> Indices:
    """Take the most typical item of the clusters that have the fewest labelled ones.

    Hacohen, Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high and
    low budgets", ICML 2022, section 3 (and the authors' code): labelled items and candidates
    together are put into min(labelled + n, 500) clusters; clusters of up to 5 are used only when
    the others are exhausted; the order is fewest labelled, then largest, in turns; typicality is
    the inverse mean L2 distance to the min(20, half of the cluster) nearest open items of the
    cluster. Deduplicate first: near-duplicates look typical.

    Args:
        vectors: (N, d) embeddings of every row of the pool.
        labelled_mask: (N,) true where an item has its label; must not be true at a candidate.
        candidates: positions that may be picked.
        n: size of the batch.
        rng: source of the k-means seed and of sub-samples of large clusters.
    """
    rows = np.unique(np.asarray(candidates, np.intp))
    n = min(n, len(rows))
    if n < 1:
        return rows[:0]
    labelled = np.flatnonzero(labelled_mask)
    both = np.concatenate([labelled, rows])
    cluster, _ = _cluster(vectors, both, min(len(labelled) + n, _MAX_CLUSTERS), rng)
    size = np.bincount(cluster)
    covered = np.bincount(cluster[: len(labelled)], minlength=len(size))
    order = np.lexsort((-size, covered, size <= _SMALL_CLUSTER))
    large = int((size[order] > _SMALL_CLUSTER).sum())
    cluster = cluster[len(labelled) :]
    by_cluster = np.split(
        rows[np.argsort(cluster, kind="stable")],
        np.cumsum(np.bincount(cluster, minlength=len(size)))[:-1],
    )
    picks: list[int] = []
    with threadpool_limits(1):
        for tier in (order[:large], order[large:]):
            turn = [c for c in tier if len(by_cluster[c])]
            while turn and len(picks) < n:
                for c in turn[: n - len(picks)]:
                    picks.append(_most_typical(vectors, by_cluster[c], rng))
                    by_cluster[c] = by_cluster[c][by_cluster[c] != picks[-1]]
                turn = [c for c in turn if len(by_cluster[c])]
    return np.array(picks, np.intp)


def _cluster(
    vectors: Vectors, rows: Indices, k: int, rng: np.random.Generator
) -> tuple[Indices, NDArray[np.float32]]:
    """Assign each row to one of up to k clusters: (m,) cluster, (m,) squared distance to centre.

    Centres are fitted by mini-batch k-means on a sub-sample: the time hardly grows with the pool.
    """
    from sklearn.cluster import MiniBatchKMeans

    size = max(_SAMPLE, 4 * k)
    sample = rows if len(rows) <= size else np.sort(rng.choice(rows, size, replace=False))
    points = vectors[sample]
    distinct = len({point.tobytes() for point in points})
    k = min(k, distinct)
    model = MiniBatchKMeans(
        k,
        init="k-means++" if k <= _SEEDED else "random",
        n_init=1,
        batch_size=BLOCK,
        max_iter=min(20, 2 + _SAMPLE // len(points)),
        max_no_improvement=None,  # it compares sums whose last bits depend on the number of threads
        random_state=int(rng.integers(2**31)),
    )
    # The products are small: threads that wait for each other on a busy machine cost several times
    # the work.
    with threadpool_limits(1):
        return nearest(vectors, rows, model.fit(points).cluster_centers_)


def _most_typical(vectors: Vectors, members: Indices, rng: np.random.Generator) -> int:
    """Find the member with the smallest mean distance to its nearest fellow members."""
    if len(members) > _TYPICALITY_SAMPLE:
        members = np.sort(rng.choice(members, _TYPICALITY_SAMPLE, replace=False))
    k = min(_NEIGHBOURS, len(members) // 2)
    if k < 1:
        return int(members[0])
    points = vectors[members]
    squares = np.einsum("ij,ij->i", points, points)
    distances = squares[:, None] + squares - 2 * (points @ points.T)
    np.fill_diagonal(distances, np.inf)
    closest = np.partition(distances, k - 1, axis=1)[:, :k]
    return int(members[np.sqrt(np.maximum(closest, 0)).mean(axis=1).argmin()])
