"""Messages of a run as inert HTML: who, when, what, and the details for those who want them."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby
from urllib.parse import quote

import streamlit as st

from ....tools.watch.feed import Message
from ....tools.watch.lines import Line
from .. import formats, theme
from ..plain import shortened, visible

_LONGEST_LINE = 1_500
_SAID = frozenset(("operator", "answer", "offer"))
_OPEN = frozenset(("deliver", "guarantee"))
_MARKS = {"before": "\N{MINUS SIGN}", "after": "+", "note": "\N{MIDDLE DOT}"}

# Every colour is mixed from the current one, so that it is right in both themes.
_CSS = """
.lw-log { font-size: .9rem; line-height: 1.4; overflow-wrap: anywhere; }
.lw-log > div + div { margin-top: 1rem; }
.lw-log header { display: flex; gap: .6rem; font-size: .76rem; opacity: .72; }
.lw-log header time { margin-inline-start: auto; white-space: nowrap; }
.lw-log summary { cursor: pointer; }
.lw-log ul { margin: .2rem 0 .1rem; padding-inline-start: 1.05rem; font-size: .85rem; }
.lw-log li, .lw-log p { margin: 0 0 .15rem; font-size: inherit; line-height: inherit; }
.lw-log details > ul { opacity: .85; }
.lw-log .lw-mark { font-weight: 600; }
.lw-log pre { margin: .25rem 0; padding: .4rem .6rem; font-size: .8rem; white-space: pre-wrap;
  overflow-wrap: anywhere; max-height: 14rem; overflow-y: auto;
  background: color-mix(in srgb, currentColor 5%, transparent); }
.lw-diff { margin: .25rem 0; padding: 0; list-style: none; }
.lw-diff.lw-diff { padding: 0; }
.lw-diff li { padding: .12rem .5rem; list-style: none; margin: 0 0 .12rem;
  white-space: pre-wrap; unicode-bidi: plaintext; }
.lw-diff .lw-before { background: color-mix(in srgb, #c4645a 17%, transparent); }
.lw-diff .lw-after { background: color-mix(in srgb, #3d8f86 20%, transparent); }
.lw-diff .lw-plain { opacity: .85; font-size: .86rem; }
.lw-log .lw-text { max-height: 9rem; font-size: .86rem; margin: .2rem 0; }
[data-testid="stChatMessage"] { padding: .45rem .6rem; gap: .55rem; }
"""


def rules() -> None:
    """Put the rules for messages into the page; they take no room."""
    theme.rules(_CSS)


def show_messages(messages: Iterable[Message], *, apart: bool) -> None:
    """Show messages; what was said as chat, what was decided as entries of a log.

    Args:
        messages: Oldest first.
        apart: Whether each entry is an element of its own, so that details which a reader has
            opened stay open when further entries come. Together they are drawn sooner.
    """
    for said, group in groupby(messages, lambda one: one.key if one.kind in _SAID else ""):
        if said:
            for message in group:
                _show_said(message)
            continue
        entries = [f"{_head(message)}{_entry(message)}" for message in group]
        for shown in entries if apart else ["</div><div>".join(entries)]:
            st.html(f'<div class="lw-log"><div>{shown}</div></div>')


def _show_said(message: Message) -> None:
    with st.chat_message("user" if message.kind == "operator" else "ai", avatar=_face(message)):
        st.html(f'<div class="lw-log">{_head(message)}{_body(message)}</div>')


def change_html(message: Message) -> str:
    """The diff of an offer, with its notes and its patch."""
    data = message.data
    rows = [
        *(Line(text, "before") for text in data["before"]),
        *(Line(text, "after") for text in data["after"]),
        *(Line(text, "note") for text in data["notes"]),
    ]
    items = "".join(_diff_row(row) for row in rows)
    patch = safe(str(data["patch"]).rstrip(), 8_000)
    return (
        f'<ul class="lw-diff">{items}</ul>'
        "<details><summary>The same for a run without a panel</summary>"
        f"<pre>{patch}</pre></details>"
    )


def safe(text: str, most: int = _LONGEST_LINE) -> str:
    """A text from outside, as it may stand in HTML."""
    return escape(visible(shortened(text, most)))


def _head(message: Message) -> str:
    when = safe(formats.when(message.at))
    return f"<header><span>{safe(message.who, 60)}</span><time>{when}</time></header>"


def _body(message: Message) -> str:
    title = f'<p class="lw-mark">{safe(message.title)}</p>' if message.title else ""
    lines = "".join(_line(line) for line in message.lines)
    if message.kind != "offer":
        return title + lines
    if message.state == "open":
        return f"{title}{lines}<p>It waits for your word below.</p>"
    became = "".join(f"<p>{safe(line)}</p>" for line in message.data["became"])
    return title + lines + change_html(message) + became


def _entry(message: Message) -> str:
    title = safe(message.title)
    if message.kind == "proposal":
        title += f" [{safe(message.state)}]"
    if not message.lines:
        return f"<p>{title}</p>"
    lines = "".join(f"<li>{safe(line.text)}</li>" for line in message.lines)
    opened = " open" if message.kind in _OPEN else ""
    return f"<details{opened}><summary>{title}</summary><ul>{lines}</ul></details>"


def _line(line: Line) -> str:
    if line.role == "item":
        head = f"<p>{safe(line.item, 200)}</p>" if line.item else ""
        return f'{head}<div class="lw-text" dir="auto">{safe(line.text, 2_000)}</div>'
    return f"<p>{safe(line.text)}</p>"


def _diff_row(line: Line) -> str:
    kind = {"before": "lw-before", "after": "lw-after"}.get(line.role, "lw-plain")
    return f'<li class="{kind}">{_MARKS[line.role]} {safe(line.text)}</li>'


def _face(message: Message) -> str:
    """A picture with the first letter of who says it; drawn here, so that nothing is fetched."""
    letter = next((c for c in message.who if c.isalnum()), "?").upper()
    fill = "#6f7a80" if message.kind == "operator" else "#3d7a74"
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="6" fill="{fill}"/>'
        '<text x="16" y="22" fill="#ffffff" font-family="sans-serif" font-size="17" '
        f'text-anchor="middle">{escape(letter)}</text></svg>'
    )
    return f"data:image/svg+xml;utf8,{quote(drawing)}"
