"""A table of token vectors made from the encoder: a text is the weighted sum of its tokens.

The table is made on the user's machine when it is first needed and kept in a cache folder.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .encoder import encode_ids
from .protocols import check_texts, fingerprint, unit
from .wordpiece import MODEL, TOKENIZER, manifest, tokenizer, wordpiece_ids

# Part of the fingerprint: raise it with every change of `build_table` or of how tokens are summed.
_RECIPE = 1
_SIF = 1e-4
_BLOCK = 1024
# Fixed, because the vectors depend on it (see `encoder`); alone, tokens take three times as long.
_TOKENS_PER_CALL = 64


def default_cache_dir() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME/labelwright, else ~/.cache/labelwright."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "labelwright"


def build_table() -> NDArray[np.float32]:
    """Embed each token of the vocabulary alone, centre, and weight by rank.

    Model2Vec (Tulkens and van Dongen 2024) without its PCA, whose weaker axes turn when the vectors
    change by one part in a hundred: tables made on two machines might not share a space. 256
    dimensions were no more accurate either. The weights are smooth inverse frequencies a / (a + p)
    (Arora et al. 2017, eq. 1) with p from Zipf's law, since the vocabulary is sorted by frequency.

    Returns:
        (vocabulary, dim).
    """
    size = tokenizer().get_vocab_size()
    ids = np.empty((size, 3), np.int64)
    ids[:, 0] = _token_id("[CLS]")
    ids[:, 1] = np.arange(size)
    ids[:, 2] = _token_id("[SEP]")
    steps = range(0, size, _TOKENS_PER_CALL)
    vectors = unit(encode_ids([ids[i : i + _TOKENS_PER_CALL] for i in steps]))
    share = 1 / np.arange(2, size + 2)
    share /= share.sum()
    table: NDArray[np.float32] = (vectors - vectors.mean(axis=0)) * (_SIF / (_SIF + share))[:, None]
    return table.astype(np.float32)


def _token_id(token: str) -> int:
    found = tokenizer().token_to_id(token)
    assert found is not None  # the tokenizer's hash was checked
    return found


class StaticEmbedder:
    """Weighted sums of token vectors: the whole text, any length, without word order.

    A text without any known word piece is embedded as the unknown token.

    Attributes:
        dim: length of a vector.
        fingerprint: identity of the vector space.
    """

    def __init__(self, cache_dir: Path) -> None:
        built = manifest()
        self.dim = built.dim
        self.fingerprint = fingerprint(
            "static",
            recipe=_RECIPE,
            model=built.built_sha256[MODEL],
            tokenizer=built.built_sha256[TOKENIZER],
        )
        self._path = cache_dir / f"{self.fingerprint.replace('@', '-')}.npz"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        check_texts(texts)
        blocks = (texts[i : i + _BLOCK] for i in range(0, len(texts), _BLOCK))
        empty = np.empty((0, self.dim), np.float32)
        return np.concatenate([empty, *(self._embed_block(block) for block in blocks)])

    def _embed_block(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from scipy import sparse

        ids, counts = wordpiece_ids(texts)
        ids = np.insert(ids, np.cumsum(counts)[counts == 0], _token_id("[UNK]"))
        bounds = np.concatenate([[0], np.cumsum(np.maximum(counts, 1))])
        shape = (len(texts), len(self._table))
        bags = sparse.csr_array((np.ones(len(ids), np.float32), ids, bounds), shape=shape)
        return unit(bags @ self._table)

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        table = self._read()
        if table is None:
            table = build_table()
            # Without a writable cache the table is made again by the next process.
            with contextlib.suppress(OSError):
                self._write(table)
        return table

    def _read(self) -> NDArray[np.float32] | None:
        try:
            # Opened here: given a name, np.load leaves a damaged file open.
            with open(self._path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                table: NDArray[np.float32] = archive["table"]  # the zip format checks its CRC
        except Exception:  # a damaged zip file raises anything; the table can be made again
            return None
        expected = (tokenizer().get_vocab_size(), self.dim)
        return table if table.shape == expected and table.dtype == np.float32 else None

    def _write(self, table: NDArray[np.float32]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, table=table)
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise
