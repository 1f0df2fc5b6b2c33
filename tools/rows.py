"""Every input row of a run, in SQLite: which item of the pool it is, or why it was rejected.

The pool holds each text once. A row with a text that was there before is a duplicate and takes the
label of the first; so does a near duplicate once `set_near_duplicates` has named it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import DataError
from .readers import Rejected, Row

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    position INTEGER PRIMARY KEY,
    line INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    text_sha BLOB NOT NULL,
    duplicate_of TEXT,
    near_duplicate_of TEXT,
    fields TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS first_of_text ON rows (text_sha) WHERE duplicate_of IS NULL;
CREATE TABLE IF NOT EXISTS rejected (
    line INTEGER PRIMARY KEY,
    id TEXT,
    reason TEXT NOT NULL
);
"""

# RETURNING yields nothing when the id was there before.
_INSERT = """
INSERT INTO rows (line, id, text_sha, duplicate_of, fields)
VALUES (?1, ?2, ?3, (SELECT id FROM rows WHERE text_sha = ?3 AND duplicate_of IS NULL), ?4)
ON CONFLICT (id) DO NOTHING RETURNING duplicate_of
"""

_IN_ORDER = """
SELECT r.position, r.line, r.id, r.duplicate_of, r.near_duplicate_of,
    COALESCE(first.near_duplicate_of, r.duplicate_of, r.near_duplicate_of, r.id), r.fields
FROM rows AS r LEFT JOIN rows AS first ON first.id = r.duplicate_of
ORDER BY r.position
"""


@dataclass(frozen=True)
class StoredRow:
    """One row as it is kept.

    Attributes:
        position: Place in the order of the input, from 1.
        line: Line of the input file.
        id: Id of the row.
        duplicate_of: Id of the first row with exactly this text, or None.
        near_duplicate_of: Id of the row that this one nearly repeats, or None.
        label_from: Id of the row whose label this one takes; its own if it is no duplicate.
        fields: The input's columns without gold.
    """

    position: int
    line: int
    id: str
    duplicate_of: str | None
    near_duplicate_of: str | None
    label_from: str
    fields: dict[str, object]


@dataclass(frozen=True)
class RowCounts:
    """How many rows there are; `items` is the number of different texts."""

    rows: int
    items: int
    duplicates: int
    near_duplicates: int
    rejected: int


class Rows:
    """The rows of one run in one SQLite file."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nodes of a graph run on several threads; SQLite itself serialises the calls.
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def add_many(self, rows: Iterable[Row | Rejected]) -> list[Row]:
        """Store consecutive rows of the input in one transaction; again changes nothing.

        Args:
            rows: Rows and rejected rows as `read_rows` yields them.

        Returns:
            The rows among them that are the first with their text, stored now or before: those
            that belong in the pool.

        Raises:
            DataError: An id is there already with another text; nothing is stored then.
        """
        batch = list(rows)
        if not batch:
            return []
        first: list[Row] = []
        with self._db:
            # A second pass over a corrected file must not leave the old reasons behind.
            lines = [row.line for row in batch]
            self._db.execute(
                "DELETE FROM rejected WHERE line BETWEEN ? AND ?", (min(lines), max(lines))
            )
            for row in batch:
                if isinstance(row, Rejected):
                    self._db.execute(
                        "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?)",
                        (row.line, row.id, row.reason),
                    )
                elif self._add(row) is None:
                    first.append(row)
        return first

    def _add(self, row: Row) -> str | None:
        """Store one row if it is new and return what it is a duplicate of."""
        digest = hashlib.sha256(row.text.encode()).digest()
        fields = json.dumps(row.fields, ensure_ascii=False, allow_nan=False)
        inserted = self._db.execute(_INSERT, (row.line, row.id, digest, fields)).fetchone()
        if inserted is not None:
            return inserted[0]  # type: ignore[no-any-return]
        stored, line, duplicate_of = self._db.execute(
            "SELECT text_sha, line, duplicate_of FROM rows WHERE id = ?", (row.id,)
        ).fetchone()
        if stored != digest:
            raise DataError(
                f"Line {row.line}: the row {row.id!r} was stored before (line {line}) with another "
                "text. The text of an id must not change within a run: give the row a new id, or "
                "start a new run."
            )
        return duplicate_of  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[StoredRow]:
        """Yield the rows in the order of the input."""
        for position, line, row_id, same, near, source, fields in self._db.execute(_IN_ORDER):
            yield StoredRow(position, line, row_id, same, near, source, json.loads(fields))

    def first_of(self, row_id: str) -> str | None:
        """Return the id of the first row with the text of a row; None without such a row."""
        query = "SELECT COALESCE(duplicate_of, id) FROM rows WHERE id = ?"
        found = self._db.execute(query, (row_id,)).fetchone()
        return None if found is None else str(found[0])

    def rejected(self) -> Iterator[Rejected]:
        """Yield the rejected rows in the order of the input."""
        query = "SELECT line, reason, id FROM rejected ORDER BY line"
        return (Rejected(*columns) for columns in self._db.execute(query))

    def counts(self) -> RowCounts:
        """Return how many rows of each kind there are."""
        rows, duplicates, near = self._db.execute(
            "SELECT COUNT(*), COUNT(duplicate_of), COUNT(near_duplicate_of) FROM rows"
        ).fetchone()
        (rejected,) = self._db.execute("SELECT COUNT(*) FROM rejected").fetchone()
        return RowCounts(rows, rows - duplicates, duplicates, near, rejected)

    def set_near_duplicates(self, near: Mapping[str, str]) -> None:
        """Record all near duplicates (id -> id it repeats) in place of those recorded before.

        Raises:
            DataError: An id is not a row, or is repeated by one and repeats another itself.
        """
        chained = near.keys() & set(near.values())
        if chained:
            raise DataError(
                f"{min(chained)!r} is named as a near duplicate and as what another row repeats. "
                "Expected every near duplicate to point to a row that is kept."
            )
        query = "UPDATE rows SET near_duplicate_of = ? WHERE id = ? AND ? IN (SELECT id FROM rows)"
        with self._db:
            self._db.execute("UPDATE rows SET near_duplicate_of = NULL")
            for later, earlier in near.items():
                if self._db.execute(query, (earlier, later, earlier)).rowcount != 1:
                    raise DataError(
                        f"No pair of rows {later!r} and {earlier!r}. Expected ids of stored rows."
                    )

    def near_duplicates(self) -> dict[str, str]:
        """Return the recorded near duplicates: id -> id that it repeats."""
        query = "SELECT id, near_duplicate_of FROM rows WHERE near_duplicate_of IS NOT NULL"
        return dict(self._db.execute(query))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
