"""all-MiniLM-L6-v2 on onnxruntime, one text at a time.

The int8 graph finds the scale of its activations per call, so a text that shares a call with others
gets another vector than alone (measured on 26 texts of equal length: cosine down to 0.989). Alone,
its vector depends on nothing else, and needs neither padding nor a mask; batches would be at most
1.4 times as fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .protocols import check_texts, fingerprint, unit
from .wordpiece import MODEL, TOKENIZER, manifest, read_checked, tokenizer

_BLOCK = 512
_MOST_THREADS = 4


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Texts run in parallel, not the parts of one: a single text is too small to be worth splitting.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        read_checked(MODEL),
        options,
        providers=["CPUExecutionProvider"],
        # Its fused kernel is slower than the two it replaces (15 % of the whole).
        disabled_optimizers=["SkipLayerNormFusion"],
    )


def encode_ids(batches: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Mean token states of word pieces, each batch in a call of its own.

    Args:
        batches: arrays (texts, length) of ids with [CLS] and [SEP].

    Returns:
        (all texts, dim), not normalised.
    """
    session = _session()

    def run(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = session.run(None, {"ids": ids})[0]
        return mean

    threads = min(_MOST_THREADS, os.cpu_count() or 1, len(batches))
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(run, batches)))


class MiniLMEmbedder:
    """The packaged sentence encoder: 384 dimensions, the first 256 word pieces of a text.

    Reimers and Gurevych 2019 (Sentence-BERT), Wang et al. 2020 (MiniLM); mean pooling over all
    tokens, [CLS] and [SEP] included. An empty text is these two.

    Attributes:
        dim: length of a vector.
        fingerprint: identity of the vector space.
    """

    def __init__(self) -> None:
        built = manifest()
        self.dim = built.dim
        self.fingerprint = fingerprint(
            "minilm",
            model=built.built_sha256[MODEL],
            tokenizer=built.built_sha256[TOKENIZER],
            max_wordpieces=built.max_wordpieces,
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        check_texts(texts)
        if not len(texts):
            return np.empty((0, self.dim), np.float32)
        return np.concatenate([unit(encode_ids(block)) for block in _blocks(texts)])


def _blocks(texts: Sequence[str]) -> Iterator[list[NDArray[np.int64]]]:
    cut = tokenizer(manifest().max_wordpieces)
    for start in range(0, len(texts), _BLOCK):
        encodings = cut.encode_batch_fast(list(texts[start : start + _BLOCK]))
        yield [np.array([encoding.ids], np.int64) for encoding in encodings]
