"""Answers to the questions that are open: from a file, a callback, or the reviews in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..agents.verdict import weigh
from ..tools.reviews import answered, standing
from .context import RunContext
from .corrections import pending_reviews
from .directives import HAND_IN, ending
from .nodes.ask_human import HANDED_IN, check_answers
from .people import ANSWERS_FILE, match_answers, read_lines
from .state import RunState

Answer = Callable[[dict[str, Any]], dict[str, str | None] | None]
"""Answers questions: takes ``{annotator, purpose, labels, guidelines, questions}``, gives a label
(or ``None`` where none fits) by item id; what it leaves out stays unanswered. ``None`` instead of
answers lets the run wait."""


def find_answers(
    ctx: RunContext,
    payload: dict[str, Any],
    answer: Answer | None,
    file: Path | None,
    seen: bool,
    step: int,
) -> dict[str, str | None] | None:
    """The checked answers to an order of questions; ``None`` lets the run wait.

    Args:
        ctx: The run.
        payload: The questions.
        answer: Answers them if no file was given for them.
        file: Answers to the questions that were open when the run was taken up.
        seen: Whether these were.
        step: Of the node that has put them.
    """
    given, note = _handed_over(ctx, payload, answer, file, seen)
    if given is None:
        given, said = _reviewed(ctx, payload, step)
        note = note if given is None else said
        if given is None and not note:
            return None
    ctx.notify(
        {
            "event": "people",
            "annotator": payload["annotator"],
            "asked": len(payload["questions"]),
            "answered": len(given or {}),
            "note": note,
        }
    )
    return given


def _handed_over(
    ctx: RunContext, payload: dict[str, Any], answer: Answer | None, file: Path | None, seen: bool
) -> tuple[dict[str, str | None] | None, str]:
    """Answers by a file or the callback, and what is to be said of them; neither without."""
    standing_file = ctx.folder / ANSWERS_FILE
    path = (
        file if seen and file else None if answer or not standing_file.exists() else standing_file
    )
    if path is None:
        given = answer(payload) if answer else None
        if given is not None:
            asked = {question["item_id"] for question in payload["questions"]}
            check_answers(given, asked, payload["labels"])
        return given, ""
    if lines := read_lines(path):
        # The file in the folder may grow from round to round; one that is handed in is of now.
        rows = cache(lambda: frozenset(row.id for row in ctx.rows))
        known = (lambda _: False) if path is file else (lambda i: i in ctx.pool or i in rows())
        matched = match_answers(path, lines, payload, other=known)
        if matched:
            return matched, ""
        return None, (
            f"no line of {path} gives a label to an open question, so the run waits; "
            "an empty file says that nobody answers these"
        )
    # Who left an empty file had not seen questions that have come up since.
    return ({}, f"{path} is empty, so the run goes on without") if seen else (None, "")


def _reviewed(
    ctx: RunContext, payload: Mapping[str, Any], step: int
) -> tuple[dict[str, str | None] | None, str]:
    """What reviewers answer, once it is all there or they have handed in what there is."""
    asked = [question["item_id"] for question in payload["questions"]]
    # A process that was killed may have entered the answers already.
    entered = ctx.ledger.votes.attempts(payload["annotator"], asked)
    open_ = [item for item in asked if item not in entered]
    stands = standing(word for word in pending_reviews(ctx) if word.item_id in set(open_))
    given = {item: stands[item].label for item in open_ if item in stands and stands[item].settled}
    share = ctx.config.human.second_opinion
    if all(answered(stands.get(item), item, share) for item in open_):
        return given, ""
    left = len(open_) - len(given)
    if ending(ctx):
        return given, f"the run is to end, so it goes on without {left} answers"
    if ctx.ledger.log.directives(HAND_IN, pending=True) or _was_handed_in(ctx, step):
        return given, f"handed in as they are, {left} without an answer"
    return None, ""


def _was_handed_in(ctx: RunContext, step: int) -> bool:
    return any(made.kind == HANDED_IN for made in ctx.ledger.log.decided_at(step))


def by_value(ctx: RunContext, state: RunState, payload: dict[str, Any]) -> dict[str, Any]:
    """Questions with those first that are worth most: the least sure labels.

    Audits keep their order. They were drawn at random, each is worth what the others are, and who
    hands in the first half of them hands in a random sample.
    """
    if payload["purpose"] != "escalate":
        return payload
    items = [question["item_id"] for question in payload["questions"]]
    fit = ctx.latest_fit(state["round"])
    verdict = weigh(
        ctx.ballot(items),
        ctx.panel(state["audited"], fit),
        ctx.student_view(items, fit),
        classes=len(ctx.labels),
    )
    sure = dict(zip(items, verdict.p_correct.tolist(), strict=True))
    questions = sorted(payload["questions"], key=lambda question: sure[question["item_id"]])
    return {**payload, "questions": questions}
