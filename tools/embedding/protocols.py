"""What an embedder gives, what it asks for, and the checks that all of them share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbeddingError

T = TypeVar("T")


class Embedder(Protocol):
    """Turns texts into unit vectors; the same text gives the same vector whatever is around it."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identity of the vector space: vectors of two fingerprints must not be mixed."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: any number of texts; an empty text is allowed.

        Returns:
            (n, dim) float32, rows of length 1 in the order of `texts`.

        Raises:
            EmbeddingError: a text is not a string that can be encoded.
            EndpointError: the endpoint does not answer usably (kind `openai` only).
        """
        ...


class Charge(Protocol):
    """Reserves and settles the money around one try of one paid request."""

    def __call__(self, key: str, bound_tokens: int, send: Callable[[], tuple[T, int]]) -> T:
        """Reserve, call `send` exactly once, settle, return what it returned.

        Args:
            key: identity of the request (model, endpoint and texts). Retries and reruns of a
                request have the same key.
            bound_tokens: the most tokens that the request can use.
            send: gives the result and the tokens that the server reports, or the bound where it
                reports none. Raises `RequestFailed`, which says whether the try may have been
                charged by the server and which must be passed on as it is.
        """
        ...


def fingerprint(name: str, **parts: object) -> str:
    """Name a vector space.

    Args:
        name: a readable prefix.
        parts: everything that decides the vectors, JSON-able.

    Returns:
        the name and 16 hex digits of SHA-256 over the parts, as `name@digits`.
    """
    text = json.dumps(parts, sort_keys=True)
    return f"{name}@{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (n, dim) to length 1; the rows must not be zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / norms).astype(np.float32, copy=False)
    return scaled


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what no tokenizer or server takes.

    Raises:
        EmbeddingError: one string instead of many, something that is not a string, or a string
            with half of a surrogate pair.
    """
    if isinstance(texts, str):
        raise EmbeddingError("expected a sequence of texts, got one string; wrap it in a list.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise EmbeddingError(f"text {i} is {type(text).__name__}, expected a string.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise EmbeddingError(
                f"text {i} has a lone surrogate at character {error.start} and can not be encoded "
                "as UTF-8; repair the file that it was read from."
            ) from None
