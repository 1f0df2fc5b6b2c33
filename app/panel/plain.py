"""Texts that nobody has vouched for, shown as text: nothing in them is markup, link or code."""

from __future__ import annotations

import html
import re

import streamlit as st

from ..plain_text import LONGEST, shortened, visible

__all__ = ["LONGEST", "escaped", "shortened", "show_text", "text_html", "visible"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")
_LINK = re.compile(r"(?<=:/)(?=/)|(?<=www)(?=\.)|(?<=@)", re.IGNORECASE)


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
