"""The first `run.yaml`: a commented template, filled from the header of a data file."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from string import Template

from ..tools.errors import DataError

TEMPLATE = Path(__file__).parent / "templates" / "run.yaml"
SCHEMA = Path(__file__).parent.parent / "graph" / "run.schema.json"

_LOOK_AT = 1000
_LONGEST_CELL = 10_000
_MOST_VALUES = 10_000
_MOST_LABELS = 200
_TEXT = ("text", "message", "content", "body", "review", "sentence", "comment", "question")
_ID = ("id", "item_id", "uuid", "key", "_id")
_GOLD = ("gold", "label", "class", "category", "target", "intent", "sentiment", "topic", "y")
_BLANK_LABEL = """    - name: ""   # write your labels
      description: ""   # what belongs here, in a sentence"""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ID_WORDS = frozenset(
    ("id", "ids", "uid", "guid", "uuid", "key", "no", "nr", "num", "number", "nummer", "index", "#")
)
"""Last words of names such as ticket_no, messageId and "Order Nr."."""
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[^\W\d_][^\W\d_A-Z]*|#")
_LONGEST_ID = 100
_SHORT_ID = 40
_ENOUGH_ROWS = 10
"""Rows from which it says something that all values of a column differ, whatever its name."""
_MOST_IDS = 1_000_000
"""Rows that are held against each other."""
_MOST_CANDIDATES = 3
_CURRENCY = r"(?:[$€£¥₹]|usd|eur|gbp|chf|jpy|cny|inr|aud|cad|sek|nok|dkk|pln|czk|kr|kč|zł)"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_NO_ID = re.compile(
    "|".join(
        (
            # A measurement, or an amount: 0.25, 1.2e-3, 1,200.50, $12, 12 EUR, (3.10), 12%.
            r"[-+(]*\d*[.,]\d+(?:[eE][-+]?\d+)?\)?%?",
            r"[-+(]*\d{1,3}(?:[.,'\u2019 \u00a0]\d{3})+(?:[.,]\d+)?\)?",
            r"[-+(]*[$€£¥₹]\s?[-+]?[\d.,'\s]*\d\)?",
            rf"[-+(]*[\d.,'\s]*\d\s?(?:{_CURRENCY}|%)\)?",
            rf"{_CURRENCY}\s?[-+]?[\d.,']*[.,]\d+",
            # A moment: 2024-01-31, 31.1.2024 12:30, 2024-01-31T12:30:00Z, 31-Jan-2024, 12:30.
            r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}\.?(?:[T ,].*)?",
            rf"\d{{1,2}}[-/. ]?{_MONTH}[-/. ,]*\d{{2,4}}(?:[T ,].*)?",
            rf"{_MONTH}[- ]?\d{{1,2}}[-, ]+\d{{2,4}}(?:[T ,].*)?",
            r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]\.?m\.?)?",
            # An e-mail address.
            r"(?:mailto:)?[^@\s]+@[^@\s]+\.[^@\s.]+",
        )
    ),
    re.IGNORECASE,
)
"""Values that may all differ and still name no row."""


@dataclass(frozen=True)
class Columns:
    """What a data file seems to hold.

    Attributes:
        names: All columns.
        text: The column to label.
        id: A column with a value in each row, all different, if there is one that is known or
            named like an id, or is the only short one.
        gold: A column that looks like labels, if there is one.
        labels: Rows by label, the most frequent first; empty without `gold`.
    """

    names: tuple[str, ...]
    text: str
    id: str | None
    gold: str | None
    labels: dict[str, int]


def look_at(path: Path) -> Columns:
    """Guess the columns from the first rows; see in all of them if ids differ, and count labels.

    Raises:
        DataError: The file can not be read, or no column holds text.
    """
    rows = _fields(path)
    # A small file can unpack to more than there is memory for.
    first = [
        {n: v[:_LONGEST_CELL] if isinstance(v, str) else v for n, v in row.items()}
        for row in islice(rows, _LOOK_AT)
    ]
    names = tuple(dict.fromkeys(name for row in first for name in row))
    gold = next((name for name in _named(names, _GOLD) if _few_values(first, name)), None)
    ids = [
        name
        for name in _named_like_ids(names)
        if name != gold and _all_differ(first, name) and not _something_else(first, name)
    ]
    # What is named like an id may still be the only text.
    rest = [name for name in names if name not in (*ids, gold)]
    if not any(isinstance(row.get(name), str) for row in first for name in rest):
        ids = [name for name in ids if name in _named(names, _ID)]
    text = _text_column(path, first, [name for name in names if name not in (*ids, gold)])
    ids = ids or _only_short(first, [name for name in names if name not in (text, gold)])
    seen = {name: {hash(str(row[name])) for row in first} for name in ids[:_MOST_CANDIDATES]}
    labels: Counter[str] = Counter()
    for number, row in enumerate(chain(first, rows)):
        if gold is None and (not seen or number >= _MOST_IDS):
            break
        if _LOOK_AT <= number < _MOST_IDS:
            for name in [name for name in seen if not _is_new(row.get(name), seen[name])]:
                del seen[name]
        if gold is not None and (value := row.get(gold)) not in (None, ""):
            label = str(value)
            if label in labels or len(labels) < _MOST_VALUES:
                labels[label] += 1
    return Columns(
        names, text, next(iter(seen), None), gold, dict(labels.most_common(_MOST_LABELS))
    )


