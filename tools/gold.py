"""True labels, in a file of their own that only evaluation opens."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self


class Gold:
    """Gold labels by row id in one SQLite file.

    Nothing that selects, annotates or trains may open it: a run that saw its gold proves nothing.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nodes of a graph run on several threads; SQLite itself serialises the calls.
        self._db = sqlite3.connect(path, check_same_thread=False)
        with self._db:
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS gold (id TEXT PRIMARY KEY, label TEXT NOT NULL)"
                " WITHOUT ROWID"
            )

    def put_many(self, labels: Iterable[tuple[str, str]]) -> None:
        """Store (row id, label) pairs in one transaction; a later label replaces an earlier one."""
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO gold VALUES (?, ?)", labels)

    def get_all(self) -> dict[str, str]:
        """Return row id -> label."""
        return dict(self._db.execute("SELECT id, label FROM gold ORDER BY id").fetchall())

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
