"""What an order would change, as a diff: what is shown before anything takes effect."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ...tools.money import NANO, show, to_nano
from ...tools.watch.lines import Line
from .facts import Facts
from .grammar import sentence
from .left_open import left_open
from .orders import STATES, proposal
from .said import Order, OrderKind


@dataclass(frozen=True)
class Change:
    """An order as it is shown before it takes effect.

    Attributes:
        order: What is confirmed.
        title: What it is, in a few words.
        before: How it is, as lines.
        after: How it would be.
        notes: What follows, and what does not.
        patch: The same as YAML for a run without a panel.
    """

    order: Order
    title: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    notes: tuple[str, ...]
    patch: str

    def lines(self) -> list[Line]:
        """The change in lines, for any face."""
        return [
            *(Line(text, "before") for text in self.before),
            *(Line(text, "after") for text in self.after),
            *(Line(text, "note") for text in self.notes),
            Line(self.patch, "patch"),
        ]


def change(order: Order, facts: Facts) -> Change:
    """The diff of an order that has no `fault`."""
    made = _MAKERS[order.kind](order, facts)
    hints = (order.hint,) if order.hint else ()
    return Change(order, made[0], made[1], made[2], (*hints, *made[3]), made[4])


def plain(made: Change) -> dict[str, Any]:
    """A change as plain values for the ledger and for JSON."""
    return {
        "order": {"kind": made.order.kind, "payload": made.order.payload},
        "title": made.title,
        "before": list(made.before),
        "after": list(made.after),
        "notes": list(made.notes),
        "patch": made.patch,
        "say": sentence(made.order),
    }


def texts(lines: Sequence[Line]) -> list[str]:
    """The lines as text, each marked by its role, for a terminal."""
    marks = {"before": "- ", "after": "+ ", "note": "  ", "item": "  | "}
    out = []
    for line in lines:
        mark = marks.get(line.role, "")
        body = f"{line.item}: {line.text}" if line.role == "item" and line.item else line.text
        out += [f"{mark}{part}" for part in (body.splitlines() or [""])]
    return out


_Made = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...], str]
"""Title, before, after, notes and patch of a `Change`."""


def _when(facts: Facts) -> str:
    if facts.running:
        return "The run takes it up at its next safe point."
    return f"The run is {STATES[facts.state]}: it takes effect when the run is resumed."


class _Readable(yaml.SafeDumper):
    """YAML with texts of several lines as they are read."""


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=100)
    return text


def _said(order: Order, facts: Facts) -> str:
    """For orders that no field of a configuration stands for: how a script gives them."""
    words = shlex.join(["labelwright", "say", facts.name, sentence(order), "--yes"])
    return f"# No field of run.yaml; a script says it to the run:\n# {words}\n"


def _stop(order: Order, facts: Facts) -> _Made:
    notes = ("Requests that are under way are finished first. Nothing is lost: resume goes on.",)
    return (
        "Pause the run",
        ("running",),
        ("paused at the next safe point",),
        notes,
        _said(order, facts),
    )


def _resume(_: Order, facts: Facts) -> _Made:
    left = None if facts.cap is None else max(0, facts.cap - facts.balance.committed)
    if facts.state == "finished" and facts.only_reviews:
        notes = ["Nothing is bought: the labels are learned and delivered again."]
    else:
        notes = [] if left is None else [f"It may spend the {show(left)} that its cap leaves."]
    if facts.state == "waiting_for_people" and facts.questions:
        notes.append(f"{facts.questions} questions are open; it goes on with the answers it has.")
    patch = f"# No field of run.yaml; from a script:\n# labelwright resume {facts.name}\n"
    return "Resume the run", (STATES[facts.state],), ("running",), tuple(notes), patch


def _finish(order: Order, facts: Facts) -> _Made:
    notes = (
        "Nothing more is bought after the batch under way. The student is trained once more and "
        "the labels are delivered.",
        *left_open(facts),
        _when(facts),
    )
    before = f"{STATES[facts.state]}; goes on until its stop rule or a cap ends it"
    return (
        "End the run and deliver",
        (before,),
        ("finished, labels delivered",),
        notes,
        _said(order, facts),
    )


def _cap(order: Order, facts: Facts) -> _Made:
    usd = order.payload["usd"]
    after, committed = to_nano(usd), facts.balance.committed
    notes = []
    if after <= committed:
        notes.append(
            f"{show(committed)} is spent or reserved already: nothing more will be sent. What is "
            "spent stays spent."
        )
    else:
        notes.append(f"{show(after - committed)} of it is left.")
    if facts.running:
        notes.append("It counts from the next request on.")
    else:
        notes.append(f"The run is {STATES[facts.state]}: it counts when the run is resumed.")
    before = "none" if facts.cap is None else show(facts.cap)
    return (
        "Change the money cap",
        (f"cap: {before}",),
        (f"cap: {show(after)}",),
        tuple(notes),
        _yaml({"budget": {"usd": usd}}),
    )


def _focus(order: Order, facts: Facts) -> _Made:
    rounds, names = order.payload["rounds"], ", ".join(order.payload["labels"])
    batches = "The next batch searches" if rounds == 1 else f"The next {rounds} batches search"
    return (
        "Search for labels",
        ("next batches: as the selector chooses",),
        (f"next {rounds} batch{'es' if rounds > 1 else ''}: search for {names}",),
        (f"{batches} for texts of these labels; audits stay random.", _when(facts)),
        _said(order, facts),
    )


def _value(order: Order, facts: Facts) -> _Made:
    usd = order.payload["point_usd"]
    before = "assumed from the size of the pool"
    if facts.point is not None:
        source = f" ({facts.point[1]})" if facts.point[1] else ""
        before = f"{show(facts.point[0])}{source}"
    return (
        "Change what a point of accuracy is worth",
        (f"a point of accuracy: {before}",),
        (f"a point of accuracy: {show(round(usd * NANO))}",),
        ("The stop rule counts with it from its next check on. The cap stays.",),
        _yaml({"stopping": {"items": None, "error_cost_usd": None, "point_value_usd": usd}}),
    )


def _accept(order: Order, facts: Facts) -> _Made:
    entry = proposal(facts, order.payload["number"])
    assert entry is not None
    names, text = order.payload["names"], order.payload["text"]
    head = f"proposal {entry.number} ({entry.kind}: {entry.target})"
    price = (
        "its price is not known" if entry.price_usd is None
        else f"about {show(to_nano(entry.price_usd))}"
    )  # fmt: skip
    if not entry.changes_task:
        notes = [f"Expected: {entry.effect}."] if entry.effect else []
        notes.append(_when(facts))
        if facts.state == "finished":
            left = "" if facts.cap is None else show(max(0, facts.cap - facts.balance.committed))
            notes.append(
                "Resumed for it, the run goes on with rounds, sweep and audits until it stops by "
                f"itself, and may spend {left or 'more'}; lower the cap first if that is too much."
            )
        after = f"{head}: {entry.text} ({price})"
        return "Accept a proposal", (f"{head}: open",), (after,), tuple(notes), _said(order, facts)
    named = f", named {', '.join(names)}" if names else ""
    said = f": {text or entry.text}" if entry.kind == "edit_guideline" or text else ""
    notes = [
        "The task of a run is pinned. A task for a new run is written, with the votes that still "
        "hold; this run goes on as it is."
    ]
    return (
        "Accept a proposal, for a new run",
        (f"{head}: open",),
        (f"task for a new run: {entry.kind} {entry.target}{named}{said}",),
        tuple(notes),
        _said(order, facts),
    )


def _dismiss(order: Order, facts: Facts) -> _Made:
    entry = proposal(facts, order.payload["number"])
    assert entry is not None
    head = f"proposal {entry.number} ({entry.kind}: {entry.target})"
    return (
        "Dismiss a proposal",
        (f"{head}: open",),
        (f"{head}: dismissed",),
        (),
        _said(order, facts),
    )


def _review(order: Order, facts: Facts) -> _Made:
    item, name = order.payload["item_id"], order.payload["label"]
    notes = (
        "A person's label is final: it trains the student from then on.",
        _when(facts),
        *(("A finished run delivers again without buying anything.",)
          if facts.state == "finished" else ()),
    )  # fmt: skip
    return (
        "Correct a label",
        (f"{item}: {facts.label_of(item)}",),
        (f"{item}: {name or 'no label fits'}, by {order.payload['reviewer']}",),
        notes,
        _said(order, facts),
    )


def _hand_in(order: Order, facts: Facts) -> _Made:
    return (
        "Hand the answers in",
        (f"{facts.questions} questions are open",),
        ("the run goes on with the answers that are there; the others stay unanswered",),
        (_when(facts),),
        _said(order, facts),
    )


def _guideline(order: Order, facts: Facts) -> _Made:
    text = order.payload["text"]
    old = facts.guidelines.rstrip()
    notes = (
        "The task of a run is pinned. A task for a new run is written, with the votes that were "
        "given; put them before the other annotators where they still hold. This run goes on as "
        "it is.",
    )
    changed = f"{old}\n\n{text}".strip()
    return (
        "Add a guideline, for a new run",
        (),
        (f"guidelines: {text}",),
        notes,
        _yaml({"task": {"guidelines": changed}}),
    )


_MAKERS: dict[OrderKind, Any] = {
    "stop": _stop,
    "resume": _resume,
    "cap": _cap,
    "finish": _finish,
    "focus": _focus,
    "value": _value,
    "accept_proposal": _accept,
    "dismiss_proposal": _dismiss,
    "review": _review,
    "hand_in": _hand_in,
    "guideline": _guideline,
}
