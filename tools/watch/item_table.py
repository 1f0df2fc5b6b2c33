"""What is held to be true of every item of a run, in arrays that grow with its ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ledger.records import CHECK_ATTEMPTS
from .reader import RunReader

OUTCOMES = ("accept", "set_apart")
_NO_VOTE, _INVALID = -1, -2
_CHUNK = 20_000
_SEARCHES = 8
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class ItemTable:
    """The last consensus and the votes of each item, by its place in the pool.

    Only what pool and ledger have added is read; texts stay in the pool's file. It takes about 200
    bytes an item. Hold `lock` while reading the arrays: threads may share it.

    Args:
        reader: The run.

    Attributes:
        ids: Item ids, length n.
        at: Place by id.
        labels: The label set.
        sources: Sources of labels.
        label: Class numbers, (n,); -1 for none.
        p: Probability that the label is right, (n,); NaN where nobody has said.
        source: Number in `sources`, (n,); -1 for an item that the run has not come to.
        outcome: Number in `OUTCOMES`, (n,); -1 likewise.
        round: In which the label was last weighed, (n,); -1 likewise.
        doubted: Whether it then failed a check of the critic, (n,).
        final: Whether a trusted annotator found that no label fits, (n,).
        synthetic: Whether the text was written for the run, (n,).
        votes: How many votes there are, (n,); as `refresh_votes` found it.
    """

    def __init__(self, reader: RunReader) -> None:
        self.lock = threading.RLock()
        self._reader = reader
        self._consensus_seq = self._vote_id = 0
        self._annotators: dict[str, int] = {}
        self._found: dict[str, Bools] = {}
        self._by_id: Ints | None = None
        self.ids: list[str] = []
        self.at: dict[str, int] = {}
        self.labels = list(reader.labels)
        self.sources: list[str] = ["student", "model", "panel", "person"]
        self.label = np.empty(0, np.int16)
        self.p = np.empty(0, np.float32)
        self.source = np.empty(0, np.int8)
        self.outcome = np.empty(0, np.int8)
        self.round = np.empty(0, np.int32)
        self.doubted = np.empty(0, bool)
        self.final = np.empty(0, bool)
        self.synthetic = np.empty(0, bool)
        self.votes = np.empty(0, np.int32)
        # Last answer of each annotator, (n, annotators).
        self._given = np.empty((0, 0), np.int16)

    def __len__(self) -> int:
        return len(self.ids)

    def refresh(self) -> None:
        """Apply what pool and ledger have added since the last time, votes apart."""
        with self.lock:
            self._consensus_seq = self._apply(_CONSENSUS, self._consensus_seq, self._conclude)
            self._add_items()

    def refresh_votes(self) -> None:
        """Apply the votes that have come; only some searches need them, and they are many."""
        with self.lock:
            self._vote_id = self._apply(_VOTES, self._vote_id, self._count)

    def mask(self, ids: Iterable[str]) -> Bools:
        """Where the given items are, (n,); unknown ids are left out."""
        found = np.zeros(len(self.ids), bool)
        found[[self.at[item] for item in ids if item in self.at]] = True
        return found

    def disagree(self) -> Bools:
        """Whether the last answers of the annotators name more than one label, (n,)."""
        if not self._given.shape[1]:
            return np.zeros(len(self), bool)
        highest = self._given.max(axis=1)
        lowest = np.where(self._given >= 0, self._given, np.iinfo(np.int16).max).min(axis=1)
        return np.asarray((highest >= 0) & (lowest != highest), bool)

    def rank_of_ids(self) -> Ints:
        """Rank of each item among all, by id, (n,)."""
        if self._by_id is None:
            ranked = sorted(range(len(self.ids)), key=self.ids.__getitem__)
            self._by_id = np.empty(len(ranked), np.int64)
            self._by_id[ranked] = np.arange(len(ranked))
        return self._by_id

    def containing(self, needle: str) -> Bools:
        """Items whose text or id holds a string, whatever its case, (n,).

        The ids of input rows that repeat a text stand for the item that has it.
        """
        if needle not in self._found:
            # SQLite folds the case of ASCII only; other letters are tried as people write them.
            spellings = {needle, needle.lower(), needle.upper(), needle.title()}
            lowered = sorted({_ascii_lower(spelling) for spelling in spellings})
            test = " OR ".join(["instr(lower(text), ?)", "instr(lower(id), ?)"] * len(lowered))
            values = [spelling for spelling in lowered for _ in range(2)]
            rows = self._reader.items(f"SELECT position FROM items WHERE {test}", *values)
            places = np.asarray([row[0] for row in rows], np.int64)
            mask = np.zeros(len(self.ids), bool)
            # The pool may have grown since the items were read.
            mask[places[places < len(mask)]] = True
            repeated = " OR ".join(["instr(lower(id), ?)"] * len(lowered))
            mask |= self.mask(
                first
                for (first,) in self._reader.input_rows(
                    "SELECT DISTINCT duplicate_of FROM rows WHERE duplicate_of IS NOT NULL "
                    f"AND ({repeated})",
                    *lowered,
                )
            )
            if len(self._found) >= _SEARCHES:
                self._found.pop(next(iter(self._found)))
            self._found[needle] = mask
        return self._found[needle]

    def _apply(self, sql: str, mark: int, change: Callable[[list[tuple[Any, ...]]], None]) -> int:
        while rows := self._reader.rows(sql, mark, _CHUNK):
            # An item is in the pool before the ledger says anything of it.
            self._add_items()
            change(rows)
            mark = rows[-1][0]
        return mark

    def _add_items(self) -> None:
        while rows := self._reader.items(
            "SELECT position, id, synthetic FROM items WHERE position >= ? "
            "ORDER BY position LIMIT ?",
            len(self.ids),
            _CHUNK,
        ):
            start, n = len(self.ids), len(rows)
            self.ids.extend(row[1] for row in rows)
            self.at.update((row[1], start + offset) for offset, row in enumerate(rows))
            self.label = _longer(self.label, n, -1)
            self.p = _longer(self.p, n, np.nan)
            self.source = _longer(self.source, n, -1)
            self.outcome = _longer(self.outcome, n, -1)
            self.round = _longer(self.round, n, -1)
            self.doubted = _longer(self.doubted, n, False)
            self.final = _longer(self.final, n, False)
            self.votes = _longer(self.votes, n, 0)
            self._given = _longer(self._given, n, _NO_VOTE)
            self.synthetic = np.concatenate(
                [self.synthetic, np.asarray([row[2] for row in rows], bool)]
            )
            self._found.clear()
            self._by_id = None

    def _conclude(self, block: list[tuple[Any, ...]]) -> None:
        _, items, labels, p, sources, outcomes, rounds, doubted, final = zip(*block, strict=True)
        for name in dict.fromkeys(sources):
            if name not in self.sources:
                self.sources.append(name)
        at, known = self._places(items)
        # Of several rows of one item the last one stays.
        self.label[at] = self._classes(labels)[known]
        self.p[at] = np.asarray([np.nan if one is None else one for one in p], np.float32)[known]
        self.source[at] = np.asarray([self.sources.index(one) for one in sources])[known]
        self.outcome[at] = np.asarray([OUTCOMES.index(one) for one in outcomes])[known]
        self.round[at] = np.asarray(rounds)[known]
        self.doubted[at] = np.asarray(doubted, bool)[known]
        self.final[at] = np.asarray(final, bool)[known]

    def _count(self, block: list[tuple[Any, ...]]) -> None:
        _, items, annotators, labels = zip(*block, strict=True)
        for name in dict.fromkeys(annotators):
            if name not in self._annotators:
                self._annotators[name] = len(self._annotators)
                column = np.full((len(self._given), 1), _NO_VOTE, np.int16)
                self._given = np.concatenate([self._given, column], axis=1)
        at, known = self._places(items)
        columns = np.asarray([self._annotators[name] for name in annotators])[known]
        # Of several answers of one annotator the last one counts.
        self._given[at, columns] = self._classes(labels, without=_INVALID)[known]
        np.add.at(self.votes, at, 1)

    def _places(self, items: tuple[str, ...]) -> tuple[Ints, Bools]:
        at = np.fromiter((self.at.get(item, -1) for item in items), np.int64, len(items))
        return at[at >= 0], at >= 0

    def _classes(self, labels: Iterable[str | None], without: int = -1) -> NDArray[np.int16]:
        number = {label: place for place, label in enumerate(self.labels)}
        classes = [without if one is None else number.get(one, without) for one in labels]
        return np.asarray(classes, np.int16)


_CONSENSUS = (
    "SELECT seq, item_id, label, p_correct, source, outcome, round, "
    # The ledger writes JSON with one spelling, and a quote within a string is escaped in it.
    "instr(evidence, '\"flags\":[]') = 0, instr(evidence, '\"final\":true') > 0 "
    "FROM consensus WHERE seq > ? ORDER BY seq LIMIT ?"
)
_VOTES = (
    "SELECT vote_id, item_id, annotator, label FROM votes "
    f"WHERE vote_id > ? AND attempt < {CHECK_ATTEMPTS} ORDER BY vote_id LIMIT ?"
)


def _longer(values: NDArray[Any], n: int, fill: Any) -> NDArray[Any]:
    more = np.full((n, *values.shape[1:]), fill, values.dtype)
    return np.concatenate([values, more])


def _ascii_lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
