"""The only way to a chat model's paid answer: reserve, send, settle.

A request that was answered before, in this process or in one that was killed, is taken from the
ledger and never sent again. Each try is reserved by itself, so the cap holds through retries.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..tools.errors import EndpointError, LabelwrightError
from ..tools.ledger import Call, Ledger, Outcome, Settlement, Vote
from ..tools.money import Price, show
from .wire import Answer, WireFailure

_MISCONFIGURED = frozenset((401, 402, 403, 404))
_PER_MESSAGE = 16
_PER_REQUEST = 64
_PER_SCHEMA = 256


class CallRefused(EndpointError):
    """The endpoint refused a call for good, or did not answer after all tries.

    Attributes:
        status: HTTP status of the last try, ``None`` where no status line came.
    """

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def misconfigured(self) -> bool:
        """Whether key, account, address or model are at fault: any request would be refused."""
        return self.status in _MISCONFIGURED


class CallStopped(LabelwrightError):
    """The run was asked to stop before this call was sent; nothing was spent on it."""


@dataclass(frozen=True)
class Bound:
    """The most that a call can use: tokens, and money in nanodollars."""

    tokens_in: int
    tokens_out: int
    money: int


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after how long a failed try is repeated.

    Attributes:
        retries: Tries after the first.
        first_s: Seconds before the first repetition; doubled each time.
        most_s: Longest wait of its own accord.
        most_retry_after_s: Longest wait that a server may ask for.
        final: Statuses that are not repeated although they usually are.
    """

    retries: int = 4
    first_s: float = 1.0
    most_s: float = 30.0
    most_retry_after_s: float = 120.0
    final: frozenset[int] = frozenset()

    def repeats(self, failure: WireFailure) -> bool:
        """Whether another try can help."""
        status = failure.status
        if status in self.final or failure.code == "insufficient_quota":
            return False
        return status is None or status in (200, 408, 409, 429) or status >= 500

    def wait(self, request_key: str, repetition: int, retry_after: float | None) -> float:
        """Seconds to wait; the jitter follows from the request, so a rerun waits the same."""
        digest = hashlib.sha256(f"{request_key}:{repetition}".encode()).digest()
        jitter = 0.5 + int.from_bytes(digest[:4]) / 2**33
        own = min(self.most_s, self.first_s * 2.0**repetition) * jitter
        return max(own, min(retry_after or 0.0, self.most_retry_after_s))


def request_key(*parts: Any) -> str:
    """Identity of a request: SHA-256 over JSON-able parts."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def bound(
    price: Price,
    texts: Iterable[str],
    max_output_tokens: int,
    *,
    schema: str = "",
    labels: int = 0,
) -> Bound:
    """Upper bound of a call.

    A byte-level tokenizer makes at most one token a byte, so the UTF-8 length bounds the prompt;
    the constants cover role markers and what chat templates add around tools.

    Args:
        price: What the endpoint charges.
        texts: Content of each message.
        max_output_tokens: The limit that is sent with the request.
        schema: JSON of tools or response format.
        labels: Items asked about, for a price per label.
    """
    tokens = _PER_REQUEST + sum(_size(text) + _PER_MESSAGE for text in texts)
    if schema:
        tokens += _size(schema) + _PER_SCHEMA
    return Bound(tokens, max_output_tokens, price.cost(tokens, max_output_tokens, labels))


def pay(
    ledger: Ledger,
    call: Call,
    *,
    bound: Bound,
    price: Price,
    send: Callable[[], Answer],
    policy: RetryPolicy,
    votes: Callable[[Settlement], Sequence[Vote]] | None = None,
    sleep: Callable[[float], object] = time.sleep,
    stop: Callable[[], bool] = lambda: False,
) -> Settlement:
    """Get a call answered: from the ledger if it was answered before, else from the endpoint.

    Args:
        ledger: Where money is reserved and the answer kept.
        call: The request's identity.
        bound: The most it can use.
        price: What the endpoint charges.
        send: Sends the request once.
        policy: Repetition of failed tries.
        votes: Reads the votes out of an answer; they are written in the answer's transaction.
        sleep: Waits between tries.
        stop: Asked before each try and each second of waiting.

    Raises:
        BudgetExceeded: The reservation would pass a cap; nothing was sent.
        CallStopped: ``stop`` said so; nothing is under way.
        CallRefused: The endpoint refused, or all tries failed.
        EndpointError: The server used more than the bound; the true cost is settled.
    """
    if (done := ledger.answered(call.request_key)) is not None:
        return done
    earlier = ledger.tries(call.request_key)
    for repetition in range(policy.retries + 1):
        if stop():
            raise CallStopped(f"{call.purpose}: not sent, the run is stopping.")
        call_id = ledger.reserve(
            call,
            bound.money,
            try_no=earlier + repetition,
            bound_tokens=bound.tokens_in + bound.tokens_out,
        )
        started = time.perf_counter()
        try:
            answer = send()
        except WireFailure as failure:
            outcome: Outcome = "unknown" if failure.maybe_served else "refused_by_server"
            seconds = time.perf_counter() - started
            ledger.settle(call_id, Settlement(outcome, seconds=seconds, error=str(failure)))
            if repetition == policy.retries or not policy.repeats(failure):
                tries = f" ({repetition + 1} tries)" if repetition else ""
                raise CallRefused(f"{failure}{tries}", failure.status) from None
            delay = policy.wait(call.request_key, repetition, failure.retry_after)
            _wait(delay, sleep, stop)
            continue
        except BaseException as error:
            ledger.settle(call_id, Settlement("unknown", error=type(error).__name__))
            raise
        seconds = time.perf_counter() - started
        settlement = _settlement(answer, bound, price, len(call.items), seconds)
        ledger.settle(call_id, settlement, votes(settlement) if votes else ())
        _refuse_overrun(settlement, bound, call.model)
        return settlement
    raise AssertionError("unreachable: the last repetition returns or raises")


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _settlement(
    answer: Answer, bound: Bound, price: Price, labels: int, seconds: float
) -> Settlement:
    if answer.tokens_in is None or answer.tokens_out is None:
        return Settlement(
            "answered",
            cost=bound.money,
            tokens_in=bound.tokens_in,
            tokens_out=bound.tokens_out,
            seconds=seconds,
            response=answer.response,
            error="the answer reports no usage: counted at its upper bound",
        )
    return Settlement(
        "answered",
        cost=price.cost(answer.tokens_in, answer.tokens_out, labels, answer.cached_tokens),
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        cached_tokens=answer.cached_tokens,
        seconds=seconds,
        response=answer.response,
    )


def _refuse_overrun(settlement: Settlement, bound: Bound, model: str) -> None:
    used = settlement.tokens_in + settlement.tokens_out
    if settlement.cost > bound.money or used > bound.tokens_in + bound.tokens_out:
        raise EndpointError(
            f"model {model!r}: the server did not keep to max tokens: it reports "
            f"{settlement.tokens_in} prompt and {settlement.tokens_out} completion tokens "
            f"({show(settlement.cost)}) where at most {bound.tokens_in} and {bound.tokens_out} "
            f"({show(bound.money)}) were reserved. Set limit_parameter to the name that this "
            "server heeds; until it does, no cap can be kept."
        )


def _wait(seconds: float, sleep: Callable[[float], object], stop: Callable[[], bool]) -> None:
    while seconds > 0 and not stop():
        sleep(min(1.0, seconds))
        seconds -= 1.0
