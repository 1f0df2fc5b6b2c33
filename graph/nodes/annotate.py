"""Annotate: blocks of items put to annotators; chat models work side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langgraph.runtime import Runtime
from langgraph.types import Send

from ...agents.annotators import Asking, Question
from ...agents.annotators.orders import check_of
from ...agents.ensemble import Ask
from ..context import RunContext
from ..state import Block, Report, RunState

# A block is what a crash can leave half done, and what one step of progress is.
BLOCK = 64
LOCAL_BLOCK = 1000


def annotate(block: Block, runtime: Runtime[RunContext]) -> RunState:
    """Ask about the items of each block that its annotator has not answered yet."""
    return {"reports": [_put(runtime.context, ask, block["round"]) for ask in block["orders"]]}


def _put(ctx: RunContext, order: Ask, round_: int) -> Report:
    annotator = ctx.annotators[order["annotator"]]
    attempt = order["attempt"]
    check = check_of(attempt)
    # An item that was answered in this attempt already was paid for before a crash.
    if check:
        given = ctx.ledger.votes.of_items(order["items"])
        made = {(item, v.annotator, v.attempt) for item, votes in given.items() for v in votes}
        attempts = {i: attempt for i in order["items"] if (i, annotator.name, attempt) not in made}
    else:
        before = ctx.ledger.votes.attempts(annotator.name, order["items"])
        attempts = {i: before.get(i, 0) for i in order["items"] if before.get(i, 0) <= attempt}
    texts = ctx.pool.texts(list(attempts))
    questions = [
        Question(item, text, number)
        for (item, number), text in zip(attempts.items(), texts, strict=True)
    ]
    asked = annotator.ask(questions, Asking(ctx.ledger, order["purpose"], round_))
    ctx.notify(
        {
            "event": "answers",
            "annotator": annotator.name,
            "votes": asked.votes,
            "invalid": asked.invalid,
            "not_asked": len(asked.not_asked),
            "skipped": len(order["items"]) - len(questions),
        }
    )
    return {
        "annotator": annotator.name,
        # Those from before a crash included: what follows must not depend on it.
        "answered": len(order["items"]) - len(asked.not_asked),
        # A check that a cap does not pay for is left out; it says nothing about votes.
        "not_asked": [] if check else list(asked.not_asked),
    }


def fan_out(ctx: RunContext, asks: Sequence[Ask], round_: int) -> list[Send]:
    """A Send for each block that goes to a chat model, and one for all that is answered here.

    Answers that are at hand are taken in a fixed order: whose votes a cap still pays for must not
    depend on which thread comes first.
    """
    chat = {settings.name for settings in ctx.config.annotators if settings.kind == "chat"}
    afar = [order for order in asks if order["annotator"] in chat]
    here = [order for order in asks if order["annotator"] not in chat]
    work = [[block] for order in afar for block in _blocks(order, BLOCK)]
    if here:
        work.append([block for order in here for block in _blocks(order, LOCAL_BLOCK)])
    return [Send("annotate", Block(orders=orders, round=round_)) for orders in work]


def _blocks(order: Ask, size: int) -> Iterator[Ask]:
    for start in range(0, len(order["items"]), size):
        yield Ask(
            annotator=order["annotator"],
            items=order["items"][start : start + size],
            purpose=order["purpose"],
            attempt=order["attempt"],
        )
