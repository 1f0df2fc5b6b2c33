"""Chat models as annotators, behind any OpenAI-compatible endpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, create_model

from ...tools.embedding import wordpiece_counts
from ...tools.errors import BudgetExceeded, EndpointError
from ...tools.ledger import Call, Ledger, Settlement, Vote
from ...tools.prompts import Message, PromptLibrary
from ...tools.task import TaskConfig
from ..answers import Parsed, Shape, label_probabilities, shape, split_items
from ..ballot import NO_ANSWER, NO_LABEL_FITS
from ..endpoint import Endpoint
from ..paid_call import CallRefused, request_key
from ..structured import Asked as Answered
from ..structured import StructuredChat
from .annotator import Asked, Asking, Example, Question
from .settings import TOKENS_OF_ANSWER, ChatAnnotatorConfig
from .wording import Wording

_OUT_OF_ORDER = frozenset((408, 429, *range(500, 600)))
_FAILURES = 5
_LONGEST_NAME = 80


class ChatAnnotator:
    """A chat model with a prompt and parameters.

    An item that the server keeps refusing is an invalid vote; an endpoint that fails more often
    than it answers, or is out of order five times in a row, is an error.

    Args:
        config: Endpoint, price, and how it is asked.
        task: The label set and guidelines.
        prompts: Holds the templates that `Wording` names.
        ledger: Pays and remembers.
        stop: Whether the run has been asked to stop; asked before each try.
        examples: Texts that people have labelled, the latest last; looked up at each `ask`.
    """

    repeats = True

    def __init__(
        self,
        config: ChatAnnotatorConfig,
        task: TaskConfig,
        prompts: PromptLibrary,
        ledger: Ledger,
        stop: Callable[[], bool],
        examples: Callable[[], Sequence[Example]] = tuple,
    ) -> None:
        self.name, self.tier, self.trusted = config.name, config.tier, config.trusted
        self.price = config.price
        self._config = config
        self._wording = Wording(config, task, prompts)
        self._endpoint = Endpoint(config)
        logprobs = config.confidence == "logprobs"
        self._chat = StructuredChat(self._endpoint, ledger, prompts, stop=stop, logprobs=logprobs)
        self._examples = examples
        self._item, self._batch = answer_shapes(
            task.label_names, stated=config.confidence == "stated"
        )
        self._of_batch = shape(_numbered(self._item.model))
        self._pool = ThreadPoolExecutor(config.concurrency, f"{config.name}-")
        self._counting = threading.Lock()
        self._answers = self._failures = self._in_a_row = 0

    def ask(self, questions: Sequence[Question], asking: Asking) -> Asked:
        """Put the questions, several requests at a time.

        Raises:
            EndpointError: The endpoint refuses what it was sent, or fails again and again.
            CallStopped: The run is stopping; what was under way has been settled.
        """
        size = self._wording.size(questions)
        blocks = [questions[start : start + size] for start in range(0, len(questions), size)]
        try:
            self._chat.mode()
        except BudgetExceeded:
            return Asked(0, 0, tuple(question.item_id for question in questions))
        known = self._examples()
        futures = [self._pool.submit(self._request, block, asking, known) for block in blocks]
        results, errors = [], []
        for future in futures:
            try:
                results.append(future.result())
            except Exception as error:
                errors.append(error)
                for waiting in futures:
                    waiting.cancel()
        if errors:
            # Only now: what the other requests brought is in the ledger before the run ends.
            raise errors[0]
        for place, (_, missed) in enumerate(results):
            if missed:
                # Reservations are wider than costs: what was under way has left room by now.
                results[place] = self._request(blocks[place], asking, known)
        votes = [vote for given, _ in results for vote in given]
        valid = sum(vote.label is not None for vote in votes)
        not_asked = tuple(item for _, missed in results for item in missed)
        return Asked(valid, len(votes) - valid, not_asked)

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Expected cost of one vote on each text, in nanodollars, shape (n,)."""
        tokens_in, tokens_out = self.tokens(texts)
        costs = [
            self.price.cost(int(a), int(b), labels=1)
            for a, b in zip(tokens_in, tokens_out, strict=True)
        ]
        return np.asarray(costs, np.int64)

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Expected tokens of one vote on each text; the prompt is shared by a request's items."""
        empty = [Question("1", "", 0)] * self._config.items_per_request
        shown = self._wording.beside(empty, self._examples())
        around = sum(
            wordpiece_counts([one.content for one in self._wording.messages(empty, shown)])
        )
        own = np.asarray(wordpiece_counts(texts), np.int64)
        out = TOKENS_OF_ANSWER[self._config.reasons]
        share = -(-around // self._config.items_per_request)
        return own + share, np.full(len(texts), out, np.int64)

    def example(self, text: str) -> list[Message]:
        """The prompt that one text would be sent in."""
        return self._wording.messages([Question("1", text, 0)])

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=True)
        self._endpoint.close()

    # -- one request ----------------------------------------------------------------------------

    def _request(
        self, questions: Sequence[Question], asking: Asking, known: Sequence[Example]
    ) -> tuple[list[Vote], list[str]]:
        ids = tuple(question.item_id for question in questions)
        attempts = [question.attempt for question in questions]
        shown = self._wording.beside(questions, known)
        prompt_hash = self._wording.hash_of(questions[0], shown)
        call = Call(
            request_key=request_key(self.name, prompt_hash, ids, attempts),
            agent="annotator",
            annotator=self.name,
            model=self._config.model,
            purpose=asking.purpose,
            round=asking.round,
            items=ids,
            prompt_hash=prompt_hash,
        )
        wanted: Shape[Any] = self._item if self._wording.size(questions) == 1 else self._batch
        made: list[Vote] = []

        def read(answered: Answered[Any]) -> Sequence[Vote]:
            made[:] = self._votes(questions, answered, asking, prompt_hash)
            return made

        try:
            self._chat.ask(self._wording.messages(questions, shown), wanted, call, votes=read)
        except BudgetExceeded:
            return [], list(ids)
        except CallRefused as error:
            self._count(failed=error)
            return self._refused(questions, call, error, asking), []
        self._count(failed=None)
        return made, []

    def _votes(
        self,
        questions: Sequence[Question],
        answered: Answered[Any],
        asking: Asking,
        prompt_hash: str,
    ) -> list[Vote]:
        settlement = answered.settlement
        if self._wording.size(questions) == 1:
            parsed = [Parsed(answered.value, answered.invalid, answered.data)]
        elif answered.data is None:
            parsed = [Parsed(None, answered.invalid, None)] * len(questions)
        else:
            numbers = [str(n) for n in range(1, len(questions) + 1)]
            answers = split_items(answered.data, numbers, self._of_batch, field="answers", key="id")
            parsed = list(answers.values())
        costs = _shares(settlement.cost, len(questions))
        sure = self._confidences(answered, parsed)
        return [
            replace(self._vote(question, answer, cost, asking, prompt_hash), confidence=confidence)
            for question, answer, cost, confidence in zip(
                questions, parsed, costs, sure, strict=True
            )
        ]

    def _confidences(
        self, answered: Answered[Any], parsed: Sequence[Parsed[Any]]
    ) -> list[float | None]:
        """How sure each answer is; ``None`` where nothing says so, never a made-up figure."""
        values = [answer.value for answer in parsed]
        if self._config.confidence == "stated":
            return [value.confidence if value is not None else None for value in values]
        none: list[float | None] = [None] * len(values)
        if self._config.confidence == "none":
            return none
        found = label_probabilities(answered.settlement.response or {})
        data = answered.data or {}
        written = data.get("answers", [data])
        if found is None or not isinstance(written, list) or len(found) != len(written):
            return none
        of = {
            str(entry.get("id")): p
            for entry, p in zip(written, found, strict=True)
            if isinstance(entry, dict)
        }
        ids = [None if value is None else str(getattr(value, "id", None)) for value in values]
        return [None if item is None else of.get(item) for item in ids]

    def _vote(
        self,
        question: Question,
        answer: Parsed[Any],
        cost: int,
        asking: Asking,
        prompt_hash: str,
    ) -> Vote:
        value = answer.value
        label = value.label if value is not None else None
        invalid = None if label is not None else answer.invalid or NO_LABEL_FITS
        return Vote(
            item_id=question.item_id,
            annotator=self.name,
            label=label,
            invalid=invalid,
            prompt_hash=prompt_hash,
            attempt=question.attempt,
            purpose=asking.purpose,
            round=asking.round,
            cost=cost,
            reason=value.reason if value is not None else _named(answer),
        )

    def _refused(
        self, questions: Sequence[Question], call: Call, error: CallRefused, asking: Asking
    ) -> list[Vote]:
        """An invalid vote for each item, so that a refused item is not sent for ever."""
        given_up: Parsed[Any] = Parsed(None, None, None)
        votes = [
            replace(self._vote(question, given_up, 0, asking, call.prompt_hash), invalid=NO_ANSWER)
            for question in questions
        ]
        note = replace(
            call,
            request_key=request_key(call.request_key, "given up"),
            purpose="given_up",
            requests=0,
        )
        asking.ledger.record(note, Settlement("answered", error=str(error)), votes)
        return votes

    def _count(self, failed: CallRefused | None) -> None:
        if failed is not None and failed.misconfigured:
            raise failed
        with self._counting:
            if failed is None:
                self._answers += 1
                self._in_a_row = 0
                return
            self._failures += 1
            # A refused text (400, 422) says nothing of the endpoint.
            self._in_a_row += failed.status is None or failed.status in _OUT_OF_ORDER
            often = self._failures >= _FAILURES and self._failures > self._answers
            if often or self._in_a_row >= _FAILURES:
                raise EndpointError(
                    f"{self.name}: {self._failures} requests failed and {self._answers} were "
                    f"answered; last: {failed} Labels so far are kept; put the endpoint right and "
                    "resume."
                )


