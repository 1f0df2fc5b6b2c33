"""Answers that follow a schema, from servers that differ in how they can be held to one.

The ladder goes from what binds most to what binds least: strict JSON Schema, a required tool call,
a named tool call, JSON mode, plain text. An endpoint is probed once, with a tiny paid call a rung
until one works, and the ledger remembers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from ..tools.errors import EndpointError
from ..tools.ledger import Call, Ledger, Settlement, Vote
from ..tools.prompts import Message, PromptLibrary
from .answers import InvalidReason, Parsed, Shape, label_probabilities, parse, shape
from .endpoint import Endpoint, LimitName
from .paid_call import CallRefused, RetryPolicy, bound, pay, request_key

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

T = TypeVar("T", bound=BaseModel)

Mode = Literal["json_schema", "tool_required", "tool_named", "json_object", "plain"]
LADDER: tuple[Mode, ...] = ("json_schema", "tool_required", "tool_named", "json_object", "plain")

_NOT_SUPPORTED = frozenset((400, 404, 405, 415, 422, 500, 501))
_PROBE_LIMIT = 16
# Of the process: two annotators on one endpoint would reserve the same probe.
_PROBING = threading.RLock()


class _Probe(BaseModel):
    label: Literal["yes", "no"]


_PROBE = shape(_Probe)


@dataclass(frozen=True)
class Asked(Generic[T]):
    """A settled call and what was read out of it: ``value``, or the reason why there is none."""

    settlement: Settlement
    value: T | None
    invalid: InvalidReason | None
    data: dict[str, Any] | None


class StructuredChat:
    """One endpoint that is asked for schema-bound answers, by any number of threads.

    Args:
        endpoint: Where to ask.
        ledger: Pays and remembers.
        prompts: Holds ``wire/json_answer`` (input ``schema``; appended to the last message where
            the server is not given the schema otherwise), ``wire/probe`` and ``wire/long_answer``.
        policy: Repetition of failed tries; the endpoint's number of retries without.
        stop: Asked before each try.
        logprobs: Ask for the log-probabilities of an answer's tokens.
        prober: Who pays for probes, for the ledger.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        prompts: PromptLibrary,
        *,
        policy: RetryPolicy | None = None,
        stop: Callable[[], bool] = lambda: False,
        logprobs: bool = False,
        prober: str = "probe",
    ) -> None:
        self.endpoint = endpoint
        self._more: dict[str, Any] = {"logprobs": True} if logprobs else {}
        self._ledger = ledger
        self._prompts = prompts
        self._policy = policy or RetryPolicy(retries=endpoint.config.retries)
        self._stop = stop
        self._prober = prober
        self._mode: Mode | None = None
        self._json_answer = prompts.get("wire/json_answer")
        self._bodies: dict[tuple[Shape[Any], Mode], tuple[dict[str, Any], str, str]] = {}

    def mode(self) -> Mode:
        """How answers are held to their schema; probes the endpoint the first time.

        Raises:
            EndpointError: No rung of the ladder gives a readable answer, no token limit is kept, or
                log-probabilities are wanted and do not come.
            BudgetExceeded: A probe would pass a cap.
        """
        if self._mode is None:
            with _PROBING:
                if self._mode is None:
                    self.find_limit()
                    structured = self.endpoint.config.structured
                    mode = self._find_mode() if structured == "auto" else structured
                    if self._more:
                        self._find_logprobs(mode)
                    self._mode = mode
        return self._mode

    def find_limit(self) -> None:
        """Find the token limit's name that the server heeds: every reservation rests on it.

        `mode` does it; an endpoint that only serves tool loops needs it by itself.

        Raises:
            EndpointError: The server keeps to no limit.
        """
        endpoint = self.endpoint
        first = endpoint.limit_name
        other: LimitName = (
            "max_tokens" if first == "max_completion_tokens" else "max_completion_tokens"
        )
        names = [first, other] if endpoint.config.limit_parameter == "auto" else [first]
        # A name that was refused leaves nothing in the ledger, so begin with one that was answered.
        names.sort(
            key=lambda name: self._ledger.answered(self._limit_call(name).request_key) is None
        )
        reasons = []
        for name in names:
            endpoint.limit_name = name
            with _PROBING:
                fault = self._limit_fault(name)
            if fault is None:
                return
            reasons.append(f"{name}: {fault}")
        raise EndpointError(
            f"model {endpoint.config.model!r} at {endpoint.config.url} does not keep to a limit of "
            f"{_PROBE_LIMIT} completion tokens ({'; '.join(reasons)}), so no budget could be kept. "
            "Set limit_parameter to the name that this server heeds."
        )

    def ask(
        self,
        messages: Sequence[Message],
        shape: Shape[T],
        call: Call,
        *,
        votes: Callable[[Asked[T]], Sequence[Vote]] | None = None,
    ) -> Asked[T]:
        """Ask once for an answer of a shape; a question answered before is not sent.

        Args:
            messages: The rendered prompt.
            shape: What the answer must look like.
            call: The request's identity (`paid_call.request_key`).
            votes: The votes in the answer, written in its transaction.

        Raises:
            BudgetExceeded, CallStopped, CallRefused, EndpointError: As `paid_call.pay`.
        """
        return self._ask(messages, shape, call, self.mode(), self._policy, votes, self._more)

    def _ask(
        self,
        messages: Sequence[Message],
        shape: Shape[T],
        call: Call,
        mode: Mode,
        policy: RetryPolicy,
        votes: Callable[[Asked[T]], Sequence[Vote]] | None = None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Asked[T]:
        body, schema, instruction = self._body(shape, mode)
        if instruction:
            # Into the last message: many chat templates refuse two of one role in a row.
            *before, last = messages
            messages = [*before, replace(last, content=f"{last.content}\n\n{instruction}")]
        config = self.endpoint.config
        wire = to_langchain(messages)

        def read(settlement: Settlement) -> Asked[T]:
            parsed: Parsed[T] = parse(settlement.response or {}, shape)
            return Asked(settlement, parsed.value, parsed.invalid, parsed.data)

        return read(
            pay(
                self._ledger,
                call,
                bound=bound(
                    config.price,
                    (message.content for message in messages),
                    config.max_output_tokens,
                    schema=schema,
                    labels=len(call.items),
                ),
                price=config.price,
                send=lambda: self.endpoint.send(wire, {**body, **more}),
                policy=policy,
                votes=(lambda settlement: votes(read(settlement))) if votes else None,
                stop=self._stop,
            )
        )

    def _body(self, shape: Shape[Any], mode: Mode) -> tuple[dict[str, Any], str, str]:
        """(request fields, their JSON, text for the prompt), made once a shape and mode."""
        made = self._bodies.get((shape, mode))
        if made is None:
            body = request_fields(shape, mode)
            schema = json.dumps(shape.schema, ensure_ascii=False)
            told = mode in ("json_object", "plain")
            text = self._json_answer.render(schema=schema)[-1].content if told else ""
            made = body, json.dumps(body, ensure_ascii=False) if body else "", text
            self._bodies[shape, mode] = made
        return made

    def _limit_call(self, name: LimitName) -> Call:
        return self._probe_call(name, "wire/long_answer")

    def _probe_call(self, what: str, prompt: str) -> Call:
        config = self.endpoint.config
        key = request_key(self._prober, config.url, config.model, what)
        return Call(
            key, self._prober, None, config.model, what, 0, (), self._prompts.get(prompt).hash
        )

    def _find_mode(self) -> Mode:
        calls = {mode: self._probe_call(mode, "wire/probe") for mode in LADDER}
        # A rung that refused leaves nothing in the ledger, so look for one that answered first.
        known = [m for m in LADDER if self._ledger.answered(calls[m].request_key)]
        ladder = [*known, *(m for m in LADDER if m not in known)]
        policy = replace(self._policy, final=_NOT_SUPPORTED)
        messages = self._prompts.get("wire/probe").render()
        reasons = []
        for mode in ladder:
            try:
                asked = self._ask(messages, _PROBE, calls[mode], mode, policy)
            except CallRefused as error:
                if error.status not in _NOT_SUPPORTED or mode == ladder[-1]:
                    raise
                reasons.append(f"{mode}: HTTP {error.status}")
                continue
            if asked.value is not None:
                return mode
            reasons.append(f"{mode}: {asked.invalid}")
        config = self.endpoint.config
        raise EndpointError(
            f"model {config.model!r} at {config.url}: no way of asking gave a readable answer "
            f"({'; '.join(reasons)}). Raise max_output_tokens if answers are truncated or empty, "
            "or choose another model."
        )

    def _find_logprobs(self, mode: Mode) -> None:
        """See that log-probabilities come with an answer, before votes are paid that lack them."""
        call = self._probe_call(f"{mode} with logprobs", "wire/probe")
        messages = self._prompts.get("wire/probe").render()
        policy = replace(self._policy, final=_NOT_SUPPORTED)
        config = self.endpoint.config
        fault = (
            "gives none"
            if mode in ("json_schema", "json_object", "plain")
            else (f"gives none with its way of asking ({mode}); structured: json_object may help")
        )
        try:
            asked = self._ask(messages, _PROBE, call, mode, policy, more=self._more)
        except CallRefused as error:
            if error.status not in _NOT_SUPPORTED:
                raise
            fault = f"refuses to give them (HTTP {error.status})"
        else:
            if label_probabilities(asked.settlement.response or {}):
                return
        raise EndpointError(
            f"model {config.model!r} at {config.url}: confidence is to come from log-probabilities "
            f"of tokens, and the endpoint {fault}. Set 'confidence: stated' or 'confidence: none'."
        )

    def _limit_fault(self, name: LimitName) -> str | None:
        config = self.endpoint.config
        call = self._limit_call(name)
        messages = self._prompts.get("wire/long_answer").render()
        wire = to_langchain(messages)
        # Reserved for the answer of a server that ignores the limit.
        most = bound(
            config.price, (m.content for m in messages), max(512, config.max_output_tokens)
        )
        try:
            settlement = pay(
                self._ledger,
                call,
                bound=most,
                price=config.price,
                send=lambda: self.endpoint.send(wire, limit=_PROBE_LIMIT),
                policy=self._policy,
                stop=self._stop,
            )
        except CallRefused as error:
            # Reasoning models refuse a limit that leaves no room to answer: they heed it. Only a
            # complaint about the parameter itself counts against it.
            if error.status in (400, 422):
                return "refused" if name in str(error) else None
            raise
        usage_known = settlement.error is None
        if usage_known and settlement.tokens_out > _PROBE_LIMIT:
            return f"{settlement.tokens_out} tokens came"
        return None


def request_fields(shape: Shape[Any], mode: Mode) -> dict[str, Any]:
    """The fields of a request that hold the answer to a shape."""
    if mode == "json_schema":
        wanted = {"name": shape.name, "schema": shape.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if mode == "json_object":
        return {"response_format": {"type": "json_object"}}
    if mode == "plain":
        return {}
    function = {"name": shape.name, "parameters": shape.schema, "strict": True}
    named = {"type": "function", "function": {"name": shape.name}}
    return {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "required" if mode == "tool_required" else named,
    }


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """The messages of a rendered prompt as langchain's."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[message.role](message.content) for message in messages]
