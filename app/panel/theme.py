"""How the panel looks: two themes of the same calm colours, and a few rules for small screens."""

from __future__ import annotations

import streamlit as st

_SHARED: dict[str, str | int] = {
    "primaryColor": "#3d7a74",
    "baseRadius": "4px",
    "baseFontSize": 15,
}
_LIGHT = {
    "primaryColor": "#3d7a74",
    "backgroundColor": "#fcfcfa",
    "secondaryBackgroundColor": "#f1f2ee",
    "textColor": "#23292b",
    "linkColor": "#2c655f",
    "borderColor": "#d5d8d2",
}
_DARK = {
    "primaryColor": "#46938a",
    "backgroundColor": "#15191a",
    "secondaryBackgroundColor": "#1f2526",
    "textColor": "#e3e7e4",
    "linkColor": "#86c5bd",
    "borderColor": "#3a4243",
}

OPTIONS: dict[str, str | int] = {
    **{f"theme.{name}": value for name, value in _SHARED.items()},
    **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
    **{f"theme.dark.{name}": value for name, value in _DARK.items()},
}
"""Options of Streamlit's configuration; which of the two applies is the browser's wish."""

# Colours are mixed from the current one, so each rule is right in both themes.
_CSS = """
.lw-text {
  white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; text-align: start;
  max-height: 24rem; overflow-y: auto; padding: .5rem .75rem; line-height: 1.45;
  border-inline-start: 3px solid color-mix(in srgb, currentColor 25%, transparent);
  background: color-mix(in srgb, currentColor 4%, transparent);
}
.stMainBlockContainer { padding-top: 3.75rem; padding-bottom: 3rem; max-width: 84rem; }
h1 { font-size: 1.6rem !important; padding: .25rem 0 .5rem !important; }
h2 { font-size: 1.25rem !important; }
h3 { font-size: 1.08rem !important; }
[data-testid="stMetricValue"] { font-size: 1.45rem; }
[data-testid="stMetricLabel"] p { overflow-wrap: anywhere; white-space: normal; }
[data-testid="stBaseButton-tertiary"] p { text-align: start; text-decoration: underline;
  text-decoration-color: color-mix(in srgb, currentColor 35%, transparent); }
.stMarkdown, .stAlert { overflow-wrap: anywhere; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-left: .9rem; padding-right: .9rem; }
}
"""


def apply() -> None:
    """Put the panel's rules into the page; they take no room."""
    rules(_CSS)


def rules(css: str) -> None:
    """Put rules of style into the page; they take no room.

    Not alone: Streamlit keeps what is nothing but style among its passing messages, where the next
    one of a part that runs by itself takes its place.
    """
    st.html(
        '<div class="lw-rules"></div>'
        f"<style>.stElementContainer:has(.lw-rules) {{ display: none; }}\n{css}</style>"
    )
