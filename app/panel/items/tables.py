"""Small tables of texts that nobody has vouched for."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from ..plain import shortened, visible

_SHORT = 18
_CSS = """<style>
.lw-table { overflow-x: auto; max-height: 26rem; overflow-y: auto; }
.lw-table table { border-collapse: collapse; width: 100%; font-size: .9rem; }
.lw-table th, .lw-table td {
  text-align: start; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent);
  white-space: pre-wrap; overflow-wrap: anywhere; min-width: 4.5rem; max-width: 32rem;
}
.lw-table th { font-weight: 600; opacity: .75; }
.lw-table th, .lw-table .lw-short { overflow-wrap: normal; min-width: auto; }
</style>"""


def show_table(headers: Sequence[str], rows: Sequence[Sequence[str]], most: int = 600) -> None:
    """Show rows of texts; each cell is text and nothing else.

    Args:
        headers: Length m; words of the panel's own.
        rows: Each of length m.
        most: Characters of a cell that are shown.
    """
    head = "".join(f"<th>{html.escape(header)}</th>" for header in headers)
    body = "".join("<tr>" + "".join(_cell(cell, most) for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    st.html(f'{_CSS}<div class="lw-table">{table}</div>')


def _cell(text: str, most: int) -> str:
    # A short word stays whole, so that narrow screens scroll the table instead of breaking it.
    kind = ' class="lw-short"' if len(text) <= _SHORT else ""
    return f'<td dir="auto"{kind}>{html.escape(visible(shortened(text, most)))}</td>'
