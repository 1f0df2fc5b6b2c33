"""Whether an order is possible as the run stands, and what carries it out."""

from __future__ import annotations

from typing import Any

from ...tools.watch.proposals import Suggestion
from .facts import Facts
from .said import Order
from .words import MOST_ROUNDS, MOST_USD

STATES = {
    "not_started": "not started",
    "running": "running",
    "waiting_for_people": "waiting for answers of people",
    "stopped": "paused",
    "interrupted": "interrupted (its process ended without a word)",
    "failed": "ended by an error",
    "finished": "finished",
}
HANDLED_AT_ONCE = {"dismiss_proposal": "dismissed"}
"""Directives that whoever writes them acknowledges, for the run has nothing to do."""
NAME_NEEDED = {"add_label": 1, "merge_labels": 1, "split_label": 2}
"""Kinds of proposals that may leave names open, and how many labels they make."""


def fault(order: Order, facts: Facts) -> str | None:
    """Why an order can not be given to the run as it stands; ``None`` where it can."""
    kind, payload, state = order.kind, order.payload, facts.state
    over = f"the run is {STATES['finished']}"
    if kind == "stop" and not facts.running:
        return f"The run is {STATES[state]}, so there is nothing to pause."
    if kind == "resume":
        if facts.running:
            return "The run is running already."
        if state == "finished" and not facts.waiting:
            return (
                f"Nothing to go on with: {over}, and no higher cap, correction or accepted "
                "proposal waits."
            )
        if state == "waiting_for_people" and facts.questions and not facts.waiting:
            return (
                f"The run waits for {facts.questions} answers: give them on the Review page, or "
                'say "hand in" to go on with those that are there.'
            )
    if kind == "finish" and state == "finished":
        return f"Nothing to end: {over}, its labels are delivered."
    if kind in {"focus", "value"} and state == "finished":
        return f"It would change nothing: {over}."
    if kind == "hand_in" and not facts.questions:
        return "There are no open questions."
    if kind == "cap" and not (0 <= payload["usd"] <= float(MOST_USD)):
        return "A cap is an amount of 0 or more."
    if kind == "value" and not (0 < payload["point_usd"] <= float(MOST_USD)):
        return "A point of accuracy is worth more than $0."
    if kind == "focus":
        unknown = [name for name in payload["labels"] if name not in facts.labels]
        if unknown or not payload["labels"]:
            return f"There is no label {unknown[0] if unknown else ''!r}."
        if not 1 <= payload["rounds"] <= MOST_ROUNDS:
            return f"Rounds: expected 1 to {MOST_ROUNDS}."
    if kind == "review":
        if not facts.has_item(payload["item_id"]):
            return f"The pool has no item {payload['item_id']!r}."
        if payload["verdict"] == "label" and payload["label"] not in facts.labels:
            return f"There is no label {payload['label']!r}."
    if kind in {"accept_proposal", "dismiss_proposal"}:
        return _proposal_fault(order, facts)
    return None


def _proposal_fault(order: Order, facts: Facts) -> str | None:
    number = order.payload["number"]
    entry = proposal(facts, number)
    if entry is None:
        there = f"there are 1 to {len(facts.proposals)}" if facts.proposals else "there are none"
        return f"There is no proposal {number}; {there}."
    if entry.state in {"accepted", "applied"}:
        return f"Proposal {number} was accepted before."
    if entry.state == "dismissed":
        again = "" if order.kind == "dismiss_proposal" else " The critic may make it again."
        return f"Proposal {number} was dismissed before.{again}"
    if order.kind == "dismiss_proposal":
        return None
    names, text = order.payload["names"], order.payload["text"]
    if not entry.acceptable:
        return (
            f"Proposal {number} is a question to you ({entry.kind}); nothing follows from "
            'accepting it. Put the answer into the guidelines: "guideline: TEXT".'
        )
    if not entry.changes_task:
        if names or text:
            return f"Proposal {number} ({entry.kind}) takes no name and no text."
        return None
    wanted = names_needed(entry)
    if len(names) < wanted or (len(names) > 1 and entry.kind != "split_label"):
        form = "NAME, NAME" if entry.kind == "split_label" else "NAME"
        return f'Proposal {number} needs a name: "accept proposal {number} as {form}: DESCRIPTION".'
    return None


def proposal(facts: Facts, number: int) -> Suggestion | None:
    """The proposal of a number."""
    return next((one for one in facts.proposals if one.number == number), None)


def names_needed(entry: Suggestion) -> int:
    """How many names a proposal leaves open."""
    if entry.kind == "merge_labels":
        return 0  # without a name, the first of the labels gives it
    if entry.kind == "add_label" and not entry.target.startswith("("):
        return 0
    return NAME_NEEDED.get(entry.kind, 0)


def directive(order: Order) -> tuple[str, Any] | None:
    """Kind and payload of the directive that carries an order out, if one does."""
    kind, payload = order.kind, order.payload
    if kind in {"resume", "guideline"}:
        return None
    if kind == "stop":
        return "stop", None
    if kind == "accept_proposal":
        return kind, {"number": payload["number"]}
    return kind, payload


def read_order(given: dict[str, Any]) -> Order:
    """An order out of plain values that `plain` wrote."""
    return Order(given["kind"], dict(given["payload"]))
