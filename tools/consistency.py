"""Which labels look wrong, without asking anyone: neighbours, student, annotators.

Four statistics in order of cost: disagreement with the nearest labelled neighbours, normalised
margin and confident learning on out-of-sample probabilities, and the ActiveLab score over votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .aggregation import Crowd

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]

_QUERIES = 1024
_BASE = 8192


def neighbour_disagreement(
    vectors: Floats,
    labels: Ints,
    k: int = 10,
    weights: Floats | None = None,
    exclude: NDArray[np.bool_] | None = None,
    rows: Ints | None = None,
    against: Ints | None = None,
) -> NDArray[np.float64]:
    """Share of the k nearest labelled neighbours that carry another label, by similarity.

    The disagreement of edited nearest neighbours (Wilson 1972), each neighbour weighing its cosine
    similarity (Dudani 1976). Exact, in blocks: memory does not grow with n x n.

    Args:
        vectors: (n, d) vectors of labelled items, any length; compared by cosine in float32.
        labels: (n,) label indices.
        k: neighbours looked at, at most all others.
        weights: (n,) further weight of each item as a neighbour, such as its p_correct.
        exclude: (n,) items that are no evidence (synthetic ones): never neighbours, still scored.
        rows: the q items to score, such as those labelled this round; None scores all. The time is
            that of the q x n similarities.
        against: (q,) labels that those are held to; None holds them to their own.

    Returns:
        (q,) values in [0, 1]; 0 where an item has no neighbour of positive weight.

    Raises:
        ValueError: if shapes do not match or k < 1.
    """
    n = vectors.shape[0]
    if labels.shape != (n,) or k < 1:
        raise ValueError(f"{labels.shape} labels for {n} vectors and k = {k}")
    base = np.arange(n) if exclude is None else np.flatnonzero(~exclude)
    scored = np.arange(n) if rows is None else np.asarray(rows, dtype=np.intp)
    held = labels[scored] if against is None else against
    result = np.zeros(len(scored))
    unit = _unit(vectors)
    for start in range(0, len(scored), _QUERIES):
        queries = scored[start : start + _QUERIES]
        columns, similarity = _nearest(unit, queries, base, k)
        weight = np.asarray(np.maximum(similarity, 0.0), dtype=np.float64)
        if weights is not None:
            weight *= weights[columns]
        other = labels[columns] != held[start : start + _QUERIES, None]
        total = weight.sum(axis=1)
        against = (weight * other).sum(axis=1)
        result[start : start + _QUERIES] = np.minimum(
            against / np.where(total > 0, total, 1.0), 1.0
        )
    return result


def normalised_margin(labels: Ints, proba: Floats) -> NDArray[np.float64]:
    """How clearly the student prefers the given label: (p_label - best other p + 1) / 2.

    Northcutt, Jiang & Chuang (2021), section 3, scaled to [0, 1]; below 0.5 another label leads.

    Args:
        labels: (n,) label indices.
        proba: (n, K) out-of-sample probabilities, K >= 2.

    Returns:
        (n,) values in [0, 1], lower is more suspect.
    """
    rows = np.arange(len(labels))
    own = np.asarray(proba[rows, labels], dtype=np.float64)
    others = np.array(proba, dtype=np.float64)
    others[rows, labels] = -np.inf
    return np.asarray((own - others.max(axis=1) + 1) / 2, dtype=np.float64)


@dataclass(frozen=True)
class ConfidentLearning:
    """Result of `confident_learning`.

    Attributes:
        flags: (n,) whether the label of the item is probably wrong.
        noise: (K,) estimated share of wrong labels among the items labelled k; 0 without items.
        joint: (K, K) estimated number of items with given label (row) and true label (column).
    """

    flags: NDArray[np.bool_]
    noise: NDArray[np.float64]
    joint: NDArray[np.int64]


def confident_learning(labels: Ints, out_of_sample: Floats) -> ConfidentLearning:
    """Items whose label is probably wrong, and the noise of each class.

    Northcutt, Jiang & Chuang, "Confident Learning" (JAIR 2021): an item counts for label j when
    p_j reaches the mean p_j of the items labelled j (eq. 1); the calibrated counts (eq. 3) say how
    many items labelled k are truly j, and as many of those with the greatest p_j - p_k are flagged
    ("prune by noise rate"), except where the student itself prefers the given label.

    Args:
        labels: (n,) given label indices.
        out_of_sample: (n, K) probabilities of a student that did not train on the item, K >= 2.

    Returns:
        Flags, noise and joint counts.

    Raises:
        ValueError: if shapes do not match or there are no items.
    """
    proba = np.asarray(out_of_sample, dtype=np.float64)
    if proba.ndim != 2 or labels.shape != proba.shape[:1] or labels.size == 0:
        raise ValueError(f"{labels.shape} labels for probabilities of shape {proba.shape}")
    n_labels = proba.shape[1]
    joint = _joint(labels, proba)
    # prune[j, k]: how many items labelled k are to be flagged as truly j.
    prune = joint.T.copy()
    # A class that would lose every item keeps one: each of its flag counts drops by one.
    prune[:, np.diag(joint) == 0] -= 1
    flags = np.zeros(labels.size, dtype=bool)
    for given in range(n_labels):
        members = np.flatnonzero(labels == given)
        if members.size < 2:
            continue
        for true in range(n_labels):
            count = prune[true, given]
            if true == given or count <= 0:
                continue
            margin = proba[members, true] - proba[members, given]
            flags[members[np.argsort(-margin, kind="stable")[:count]]] = True
    flags &= normalised_margin(labels, proba) < 0.5 - 5e-7
    totals = joint.sum(axis=1)
    noise = np.where(totals > 0, 1 - np.diag(joint) / np.maximum(totals, 1), 0.0)
    return ConfidentLearning(flags, noise, joint)


def active_lab(votes: Ints, crowd: Crowd) -> NDArray[np.float64]:
    """Score that ranks items to ask about next, those with and without votes on one scale.

    ActiveLab (Goh & Mueller 2023): the consensus probability shrunk to 1/K with the weight of one
    average annotator. *Lowest first*: relabel if the item has votes, label it if it has none.

    Args:
        votes: (n, m) label indices, -1 for no vote; the votes that `crowd` was computed from.
        crowd: result of `aggregation.crowdlab`, with calibrated student probabilities.

    Returns:
        (n,) values in [0, 1].
    """
    n, n_labels = crowd.posterior.shape
    quality = crowd.posterior[np.arange(n), crowd.consensus]
    weight = (votes >= 0) @ crowd.annotator_weight + crowd.model_weight
    mean = float(crowd.annotator_weight.mean())
    return np.asarray((weight * quality + mean / n_labels) / (weight + mean), dtype=np.float64)


def _joint(labels: Ints, proba: NDArray[np.float64]) -> NDArray[np.int64]:
    """Calibrated confident joint: rows are given labels, columns true ones, sums are kept."""
    n, n_labels = proba.shape
    counts = np.bincount(labels, minlength=n_labels)
    own = proba[np.arange(n), labels]
    sums = np.bincount(labels, weights=own, minlength=n_labels)
    # A label without items has no threshold that a probability could reach.
    threshold = np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)
    confident = proba >= np.maximum(threshold, 2e-6) - 1e-6
    truth = np.where(confident, proba, -1.0).argmax(axis=1)
    # With several labels above their thresholds the most probable one of all wins.
    truth = np.where(confident.sum(axis=1) > 1, proba.argmax(axis=1), truth)
    seen = confident.any(axis=1)
    raw = np.zeros((n_labels, n_labels))
    np.add.at(raw, (labels[seen], truth[seen]), 1)
    np.fill_diagonal(raw, np.maximum(np.diag(raw), 1))
    return _round_rows(raw / raw.sum(axis=1, keepdims=True) * counts[:, None])


def _round_rows(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nearest integers that keep the sums of rows: the worst rounded entries give way.

    Stable sorting decides between equally rounded entries, so that the same counts give the same
    integers on every machine.
    """
    rounded = np.rint(matrix)
    gaps = (np.rint(matrix.sum(axis=1)) - rounded.sum(axis=1)).astype(int)
    for row in np.flatnonzero(gaps):
        order = np.argsort(matrix[row] - rounded[row], kind="stable")
        gap = gaps[row]
        rounded[row, order[-gap:] if gap > 0 else order[:-gap]] += np.sign(gap)
    return rounded.astype(np.int64)


