"""Where the labels of two runs over the same data differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .reader import RunReader

UNLABELLED = ""
"""Stands for no accepted label."""
_BLOCK = 20_000
_SAMPLE = 200


@dataclass(frozen=True)
class Difference:
    """One item with different labels; `UNLABELLED` where a run accepted none."""

    item: str
    one: str
    one_source: str
    other: str
    other_source: str


@dataclass(frozen=True)
class Differences:
    """Two runs, item by item.

    Attributes:
        shared: Items of the same id in both pools.
        only_one: Items of the first pool alone.
        only_other: Items of the second pool alone.
        both: Items on which both accepted a label.
        same: Of these, those with the same label.
        pairs: Items by (label of the one, label of the other).
        items: Every shared item whose labels differ, in the order of their ids.
    """

    shared: int
    only_one: int
    only_other: int
    both: int
    same: int
    pairs: dict[tuple[str, str], int]
    items: tuple[Difference, ...]

    @property
    def alone(self) -> int:
        """Items that only one of the runs has labelled; they are among those that differ."""
        return len(self.items) - (self.both - self.same)

    @property
    def commonest(self) -> list[tuple[tuple[str, str], int]]:
        """Pairs of different labels with the items of each, the commonest first."""
        found = [(pair, n) for pair, n in self.pairs.items() if pair[0] != pair[1]]
        return sorted(found, key=lambda entry: (-entry[1], entry[0]))


LATEST = (
    "SELECT item_id, CASE outcome WHEN 'accept' THEN label END, source FROM consensus WHERE seq IN "
    "(SELECT max(seq) FROM consensus WHERE item_id > ? AND item_id <= ? GROUP BY item_id)"
)
"""The latest consensus of a stretch of ids."""


def differences(one: RunReader, other: RunReader) -> Differences:
    """Compare the labels of two runs, a stretch of ids at a time.

    Raises:
        LedgerError: A ledger or a pool can not be read.
    """
    shared = only_one = only_other = both = same = 0
    pairs: Counter[tuple[str, str]] = Counter()
    items: list[Difference] = []
    after = ""
    while stretch := _stretch(one, other, after):
        mine, theirs, until = stretch
        shared += len(mine & theirs)
        only_one += len(mine - theirs)
        only_other += len(theirs - mine)
        first, second = _labels(one, after, until), _labels(other, after, until)
        for item in sorted(mine & theirs):
            label, source = first.get(item, _NONE)
            their_label, their_source = second.get(item, _NONE)
            pairs[label, their_label] += 1
            if label and their_label:
                both += 1
                same += label == their_label
            if label != their_label:
                items.append(Difference(item, label, source, their_label, their_source))
        after = until
    return Differences(shared, only_one, only_other, both, same, dict(pairs), tuple(items))


def other_texts(one: RunReader, other: RunReader, found: Differences) -> tuple[int, int]:
    """Whether items of the same id have the same text: ids may be line numbers of two files.

    Returns:
        Items of another text, and how many of the items that differ were looked at.
    """
    ids = [difference.item for difference in found.items[:_SAMPLE]]
    mine, theirs = one.texts(ids), other.texts(ids)
    return sum(mine.get(item) != theirs.get(item) for item in ids), len(ids)


_NONE = (UNLABELLED, "")


def _stretch(one: RunReader, other: RunReader, after: str) -> tuple[set[str], set[str], str] | None:
    """The next ids of both pools and the last of them; by index, whatever the pools' order."""
    sql = f"SELECT id FROM items WHERE id > ? ORDER BY id LIMIT {_BLOCK}"
    mine = [row[0] for row in one.items(sql, after)]
    theirs = [row[0] for row in other.items(sql, after)]
    if not mine and not theirs:
        return None
    # Up to the lesser of the two ends, unless a pool has come to its own.
    ends = [found[-1] for found in (mine, theirs) if len(found) == _BLOCK]
    until = min(ends) if ends else max(found[-1] for found in (mine, theirs) if found)
    return (
        {item for item in mine if item <= until},
        {item for item in theirs if item <= until},
        until,
    )


def _labels(reader: RunReader, after: str, until: str) -> dict[str, tuple[str, str]]:
    return {
        item: (label or UNLABELLED, source if label else "")
        for item, label, source in reader.rows(LATEST, after, until)
    }
