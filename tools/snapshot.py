"""The pool's snapshot: vectors in a raw file, ids and texts in SQLite, safe against kills."""

import os
import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import PoolError

Origin = Literal["real", "synthetic"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    synthetic INTEGER NOT NULL
);
"""

_DAMAGED = "Put the pool back from a copy, or remove its folder and ingest again."


def stored_dim(path: Path) -> int | None:
    """Number of components of the vectors of the pool in a folder, if there is one."""
    file = path / "items.sqlite"
    if not file.exists():
        return None
    with closing(sqlite3.connect(file)) as db:
        try:
            row = db.execute("SELECT value FROM meta WHERE name = 'dim'").fetchone()
        except sqlite3.DatabaseError:
            # Opening the pool says what is wrong with it.
            return None
    return int(row[0]) if row else None


class Snapshot:
    """Append-only items; a commit in SQLite makes them exist.

    Vectors are flushed to the disk before the commit, so after a kill the vector file is as long as
    the table says or longer, never shorter; the surplus is cut off at opening. The caller holds the
    lock and serialises the calls.

    Attributes:
        ids: Ids in order of insertion.
        positions: id -> position in `ids`.
        synthetic: One byte an item, 1 where the text is synthetic.
        collection: Name of the Chroma collection that indexes the snapshot.
    """

    def __init__(self, path: Path, *, fingerprint: str, dim: int, collection: str | None) -> None:
        """Create the snapshot in a folder, or open it and cut off what a crash left.

        Args:
            path: An existing folder.
            fingerprint: Identifies the embedder.
            dim: Number of components of a vector.
            collection: Name of the collection; an existing snapshot keeps its own if None.

        Raises:
            PoolError: It was made with other arguments, or it is damaged.
        """
        self.dim = dim
        self._path = path
        self._vector_path = path / "vectors.f32"
        self._db = sqlite3.connect(path / "items.sqlite", check_same_thread=False)
        try:
            self._check_meta({"fingerprint": fingerprint, "dim": str(dim)}, collection)
            self.collection = self._meta("collection")
            rows = self._db.execute("SELECT id, synthetic FROM items ORDER BY position").fetchall()
            self.ids: list[str] = [row[0] for row in rows]
            self.positions: dict[str, int] = {item_id: i for i, item_id in enumerate(self.ids)}
            self.synthetic = bytearray(row[1] for row in rows)
            self._trim()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise PoolError(
                f"{path / 'items.sqlite'} can not be read: {error}. {_DAMAGED}"
            ) from error
        except BaseException:
            self._db.close()
            raise

    def _check_meta(self, embedder: dict[str, str], collection: str | None) -> None:
        self._db.executescript(_SCHEMA)
        # The name is made up once: two pools on one server must not share a collection.
        name = collection or f"labelwright-{secrets.token_hex(6)}"
        with self._db:
            self._db.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [*embedder.items(), ("collection", name), ("indexing", "0")],
            )
        for key, value in embedder.items():
            if (stored := self._meta(key)) != value:
                raise PoolError(
                    f"The pool {self._path} was made with {key} {stored!r}, the embedder of this "
                    f"run has {value!r}. Use the embedder it was made with, or another folder."
                )
        if collection is not None and (stored := self._meta("collection")) != collection:
            raise PoolError(
                f"The pool {self._path} is in the collection {stored!r}, the configuration says "
                f"{collection!r}. Leave `collection` as it was, or use another folder."
            )

    def _trim(self) -> None:
        expected = len(self.ids) * self.dim * 4
        self._vector_path.touch()
        size = self._vector_path.stat().st_size
        if size < expected:
            raise PoolError(
                f"{self._vector_path} has {size:,} bytes, {expected:,} are expected for "
                f"{len(self.ids):,} items. {_DAMAGED}"
            )
        if size > expected:
            os.truncate(self._vector_path, expected)

    def _meta(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def indexing(self) -> bool:
        """Return whether a write to the index was begun and not finished."""
        return self._meta("indexing") == "1"

    def set_indexing(self, value: bool) -> None:
        """Record that a write to the index begins (True) or is finished (False)."""
        with self._db:
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'indexing'", (int(value),))

    def append(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        origin: Origin,
    ) -> None:
        """Append items and have them on the disk when it returns.

        Args:
            ids: n ids that are not there.
            texts: n texts.
            vectors: (n, dim) float32.
            origin: Of all n.

        Raises:
            PoolError: A vector has no direction (zero, NaN, infinity).
        """
        norms = np.linalg.norm(vectors, axis=1)
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if len(bad):
            raise PoolError(
                f"The vector of item {ids[bad[0]]!r} has the length {norms[bad[0]]}: it is zero or "
                "holds NaN or infinity. Expected finite vectors; check the embedder on its text."
            )
        start = len(self.ids)
        synthetic = int(origin == "synthetic")
        with self._vector_path.open("r+b") as file:
            # Also goes over what an append left that failed before its commit.
            file.seek(start * self.dim * 4)
            file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        with self._db:
            self._db.executemany(
                "INSERT INTO items VALUES (?, ?, ?, ?)",
                [
                    (start + i, item_id, text, synthetic)
                    for i, (item_id, text) in enumerate(zip(ids, texts, strict=True))
                ],
            )
        self.ids.extend(ids)
        self.positions.update((item_id, start + i) for i, item_id in enumerate(ids))
        self.synthetic.extend([synthetic] * len(ids))

    def vectors(self) -> NDArray[np.float32]:
        """Return all vectors, (n, dim), as a read-only memory map."""
        shape = (len(self.ids), self.dim)
        if not self.ids:
            # An empty file can not be mapped.
            empty = np.empty(shape, dtype=np.float32)
            empty.flags.writeable = False
            return empty
        return np.memmap(self._vector_path, dtype="<f4", mode="r", shape=shape)

    def texts(self, positions: Sequence[int]) -> dict[int, str]:
        """Return position -> text for at most 5,000 positions."""
        marks = ",".join("?" * len(positions))
        query = f"SELECT position, text FROM items WHERE position IN ({marks})"
        return dict(self._db.execute(query, positions).fetchall())

    def close(self) -> None:
        """Close the files; harmless if done before."""
        self._db.close()