def answer_shapes(labels: Sequence[str], *, stated: bool = True) -> tuple[Shape[Any], Shape[Any]]:
    """Shapes of an answer about one item and of an answer about several.

    Args:
        labels: The label set.
        stated: Whether the model is to say how sure it is.
    """
    known: Any = Literal[tuple(labels)]
    sure: dict[str, Any] = {"confidence": (float | None, Field(None, ge=0, le=1))}
    fields: dict[str, Any] = {
        "label": (known | None, ...),
        **(sure if stated else {}),
        "reason": (str | None, None),
    }
    item = create_model("Answer", **fields)
    numbered: Any = _numbered(item)
    many = create_model("Answers", answers=(list[numbered], ...))
    return shape(item), shape(many, "answers")


def _named(answer: Parsed[Any]) -> str | None:
    """How an answer calls a label that the set does not have: a hint at one that is missing."""
    named = (answer.data or {}).get("label") if answer.invalid == "not_in_label_set" else None
    return named[:_LONGEST_NAME] if isinstance(named, str) else None


def _numbered(item: type[BaseModel]) -> type[BaseModel]:
    return create_model("NumberedAnswer", __base__=item, id=(str, ...))


def _shares(cost: int, items: int) -> list[int]:
    """The cost of a request over its items, to the last nanodollar."""
    each, rest = divmod(cost, items)
    return [each + (position < rest) for position in range(items)]
