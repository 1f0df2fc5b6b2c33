"""The SQLite file beneath the ledger: one connection a process, one transaction at a time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import LedgerError
from .schema import VERSION, script


def encode(value: Any) -> str:
    """JSON with one spelling for one value, so that equal decisions are equal bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def now() -> str:
    """The time of writing, UTC, for people only: nothing is decided by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Store:
    """A connection that threads share.

    Args:
        path: The file; its folder must exist.
        create: Make the file when it is not there.

    Raises:
        LedgerError: The file is not there, is damaged, or is of another version.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        if not create and not path.exists():
            raise LedgerError(f"{path}: there is no ledger here; expected a run folder.")
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise LedgerError(f"{path}: {error}; expected a file in a run's folder.") from error
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerError(
                f"{path}: not a usable ledger ({error}); restore it from a copy."
            ) from error
        except LedgerError:
            self._db.close()
            raise

    def _open(self, path: Path) -> None:
        # Without it, INSERT OR REPLACE would delete past the triggers.
        self._db.execute("PRAGMA recursive_triggers=ON")
        version = self._version()
        if version == 0:
            with self.transaction():
                if not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                    for statement in _statements(script()):
                        self._db.execute(statement)
            version = self._version()
        if version != VERSION:
            raise LedgerError(
                f"{path}: ledger version {version}, this program reads version {VERSION}; "
                "use the program version that made it."
            )
        # Kept in the file. Where two processes make it at once, one of them may find it locked:
        # the other one sets it, or the next one to open the ledger.
        with suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA journal_mode=WAL")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One write transaction, nested calls join it; everything in it happens or nothing.

        Args:
            synced: Wait for the disk, so that it outlives a power cut: an answer that was paid
                for and forgotten would be paid for twice. Without, it outlives the process.
        """
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already. Left open it would swallow all
                # that comes after.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query, or ``None``."""
        with self._lock:
            found: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()


def _statements(sql: str) -> Iterator[str]:
    # executescript() would commit the surrounding transaction.
    statement = ""
    for line in sql.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
