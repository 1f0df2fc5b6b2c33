"""Labels that are taken for each other: by annotators on one item, and by the student."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ledger import CHECK_ATTEMPTS
from .reader import RunReader

_DISPUTED = (
    "SELECT a.item_id, a.label AS one, b.label AS other, a.annotator, b.annotator "
    "FROM votes a JOIN votes b ON a.item_id = b.item_id AND a.annotator <> b.annotator "
    f"WHERE a.label < b.label AND a.attempt < {CHECK_ATTEMPTS} AND b.attempt < {CHECK_ATTEMPTS}"
)


@dataclass(frozen=True)
class Confusion:
    """Two labels.

    Attributes:
        votes: Items on which two annotators chose one each.
        student: Accepted labels of one for which the student that had not seen them says the other.
    """

    one: str
    other: str
    votes: int
    student: int


def confusions(reader: RunReader, most: int | None = None) -> list[Confusion]:
    """Pairs of labels, the most confused first. Reads all votes: not for every refresh."""
    votes = {
        (one, other): n
        for one, other, n in reader.rows(
            f"SELECT one, other, count(DISTINCT item_id) FROM ({_DISPUTED}) GROUP BY 1, 2"
        )
    }
    student = Counter(tuple(sorted(pair)) for _, *pair in _contradicted(reader))
    pairs = {*votes, *student}
    found = [Confusion(p[0], p[1], votes.get(p, 0), student.get(p, 0)) for p in pairs]
    found.sort(key=lambda c: (-c.votes - c.student, c.one, c.other))
    return found[:most]


def items_between(reader: RunReader, one: str, other: str, most: int) -> list[tuple[str, str]]:
    """Items on which two labels meet, with who says what."""
    low, high = sorted((one, other))
    found: dict[str, str] = {}
    for item, a, b, by_a, by_b in reader.rows(
        f"{_DISPUTED} AND a.label = ? AND b.label = ? ORDER BY a.vote_id DESC LIMIT ?",
        low,
        high,
        4 * most,
    ):
        found.setdefault(item, f"{by_a}: {a}; {by_b}: {b}")
    for item, label, predicted in _contradicted(reader):
        if {label, predicted} == {one, other}:
            found.setdefault(item, f"accepted: {label}; student: {predicted}")
    return list(found.items())[:most]


def _contradicted(reader: RunReader) -> list[tuple[str, str, str]]:
    """(item, accepted label, what the student says) by the newest student, out of sample."""
    for folder in sorted(_rounds(reader.folder), reverse=True):
        try:
            with np.load(folder / "out_of_sample.npz", allow_pickle=False) as kept:
                ids, labels, said = kept["ids"], kept["labels"], kept["proba"].argmax(axis=1)
        except (OSError, ValueError, KeyError):
            continue  # a round that is just being written
        names = reader.labels
        wrong = np.flatnonzero(labels != said)
        return [(str(ids[r]), names[int(labels[r])], names[int(said[r])]) for r in wrong]
    return []


def _rounds(folder: Path) -> list[Path]:
    return list((folder / "rounds").glob("[0-9]*"))
