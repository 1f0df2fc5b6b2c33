"""The embedded annotator: nearest label description. Free, offline, weak; no language model.

Each label is represented by the mean direction of its description in a few phrasings and of its
examples; texts and labels are centred by the mean of the pool, which is what makes directions
comparable. It states no confidence: a cosine is not a probability.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...tools.embedding import Embedder
from ...tools.ledger import Vote
from ...tools.pool import Pool
from ...tools.task import TaskConfig
from .annotator import Asked, Asking, Question
from .local import enter_votes
from .settings import EmbeddedAnnotatorConfig

Vectors = Callable[[Sequence[str]], NDArray[np.float32]]


class EmbeddedAnnotator:
    """Votes for the label whose description lies nearest.

    Args:
        config: Name and tier.
        task: The label set with descriptions and examples.
        embedder: Turns descriptions into vectors.
        vectors: Vectors of pool items by their ids, shape (n, dim).
        centre: Mean vector of the pool, shape (dim,).
    """

    repeats = False

    def __init__(
        self,
        config: EmbeddedAnnotatorConfig,
        task: TaskConfig,
        embedder: Embedder,
        vectors: Vectors,
        centre: NDArray[np.float32],
    ) -> None:
        self.name, self.tier, self.trusted = config.name, config.tier, config.trusted
        self.price = config.price
        self._names = task.label_names
        self._vectors, self._centre = vectors, centre
        self._directions = label_directions(task, embedder, centre)
        identity = embedder.fingerprint + task.model_dump_json(include={"labels"})
        self._hash = f"embedded:{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    def ask(self, questions: Sequence[Question], asking: Asking) -> Asked:
        """Vote on each item."""
        items = self._vectors([question.item_id for question in questions])
        similarity = class_similarity(items, self._centre, self._directions)
        votes = [
            Vote(
                item_id=question.item_id,
                annotator=self.name,
                label=self._names[best],
                invalid=None,
                prompt_hash=self._hash,
                attempt=question.attempt,
                purpose=asking.purpose,
                round=asking.round,
            )
            for question, best in zip(questions, similarity.argmax(axis=1).tolist(), strict=True)
        ]
        zeros = [0] * len(votes)
        return enter_votes(
            votes, model="embedded", tokens_in=zeros, tokens_out=zeros, asking=asking
        )

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """No tokens are used."""
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """It costs nothing."""
        return np.zeros(len(texts), np.int64)

    def close(self) -> None:
        """Nothing is open."""


def pool_centre(pool: Pool) -> NDArray[np.float32]:
    """Mean vector of the pool's real texts, shape (dim,)."""
    # Written items come after the real ones; a run that is resumed must not move the centre.
    real = int((~pool.origins()).sum())
    return np.asarray(pool.vectors()[:real].mean(axis=0, dtype=np.float64), np.float32)


def class_similarity(
    vectors: NDArray[np.float32], centre: NDArray[np.float32], directions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosine of each centred text with each label's direction, shape (n, K).

    Args:
        vectors: Texts, shape (n, dim).
        centre: Mean vector of the pool, shape (dim,).
        directions: Unit direction of each label, shape (K, dim).
    """
    return np.asarray(_unit(vectors - centre) @ directions.T, np.float32)


def label_directions(
    task: TaskConfig, embedder: Embedder, centre: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Unit direction of each label, shape (K, dim): description phrasings and examples, averaged.

    Several phrasings protect against the worst one; they do not beat the best one.
    """
    rows = []
    for label in task.labels:
        name = label.name.replace("_", " ")
        meaning = label.description or name
        phrasings = [meaning, f"{name}: {meaning}", f"This is about {name}. {meaning}"]
        texts = phrasings + list(label.examples)
        vectors = _unit(embedder.embed(texts) - centre)
        described = vectors[: len(phrasings)].mean(axis=0)
        shown = vectors[len(phrasings) :]
        rows.append(described if not len(shown) else (described + shown.mean(axis=0)) / 2)
    return _unit(np.stack(rows))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)
