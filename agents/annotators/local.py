"""Annotators whose answers are at hand: one ledger entry for a whole block of items."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate

from ...tools.errors import BudgetExceeded
from ...tools.ledger import Call, Settlement, Vote
from ...tools.ledger.store import encode
from .annotator import Asked, Asking


def enter_votes(
    votes: Sequence[Vote],
    *,
    model: str,
    tokens_in: Sequence[int],
    tokens_out: Sequence[int],
    asking: Asking,
) -> Asked:
    """Write a block of votes into the ledger, as many of them as the caps allow.

    Args:
        votes: All by one annotator with one prompt hash; each carries its own cost.
        model: What answered, for the record.
        tokens_in: Prompt tokens of each vote.
        tokens_out: Completion tokens of each vote.
        asking: Circumstances of the question.

    Returns:
        How many are in, and which were left out by a cap.
    """
    entered = len(votes)
    while entered:
        block = votes[:entered]
        settlement = Settlement(
            "answered",
            cost=sum(vote.cost for vote in block),
            tokens_in=sum(tokens_in[:entered]),
            tokens_out=sum(tokens_out[:entered]),
        )
        call = Call(
            request_key=_key(block),
            agent="annotator",
            annotator=block[0].annotator,
            model=model,
            purpose=asking.purpose,
            round=asking.round,
            items=tuple(vote.item_id for vote in block),
            prompt_hash=block[0].prompt_hash,
            requests=entered,
        )
        try:
            asking.ledger.record(call, settlement, block)
            break
        except BudgetExceeded:
            tokens = [a + b for a, b in zip(tokens_in, tokens_out, strict=True)][:entered]
            entered = min(entered - 1, _affordable(block, tokens, asking))
    valid = sum(vote.label is not None for vote in votes[:entered])
    return Asked(valid, entered - valid, tuple(vote.item_id for vote in votes[entered:]))


def _affordable(votes: Sequence[Vote], tokens: Sequence[int], asking: Asking) -> int:
    """How many of the first votes every cap leaves room for."""
    caps, balance = asking.ledger.caps, asking.ledger.balance()
    fit = len(votes)
    for cap, used, wanted in (
        (caps.money, balance.committed, [vote.cost for vote in votes]),
        (caps.tokens, balance.tokens + balance.tokens_reserved, tokens),
        (caps.requests, balance.requests, [1] * len(votes)),
    ):
        if cap is not None:
            fit = min(fit, sum(total <= max(0, cap - used) for total in accumulate(wanted)))
    return fit


def _key(votes: Sequence[Vote]) -> str:
    identity = [(v.item_id, v.annotator, v.prompt_hash, v.attempt) for v in votes]
    return hashlib.sha256(encode(identity).encode()).hexdigest()
