"""Faults of the label set itself: a label that is missing, that nobody needs, or that is two.

An annotator that is given a wrong label set errs in a way that no further vote mends: where the
right label was not offered, language models are right on a few items in a hundred, and agree on a
wrong one. What gives a gap away is where answers are invalid, doubtful and far from every
description, and above all a person who names, in an audit, a label that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .aggregation import NO_VOTE
from .audit import accuracy_interval
from .task import normalised_label

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]

ALIKE = 0.5
"""Cosine of two centred texts from which they belong to one cluster."""
CLUSTER = 3
"""Fewest texts of a cluster that a label is proposed for without anybody's word."""
OFTEN = 10
"""Audits for each label from which one mention of a new label no longer counts as evidence."""
REFUSED = 0.4
"""Share of answers on such a cluster that are no label of the set, at least."""
REFUSES = 0.2
"""Share of its answers that are no label above which an annotator is no witness of a gap, unless
the others refuse as often."""
AGREE = 0.3
"""Agreement beyond chance, with two labels taken for one, below which two annotators are no
witnesses of these two."""
PAIRS = 10
"""Pairs of votes on two labels from which they are judged."""
INDISTINCT, DISTINCT = 0.3, 0.6
"""Agreement beyond chance on two labels below which nobody tells them apart, and which it must
surely not reach."""


@dataclass(frozen=True)
class Fault:
    """One fault of the label set.

    Attributes:
        kind: add_label, remove_label or merge_labels.
        labels: Class numbers that it is about; none for a label that is missing.
        words: How people called the missing label, or ``None`` where nobody was asked.
        rows: Items that show it, the clearest first.
        share: Estimated share of all items that it concerns, with a 95 % interval.
        why: The evidence in a sentence.
    """

    kind: Literal["add_label", "remove_label", "merge_labels"]
    labels: tuple[int, ...]
    words: str | None
    rows: tuple[int, ...]
    share: tuple[float, float, float]
    why: str


