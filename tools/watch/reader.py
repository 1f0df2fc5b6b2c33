"""The files of one run, opened for reading while another process may write them."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ..errors import LedgerError

CONFIG_FILE = "run.yaml"
LEDGER_FILE = "ledger.sqlite"
EVENTS_FILE = "events.jsonl"
VECTORS_FILE = "vectors.f32"
_PAGE = 5_000  # stays below SQLite's limit on bound values


class RunReader:
    """A run's folder, read-only; may be shared by threads, and never waits for the run.

    Files that a young run has not yet written read as empty.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._guard = threading.RLock()
        self._ledger: sqlite3.Connection | None = None
        self._items: sqlite3.Connection | None = None
        self._input: sqlite3.Connection | None = None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration as plain values; it is written once."""
        text = (self.folder / CONFIG_FILE).read_text(encoding="utf-8")
        found: dict[str, Any] = yaml.load(text, Loader=_LOADER)
        return found

    @cached_property
    def labels(self) -> list[str]:
        """The label set; index = class number."""
        return [label["name"] for label in self.config["task"]["labels"]]

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query on the ledger; none while there is no ledger.

        Raises:
            LedgerError: The ledger can not be read.
        """
        with self._guard:
            if self._ledger is None:
                self._ledger = _read_only(self.folder / LEDGER_FILE)
            return _rows(self._ledger, sql, values)

    def items(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query on ``items(position, id, text, synthetic)``; none without a pool.

        Raises:
            LedgerError: The pool can not be read.
        """
        with self._guard:
            if self._items is None:
                self._items = _read_only(self.folder / "pool" / "items.sqlite")
            return _rows(self._items, sql, values)

    def input_rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query on ``rows(id, duplicate_of, ...)``, the input; none without it.

        Raises:
            LedgerError: The input's rows can not be read.
        """
        with self._guard:
            if self._input is None:
                self._input = _read_only(self.folder / "pool" / "rows.sqlite")
            return _rows(self._input, sql, values)

    def same_text(self, row: str) -> str | None:
        """Id of the item that has the text of an input row; ``None`` where it is no repetition."""
        found = self.input_rows("SELECT duplicate_of FROM rows WHERE id = ?", row)
        return found[0][0] if found else None

    def texts(self, ids: Sequence[str]) -> dict[str, str]:
        """Texts by item id; unknown ids are left out."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            marks = ",".join("?" * len(page))
            found.update(self.items(f"SELECT id, text FROM items WHERE id IN ({marks})", *page))
        return found

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        """Vectors of the positions ``start`` to ``stop`` - 1, shape (n, dim).

        Read, not mapped: pages of a mapped file would count as memory of this process.
        """
        rows = self.items("SELECT value FROM meta WHERE name = 'dim'")
        dim = int(rows[0][0]) if rows else 0
        if not dim:
            return np.empty((0, 0), np.float32)
        file = self.folder / "pool" / VECTORS_FILE
        flat = np.fromfile(file, "<f4", count=(stop - start) * dim, offset=start * dim * 4)
        return flat[: len(flat) // dim * dim].reshape(-1, dim).astype(np.float32, copy=False)

    def events(self, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        """What the run's processes have reported since a place in the file of events.

        Args:
            after: 0, or the place that the last call gave back, in bytes.

        Returns:
            Events in order, and the place up to which they were read.
        """
        try:
            with (self.folder / EVENTS_FILE).open("rb") as file:
                file.seek(after)
                data = file.read()
        except FileNotFoundError:
            return [], 0
        # The last line may be half written.
        whole = data[: data.rfind(b"\n") + 1]
        events = []
        for line in whole.splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                # A kill can leave half a line, to which the next process has added its first.
                continue
        return events, after + len(whole)

    def close(self) -> None:
        """Close what is open."""
        with self._guard:
            for connection in (self._ledger, self._items, self._input):
                if connection is not None:
                    connection.close()
            self._ledger = self._items = self._input = None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read_only(path: Path) -> sqlite3.Connection | None:
    if not path.exists():
        return None
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10, check_same_thread=False
    )


def _rows(
    connection: sqlite3.Connection | None, sql: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    if connection is None:
        return []
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.OperationalError as error:
        if str(error).startswith("no such table"):
            # The run is about to write its first table.
            return []
        raise LedgerError(f"can not be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"can not be read: {error}; restore it from a copy.") from error
