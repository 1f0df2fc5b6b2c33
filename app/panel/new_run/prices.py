"""The price of a person's label: asked for once, and used wherever a person's label counts."""

from __future__ import annotations

from typing import Any

from .form import optional

USUAL = 0.10
"""What `human.label_usd` is where nobody states it."""


def priced_person(config: dict[str, Any]) -> tuple[str, float] | None:
    """Name and price of the first person among the annotators who is paid by label.

    Whoever answered before, in recorded votes, counts where nobody is asked now.
    """
    asked = [one for one in config["annotators"] if one["kind"] == "human"]
    before = [one for one in config["annotators"] if one.get("person")]
    for one in (*asked, *before):
        price = one.get("price")
        if isinstance(price, dict):
            per_label = price.get("per_label")
            if isinstance(per_label, int | float):
                return str(one.get("name", "")), float(per_label)
    return None


def stated(config: dict[str, Any]) -> float:
    """What a label by a person counts as."""
    return float(config.get("human", {}).get("label_usd", USUAL))


def carry_over(config: dict[str, Any], before: tuple[str, float] | None) -> None:
    """Value errors at a person's price that was entered since; a file's own figure stays till then.

    Args:
        config: The draft.
        before: What `priced_person` said before.
    """
    now = priced_person(config)
    human = config.get("human", {})
    if now is None or (now == before and "label_usd" in human):
        return
    human = dict(human)
    optional(human, "label_usd", now[1], USUAL)
    if human:
        config["human"] = human