def refusals(refused: NDArray[np.bool_], answered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the answers on each item that say that no label fits.

    An annotator that says so at every turn, or writes what no one can read, is no witness.

    Args:
        refused: (n, m) answers that were no label of the set.
        answered: (n, m) whether there was an answer.

    Returns:
        (n,) shares; 0 where no witness has answered.
    """
    if not refused.shape[1]:
        return np.zeros(len(refused))
    rate = (refused & answered).sum(axis=0) / np.maximum(answered.sum(axis=0), 1)
    heard = answered & (rate <= max(REFUSES, 1.5 * float(np.median(rate))))
    return np.asarray((refused & heard).sum(axis=1) / np.maximum(heard.sum(axis=1), 1), np.float64)


def label_set_faults(
    vectors: Floats,
    votes: Ints,
    label: Ints,
    invalid: Floats,
    audited: Mapping[int, int | str | None],
    *,
    classes: int,
) -> list[Fault]:
    """All faults of a label set.

    Args:
        vectors: (n, d) vectors of the texts.
        votes: (n, m) class numbers, -1 for none; trusted annotators left out.
        label: (n,) the label that each item has, -1 for none.
        invalid: (n,) share of the answers on an item that say that no label fits.
        audited: By row the true class, or the words for a label that is not there, or ``None``
            where a person only said that none fits.
        classes: K.
    """
    return [
        *missing_labels(vectors, invalid, audited, classes),
        *unneeded_labels(votes, label, audited, classes),
        *indistinct_labels(votes, classes),
    ]


def missing_labels(
    vectors: Floats,
    invalid: Floats,
    audited: Mapping[int, int | str | None],
    classes: int,
) -> list[Fault]:
    """Labels that the set lacks.

    Two sources. People who, in an audit, name a label that is not there, in their own words; and
    clusters of texts on which annotators answer with no label of the set.

    Args:
        vectors: (n, d) vectors of the texts.
        invalid: (n,) share of the answers on an item that were no label.
        audited: By row the true class, or the words for a label that is not there, or ``None``
            where a person only said that none fits.
        classes: K.
    """
    n = len(vectors)
    named: dict[str, list[int]] = {}
    for row, truth in sorted(audited.items()):
        if not isinstance(truth, int):
            named.setdefault(normalised_label(truth or ""), []).append(row)
    nameless = named.pop("", [])
    needed = 1 if len(audited) < OFTEN * classes else 2
    found = [
        Fault(
            "add_label",
            (),
            str(audited[rows[0]]),
            tuple(rows),
            _share(len(rows), len(audited)),
            f"{len(rows)} of {len(audited)} audited items: people name this label, and the set "
            "does not have it",
        )
        for rows in named.values()
        if len(rows) >= needed
    ]
    told = {row for rows in named.values() for row in rows}
    housed = {row for row, truth in audited.items() if isinstance(truth, int)}
    open_rows = np.flatnonzero(invalid > 0)
    for cluster in _clusters(vectors, np.union1d(open_rows, nameless).astype(np.int64)):
        members = [row for row in cluster.tolist() if row not in housed]
        refused = [row for row in members if row in nameless]
        enough = len(members) >= CLUSTER and float(invalid[members].mean()) >= REFUSED
        if told & set(members) or not (enough or refused):
            continue
        members.sort(key=lambda row: (-float(invalid[row]), row))
        found.append(
            Fault(
                "add_label",
                (),
                None,
                tuple(members),
                (len(members) / n, len(members) / n, 1.0),
                f"{len(members)} texts alike on which {float(invalid[members].mean()):.0%} of the "
                f"answers are no label of the set"
                + (f"; people found that none fits on {len(refused)}" if refused else ""),
            )
        )
    return sorted(found, key=lambda fault: (-fault.share[0], fault.rows))


def unneeded_labels(
    votes: Ints, label: Ints, audited: Mapping[int, int | str | None], classes: int
) -> list[Fault]:
    """Labels that nobody ever chooses, and those that no audit confirms.

    Args:
        votes: (n, m) class numbers, -1 for none.
        label: (n,) the label each item has, -1 for none.
        audited: As for `missing_labels`.
        classes: K.
    """
    chosen = np.bincount(votes[votes != NO_VOTE], minlength=classes)
    asked = int((votes != NO_VOTE).any(axis=1).sum())
    true = [truth for truth in audited.values() if isinstance(truth, int)]
    found = []
    for k in range(classes):
        rows = [row for row in audited if label[row] == k]
        if k in true:
            continue
        # An even spread would give it five items, and there is not one vote.
        if not chosen[k] and asked >= 5 * classes:
            why = f"offered for {asked} items and never chosen"
            found.append(Fault("remove_label", (k,), None, (), (0.0, 0.0, 3 / asked), why))
        elif len(rows) >= CLUSTER:
            why = f"on all {len(rows)} audited items that have it, another label is right"
            share = float((label == k).mean())
            found.append(Fault("remove_label", (k,), None, tuple(rows), (share, share, share), why))
    return found


def indistinct_labels(votes: Ints, classes: int) -> list[Fault]:
    """Pairs of labels that annotators choose between as if at random.

    Over all pairs of annotators and the items on which both choose one of the two labels: Cohen's
    kappa within the pair of labels. Labels that mean different things are told apart on most items
    even where they are confused on some.

    Args:
        votes: (n, m) class numbers, -1 for none.
        classes: K.
    """
    tables = []
    for i, j in combinations(range(votes.shape[1]), 2):
        both = (votes[:, i] != NO_VOTE) & (votes[:, j] != NO_VOTE)
        table = np.zeros((classes, classes))
        np.add.at(table, (votes[both, i], votes[both, j]), 1)
        tables.append(table)
    found: list[Fault] = []
    if classes < 3 or not tables:
        return found
    joint = np.sum(tables, axis=0)
    for a, b in combinations(range(classes), 2):
        if not _at_random(joint, a, b):
            continue
        # Two that agree on nothing else show that one of them is broken.
        able = [table for table in tables if table.any() and _kappa(_merged(table, a, b)) >= AGREE]
        heard = np.sum(able, axis=0) if able else np.zeros_like(joint)
        if not _at_random(heard, a, b):
            continue
        within = heard[np.ix_((a, b), (a, b))]
        rows = np.flatnonzero((votes == a).any(axis=1) & (votes == b).any(axis=1))
        share = len(rows) / len(votes)
        why = f"agreement beyond chance on the two: {_kappa(within):.2f}, {within.sum():.0f} pairs"
        found.append(Fault("merge_labels", (a, b), None, tuple(rows.tolist()), (share,) * 3, why))
    return found


def _at_random(joint: NDArray[np.float64], a: int, b: int) -> bool:
    """Whether two labels, both in use, are chosen between as if at random."""
    within = joint[np.ix_((a, b), (a, b))]
    total = float(within.sum())
    if total < PAIRS or min(within.sum(axis=0).min(), within.sum(axis=1).min()) < PAIRS / 5:
        return False
    by_chance = float(within.sum(axis=1) @ within.sum(axis=0)) / total**2
    agreed = float(np.trace(within)) / total
    error = float(np.sqrt(agreed * (1 - agreed) / total)) / max(1 - by_chance, 1e-9)
    kappa = _kappa(within)
    # The doubt about it leaves no room for a real distinction.
    return kappa < INDISTINCT and kappa + 1.645 * error < DISTINCT


def _merged(table: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
    merged = table.copy()
    merged[a] += merged[b]
    merged[:, a] += merged[:, b]
    return np.delete(np.delete(merged, b, axis=0), b, axis=1)


def _kappa(counts: NDArray[np.float64]) -> float:
    """Cohen's kappa of a square table of counts."""
    total = float(counts.sum())
    by_chance = float(counts.sum(axis=1) @ counts.sum(axis=0)) / total**2
    agreed = float(np.trace(counts)) / total
    return (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0


def _clusters(vectors: Floats, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Connected groups of texts that are alike once the pool's mean is taken off."""
    from scipy.sparse.csgraph import connected_components

    if not len(rows):
        return []
    centred = vectors[rows] - vectors.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    count, number = connected_components(centred @ centred.T > ALIKE, directed=False)
    return [rows[number == k] for k in range(count)]


def _share(count: int, n: int) -> tuple[float, float, float]:
    interval = accuracy_interval(count, n)
    return (interval.estimate or 0.0, interval.low, interval.high)
