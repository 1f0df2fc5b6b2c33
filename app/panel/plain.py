"""Texts that nobody has vouched for, shown as text: nothing in them is markup, link or code."""

from __future__ import annotations

import html
import re
import unicodedata

import streamlit as st

LONGEST = 4_000
"""Characters of a text that are shown at once."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:])")
_LINK = re.compile(r"(?<=:/)(?=/)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)


def visible(text: str) -> str:
    """A text with control characters and marks of direction made visible.

    A terminal's escape codes, or a mark that turns the direction of what follows, would otherwise
    change how the words around them are read.
    """
    return "".join(_shown(character) for character in text)


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


def shortened(text: str, most: int = LONGEST) -> str:
    """The beginning of a text, with what was left out said."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\N{HORIZONTAL ELLIPSIS} ({len(text) - most:,} more characters)"


def text_html(text: str, most: int = LONGEST) -> str:
    """A text as one inert block of HTML, in its own direction of writing."""
    body = html.escape(visible(shortened(text, most)))
    return f'<div class="lw-text" dir="auto">{body}</div>'


def show_text(text: str, most: int = LONGEST) -> None:
    """Show a text of the pool, or any other that nobody has vouched for."""
    st.html(text_html(text, most))


def escaped(text: str, most: int = 200) -> str:
    """A short text for places that read Markdown: labels of buttons, messages, captions."""
    words = visible(shortened(text, most)).replace("\n", " ")
    # Addresses become links after escapes are read; a word joiner, which nobody sees, parts them.
    return _MARKDOWN.sub(r"\\\1", _LINK.sub("\N{WORD JOINER}", words))
