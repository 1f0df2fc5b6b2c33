"""The pool: unique texts with their vectors, in Chroma and in a snapshot beside it.

The snapshot is written first and is the truth: it is append-only, safe against kills, and mapped
into memory, so selection over a million vectors needs no database. Chroma answers neighbour queries
and is an index over the snapshot that can be rebuilt from it at any time.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from .errors import PoolError
from .locking import Held, hold
from .neighbour_index import PAGE, NeighbourIndex
from .snapshot import Origin, Snapshot


class PoolConfig(BaseModel):
    """Where the pool's Chroma collection is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(
        default=None,
        description="Chroma server, e.g. http://localhost:8000; in the run's folder if not given.",
    )
    collection: str | None = Field(
        default=None,
        min_length=3,
        max_length=512,
        description="Name of the collection; made up for each pool if not given.",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
                raise ValueError("expected the address of a server, http://host:port, no password")
        return url


class Pool:
    """The pool of one run; one process owns it from `open` to `close`.

    Methods may be called from several threads.
    """

    def __init__(self, snapshot: Snapshot, index: NeighbourIndex, lock: Held) -> None:
        """Use `open`."""
        self._snapshot = snapshot
        self._index = index
        self._lock = lock
        self._guard = threading.RLock()

    @classmethod
    def open(cls, config: PoolConfig, path: Path, *, fingerprint: str, dim: int) -> Self:
        """Create the pool in a folder, or reopen it and put right what a crash left.

        An embedded Chroma is first opened by `add` or `neighbours`, a server at once.

        Args:
            config: Where Chroma is.
            path: Folder of the pool; made if needed.
            fingerprint: Identifies the embedder; vectors of two embedders never mix.
            dim: Number of components of a vector.

        Raises:
            LockedError: Another process has the pool open.
            PoolError: It was made with another embedder or dimension, it is damaged, or the
                server does not answer.
        """
        lock = hold(path / ".lock", f"The pool {path}")
        try:
            snapshot = Snapshot(
                path, fingerprint=fingerprint, dim=dim, collection=config.collection
            )
        except BaseException:
            lock.release()
            raise
        pool = cls(snapshot, NeighbourIndex(snapshot, folder=path / "chroma", url=config.url), lock)
        try:
            if config.url is not None:
                pool._index.level()
        except BaseException:
            pool.close()
            raise
        return pool

    @property
    def ids(self) -> list[str]:
        """Ids in order of insertion; do not change the list."""
        return self._snapshot.ids

    def index(self, item_id: str) -> int:
        """Return the position of an item in `ids`, `vectors` and `origins`.

        Raises:
            PoolError: No such item.
        """
        try:
            return self._snapshot.positions[item_id]
        except KeyError:
            raise PoolError(
                f"The pool has no item {item_id!r}. Expected the id of one of its {len(self):,} "
                "items; a duplicate row is in the pool under the id of its first copy."
            ) from None

    def __len__(self) -> int:
        return len(self._snapshot.ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._snapshot.positions

    def add(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        vectors: NDArray[np.float32],
        origin: Origin = "real",
    ) -> None:
        """Add items; ids that are there already are skipped. What returned survives a kill.

        Args:
            ids: n ids; of one id twice the first counts.
            texts: n texts, no two the same (duplicates are rows, see `rows`).
            vectors: (n, dim) float32.
            origin: `synthetic` for generated texts.

        Raises:
            PoolError: Lengths or the dimension differ, a vector has no direction (zero, NaN), or
                Chroma fails; items that Chroma did not take are given to it at the next use.
        """
        vectors = np.asarray(vectors, dtype=np.float32)
        dim = self._snapshot.dim
        if len(ids) != len(texts) or vectors.shape != (len(ids), dim):
            raise PoolError(
                f"Got {len(ids)} ids, {len(texts)} texts and vectors of shape {vectors.shape}. "
                f"Expected as many of each, and vectors of {dim} components."
            )
        with self._guard:
            first: dict[str, int] = {}
            for i, item_id in enumerate(ids):
                if item_id not in self:
                    first.setdefault(item_id, i)
            new = list(first.values())
            for start in range(0, len(new), PAGE):
                page = new[start : start + PAGE]
                self._snapshot.append(
                    [ids[i] for i in page], [texts[i] for i in page], vectors[page], origin
                )
                self._index.level()

    def vectors(self) -> NDArray[np.float32]:
        """Return all vectors, (n, dim) float32, as a read-only memory map in the order of `ids`."""
        with self._guard:
            return self._snapshot.vectors()

    def origins(self) -> NDArray[np.bool_]:
        """Return (n,) booleans, True where the text is synthetic."""
        with self._guard:
            return np.array(self._snapshot.synthetic, dtype=np.bool_)

    def texts(self, ids: Sequence[str]) -> list[str]:
        """Return the texts of the ids, in their order.

        Raises:
            PoolError: No such item.
        """
        positions = [self.index(item_id) for item_id in ids]
        found: dict[int, str] = {}
        with self._guard:
            for start in range(0, len(positions), PAGE):
                found |= self._snapshot.texts(positions[start : start + PAGE])
        return [found[position] for position in positions]

    def neighbours(self, vectors: NDArray[np.float32], k: int) -> list[list[tuple[str, float]]]:
        """Return the k items nearest to each vector by Chroma's approximate index (HNSW).

        Args:
            vectors: (m, dim) float32 queries.
            k: Number of items for each; an item of the pool finds itself, too.

        Returns:
            For each query, (id, cosine similarity in [-1, 1]), the nearest first; fewer than k
            when the pool is smaller.

        Raises:
            PoolError: Chroma fails.
        """
        with self._guard:
            k = min(k, len(self))
            if k < 1:
                return [[] for _ in vectors]
            return self._index.query(vectors, k)

    def rebuild(self) -> None:
        """Throw Chroma's collection away and make it again from the snapshot.

        Raises:
            PoolError: Chroma fails.
        """
        with self._guard:
            self._index.rebuild()

    def close(self) -> None:
        """Close Chroma and the snapshot and give the lock back; harmless if done before."""
        with self._guard:
            self._index.close()
            self._snapshot.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
