"""The reading of a sentence by the list of commands. No model is asked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from .builders import Heard, guideline
from .commands import COMMANDS, GUIDELINE, Command
from .facts import Facts
from .said import Order, Question, Unclear
from .words import NotUnderstood, cleaned

LONGEST = 20_000
"""Characters of a sentence that are read."""


def parse(text: str, facts: Facts) -> Order | Question | Unclear:
    """Read a sentence of the operator.

    Args:
        text: As it was typed.
        facts: The run, against which labels, items and proposals are read.

    Returns:
        An order or a question of `COMMANDS`, or why it is none. Whether the run can take the order
        now is `orders.fault`'s to say. Never raises.
    """
    if len(text) > LONGEST:
        return Unclear(f"That is {len(text):,} characters long; at most {LONGEST:,} are read.")
    try:
        if (given := GUIDELINE.fullmatch(text.strip())) is not None:
            return guideline(Heard(given, facts))
        words = cleaned(text)
        for command, found in _matches(words):
            return command.build(Heard(found, facts))
    except NotUnderstood as error:
        near = _near(cleaned(text)) if error.near else ()
        return Unclear(f"{str(error)[:1].upper()}{str(error)[1:]}", near)
    if not words:
        return Unclear("Nothing was said.", ("help", "status"))
    return Unclear("That is none of the commands.", _near(words))


def sentence(order: Order) -> str:
    """The sentence that is read as this order."""
    payload, kind = order.payload, order.kind
    if kind == "cap":
        return f"cap ${_plain(payload['usd'])}"
    if kind == "value":
        return f"a point is worth ${_plain(payload['point_usd'])}"
    if kind == "focus":
        rounds = payload["rounds"]
        named = ", ".join(payload["labels"])
        return f"focus on {named} for {rounds} round{'s' if rounds > 1 else ''}"
    if kind == "accept_proposal":
        named = f" as {', '.join(payload['names'])}" if payload["names"] else ""
        text = f": {payload['text']}" if payload["text"] else ""
        return f"accept proposal {payload['number']}{named}{text}"
    if kind == "dismiss_proposal":
        return f"dismiss proposal {payload['number']}"
    if kind == "review":
        return f"relabel {payload['item_id']} as {payload['label'] or 'no label'}"
    if kind == "guideline":
        return f"guideline: {payload['text']}"
    return {"stop": "pause", "resume": "resume", "finish": "finish", "hand_in": "hand in"}[kind]


def _plain(usd: float) -> str:
    return f"{usd:.6f}".rstrip("0").rstrip(".")


def _matches(words: str) -> Iterator[tuple[Command, re.Match[str]]]:
    for command in COMMANDS:
        for pattern in command.patterns:
            if (found := pattern.fullmatch(words)) is not None:
                yield command, found


def _near(words: str) -> tuple[str, ...]:
    """Documented forms that are like a sentence: misspelt, or about the same."""
    forms = [form for command in COMMANDS for form in command.forms]
    said = words.casefold()[:200]
    by_form = {re.sub(r"\[.*?\]", "", form).strip().casefold(): form for form in forms}
    # Likeness of letters alone says little of a whole sentence.
    like = difflib.get_close_matches(said, list(by_form), 3, 0.75)
    first = [word for word in said.split()[:1] if word not in _EVERYWHERE]
    # A misspelt or half-known first word says more than the rest.
    heads = [form for form in by_form if first and difflib.get_close_matches(
        first[0], [form.split()[0]], 1, 0.75)]  # fmt: skip
    found = [*(by_form[form] for form in [*like, *heads]), *_about_the_same(said)]
    return tuple(dict.fromkeys(found))[:4]


def _about_the_same(said: str) -> list[str]:
    """First forms of the commands with which a sentence shares most of its telling words."""
    telling = [word for word in _WORD.findall(said) if word not in _EVERYWHERE]
    scores = {}
    for command in COMMANDS:
        forms = _telling(command.forms)
        others = _telling([command.what, *(pattern.pattern for pattern in command.patterns)])
        hits = [2 if _among(word, forms) else 1 if _among(word, others) else 0 for word in telling]
        if sum(map(bool, hits)) * 2 >= len(telling):
            scores[command.forms[0]] = sum(hits)
    best = max(scores.values(), default=0)
    return [form for form, score in scores.items() if score == best > 0][:2]


def _telling(texts: Iterable[str]) -> set[str]:
    # What stands for a name, such as LABEL, is in capitals.
    return {word for text in texts for word in _WORD.findall(text)} - _EVERYWHERE


def _among(word: str, known: set[str]) -> bool:
    if len(word) < _STEM:
        return word in known
    return any(
        len(other) >= _STEM and (word.startswith(other) or other.startswith(word))
        for other in known
    ) or bool(difflib.get_close_matches(word, known, 1, 0.8))


_WORD = re.compile(r"[a-z]{3,}")
_STEM = 4
"""Letters from which a word that begins another one is taken for the same."""
_EVERYWHERE = frozenset(
    _WORD.findall(
        "about all and any are been but can could did does for from get give had has have how into "
        "just let may more much not now one our out please put run shall should show such tell "
        "than that the them then there these they this too use very want was were what when where "
        "which who why will with would you your"
    )
)
"""Words that say nothing of what a sentence is about."""
