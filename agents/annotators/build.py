"""From an annotator's configuration to the annotator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...tools.embedding import Embedder, wordpiece_counts
from ...tools.ledger import Ledger
from ...tools.pool import Pool
from ...tools.prompts import PromptLibrary
from ...tools.task import TaskConfig
from .annotator import Annotator, Example
from .chat import ChatAnnotator
from .embedded import EmbeddedAnnotator, pool_centre
from .recorded import RecordedAnnotator
from .settings import (
    AnnotatorConfig,
    ChatAnnotatorConfig,
    HumanAnnotatorConfig,
    RecordedAnnotatorConfig,
)
from .wording import ONE


def build_annotator(
    config: AnnotatorConfig,
    *,
    task: TaskConfig,
    embedder: Embedder,
    pool: Pool,
    prompts: PromptLibrary,
    ledger: Ledger,
    stop: Callable[[], bool],
    examples: Callable[[], Sequence[Example]] = tuple,
) -> Annotator:
    """The annotator that a configuration describes; the pool must be full.

    ``examples`` are texts that people have labelled, for chat models to see.

    Raises:
        ConfigError: A key is missing from the environment.
        DataError: Recorded votes can not be read.
        ValueError: People are asked through the graph, not called.
    """
    if isinstance(config, HumanAnnotatorConfig):
        raise ValueError(f"{config.name} is a person: put questions through the graph")
    if isinstance(config, ChatAnnotatorConfig):
        return ChatAnnotator(config, task, prompts, ledger, stop, examples)
    if isinstance(config, RecordedAnnotatorConfig):
        return RecordedAnnotator(config, task.label_names, prompt_tokens(task, prompts))

    def vectors(ids: Sequence[str]) -> NDArray[np.float32]:
        return pool.vectors()[[pool.index(item) for item in ids]]

    return EmbeddedAnnotator(config, task, embedder, vectors, pool_centre(pool))


def prompt_tokens(task: TaskConfig, prompts: PromptLibrary) -> int:
    """Tokens of the annotation prompt around a text, by the packaged tokenizer."""
    messages = prompts.get(ONE).render(
        task_name=task.name,
        guidelines=task.guidelines,
        labels=[label.model_dump() for label in task.labels],
        text="",
    )
    return sum(wordpiece_counts([message.content for message in messages]))
