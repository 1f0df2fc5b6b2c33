"""How a chat model is asked: which template, which labels in which order, which examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ...tools.prompts import Message, Prompt, PromptLibrary
from ...tools.task import TaskConfig
from ..paid_call import request_key
from .annotator import Example, Question
from .orders import denied, label_order, reworded
from .settings import ChatAnnotatorConfig

ONE, MANY = "annotator/classify", "annotator/classify_many"
REWORDED, OBJECTED = "annotator/classify_reworded", "annotator/classify_objected"
EXAMPLES = 8
"""Most labelled texts that are shown beside a question."""


class Wording:
    """The messages of a request, and the hash that stands for all of them but the texts asked.

    Args:
        config: How the model is asked.
        task: The label set and guidelines.
        prompts: Holds ``annotator/classify``, ``annotator/classify_many`` and
            ``annotator/classify_reworded``; where an objection is asked, also
            ``annotator/classify_objected``.
    """

    def __init__(
        self, config: ChatAnnotatorConfig, task: TaskConfig, prompts: PromptLibrary
    ) -> None:
        self._config, self._task, self._prompts = config, task, prompts
        self._prompt = prompts.get(ONE if config.items_per_request == 1 else MANY)
        self._reworded = prompts.get(REWORDED)
        content = task.model_dump_json(include={"name", "labels", "guidelines"})
        # What is usual is left out, so that answers of earlier versions are not paid for twice.
        asked = [config.reasons, *([] if config.confidence == "stated" else [config.confidence])]
        self._rest = [content, *asked]

    def size(self, questions: Sequence[Question]) -> int:
        """Texts in one request; the other wordings are for one alone."""
        other = any(self._of(question.attempt) is not self._prompt for question in questions)
        return 1 if other else self._config.items_per_request

    def template(self, questions: Sequence[Question]) -> Prompt:
        """The template of a request."""
        return self._of(questions[0].attempt)

    def beside(self, questions: Sequence[Question], known: Sequence[Example]) -> list[Example]:
        """The examples that are shown with a request, of those that are known."""
        prompt = self.template(questions)
        # A template of somebody's own may have no place for them.
        return beside(known, questions) if "examples" in prompt.inputs else []

    def hash_of(self, question: Question, shown: Sequence[Example]) -> str:
        """What stands in the ledger for the wording of a request."""
        usual = request_key(self._of(question.attempt).hash, *self._rest)
        if not shown:
            return usual
        return request_key(usual, [[example.text, example.label] for example in shown])

    def messages(
        self, questions: Sequence[Question], shown: Sequence[Example] = ()
    ) -> list[Message]:
        """The messages of a request.

        Args:
            questions: What it asks about; no more than its `size`.
            shown: Of `beside`.
        """
        labels = [label.model_dump() for label in self._task.labels]
        attempt = max(question.attempt for question in questions)
        order = label_order(len(labels), attempt)
        shared: dict[str, Any] = {
            "task_name": self._task.name,
            "guidelines": self._task.guidelines,
            "labels": [labels[number] for number in order],
            "want_reason": self._config.reasons,
        }
        if self._config.confidence != "stated":
            # What is usual is left out, too: a template of somebody's own may not know the input.
            shared["want_confidence"] = False
        if shown:
            shared["examples"] = [{"text": one.text, "label": one.label} for one in shown]
        prompt, wrong = self._of(attempt), denied(attempt)
        if wrong is not None:
            shared["denied"] = labels[wrong]["name"]
        if prompt is not self._prompt or self._config.items_per_request == 1:
            return prompt.render(**shared, text=questions[0].text)
        items = [{"id": str(n), "text": q.text} for n, q in enumerate(questions, 1)]
        return prompt.render(**shared, items=items)

    @cached_property
    def _objected(self) -> Prompt:
        # Templates that a run of an earlier version is pinned to are without it.
        return self._prompts.get(OBJECTED)

    def _of(self, attempt: int) -> Prompt:
        if denied(attempt) is not None:
            return self._objected
        return self._reworded if reworded(attempt) else self._prompt


def beside(known: Sequence[Example], questions: Sequence[Question]) -> list[Example]:
    """The examples to show with a request: the latest, and none that gives an answer away.

    Args:
        known: Labelled texts, the latest last.
        questions: What the request asks about.
    """
    own = {question.item_id for question in questions}
    texts = {_plain(question.text) for question in questions}
    open_ = [one for one in known if one.item_id not in own and _plain(one.text) not in texts]
    return open_[-EXAMPLES:]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
