"""Figures and their names as a dense grid, and other small pieces of inert HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ....tools.audit import Interval
from .. import formats, theme
from ..plain import visible

# Every colour is mixed from the current one, so that it is right in both themes.
_CSS = """
.lw-facts.lw-facts { display: grid; gap: .65rem 1rem; margin: 0; padding: 0; }
.lw-facts div { min-width: 0; overflow-wrap: anywhere; }
.lw-facts dt { font-size: .8rem; opacity: .72; margin: 0; }
.lw-facts dd { margin: 0; font-size: 1.32rem; font-weight: 600; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.lw-facts small { display: block; font-size: .78rem; opacity: .72; line-height: 1.35; }
.lw-bar { height: .45rem; border-radius: .25rem; overflow: hidden; margin: .3rem 0 .5rem;
  background: color-mix(in srgb, currentColor 14%, transparent); display: flex; }
.lw-bar i { display: block; height: 100%; background: #3d8f86; }
.lw-bar i.lw-bound { background: #c77f3a; }
.lw-steps.lw-steps { padding: 0; display: grid; gap: .12rem .9rem;
  grid-template-columns: max-content 1fr; margin: .35rem 0; font-size: .87rem; }
.lw-steps dt { opacity: .72; margin: 0; }
.lw-steps dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.lw-head { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: baseline; }
.lw-head h1 { overflow-wrap: anywhere; padding: 0 !important; margin: 0; }
.lw-state { border: 1px solid color-mix(in srgb, currentColor 45%, transparent);
  border-radius: 1rem; padding: .05rem .65rem; font-size: .85rem; white-space: nowrap; }
.lw-state.lw-on { border-color: #3d8f86; box-shadow: inset 0 0 0 1px #3d8f86; }
.lw-state.lw-bad { border-color: #c4645a; box-shadow: inset 0 0 0 1px #c4645a; }
.lw-beside { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; align-items: center; }
.lw-beside > div { flex: 1 1 13rem; min-width: 0; }
.lw-beside > div:first-child { flex: 2 1 19rem; }
.lw-wide { overflow-x: auto; }
.lw-table { border-collapse: collapse; width: 100%; font-size: .87rem;
  font-variant-numeric: tabular-nums; }
.lw-table th, .lw-table td { text-align: start; vertical-align: top; padding: .28rem .6rem;
  min-width: 4.6rem; overflow-wrap: anywhere; font-weight: 400; border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 16%, transparent); }
.lw-table th { opacity: .72; }
.lw-note { font-size: .85rem; opacity: .78; margin: 0; overflow-wrap: anywhere; }
"""

UNCALIBRATED = "not known"
"""What stands for an accuracy that nothing backs."""


def rules() -> None:
    """Put the rules for these pieces into the page; they take no room."""
    theme.rules(_CSS)


def safe(text: str) -> str:
    """A text from outside, as it may stand in HTML."""
    return escape(visible(text))


def facts(entries: Iterable[tuple[str, str, str]], least: str = "6.6rem") -> str:
    """A grid of figures: (name, value, what is to be known about it), all of them plain text.

    Args:
        entries: The figures.
        least: Width of a column at least, which says how many stand side by side.
    """
    cells = "".join(
        f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd>"
        f"{f'<small>{safe(note)}</small>' if note else ''}</div>"
        for name, value, note in entries
    )
    columns = f"repeat(auto-fit, minmax({least}, 1fr))"
    return f'<dl class="lw-facts" style="grid-template-columns:{columns}">{cells}</dl>'


def bar(share: float, bound: float = 0.0) -> str:
    """A bar that is full to a share, and bound for a further one."""
    first, second = (max(0.0, min(1.0, part)) for part in (share, bound))
    return (
        f'<div class="lw-bar"><i style="width:{100 * first:.2f}%"></i>'
        f'<i class="lw-bound" style="width:{100 * min(second, 1 - first):.2f}%"></i></div>'
    )


def steps(entries: Iterable[tuple[str, str]]) -> str:
    """Names with what is to be said of them, line by line."""
    lines = "".join(f"<dt>{safe(name)}</dt><dd>{safe(text)}</dd>" for name, text in entries)
    return f'<dl class="lw-steps">{lines}</dl>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells wrap, and that scrolls sideways where it must; the first cell names."""
    top = "".join(f'<th scope="col">{safe(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{safe(first)}</th>'
        + "".join(f"<td>{safe(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="lw-wide"><table class="lw-table"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def note(text: str) -> str:
    """A remark in small letters."""
    return f'<p class="lw-note">{safe(text)}</p>'


def accuracy(interval: Interval) -> tuple[str, str]:
    """An accuracy as a value and the words on it: interval and number of audits."""
    if interval.estimate is None:
        return UNCALIBRATED, "no audits yet"
    low, high = formats.percent(interval.low), formats.percent(interval.high)
    n = f"n = {formats.number(interval.n)}".replace(" ", "\N{NO-BREAK SPACE}")
    return formats.percent(interval.estimate), f"{low} to {high}, {n}"
