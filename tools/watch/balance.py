"""Labels by class, source and outcome, and how much of the pool they cover."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .reader import RunReader

SOURCES = ("person", "panel", "model", "student")
"""Sources of a label, the surest first."""


@dataclass(frozen=True)
class Balance:
    """How the labels of a pool are spread.

    Attributes:
        texts: Different texts of the pool, synthetic ones among them.
        accepted: Accepted labels by (label, source).
        set_apart: Items that nobody was sure enough of.
        open: Items with a consensus that is neither, such as those waiting for another vote.
        calibrated: Accepted labels whose probability was fitted on audits.
    """

    texts: int
    accepted: dict[tuple[str, str], int]
    set_apart: int
    open: int
    calibrated: int

    @property
    def labelled(self) -> int:
        """Items with an accepted label."""
        return sum(self.accepted.values())

    @property
    def unlabelled(self) -> int:
        """Items without an accepted label that are not set apart."""
        return max(0, self.texts - self.labelled - self.set_apart)

    def by_label(self) -> dict[str, int]:
        """Accepted labels by label."""
        counts: Counter[str] = Counter()
        for (label, _), n in self.accepted.items():
            counts[label] += n
        return dict(counts)

    def by_source(self) -> dict[str, int]:
        """Accepted labels by source, in the order of `SOURCES`."""
        counts: Counter[str] = Counter()
        for (_, source), n in self.accepted.items():
            counts[source] += n
        return {name: counts[name] for name in sorted(counts, key=_rank)}


INCREMENT = (
    "SELECT n.label, n.source, n.outcome, n.calibrated, p.label, p.source, p.outcome, "
    "p.calibrated, count(*) FROM consensus n LEFT JOIN consensus p ON p.seq = "
    "(SELECT max(q.seq) FROM consensus q WHERE q.item_id = n.item_id AND q.seq < n.seq) "
    "WHERE n.seq > ? AND n.seq <= ? GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
)
"""Each new consensus with the one of the same item that it takes the place of."""


FIRST = (
    "SELECT label, source, outcome, calibrated, NULL, NULL, NULL, NULL, count(*) FROM consensus "
    "WHERE seq IN (SELECT max(seq) FROM consensus WHERE seq > ? AND seq <= ? GROUP BY item_id) "
    "GROUP BY 1, 2, 3, 4"
)
"""The latest consensus of every item: the same from nothing, in a quarter of the time."""


@dataclass
class Tally:
    """Running counts over the latest consensus of every item; a refresh reads only what is new."""

    _seen: int = 0
    _counts: Counter[tuple[str | None, str, str, int]] = field(default_factory=Counter)

    def refresh(self, reader: RunReader) -> Balance:
        """The spread of the labels at this moment.

        Raises:
            LedgerError: The ledger or the pool can not be read.
        """
        last = reader.rows("SELECT max(seq) FROM consensus")
        until = int(last[0][0] or 0) if last else 0
        sql = INCREMENT if self._seen else FIRST
        for *both, n in reader.rows(sql, self._seen, until):
            self._counts[tuple(both[:4])] += n
            if both[5] is not None:
                self._counts[tuple(both[4:])] -= n
        self._seen = until
        return self._balance(pool_size(reader))

    def _balance(self, texts: int) -> Balance:
        accepted: Counter[tuple[str, str]] = Counter()
        set_apart = other = calibrated = 0
        for (label, source, outcome, fitted), n in self._counts.items():
            if n and outcome == "accept" and label is not None:
                accepted[label, source] += n
                calibrated += n if fitted else 0
            elif outcome == "set_apart":
                set_apart += n
            else:
                other += n
        return Balance(texts, dict(accepted), set_apart, other, calibrated)


def pool_size(reader: RunReader) -> int:
    """Items of the pool so far, by the last position: nothing is counted."""
    last = reader.items("SELECT max(position) FROM items")
    return 0 if not last or last[0][0] is None else int(last[0][0]) + 1


def _rank(source: str) -> tuple[int, str]:
    return (SOURCES.index(source) if source in SOURCES else len(SOURCES), source)
