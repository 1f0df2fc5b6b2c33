"""The packaged files and their word pieces.

The artefact is made by scripts/build_minilm.py. A file is used only if it has the hash of the
manifest, checked once a process, when the file is first needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import EmbeddingError
from .protocols import check_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FOLDER = Path(__file__).parent / "minilm"
MODEL = "model.int8.onnx"
TOKENIZER = "tokenizer.json"

_BLOCK = 1024


class Manifest(BaseModel):
    """manifest.json of the artefact."""

    model_config = ConfigDict(frozen=True)

    model: str
    dim: int
    max_wordpieces: int
    built_sha256: dict[str, str]


@cache
def manifest() -> Manifest:
    """Read the manifest of the packaged encoder.

    Raises:
        EmbeddingError: it is missing or not a manifest.
    """
    try:
        return Manifest.model_validate_json((FOLDER / "manifest.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise EmbeddingError(
            f"{FOLDER / 'manifest.json'} can not be read ({type(error).__name__}); the "
            "installation is damaged: install labelwright again."
        ) from error


def read_checked(name: str) -> bytes:
    """Read a packaged file and check its sha256.

    Raises:
        EmbeddingError: the file is missing or is not the one of the manifest.
    """
    path = FOLDER / name
    expected = manifest().built_sha256[name]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EmbeddingError(
            f"{path} can not be read ({error.strerror}); install labelwright again."
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise EmbeddingError(
            f"{path} has sha256 {actual}, the manifest says {expected}; the file is damaged or "
            "was changed: install labelwright again, or rebuild it with scripts/build_minilm.py."
        )
    return content


@cache
def tokenizer(max_wordpieces: int | None = None) -> Tokenizer:
    """The packaged tokenizer, cut at `max_wordpieces` ([CLS] and [SEP] included) or not at all."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(read_checked(TOKENIZER).decode())
    # The file asks for padding to 128, which would be embedded as if it were text.
    tokenizer.no_padding()
    if max_wordpieces is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_wordpieces)
    return tokenizer


def wordpiece_ids(texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Word pieces of whole texts, without [CLS] and [SEP].

    Returns:
        ids: the ids of all texts, one after the other.
        counts: (n,) how many of them each text has.
    """
    encodings = tokenizer().encode_batch_fast(list(texts), add_special_tokens=False)
    rows = [np.array(encoding.ids, np.int32) for encoding in encodings]
    counts = np.array([len(row) for row in rows], np.int64)
    return np.concatenate([np.empty(0, np.int32), *rows]), counts


def wordpiece_counts(texts: Sequence[str]) -> list[int]:
    """Count the word pieces of texts, to quote what a prompt will cost.

    An estimate: each model has its own tokenizer. It is not an upper bound.

    Raises:
        EmbeddingError: a text is not a string that can be encoded.
    """
    check_texts(texts)
    blocks = (texts[i : i + _BLOCK] for i in range(0, len(texts), _BLOCK))
    return [int(count) for block in blocks for count in wordpiece_ids(block)[1]]