def render(file: Path, data: Path | None, columns: Columns | None) -> str:
    """The text of a new run configuration.

    Args:
        file: Where it is going to be.
        data: The data file, or None for a placeholder.
        columns: What `look_at` found there.
    """
    if data is None:
        path = "data.csv"
    else:
        # As it was typed: absolute stays absolute, the rest must be found from the file's folder.
        path = str(data) if data.is_absolute() else os.path.relpath(data, file.parent)
    values = {
        "schema": SCHEMA.name,
        "file": file.name,
        "name": json.dumps(data.stem if data else "my task", ensure_ascii=False),
        "path": json.dumps(Path(path).as_posix(), ensure_ascii=False),
        "text": json.dumps(text_template(columns.text if columns else "text"), ensure_ascii=False),
        "labels": _labels(columns.labels if columns else {}),
        "id": _optional("id", columns.id if columns else None, "a column with a unique id"),
        "gold": _optional(
            "gold",
            columns.gold if columns else None,
            "true labels; only the evaluation sees them",
        ),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _fields(path: Path) -> Iterable[dict[str, object]]:
    from ..tools.readers import DataConfig, Row, read_rows
    from ..tools.task import LabelConfig, TaskConfig

    # Any task will do: it is the rows' fields that are looked at.
    task = TaskConfig(
        name="header", labels=[LabelConfig(name="a"), LabelConfig(name="b")], text="."
    )
    return (
        entry.fields for entry in read_rows(DataConfig(path=path), task) if isinstance(entry, Row)
    )


def _named(names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    """Columns with a known name, the best known first."""
    folded = {name.strip().casefold(): name for name in names}
    return [folded[name] for name in known if name in folded]


def _named_like_ids(names: Iterable[str]) -> list[str]:
    """Columns whose name suggests an id: the well-known ones, then in the order of the file."""
    known = _named(names, _ID)
    like = [name for name in names if _last_word(name) in _ID_WORDS]
    return list(dict.fromkeys([*known, *like]))


def _last_word(name: str) -> str:
    words = _WORD.findall(unicodedata.normalize("NFKC", name))
    return words[-1].casefold() if words else ""


def _only_short(rows: list[dict[str, object]], names: list[str]) -> list[str]:
    """The column that could be an id by its values, where there is no second one."""
    if len(rows) < _ENOUGH_ROWS:
        return []
    found = [name for name in names if _all_differ(rows, name) and _looks_like_ids(rows, name)]
    return found if len(found) == 1 else []


def _looks_like_ids(rows: list[dict[str, object]], name: str) -> bool:
    """Whether the values are short, of one word, and no amounts, dates or addresses."""
    values = [str(row[name]).strip() for row in rows]
    return all(
        len(value) <= _SHORT_ID and len(value.split()) == 1 and not _NO_ID.fullmatch(value)
        for value in values
    )


def _something_else(rows: list[dict[str, object]], name: str) -> bool:
    """Whether a column is of amounts, dates or addresses, whatever its name suggests."""
    return all(_NO_ID.fullmatch(str(row[name]).strip()) for row in rows)


def _all_differ(rows: list[dict[str, object]], name: str) -> bool:
    seen: set[int] = set()
    return all(_is_new(row.get(name), seen) for row in rows)


def _is_new(value: object, seen: set[int]) -> bool:
    """Whether a value is there, can be an id and was not seen before; it is seen from now on."""
    text = "" if value is None else str(value)
    if not text.strip() or len(text) > _LONGEST_ID or hash(text) in seen:
        return False
    seen.add(hash(text))
    return True


def _few_values(rows: list[dict[str, object]], name: str) -> bool:
    values = {str(row[name]) for row in rows if row.get(name) not in (None, "")}
    return 2 <= len(values) <= max(2, min(_MOST_LABELS, len(rows) // 2))


def _text_column(path: Path, rows: list[dict[str, object]], names: list[str]) -> str:
    """The column with a known name, else the one with the longest texts."""
    lengths = {
        name: sum(len(value) for row in rows if isinstance(value := row.get(name), str))
        for name in names
    }
    known = [name for name in _named(names, _TEXT) if lengths[name]]
    longest = max(names, key=lambda name: lengths[name], default=None)
    if known:
        return known[0]
    if longest is None or not lengths[longest]:
        raise DataError(
            f"{path}: no column holds text. Columns found: {', '.join(map(repr, names)) or 'none'}."
        )
    return longest


def text_template(column: str) -> str:
    """The text template that reads one column."""
    return f"{{{{ {column} }}}}" if _PLAIN.fullmatch(column) else f"{{{{ row[{column!r}] }}}}"


def _optional(key: str, column: str | None, meaning: str) -> str:
    if column is None:
        return f"  # {key}: {key}   # {meaning}"
    return f"  {key}: {json.dumps(column, ensure_ascii=False)}   # {meaning}"


def _labels(counts: dict[str, int]) -> str:
    if len(counts) < 2:
        # Blank names are refused: nobody pays for labels that were never written.
        return "\n".join([_BLANK_LABEL] * 2)
    lines = []
    for name, rows in counts.items():
        counted = f"   # rows: {rows:,}" if rows else ""
        lines.append(f"    - name: {json.dumps(name, ensure_ascii=False)}{counted}")
        lines.append('      description: ""   # what belongs here, in a sentence')
    return "\n".join(lines)
