"""The labelled pool as a file: JSON Lines, Parquet or CSV, one record for each input row.

Records stream through: never more than one row group is in memory. A file is replaced whole.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]

COLUMNS = {
    "id": "string",
    "text": "string",
    "label": "string",
    "source": "string",
    "p_correct": "float64",
    "calibrated": "bool",
    "outcome": "string",
    "reason": "string",
    "suggestion": "string",
    "duplicate_of": "string",
    "near_duplicate_of": "string",
    "line": "int64",
    "fields": "string",
}
"""Columns of the tables with their Arrow types; ``fields``, the input row, is JSON text."""

ROW_GROUP = 10_000
_MOST_FIELDS = 500
"""Columns that the input's own fields may fill in a CSV."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; at the end the file there takes the place of `path` at once.

    Readers see the old file or the new one, never a part. After an exception the old file stays.

    Args:
        path: the file to write; its folder must exist.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text as UTF-8, replacing the file at once."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")


def write_jsonl(path: Path, rows: Iterable[Record]) -> None:
    """Write one JSON object a line, all keys as given, `fields` as an object.

    Args:
        path: the file, replaced at once.
        rows: records; read once, one at a time.
    """
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(_json(row) + "\n")


def write_parquet(path: Path, rows: Iterable[Record]) -> None:
    """Write the columns of `COLUMNS` in row groups of 10,000; a missing value is null.

    Args:
        path: the file, replaced at once.
        rows: records; read once, a row group at a time.
    """
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(list(COLUMNS.items()))
    source = iter(rows)
    with replacing(path) as draft, parquet.ParquetWriter(draft, schema) as writer:
        while group := [_flat(row) for row in islice(source, ROW_GROUP)]:
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))


def write_csv(path: Path, rows: Iterable[Record]) -> None:
    """Write the columns of `COLUMNS` as CSV: UTF-8 without a mark, quoted where needed.

    In place of ``fields`` the input's own fields have a column each, in order of appearance; lists
    and objects are JSON text. A field by the name of another column is ``input.NAME``, and is left
    out if it says the same in all rows. Of more than 500 of them, ``fields`` is kept as JSON text.

    A text that a spreadsheet would take for a formula (it starts with ``= + - @``, a tab or a
    carriage return) gets an apostrophe in front. A missing value is an empty cell, a truth value
    ``true`` or ``false``. For exact texts read the JSON Lines or Parquet file.

    Args:
        path: the file, replaced at once.
        rows: records; read once, one at a time.
    """
    with (
        replacing(path) as draft,
        draft.open("w", encoding="utf-8", newline="") as file,
        # The columns are known at the end only, and the rows may be many.
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent) as spool,
    ):
        differs: dict[str, bool] = {}
        for row in rows:
            spool.write(_json(row) + "\n")
            for name, value in (row.get("fields") or {}).items():
                same = name in COLUMNS and _cell(value) == _cell(row.get(name))
                differs[name] = differs.get(name, False) or not same
        own = [name for name, shown in differs.items() if shown]
        columns = list(COLUMNS)
        if len(own) <= _MOST_FIELDS:
            columns.remove("fields")
        else:
            own = []
        table = csv.writer(file)
        table.writerow([*columns, *_titles(own)])
        spool.seek(0)
        for row in map(json.loads, spool):
            fields = row.get("fields") or {}
            values = [*map(_flat(row).get, columns), *map(fields.get, own)]
            table.writerow(map(_cell, values))


def _titles(own: Iterable[str]) -> list[str]:
    """Names for columns of the input's own fields, each there once and none a formula."""
    taken = dict.fromkeys(COLUMNS)
    for name in own:
        title = name
        while _cell(title) in taken:
            title = f"input.{title}"
        taken[_cell(title)] = None
    return list(taken)[len(COLUMNS) :]


def _flat(row: Record) -> Record:
    """The record with `COLUMNS` alone, and `fields` as text."""
    flat = {name: row.get(name) for name in COLUMNS}
    if flat["fields"] is not None:
        flat["fields"] = _json(flat["fields"])
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return _json(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
