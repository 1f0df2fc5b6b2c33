"""From the parts of a sentence to the order or the question that it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...tools.money import NANO, to_usd
from ...tools.reviews import Review
from .facts import Facts
from .said import Order, OrderKind, Question
from .words import MOST_ROUNDS, QUOTES, NotUnderstood, amount, count, label, label_list

FOCUS_ROUNDS = 3
"""Batches that search for labels where no number is given."""
_UP, _DOWN = ("raise", "increase"), ("lower", "cut", "reduce", "decrease")


@dataclass(frozen=True)
class Heard:
    """A sentence that a pattern has read, and the run that it is said to."""

    found: re.Match[str]
    facts: Facts

    @property
    def words(self) -> str:
        """The whole sentence."""
        return self.found.group(0)

    def part(self, name: str) -> str | None:
        """A named part; ``None`` where the sentence, or its pattern, has none."""
        return self.found.groupdict().get(name)

    def given(self, name: str) -> str:
        """A named part that the pattern always has."""
        return self.found[name]


Build = Callable[[Heard], Order | Question]


def fixed(kind: OrderKind, hint: str = "") -> Build:
    """An order without parts."""
    return lambda _: Order(kind, {}, hint)


def finish(heard: Heard) -> Order:
    """The order to end the run; "stop" alone may have meant a pause."""
    plain = heard.words.casefold() in {"stop", "end", "stop it", "end it", "stop the run"}
    hint = 'To stop for now and go on later, say "pause" instead.' if plain else ""
    return Order("finish", {}, hint)


def cap(heard: Heard) -> Order:
    """A new cap: an amount, an amount on top of what is spent, or a step up or down."""
    usd = amount(heard.given("amount"))
    was = 0.0 if heard.facts.cap is None else to_usd(heard.facts.cap)
    if heard.part("more") is not None:
        usd += to_usd(heard.facts.balance.committed)
    elif heard.part("by"):
        usd = was - usd if (heard.part("verb") or "").casefold() in _DOWN else was + usd
    if usd < 0:
        raise NotUnderstood(f"that would be a cap below $0; the cap is ${was:,.2f}.")
    raised = (heard.part("verb") or "").casefold() in _UP
    hint = "That is less than the cap now: it is lowered." if raised and usd < was else ""
    return Order("cap", {"usd": round(usd, 6), "was": was}, hint)


def focus(heard: Heard) -> Order:
    """The order to search for labels."""
    rounds = heard.part("rounds")
    return Order(
        "focus",
        {
            "labels": label_list(heard.given("labels"), heard.facts.labels),
            "rounds": FOCUS_ROUNDS if rounds is None else count(rounds, MOST_ROUNDS),
        },
    )


def value(heard: Heard) -> Order:
    """The order to value a point of accuracy."""
    usd = amount(heard.given("amount"))
    if usd <= 0:
        raise NotUnderstood("a point of accuracy is worth more than $0; say how much.")
    return Order("value", {"point_usd": usd})


def _number(words: str | None, facts: Facts) -> int:
    if words is not None:
        return count(words, 100_000)
    waiting = [one.number for one in facts.proposals if one.state == "open"]
    if len(waiting) != 1:
        there = ", ".join(map(str, waiting)) or "none is open"
        raise NotUnderstood(f"say which proposal by its number ({there}).")
    return waiting[0]


def accept(heard: Heard) -> Order:
    """The order to accept a proposal."""
    names = [name.strip() for name in (heard.part("names") or "").split(",") if name.strip()]
    text = (heard.part("text") or "").strip() or None
    number = _number(heard.part("number"), heard.facts)
    return Order("accept_proposal", {"number": number, "names": names, "text": text})


def dismiss(heard: Heard) -> Order:
    """The order to dismiss a proposal."""
    return Order("dismiss_proposal", {"number": _number(heard.part("number"), heard.facts)})


def relabel(heard: Heard) -> Order:
    """A correction in the operator's name."""
    item = _item(heard.part("item"), heard.facts)
    said = heard.given("label").strip()
    none = said.casefold() in {"no label", "none", "nothing", "no label fits"}
    none = none and not any(said.casefold() == name.casefold() for name in heard.facts.labels)
    name = None if none else label(said, heard.facts.labels)
    verdict: Literal["label", "no_label"] = "no_label" if none else "label"
    return Order("review", Review(0, item, heard.facts.by, verdict, name).payload())


def guideline(heard: Heard) -> Order:
    """A new guideline, or the one that was proposed last."""
    text = (heard.part("text") or "").strip()
    if text:
        return Order("guideline", {"text": text})
    edits = [p for p in heard.facts.proposals if p.kind == "edit_guideline" and p.state == "open"]
    if not edits:
        raise NotUnderstood('there is no proposed guideline; write it: "guideline: TEXT".')
    return Order("accept_proposal", {"number": edits[-1].number, "names": [], "text": None})


def question(name: str) -> Build:
    """A question without parts."""
    return lambda _: Question(name)


def why(heard: Heard) -> Question:
    """The question about one item."""
    said = (heard.part("item") or "").strip().strip(QUOTES)
    item = _item(said, heard.facts)
    # The answer says that it is another item's, under the id that was asked for.
    return Question("why", items=(said if heard.facts.same_text(said) == item else item,))


def _item(words: str | None, facts: Facts) -> str:
    said = (words or "this").strip().strip(QUOTES)
    said = said if facts.has_item(said) else said.removeprefix("item ").strip()
    if facts.has_item(said):
        return said
    if said.casefold() in {"this", "it", "this item", "this text", "this label", "that"}:
        if facts.item is None:
            such = f", as in `why {facts.an_item}`" if facts.an_item else ""
            raise NotUnderstood(f"open an item on the page Items, or say its id{such}.", near=False)
        return facts.item
    if (first := facts.same_text(said)) is not None:
        return first
    raise NotUnderstood(f"the pool has no item {said[:80]!r}.")


def confusion(heard: Heard) -> Question:
    """The question about two labels, or all."""
    if heard.part("one") is None:
        return Question("confusion")
    pair = (
        label(heard.given("one"), heard.facts.labels),
        label(heard.given("other"), heard.facts.labels),
    )
    if pair[0] == pair[1]:
        raise NotUnderstood(f"{pair[0]!r} twice; name two different labels.")
    return Question("confusion", labels=pair)


def next_dollars(heard: Heard) -> Question:
    """The question about more money."""
    said = heard.part("amount")
    usd = 1.0 if said is None else amount(said)
    if usd * NANO < 1:
        raise NotUnderstood("say an amount above $0.")
    return Question("next_dollars", usd=usd)
