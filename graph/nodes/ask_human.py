"""Ask a person: the run pauses until the questions are answered, by a callback or by a file."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, field_validator

from ...agents.annotators import Asking
from ...agents.ensemble import Ask
from ...tools.errors import DataError
from ..context import RunContext
from ..state import Report, RunState


class Answers(BaseModel):
    """What comes back: a label for each item, ``None`` where no label fits."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, str | None]

    @field_validator("answers")
    @classmethod
    def _some(cls, answers: dict[str, str | None]) -> dict[str, str | None]:
        return dict(sorted(answers.items()))


def ask_human(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Put this round's questions to people; what they leave unanswered goes on without them."""
    ctx = runtime.context
    asked: list[tuple[Ask, dict[str, str | None]]] = []
    room, left = ctx.config.human.questions_per_round, ctx.ledger.left()
    for order in state["questions"]:
        person = ctx.people[order["annotator"]]
        wanted = order["items"][:room]
        items = wanted[: person.affordable(left, len(wanted))]
        room -= len(items)
        if left is not None:
            left -= person.price.cost(labels=1) * len(items)
        # Nothing is written before the last answer is in: the node runs again from its top.
        reply = interrupt(_payload(ctx, order, items)) if items else {"answers": {}}
        asked.append((order, check_answers(reply, items, ctx.labels)))
    reports: list[Report] = []
    for order, answers in asked:
        person = ctx.people[order["annotator"]]
        asking = Asking(ctx.ledger, order["purpose"], state["round"])
        before = ctx.ledger.votes.attempts(person.name, list(answers))
        fresh = {item: label for item, label in answers.items() if item not in before}
        entered = person.enter(fresh, asking)
        reports.append(
            {
                "annotator": person.name,
                "votes": entered.votes,
                "invalid": entered.invalid,
                "not_asked": [item for item in order["items"] if item not in answers],
            }
        )
    return {"questions": [], "reports": reports, "step": state["step"] + 1}


def check_answers(
    reply: Any, items: list[str], labels: list[str]
) -> dict[str, str | None]:
    """The answers, checked against the questions and the label set.

    Raises:
        DataError: Names the first answer that does not fit; nothing was entered.
    """
    answers = Answers.model_validate(reply).answers
    known = set(labels)
    for item, label in answers.items():
        if item not in set(items):
            raise DataError(f"answer for {item!r}: it was not asked; expected ids of {items[:5]}…")
        if label is not None and label not in known:
            raise DataError(
                f"answer for {item!r}: {label!r} is not in the label set; expected one of "
                f"{labels}, or null where no label fits."
            )
    return answers


def _payload(ctx: RunContext, order: Ask, items: list[str]) -> dict[str, Any]:
    texts = ctx.pool.texts(items)
    return {
        "annotator": order["annotator"],
        "purpose": order["purpose"],
        "labels": ctx.labels,
        "guidelines": ctx.config.task.guidelines,
        "questions": [
            {"item_id": item, "text": text} for item, text in zip(items, texts, strict=True)
        ],
    }
