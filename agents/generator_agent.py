"""The generator agent: a model that writes texts for what the pool lacks.

Attributes of each text are drawn by code, so that texts differ by more than chance (AttrPrompt, Yu
et al., 2023). What comes back passes a filter by arithmetic; whether the label is right is for
another annotator to say, who does not see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ..tools.embedding import Embedder
from ..tools.errors import BudgetExceeded
from .consult import clip, consult, task_inputs
from .desk import Desk
from .generator import GenerationConfig

AGENT, PURPOSE = "generator", "write items"
_IN_PROMPT, _IN_LIST = 300, 160
_BLOCK = 65_536


@dataclass(frozen=True)
class Wanted:
    """Texts that are to be written for one label, and why."""

    label: str
    count: int
    why: str


@dataclass(frozen=True)
class Written:
    """One synthetic text with the label that it was written for."""

    item_id: str
    text: str
    label: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Generated:
    """What a model wrote and the filter left.

    Attributes:
        items: Texts to be labelled blind.
        vectors: Their embeddings, shape (n, dim).
        by: ``rule: <why nothing was written>`` or ``model <name>``.
        failure: Why there are none.
        dropped: How many texts the filter took out, by reason.
    """

    items: list[Written]
    vectors: NDArray[np.float32]
    by: str
    failure: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)


class Item(BaseModel):
    """One text."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="The text alone.")
    label: str = Field(description="The label it was written for.")
    attributes: dict[str, str] = Field(default_factory=dict, description="Values it was given.")


class Items(BaseModel):
    """Submit the texts. This ends your work."""

    model_config = ConfigDict(extra="forbid")

    items: list[Item] = Field(min_length=1)


def write_items(
    desk: Desk,
    config: GenerationConfig,
    *,
    wanted: Sequence[Wanted],
    examples: Mapping[str, Sequence[str]],
    round_: int,
    embedder: Embedder,
    rng: np.random.Generator,
) -> Generated:
    """Have texts written, and keep those that are new and of the right size.

    Args:
        desk: The run.
        config: Settings.
        wanted: What to write.
        examples: Ids of labelled real items that may be shown, by label.
        round_: The round.
        embedder: Of the pool.
        rng: Draws the attributes.

    Raises:
        ConfigError, CallStopped, EndpointError: As `consult`.
    """
    nothing = np.empty((0, embedder.dim), np.float32)
    if config.model is None:
        return Generated([], nothing, "rule: no model is configured", "no model is configured")
    drawn = {want.label: draw_attributes(config, want, rng) for want in wanted}
    study = _Study(desk, config, wanted, examples, embedder)
    result = consult(
        desk,
        config.model,
        "generator/write_items",
        {
            **task_inputs(desk.task),
            "wanted": [
                {"label": w.label, "count": w.count, "why": w.why, "texts": drawn[w.label]}
                for w in wanted
            ],
            "examples": [
                {"text": clip(text, _IN_PROMPT), "label": want.label}
                for want in wanted
                for text in desk.pool.texts(list(examples.get(want.label, ()))[:2])
            ],
            "max_words": config.max_words,
            "steps_left": config.model.steps,
        },
        [study.class_needs, study.examples_of, study.nearest_real],
        Items,
        submit_name="submit_items",
        agent=AGENT,
        purpose=PURPOSE,
        round_=round_,
        validate=study.fault,
    )
    failure = result.failure
    if result.decision is not None:
        try:
            return _filtered(desk, config, result.decision.items, round_, embedder)
        except BudgetExceeded as error:
            failure = f"out of allowance: {error}"
    return Generated([], nothing, f"rule: {failure}", failure)


def draw_attributes(
    config: GenerationConfig, want: Wanted, rng: np.random.Generator
) -> list[dict[str, str]]:
    """A value for each attribute of each wanted text; none where none are configured."""
    attributes = config.attributes.get(want.label, {})
    if not attributes:
        return []
    # Each value before any of them a second time: together the texts use the range.
    columns = {
        name: [values[i] for i in _spread(len(values), want.count, rng)]
        for name, values in attributes.items()
    }
    return [{name: column[n] for name, column in columns.items()} for n in range(want.count)]


def synthetic_prefix(round_: int) -> str:
    """What the ids of a round's synthetic items begin with."""
    return f"synthetic-{round_}-"


