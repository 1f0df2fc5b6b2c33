"""The first `run.yaml`: a commented template, filled from the header of a data file."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
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


@dataclass(frozen=True)
class Columns:
    """What a data file seems to hold.

    Attributes:
        names: All columns.
        text: The column to label.
        id: A column with a different value in each row looked at, if there is one.
        gold: A column that looks like labels, if there is one.
        labels: Rows by label, the most frequent first; empty without `gold`.
    """

    names: tuple[str, ...]
    text: str
    id: str | None
    gold: str | None
    labels: dict[str, int]


def look_at(path: Path) -> Columns:
    """Guess the columns from the first rows, and count the labels in all of them.

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
    known_id = next((name for name in _named(names, _ID) if _all_differ(first, name)), None)
    gold = next((name for name in _named(names, _GOLD) if _few_values(first, name)), None)
    text = _text_column(path, first, [name for name in names if name not in (known_id, gold)])
    labels: Counter[str] = Counter()
    if gold is not None:
        for row in (*first, *rows):
            if (value := row.get(gold)) not in (None, ""):
                label = str(value)
                if label in labels or len(labels) < _MOST_VALUES:
                    labels[label] += 1
    return Columns(names, text, known_id, gold, dict(labels.most_common(_MOST_LABELS)))


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


def _all_differ(rows: list[dict[str, object]], name: str) -> bool:
    values = [str(row.get(name) or "") for row in rows]
    return all(values) and len(set(values)) == len(values)


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
