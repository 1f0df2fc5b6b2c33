"""What is in a data file: its columns, its first rows, and what is odd about the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.readers import DataConfig, Rejected, read_rows
from ....tools.task import LabelConfig, TaskConfig
from .. import formats
from ..plain import shortened, visible

FIRST = 8
_REASONS = 5
_LONGEST_CELL = 300
_MOST_GOLD = 500
_EMPTY = "the text is empty"
_ID = "the id "
_MOST_VALUES = 10_000
_LONGEST_TEXT = 2_000
_MOST_CHARACTERS = 400_000_000
"""Characters of rows that are read: a small file can unpack to more than there is time for."""
_ROW = 200
"""Characters that a row counts for beside its own: a short one takes memory, too."""


@dataclass
class Sample:
    """What a pass over a file found.

    Attributes:
        columns: In the order in which they come.
        rows: Usable rows.
        empty: Rows whose text is empty.
        idless: Rows without an id of their own: it is missing, or was there before.
        rejected: Rows that can not be used, the empty and the idless ones among them.
        reasons: The first reasons, with lines.
        duplicates: Rows whose text was there before.
        first: The first rows, for a table.
        texts: The beginnings of the texts that the template makes of them.
        gold: Rows by value of the gold column, the most frequent first.
        cut: Whether the file is larger than what was gone through.
    """

    columns: list[str] = field(default_factory=list)
    rows: int = 0
    empty: int = 0
    idless: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    duplicates: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    gold: dict[str, int] = field(default_factory=dict)
    cut: bool = False


def told(found: Sample) -> str:
    """What becomes of the rows of a file, in a sentence."""
    out = "and {is_} left out"
    unread = found.rejected - found.empty - found.idless
    parts = [
        _clause(found.empty, "{has} no text " + out),
        _clause(found.idless, "{has} no id of {its} own " + out),
        _clause(unread, "can not be read " + out),
        _clause(found.duplicates, "{repeats} the text of another row and {shares} its label"),
    ]
    rows = found.rows + found.rejected
    begun = "In the beginning of the file " if found.cut else ""
    there = f"{begun}{formats.number(rows)} row{'' if rows == 1 else 's'}"
    said = ", ".join(filter(None, parts))
    return f"{there}: {said}." if said else f"{there}: all can be used, and no text repeats."


def _clause(count: int, words: str) -> str:
    if not count:
        return ""
    one = {"has": "has", "is_": "is", "its": "its", "repeats": "repeats", "shares": "shares"}
    many = {"has": "have", "is_": "are", "its": "their", "repeats": "repeat", "shares": "share"}
    return f"{formats.number(count)} {words.format(**(one if count == 1 else many))}"


def sample(config: dict[str, Any]) -> Sample:
    """What is in the data file of a configuration.

    Raises:
        DataError: It can not be read as configured.
        ValueError: The columns or the encoding can not be what they are set to.
    """
    data, path = config["data"], Path(config["data"]["path"])
    changed = path.stat().st_mtime if path.is_file() else 0.0
    return _sample(
        str(path),
        changed,
        config["task"].get("text", "{{ text }}"),
        data.get("id"),
        data.get("gold"),
        data.get("encoding", "utf-8"),
        data.get("format"),
    )


@st.cache_data(max_entries=16, show_spinner="Reading the file")
def _sample(
    path: str,
    changed: float,  # noqa: ARG001 - part of the key: a file that was replaced is read again
    text: str,
    id: str | None,
    gold: str | None,
    encoding: str,
    format: Any,
) -> Sample:
    two = [LabelConfig(name="a"), LabelConfig(name="b")]
    task = TaskConfig(name="sample", labels=two, text=text)
    # Gold is read as one column among others: nothing is held against the two labels.
    data = DataConfig(path=Path(path), id=id, encoding=encoding, format=format)
    found = Sample()
    columns: dict[str, None] = {}
    seen: set[int] = set()
    labels: Counter[str] = Counter()
    characters = 0
    for row in read_rows(data, task):
        if characters > _MOST_CHARACTERS:
            found.cut = True
            break
        characters += _ROW
        if isinstance(row, Rejected):
            found.rejected += 1
            found.empty += row.reason == _EMPTY
            found.idless += row.reason.startswith(_ID)
            if len(found.reasons) < _REASONS:
                found.reasons.append(f"Line {row.line}: {row.reason}.")
            continue
        found.rows += 1
        cells = sum(len(cell) for cell in row.fields.values() if isinstance(cell, str))
        characters += max(len(row.text), cells)
        if len(columns) < _MOST_GOLD:
            columns.update(dict.fromkeys(row.fields))
        if (digest := hash(row.text)) in seen:
            found.duplicates += 1
        seen.add(digest)
        if gold and row.fields.get(gold) not in (None, ""):
            label = str(row.fields[gold])[:_LONGEST_TEXT]
            if label in labels or len(labels) < _MOST_VALUES:
                labels[label] += 1
        if len(found.first) < FIRST:
            found.first.append({name: _cell(value) for name, value in row.fields.items()})
            found.texts.append(row.text[:_LONGEST_TEXT])
    found.columns = list(columns)
    found.gold = dict(labels.most_common(_MOST_GOLD))
    return found


def _cell(value: Any) -> str:
    return "" if value is None else visible(shortened(str(value), _LONGEST_CELL))
