"""A round's student on disk: the model, and its out-of-sample probabilities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..tools.student import Fit, Student
from ..tools.student_file import load, save


@dataclass(frozen=True)
class RoundFit:
    """What one round's training left behind.

    Attributes:
        ids: Items that it was trained on, length n.
        labels: Their classes, shape (n,).
        out_of_sample: Probabilities by models that had not seen the item, shape (n, K).
    """

    student: Student
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    out_of_sample: NDArray[np.float32]


def round_folder(run: Path, number: int) -> Path:
    """Where a round's student is."""
    return run / "rounds" / f"{number:03d}"


def save_round(
    run: Path, number: int, fit: Fit, ids: list[str], labels: NDArray[np.int64], fingerprint: str
) -> None:
    """Write a round's student; writing it again after a crash gives the same files."""
    folder = round_folder(run, number)
    folder.mkdir(parents=True, exist_ok=True)
    save(
        fit.student,
        folder / "student.skops",
        embedder_fingerprint=fingerprint,
        metadata={"round": number, "labels_used": len(ids)},
    )
    partial = folder / "out_of_sample.partial.npz"
    np.savez(partial, ids=np.asarray(ids), labels=labels, proba=fit.out_of_sample)
    os.replace(partial, folder / "out_of_sample.npz")


def load_round(run: Path, number: int, fingerprint: str) -> RoundFit:
    """Read a round's student.

    Raises:
        PoolError: It was trained on vectors of another embedder.
    """
    folder = round_folder(run, number)
    student, _ = load(folder / "student.skops", embedder_fingerprint=fingerprint)
    with np.load(folder / "out_of_sample.npz", allow_pickle=False) as kept:
        ids, labels, proba = kept["ids"].tolist(), kept["labels"], kept["proba"]
    return RoundFit(student, tuple(ids), labels, proba)
