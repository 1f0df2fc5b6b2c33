"""Texts that nobody has vouched for, as a terminal or a page may show them."""

from __future__ import annotations

import unicodedata

LONGEST = 4_000
"""Characters of a text that are shown at once."""
LONGEST_NAME = 40


def visible(text: str) -> str:
    """A text with control characters and marks of direction made visible.

    A terminal's escape codes, or a mark that turns the direction of what follows, would otherwise
    change how the words around them are read.
    """
    return "".join(_shown(character) for character in text)


def shortened(text: str, most: int = LONGEST) -> str:
    """The beginning of a text, with what was left out said."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\N{HORIZONTAL ELLIPSIS} ({len(text) - most:,} more characters)"


def as_name(text: str) -> str:
    """A person's name as it is kept: on one line, without marks that can not be seen, not long."""
    seen = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(seen.split())[:LONGEST_NAME].strip()


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} and character != "\u200d":
        return (
            f"\N{LEFT-POINTING ANGLE BRACKET}U+{ord(character):04X}\N{RIGHT-POINTING ANGLE BRACKET}"
        )
    return character
