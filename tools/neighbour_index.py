"""Chroma as an index over the pool's snapshot: kept level with it, rebuilt from it."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from .errors import PoolError
from .index_files import clear_unused
from .snapshot import Snapshot

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

# Chroma takes 5,461 rows in one `add` and about 32,700 ids in one `get`.
PAGE = 5_000
_QUERY_BATCH = 256
# Additions since the last full write of the HNSW index are replayed, at about 0.6 ms each, by the
# first process that opens the collection again, so this is kept low. A kill in the middle of such a
# write may tear the index: the mark `indexing` in the snapshot then has it rebuilt.
_SYNC_THRESHOLD = 1_000
_SERVER_TIMEOUT = 300.0

_log = logging.getLogger(__name__)


class NeighbourIndex:
    """One Chroma collection, embedded in a folder or on a server.

    Chroma is imported and opened at the first use. The caller serialises the calls.
    """

    def __init__(self, snapshot: Snapshot, *, folder: Path, url: str | None) -> None:
        """Prepare the index; nothing is opened yet.

        Args:
            snapshot: What is indexed.
            folder: Of the embedded Chroma; not used with a server.
            url: Of a Chroma server, or None.
        """
        self._snapshot = snapshot
        self._folder = folder
        self._url = url
        self._client: Client | None = None

    def level(self) -> "Collection":
        """Open the collection, add what the snapshot has and it has not, and return it.

        Raises:
            PoolError: Chroma fails, or the collection holds items of someone else.
        """
        if self._client is None and self._url is None and self._snapshot.indexing():
            _log.warning(
                "The process before this one ended while it wrote the pool's index; it is rebuilt "
                "from the snapshot (%d items).",
                len(self._snapshot.ids),
            )
            self._discard_folder()
        with _chroma_errors("open the collection"):
            collection = self._collection()
            missing = len(self._snapshot.ids) - collection.count()
        if missing < 0:
            raise self._strangers(-missing)
        if missing > 0:
            for page in self._absent(collection, missing):
                self._send(collection, page)
        return collection

    def query(self, vectors: NDArray[np.float32], k: int) -> list[list[tuple[str, float]]]:
        """Return for each vector the k nearest (id, cosine similarity), the nearest first.

        Raises:
            PoolError: Chroma fails.
        """
        collection = self.level()
        results: list[list[tuple[str, float]]] = []
        for start in range(0, len(vectors), _QUERY_BATCH):
            batch = np.asarray(vectors[start : start + _QUERY_BATCH], dtype=np.float32)
            with _chroma_errors("answer a neighbour query"):
                found = collection.query(query_embeddings=batch, n_results=k, include=["distances"])
            for ids, distances in zip(found["ids"], found["distances"] or [], strict=True):
                pairs = zip(ids, distances, strict=True)
                results.append([(item_id, 1.0 - distance) for item_id, distance in pairs])
        return results

    def rebuild(self) -> None:
        """Throw the collection away and make it again from the snapshot.

        Raises:
            PoolError: Chroma fails.
        """
        if self._url is None:
            self._discard_folder()
        else:
            with _chroma_errors("delete the collection"):
                self._collection()
                self._open_client().delete_collection(self._snapshot.collection)
        self.level()

    def close(self) -> None:
        """Close Chroma; harmless if done before."""
        if self._client is not None:
            self._client.close()
            if self._url is not None:
                for session in _http_sessions(self._client):
                    session.close()
            else:
                # Small blocks are written no sooner.
                clear_unused(self._folder)
            self._client = None

    def _discard_folder(self) -> None:
        self.close()
        self._snapshot.set_indexing(True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._snapshot.set_indexing(False)

    def _open_client(self) -> "Client":
        if self._client is None:
            import chromadb
            from chromadb.api.shared_system_client import SharedSystemClient
            from chromadb.config import Settings

            settings = Settings(anonymized_telemetry=False)
            if self._url is None:
                try:
                    client = chromadb.PersistentClient(self._folder, settings=settings)
                except Exception:
                    # Chroma keeps what failed to start and would hand it out at the next attempt.
                    SharedSystemClient._identifier_to_system.pop(str(self._folder), None)
                    raise
            else:
                parts = urlsplit(self._url)
                secure = parts.scheme == "https"
                port = parts.port or (443 if secure else 80)
                client = chromadb.HttpClient(str(parts.hostname), port, secure, settings=settings)
                for session in _http_sessions(client):
                    session.timeout = _SERVER_TIMEOUT
            self._client = cast("Client", client)
        return self._client

    def _collection(self) -> "Collection":
        # Without embedding_function=None Chroma downloads a model at the first text.
        return self._open_client().get_or_create_collection(
            self._snapshot.collection,
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "sync_threshold": _SYNC_THRESHOLD}},
        )

    def _absent(self, collection: "Collection", missing: int) -> Iterator[list[int]]:
        """Yield the positions that the collection has not, in pages."""
        ids = self._snapshot.ids
        absent: Sequence[int] = range(len(ids) - missing, len(ids))
        with _chroma_errors("read its ids"):
            # Items arrive in order, so what is missing is the tail. Only if it is not, because of
            # another hand, are all ids compared.
            tail = [ids[position] for position in absent[-PAGE:]]
            head = [ids[position] for position in range(len(ids) - missing)[-PAGE:]]
            in_order = not collection.get(ids=tail, include=[])["ids"] and (
                not head or len(collection.get(ids=head, include=[])["ids"]) == len(head)
            )
            if not in_order:
                there: set[str] = set()
                for offset in range(0, collection.count(), PAGE):
                    there.update(collection.get(limit=PAGE, offset=offset, include=[])["ids"])
                if strangers := len(there - self._snapshot.positions.keys()):
                    raise self._strangers(strangers)
                absent = [p for p, item_id in enumerate(ids) if item_id not in there]
        for start in range(0, len(absent), PAGE):
            yield list(absent[start : start + PAGE])

    def _send(self, collection: "Collection", positions: list[int]) -> None:
        snapshot = self._snapshot
        texts = snapshot.texts(positions)
        origins = [{"origin": "synthetic"} if snapshot.synthetic[p] else None for p in positions]
        snapshot.set_indexing(True)
        try:
            with _chroma_errors("add items"):
                collection.add(
                    ids=[snapshot.ids[p] for p in positions],
                    embeddings=snapshot.vectors()[positions],
                    documents=[texts[p] for p in positions],
                    metadatas=origins if any(origins) else None,  # type: ignore[arg-type]
                )
                if self._url is None:
                    clear_unused(self._folder)
        except KeyboardInterrupt:
            # Python raises it only after Chroma's native call has returned: nothing is torn.
            snapshot.set_indexing(False)
            raise
        snapshot.set_indexing(False)

    def _strangers(self, count: int) -> PoolError:
        return PoolError(
            f"The Chroma collection {self._snapshot.collection!r} holds {count:,} items that are "
            "not in this pool: another run writes to it, or it was changed by hand. Set another "
            "`collection`, or make it again with `labelwright doctor --rebuild`."
        )


def _http_sessions(client: Any) -> list[Any]:
    # Chroma 1.5 neither closes its HTTP connections nor gives up on a server that hangs.
    return [owner._server._session for owner in (client, client._admin_client)]


@contextmanager
def _chroma_errors(action: str) -> Iterator[None]:
    """Turn what Chroma raises (its own errors, ValueError, httpx errors) into a PoolError."""
    try:
        yield
    except PoolError:
        raise
    except Exception as error:
        raise PoolError(
            f"Chroma could not {action}: {error}. If it is a server, see that it runs at the "
            "configured `url`; if not, make the index again with `labelwright doctor --rebuild` "
            "(vectors and texts are safe in the pool's snapshot)."
        ) from error