def _unit(vectors: Floats) -> NDArray[np.float32]:
    single = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(single, axis=1, keepdims=True)
    return np.asarray(single / np.maximum(length, 1e-12), dtype=np.float32)


def _nearest(
    unit: NDArray[np.float32], queries: NDArray[np.intp], base: NDArray[np.intp], k: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Exact k nearest rows of `base` for each query, itself left out.

    After the first block of the base only similarities above the k-th best so far are looked at:
    selecting from every full row would cost more than the matrix products.

    Returns:
        (q, k) row numbers and similarities; missing neighbours are row 0 with similarity -inf.
    """
    q = len(queries)
    best = np.full((q, k), -np.inf, dtype=np.float32)
    found = np.zeros((q, k), dtype=np.intp)
    for start in range(0, len(base), _BASE):
        part = base[start : start + _BASE]
        similarity = unit[queries] @ unit[part].T
        own = np.searchsorted(part, queries)
        inside = np.flatnonzero(own < len(part))
        inside = inside[part[own[inside]] == queries[inside]]
        similarity[inside, own[inside]] = -np.inf
        if start == 0 and len(part) > k:
            columns = np.argpartition(similarity, len(part) - k, axis=1)[:, -k:]
            best = np.take_along_axis(similarity, columns, axis=1)
            found = part[columns]
            continue
        # Flat, because on two axes nonzero takes as long as a third of the matrix product.
        hits = np.flatnonzero(similarity > best.min(axis=1, keepdims=True))
        row, column = np.divmod(hits, len(part))
        rows = np.concatenate([np.repeat(np.arange(q), k), row])
        values = np.concatenate([best.ravel(), similarity[row, column]])
        names = np.concatenate([found.ravel(), part[column]])
        order = np.lexsort((names, -values, rows))
        first = np.searchsorted(rows[order], np.arange(q))
        keep = order[first[:, None] + np.arange(k)]
        best, found = values[keep], names[keep]
    return found, best
