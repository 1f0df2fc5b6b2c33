"""What a quote says in sentences, for the terminal and the panel alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ENDS = (
    "The low end stops as early as the rule allows (a cap that is used up, a limit of time or "
    "an order to finish can end a run before); the high end runs every round and sends every label "
    "through all tiers."
)
"""What the two ends of a quote are."""


def remarks(
    quote: Mapping[str, Any], number: Callable[[int], str], usd: Callable[[float], str]
) -> list[str]:
    """What else is to be known of a run's cost: questions to people, later examples, the chat.

    Args:
        quote: Of `labelwright plan --json`.
        number: How whole numbers are written.
        usd: How amounts of USD are written.
    """
    lines = []
    if asked := quote.get("questions"):
        lines += [_asked(asked, number), *asked["remarks"]]
    if later := quote.get("examples"):
        lines.append(
            "Texts that people offer as examples during the run are shown to chat models. Each "
            f"adds about {number(later['tokens'])} tokens to a request, and a request shows at "
            f"most {number(later['most'])}; the quote is without them."
        )
    if chat := quote.get("chat"):
        lines.append(_chat(chat, usd))
    return lines


def _asked(asked: Mapping[str, Any], number: Callable[[int], str]) -> str:
    people, expected, most = asked["people"], asked["expected"], asked["most"]
    who = "You" if len(people) == 1 else f"The people ({', '.join(people)})"
    if expected == most:
        return f"{who} will be asked {number(most)} question{'s' * (most != 1)}."
    return (
        f"{who} will be asked {number(asked['fewest'])} to {number(most)} questions, about "
        f"{number(expected)} in the middle of the range."
    )


def _chat(chat: Mapping[str, Any], usd: Callable[[float], str]) -> str:
    if not chat["most_usd"]:
        return f"The chat's model ({chat['model']}) is free."
    return (
        f"The chat's model ({chat['model']}) is paid from the cap as it is used, beside this "
        f"quote. A typical question costs about {usd(chat['usd'])}, what the model looks up comes "
        f"on top, and none may cost more than {usd(chat['most_usd'])}."
    )
