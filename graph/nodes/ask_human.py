"""Ask a person: the run pauses until the questions are answered, by a callback or by a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import TypeAdapter, ValidationError

from ...agents.annotators import Asking
from ...agents.ensemble import Ask
from ...tools.errors import DataError
from ...tools.ledger import Decision
from ...tools.reviews import standing
from ..context import RunContext
from ..corrections import keep_examples, pending_reviews
from ..directives import HAND_IN, OPERATOR
from ..state import AFTER_ANSWERS, Report, RunState

HANDED_IN = "handed_in"
"""Kind of the decision that reviewers have handed in what there is."""
_ANSWERS = TypeAdapter(dict[str, str | None])


def ask_human(state: RunState, runtime: Runtime[RunContext]) -> RunState:
    """Put the first order of questions to its person; what is left open goes on without them.

    One order a time: an interrupt is answered by its place in the node, and a node that runs again
    after a crash must find each answer in the place where it was.
    """
    ctx = runtime.context
    order, *later = state["questions"]
    person = ctx.people[order["annotator"]]
    before = ctx.ledger.votes.attempts(person.name, order["items"])
    room = max(0, ctx.config.human.questions_per_round - state["put"])
    wanted = order["items"][:room]
    fresh = [item for item in wanted if item not in before]
    items = fresh[: person.affordable(ctx.ledger, len(fresh))]
    given = dict(sorted(interrupt(_payload(ctx, order, items)).items())) if items else {}
    _hand_in(ctx, state, [item for item in items if item not in given])
    asking = Asking(ctx.ledger, order["purpose"], state["round"])
    entered = person.enter({i: label for i, label in given.items() if i not in before}, asking)
    answered = {*before, *given} - {*entered.not_asked}
    _thank(ctx, state, person.name, asking, wanted, items)
    report: Report = {
        "annotator": person.name,
        "answered": len(answered),
        "not_asked": [item for item in order["items"] if item not in answered],
    }
    return {
        "step": state["step"] + 1,
        "questions": later,
        "put": state["put"] + len(wanted),
        "reports": [report],
        "go": "ask_human" if later else AFTER_ANSWERS.get(state["phase"], "finish"),
    }


def _hand_in(ctx: RunContext, state: RunState, left: list[str]) -> None:
    """Write down, before an answer goes in, that reviewers hand in what there is.

    A process that is killed after that must not ask them for the rest once more.
    """
    orders = ctx.ledger.log.directives(HAND_IN, pending=True)
    if orders and left:
        decision = {"directive": orders[-1].seq, "unanswered": len(left)}
        ctx.ledger.log.decide(
            Decision(state["step"], state["round"], OPERATOR, HANDED_IN, decision, None)
        )


def _thank(
    ctx: RunContext,
    state: RunState,
    person: str,
    asking: Asking,
    wanted: list[str],
    items: list[str],
) -> None:
    """Tell reviewers what became of their answers, now that the votes are in the ledger."""
    votes = {
        item: [
            vote.label
            for vote in given
            # Others are of earlier questions; what is said of those items since is a correction.
            if (vote.annotator, vote.purpose, vote.round) == (person, asking.purpose, asking.round)
        ]
        for item, given in ctx.ledger.votes.of_items(wanted).items()
    }
    put = set(items)
    votes = {item: labels for item, labels in votes.items() if labels or item in put}
    words = [word for word in pending_reviews(ctx) if word.item_id in votes]
    stands = standing(words)
    agreed = {
        item: found
        for item, found in stands.items()
        if votes[item] and found.settled and found.label == votes[item][-1]
    }
    answers = {item: found.label for item, found in agreed.items() if found.label is not None}
    keep_examples(ctx, state, answers, agreed)
    for word in words:
        note = "the question went on without an answer"
        if word.item_id in agreed:
            note = f"answer taken as {person}'s vote"
        elif votes[word.item_id]:
            note = "the question was answered otherwise"
        ctx.ledger.log.acknowledge(word.seq, note)
    for order in ctx.ledger.log.directives(HAND_IN, pending=True):
        ctx.ledger.log.acknowledge(order.seq, "handed in: the run goes on")


def check_answers(
    reply: Any, items: Collection[str], labels: Sequence[str]
) -> dict[str, str | None]:
    """The answers, checked against the questions and the label set.

    It is done before the run goes on: an answer that has gone in stays.

    Args:
        reply: A label for each item, ``None`` where no label fits.
        items: Ids that were asked about.
        labels: The label set.

    Raises:
        DataError: Names the first answer that does not fit.
    """
    try:
        answers = _ANSWERS.validate_python(reply, strict=True)
    except ValidationError as error:
        where = "".join(f"[{part!r}]" for part in error.errors()[0]["loc"])
        raise DataError(
            f"answers{where}: expected a label, or null where no label fits, by item id."
        ) from None
    for item, label in answers.items():
        if item not in items:
            raise DataError(
                f"answer for {item!r}: it was not asked; expected ids among {sorted(items)[:5]}."
            )
        if label is not None and label not in labels:
            raise DataError(
                f"answer for {item!r}: {label!r} is not in the label set; expected one of "
                f"{list(labels)}, or null where no label fits."
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
