"""Save and load a student as a skops file that holds nothing but text, numbers and arrays."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .student import Student, tfidf_vectorizer

_FORMAT = 1
# What a student file may contain, and the loader that skops may use for it. skops itself would also
# trust every scikit-learn, numpy and scipy type.
TRUSTED = {
    "DictNode": "builtins.dict",
    "ListNode": "builtins.list",
    "JsonNode": "builtins.str",
    "TypeNode": "builtins.str",
    "NdArrayNode": "numpy.ndarray",
}


def save(
    student: Student, path: Path, *, embedder_fingerprint: str, metadata: Mapping[str, object]
) -> None:
    """Write the student to `path` at once: readers see the old file or the new one, never a part.

    Args:
        student: what to save.
        path: the file, usually `student.skops`; its folder must exist.
        embedder_fingerprint: identity of the embedder whose vectors the student reads.
        metadata: anything that JSON can hold (metrics, run name).

    Raises:
        DataError: `metadata` can not be written as JSON.
    """
    import skops.io

    try:
        described = json.dumps(dict(metadata), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise DataError(f"metadata of {path.name} can not be written as JSON: {error}") from error
    terms: list[str] = []
    idf = np.zeros(0, np.float32)
    if student.tfidf is not None:
        terms, idf = student.tfidf.get_feature_names_out().tolist(), student.tfidf.idf_
    content = {
        "format": _FORMAT,
        "embedder_fingerprint": embedder_fingerprint,
        "metadata": described,
        "labels": json.dumps(student.labels),
        "seen": student.seen,
        "coef": student.coef,
        "intercept": student.intercept,
        "temperature": student.temperature,
        "rows": student.rows,
        "terms": json.dumps(terms),
        "idf": idf,
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as file:
            skops.io.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path, *, embedder_fingerprint: str | None = None) -> tuple[Student, dict[str, Any]]:
    """Read a student and its metadata.

    Args:
        path: a file written by `save`.
        embedder_fingerprint: if given, must be the one that the student was saved with.

    Raises:
        DataError: no such file, not a student file, a type that is not in `TRUSTED`, or a student
            of another embedder.
    """
    import skops.io

    try:
        with zipfile.ZipFile(path) as archive:
            foreign = sorted(set(_foreign(json.loads(archive.read("schema.json")))))
        if foreign:
            raise DataError(
                f"{path} holds types that a student file never has: {', '.join(foreign)}. It was "
                "not loaded: it may run code. Use a file written by this program"
            )
        content = skops.io.load(path, trusted=[])
    except FileNotFoundError:
        raise DataError(f"there is no student file {path}: train one, or give its path") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a student file, or it is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{path} is not a student file of format {_FORMAT}: train it again")
    saved = content["embedder_fingerprint"]
    if embedder_fingerprint not in (None, saved):
        raise DataError(
            f"{path} was trained on vectors of the embedder {saved}, and the one in use is "
            f"{embedder_fingerprint}: use that embedder, or train the student again"
        )
    tfidf = None
    if terms := json.loads(content["terms"]):
        tfidf = tfidf_vectorizer(vocabulary={term: i for i, term in enumerate(terms)})
        tfidf.idf_ = content["idf"]
    student = Student(
        labels=tuple(json.loads(content["labels"])),
        seen=content["seen"],
        coef=content["coef"],
        intercept=content["intercept"],
        temperature=content["temperature"],
        rows=content["rows"],
        tfidf=tfidf,
    )
    return student, json.loads(content["metadata"])


def _foreign(node: object) -> Iterator[str]:
    """Walk the schema of a skops file and yield each type that it must not hold."""
    if isinstance(node, list):
        for child in node:
            yield from _foreign(child)
    elif isinstance(node, dict):
        if "__loader__" in node or "__class__" in node:
            name = f"{node.get('__module__')}.{node.get('__class__')}"
            if name != TRUSTED.get(str(node.get("__loader__"))):
                yield name
        for child in node.values():
            yield from _foreign(child)
