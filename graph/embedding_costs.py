"""Remote embeddings through the ledger: reserved before, settled after, like any other call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ..tools.embedding import Charge, EmbedderConfig, RequestFailed
from ..tools.ledger import Call, Ledger, Outcome, Settlement
from ..tools.money import Price

T = TypeVar("T")


def charge_to(ledger: Ledger, config: EmbedderConfig) -> Charge | None:
    """Money around each request of an embedder; ``None`` for those that run here."""
    if config.kind != "openai":
        return None
    each = config.price_usd_per_mtok
    price = Price(free=True) if not isinstance(each, float) else Price(input=each, output=0.0)
    model = config.model or ""

    def charge(key: str, bound_tokens: int, send: Callable[[], tuple[T, int]]) -> T:
        call = Call(key, "embedder", None, model, "embed", 0)
        call_id = ledger.reserve(
            call,
            price.cost(bound_tokens),
            try_no=ledger.tries(key),
            bound_tokens=bound_tokens,
        )
        started = time.perf_counter()
        try:
            result, tokens = send()
        except RequestFailed as failure:
            outcome: Outcome = "unknown" if failure.maybe_served else "refused_by_server"
            ledger.settle(call_id, Settlement(outcome, error=str(failure)))
            raise
        except BaseException as error:
            ledger.settle(call_id, Settlement("unknown", error=type(error).__name__))
            raise
        seconds = time.perf_counter() - started
        ledger.settle(
            call_id,
            Settlement("answered", price.cost(tokens), tokens_in=tokens, seconds=seconds),
        )
        return result

    return charge