def _spread(values: int, n: int, rng: np.random.Generator) -> list[int]:
    turns = [rng.permutation(values) for _ in range(-(-n // values))]
    return [int(i) for i in np.concatenate(turns)[:n]]


def _filtered(
    desk: Desk,
    config: GenerationConfig,
    items: Sequence[Item],
    round_: int,
    embedder: Embedder,
) -> Generated:
    """Texts that are not empty, not too long, and near no text of the pool nor one another."""
    assert config.model is not None
    dropped: Counter[str] = Counter()
    sized = []
    for item in items:
        text = item.text.strip()
        if not text or "\x00" in text:
            dropped["empty"] += 1
        elif len(text.split()) > config.max_words:
            dropped["too long"] += 1
        else:
            sized.append((text, item))
    vectors = embedder.embed([text for text, _ in sized])
    nearest = _nearest(desk, vectors, synthetic_prefix(round_))
    ids = _free_ids(desk, round_)
    kept: list[int] = []
    written: list[Written] = []
    for row, (text, item) in enumerate(sized):
        if nearest[row] >= config.duplicate_at:
            dropped["near a text of the pool"] += 1
        elif kept and float((vectors[kept] @ vectors[row]).max()) >= config.duplicate_at:
            dropped["near another written text"] += 1
        else:
            kept.append(row)
            written.append(Written(next(ids), text, item.label, item.attributes))
    by = f"model {config.model.model}"
    failure = None if written else "no text passed the filter"
    return Generated(written, vectors[kept], by, failure, dict(sorted(dropped.items())))


def _free_ids(desk: Desk, round_: int) -> Iterator[str]:
    """Ids for a round's items, in order; none that people gave to a text of theirs."""
    synthetic = desk.pool.origins()
    for number in count(1):
        item = f"{synthetic_prefix(round_)}{number}"
        if item not in desk.pool or synthetic[desk.pool.index(item)]:
            yield item


def _nearest(desk: Desk, vectors: NDArray[np.float32], prefix: str) -> NDArray[np.float32]:
    """Greatest cosine similarity of each vector to any text of the pool, shape (n,).

    Left out are items of this very round, which a run that crashed has put there.
    """
    best = np.full(len(vectors), -1.0, np.float32)
    known, synthetic, ids = desk.pool.vectors(), desk.pool.origins(), desk.pool.ids
    own = [row for row in np.flatnonzero(synthetic).tolist() if ids[row].startswith(prefix)]
    for start in range(0, len(known), _BLOCK):
        likeness = vectors @ known[start : start + _BLOCK].T
        inside = [row - start for row in own if start <= row < start + _BLOCK]
        likeness[:, inside] = -1.0
        best = np.maximum(best, likeness.max(axis=1, initial=-1.0))
    return best


@dataclass
class _Study:
    """The generator's tools, and the check of what it submits."""

    desk: Desk
    config: GenerationConfig
    wanted: Sequence[Wanted]
    examples: Mapping[str, Sequence[str]]
    embedder: Embedder

    def class_needs(self) -> dict[str, Any]:
        """What is wanted of each label, and how many real examples of it can be seen."""
        return {
            "wanted": [
                {
                    "label": want.label,
                    "count": want.count,
                    "why": want.why,
                    "real_examples": len(self.examples.get(want.label, ())),
                }
                for want in self.wanted
            ],
            "other_labels": {
                label: len(ids)
                for label, ids in self.examples.items()
                if label not in {want.label for want in self.wanted}
            },
        }

    def examples_of(
        self, label: Annotated[str, Field(description="A label of the task.")]
    ) -> dict[str, Any]:
        """Some labelled real texts of a label."""
        if label not in self.desk.task.label_names:
            raise ValueError(f"no label {label!r}; there are {', '.join(self._labels())}")
        texts = self.desk.pool.texts(list(self.examples.get(label, ()))[:8])
        return {"texts": [clip(text, _IN_PROMPT) for text in texts]}

    def nearest_real(
        self, text: Annotated[str, Field(min_length=1, description="A draft.")]
    ) -> dict[str, Any]:
        """The real texts nearest to a draft, and from which similarity on it is thrown away."""
        pool = self.desk.pool
        synthetic = pool.origins()
        # Synthetic items can be the nearest; a few more are asked for, so that real ones are left.
        near = pool.neighbours(self.embedder.embed([text]), 10)[0]
        real = [(item, likeness) for item, likeness in near if not synthetic[pool.index(item)]][:3]
        texts = pool.texts([item for item, _ in real])
        labels = {item: label for label, ids in self.examples.items() for item in ids}
        return {
            "nearest": [
                {
                    "text": clip(shown, _IN_LIST),
                    "similarity": round(likeness, 2),
                    "label": labels.get(item),
                }
                for (item, likeness), shown in zip(real, texts, strict=True)
            ],
            "thrown_away_from": self.config.duplicate_at,
        }

    def fault(self, submitted: Items) -> str | None:
        """Why texts are not acceptable, for the model."""
        most = {want.label: want.count for want in self.wanted}
        counts = Counter(item.label for item in submitted.items)
        for label, number in counts.items():
            if label not in most:
                return f"label {label!r} is not wanted; wanted are {', '.join(most)}."
            if number > most[label]:
                return f"{number} texts for {label!r}: at most {most[label]} are wanted."
        return None

    def _labels(self) -> list[str]:
        return self.desk.task.label_names
