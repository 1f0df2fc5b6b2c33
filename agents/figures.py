"""Figures in what a model writes: only those that it was given are let through."""

from __future__ import annotations

import re
from collections.abc import Collection

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def numbers(text: str) -> set[float]:
    """The numbers that are written in a text, signs left out."""
    return {float(found.replace(",", "")) for found in _NUMBER.findall(text)}


def invented(text: str, given: Collection[float]) -> float | None:
    """The least number in a text that was not given; ``None`` where all were."""
    for number in sorted(numbers(text)):
        # Counting on the fingers and 0.02 written as 2 % are no inventions.
        if number > 10 and number not in given and round(number / 100, 6) not in given:
            return number
    return None
