"""Reading amounts, labels and counts as people write them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from ...tools.task import normalised_label

MOST_USD = Decimal(10_000_000)
MOST_ROUNDS = 50
QUOTES = "\"'`\u201c\u201d\u2018\u2019"

_READABLE = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)?(?:([.,])(\d+))?")
_COUNTS = dict(
    zip(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
        range(1, 11),
        strict=True,
    )
)
_LIST = re.compile(r"\s*(?:,|;|&|\+)\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)


class NotUnderstood(ValueError):
    """What was meant could not be read; the message says so to the person.

    Args:
        why: The message.
        near: Whether sentences like it are to be named; not where it was read but lacks something.
    """

    def __init__(self, why: str, *, near: bool = True) -> None:
        super().__init__(why)
        self.near = near


def cleaned(text: str) -> str:
    """A message without odd spaces, courtesies and the punctuation at its end."""
    text = " ".join(text.split())
    text = re.sub(
        r"^(?:(?:please|pls|ok(?:ay)?|hey|hi|now|then|just|so|could you|can you|would you|"
        r"i want (?:you )?to|i'd like (?:you )?to|let's|let us)[, ]+)+",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(
        r"(?<![,\s])[,\s]*\b(?:please|pls|thanks|thank you)[\s.!]*$", "", text, flags=re.IGNORECASE
    )
    return text.rstrip(" .!?…") or text


def amount(words: str) -> float:
    """USD of an amount as people write it: $3, 3 dollars, USD 3, 50 cents, 1,000.50 or 2,50.

    Raises:
        NotUnderstood: It is none, is negative, or is no amount that a run could spend.
    """
    said = unicodedata.normalize("NFKC", words).strip().casefold()
    cents = bool(re.search(r"(?:cents?|¢|c)$", said))
    bare = re.sub(r"^(?:usd?|us\$)?\s*\$?\s*", "", said)
    bare = re.sub(r"\s*(?:\$|dollars?|usd|bucks|cents?|¢|c)$", "", bare).strip()
    if bare.startswith("-"):
        raise NotUnderstood(f"an amount is 0 or more; found {words.strip()!r}.")
    found = _READABLE.fullmatch(bare)
    if not bare or found is None or not any(found.groups()):
        raise NotUnderstood(
            f"{words.strip()!r} is no amount in USD; write it as $3, 2.50 dollars or 50 cents."
        )
    whole, mark, rest = found.groups()
    whole = whole or "0"
    if mark == "," and "," not in whole and rest and len(rest) == 3:
        whole, rest = whole + rest, ""  # 1,000 is a thousand, 2,5 is two and a half
    value = Decimal(f"{whole.replace(',', '')}.{rest or '0'}") / (100 if cents else 1)
    if value > MOST_USD:
        raise NotUnderstood(
            f"{words.strip()!r} is more than ${MOST_USD:,}; write a smaller amount."
        )
    return float(round(value, 6))


def count(words: str, most: int) -> int:
    """A whole number from 1 on, in digits or as a word up to ten.

    Raises:
        NotUnderstood: It is none, or above ``most``.
    """
    said = words.strip().casefold()
    number = _COUNTS.get(said) or (int(said) if re.fullmatch(r"[0-9]{1,9}", said) else 0)
    if not 1 <= number <= most:
        raise NotUnderstood(f"{words.strip()!r}: expected a whole number from 1 to {most}.")
    return number


def label(words: str, labels: Sequence[str]) -> str:
    """The label that is meant: case, spaces, hyphens and what follows a unique beginning are free.

    Raises:
        NotUnderstood: None, or more than one; names those that are near.
    """
    said = _loose(words)
    by_form = {_loose(name): name for name in labels}
    if words in labels:
        return words
    if said in by_form:
        return by_form[said]
    begun = [name for form, name in by_form.items() if said and form.startswith(said)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise NotUnderstood(f"{words.strip()!r} could be {_either(begun)}; write more of it.")
    near = [by_form[form] for form in difflib.get_close_matches(said, list(by_form), 3, 0.5)]
    hint = f"did you mean {_either(near)}?" if near else f"the labels are {', '.join(labels)}."
    raise NotUnderstood(f"there is no label {words.strip()!r}; {hint}")


def label_list(words: str, labels: Sequence[str]) -> list[str]:
    """One label or several, separated by commas or "and", each once and in the order given.

    Raises:
        NotUnderstood: One of them is none.
    """
    try:
        return [label(words, labels)]  # a label may itself hold a comma
    except NotUnderstood:
        parts = [part for part in _LIST.split(words) if part.strip()]
        if len(parts) < 2:
            raise
        return list(dict.fromkeys(label(part, labels) for part in parts))


def _loose(words: str) -> str:
    bare = words.strip().strip(QUOTES).removeprefix("label ").strip()
    return re.sub(r"[\s_-]+", "_", normalised_label(bare))


def _either(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names[:4]]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
