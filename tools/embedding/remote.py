"""Any OpenAI-compatible /v1/embeddings, metered."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, EmbeddingError, EndpointError
from .config import EmbedderConfig
from .protocols import Charge, check_texts, fingerprint, unit
from .request import Endpoint, RequestFailed, redact

_TRIES = 5
_FIRST_WAIT_S = 1.0
_MOST_WAIT_S = 30.0
_MOST_RETRY_AFTER_S = 120.0
# OpenAI takes 300,000 tokens a request; a byte-level tokenizer makes at most one a byte.
_MOST_BYTES = 300_000
_PER_TEXT = 8


class RemoteEmbedder:
    """Vectors from an endpoint, scaled to length 1.

    Texts go as they are, never as token ids, since other tokenizers than OpenAI's read them. An
    empty text goes as one space, because OpenAI refuses the empty string.

    Args:
        config: of kind `openai`.
        charge: money around each try; `None` only if the price is `free`.
        sleep: waits between tries, in seconds.

    Raises:
        ConfigError: a paid endpoint without `charge`, or without its key in the environment.

    Attributes:
        fingerprint: identity of the vector space.
    """

    def __init__(
        self,
        config: EmbedderConfig,
        *,
        charge: Charge | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if charge is None and config.price_usd_per_mtok != "free":
            raise ConfigError(
                f"embedding model {config.model!r} costs {config.price_usd_per_mtok} USD per "
                "million tokens, but nothing meters it: pass charge, or set price_usd_per_mtok "
                "to free if the server is your own."
            )
        self.fingerprint = fingerprint(
            f"openai:{config.model}",
            model=config.model,
            url=redact(config.url),
            dimensions=config.dimensions,
        )
        self._config = config
        self._charge = charge
        self._sleep = sleep
        self._endpoint = Endpoint(config)
        self._dim = config.dimensions

    @property
    def dim(self) -> int:
        """Length of a vector: as configured, else as found in the first answer.

        Raises:
            EmbeddingError: not known yet.
        """
        if self._dim is None:
            raise EmbeddingError(
                f"{self._endpoint.where}: the length of its vectors is known after the first "
                "answer; embed a text first, or set dimensions."
            )
        return self._dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`.

        Raises:
            EmbeddingError: a text can not be encoded, or there are no texts and `dim` is unknown.
            EndpointError: the endpoint does not answer usably after all tries.
        """
        check_texts(texts)
        blocks = [self._embed_batch(batch) for batch in self._batches(texts)]
        return np.concatenate([np.empty((0, self.dim), np.float32), *blocks])

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in texts:
            length = len(text.encode())
            if batch and (len(batch) == self._config.batch_size or size + length > _MOST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(text or " ")
            size += length
        if batch:
            yield batch

    def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        bound = sum(len(text.encode()) + _PER_TEXT for text in texts)
        identity = json.dumps([self.fingerprint, texts])
        key = hashlib.sha256(identity.encode()).hexdigest()

        def send() -> tuple[Any, int]:
            return self._endpoint.send(texts, bound)

        for repetition in range(_TRIES):
            try:
                answer = self._charge(key, bound, send) if self._charge else send()[0]
                break
            except RequestFailed as failure:
                if not failure.repeatable or repetition == _TRIES - 1:
                    raise
                own = min(_MOST_WAIT_S, _FIRST_WAIT_S * 2**repetition)
                self._sleep(max(own, min(failure.retry_after, _MOST_RETRY_AFTER_S)))
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, n: int) -> NDArray[np.float32]:
        try:
            rows = answer["data"]
            # The order is the texts' own unless the server numbers its rows.
            order = [row.get("index", i) for i, row in enumerate(rows)]
            vectors = [row["embedding"] for row in rows]
            complete = sorted(order) == list(range(n))
        except (TypeError, KeyError, AttributeError):
            raise self._unusable("expected JSON with data: [{embedding: [...]}]") from None
        if not complete:
            raise self._unusable(f"{len(rows)} vectors numbered {order[:5]}... for {n} texts")
        try:
            ordered = np.empty((n, len(vectors[0])), np.float64)
            ordered[order] = vectors
        except (TypeError, ValueError):
            raise self._unusable("expected lists of numbers, all of one length") from None
        if self._dim is not None and ordered.shape[1] != self._dim:
            raise self._unusable(
                f"vectors of length {ordered.shape[1]}, expected {self._dim}; the server may not "
                "support dimensions, or its model has changed"
            )
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(ordered, axis=1)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise self._unusable("a vector is zero or not finite")
        self._dim = ordered.shape[1]
        return unit((ordered / norms[:, None]).astype(np.float32))

    def _unusable(self, what: str) -> EndpointError:
        return EndpointError(
            f"{self._endpoint.where}: status 200 with an unusable answer: {what}. Check that "
            "base_url and model are those of an embedding model."
        )
