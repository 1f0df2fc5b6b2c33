"""Annotate: one block of items put to one annotator; blocks run side by side."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.runtime import Runtime
from langgraph.types import Send

from ...agents.annotators import Asking, Question
from ...agents.ensemble import Ask
from ..context import RunContext
from ..state import Block, RunState

# A block is what a crash can leave half done, and what one step of progress is.
BLOCK = {"chat": 64}
LOCAL_BLOCK = 1000


def annotate(block: Block, runtime: Runtime[RunContext]) -> RunState:
    """Ask about the items of a block that this annotator has not answered yet."""
    ctx = runtime.context
    annotator = ctx.annotators[block["annotator"]]
    attempt = block["attempt"]
    answered = ctx.ledger.votes.attempts(annotator.name, block["items"])
    # An item that was answered in this attempt already was paid for before a crash.
    open_items = [item for item in block["items"] if answered.get(item, 0) <= attempt]
    texts = ctx.pool.texts(open_items)
    questions = [
        Question(item, text, answered.get(item, 0))
        for item, text in zip(open_items, texts, strict=True)
    ]
    asking = Asking(ctx.ledger, block["purpose"], block["round"])
    asked = annotator.ask(questions, asking)
    ctx.notify(
        {
            "event": "answers",
            "annotator": annotator.name,
            "votes": asked.votes,
            "invalid": asked.invalid,
            "not_asked": len(asked.not_asked),
            "skipped": len(block["items"]) - len(open_items),
        }
    )
    return {
        "reports": [
            {
                "annotator": annotator.name,
                "votes": asked.votes,
                "invalid": asked.invalid,
                "not_asked": list(asked.not_asked),
            }
        ]
    }


def fan_out(ctx: RunContext, asks: Sequence[Ask], round_: int) -> list[Send]:
    """One Send for each block of questions."""
    kinds = {settings.name: settings.kind for settings in ctx.config.annotators}
    sends = []
    for order in asks:
        size = BLOCK.get(kinds[order["annotator"]], LOCAL_BLOCK)
        for start in range(0, len(order["items"]), size):
            block: Block = {
                "annotator": order["annotator"],
                "items": order["items"][start : start + size],
                "purpose": order["purpose"],
                "attempt": order["attempt"],
                "round": round_,
            }
            sends.append(Send("annotate", block))
    return sends
