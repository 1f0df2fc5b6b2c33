"""Exports: exact, streaming, replaced whole, and harmless in a spreadsheet."""

import csv
import json
import weakref
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from labelwright.tools import export
from labelwright.tools.export import COLUMNS, write_csv, write_jsonl, write_parquet

PLAIN = [name for name in COLUMNS if name != "fields"]
WRITERS = [write_jsonl, write_parquet, write_csv]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def record(n: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"row-{n}",
        "text": f"text {n}",
        "label": "refund",
        "source": "panel",
        "p_correct": 0.875,
        "calibrated": True,
        "outcome": "accept",
        "reason": "p_correct 0.875",
        "suggestion": None,
        "duplicate_of": None,
        "near_duplicate_of": None,
        "line": n + 1,
        "fields": {"text": f"text {n}", "rank": n, "tags": ["ä", None]},
    } | changes


APART = {"label": None, "source": None, "p_correct": None, "suggestion": "refund"}


def test_json_lines_keep_every_record_as_it_is(tmp_path):
    rows = [record(0), record(1, **APART), record(2, text="two\nlines \u2028 and “quotes”")]
    path = tmp_path / "labels.jsonl"
    write_jsonl(path, iter(rows))
    raw = path.read_bytes()
    assert [json.loads(line) for line in raw.decode().split("\n")[:-1]] == rows
    assert raw.endswith(b"\n")
    assert "“quotes”".encode() in raw


def test_parquet_has_the_declared_columns_and_json_fields(tmp_path):
    path = tmp_path / "labels.parquet"
    write_parquet(path, iter([record(0), record(1, **APART)]))
    table = parquet.read_table(path)
    assert table.schema.names == list(COLUMNS)
    kinds = {field.name: field.type for field in table.schema}
    assert kinds.pop("p_correct") == pa.float64()
    assert kinds.pop("calibrated") == pa.bool_()
    assert kinds.pop("line") == pa.int64()
    assert set(kinds.values()) == {pa.string()}
    first, second = table.to_pylist()
    assert json.loads(first.pop("fields")) == record(0)["fields"]
    assert first == {k: v for k, v in record(0).items() if k != "fields"}
    assert [second[k] for k in APART] == list(APART.values())


def test_columns_keep_their_type_where_a_row_group_has_no_value(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ROW_GROUP", 2)
    path = tmp_path / "labels.parquet"
    write_parquet(path, (record(n, **(APART if n < 2 else {})) for n in range(5)))
    with parquet.ParquetFile(path) as file:
        assert [file.metadata.row_group(k).num_rows for k in range(3)] == [2, 2, 1]
    assert parquet.read_table(path)["label"].to_pylist() == [None, None, *["refund"] * 3]


def read_csv(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_cells(tmp_path):
    path = tmp_path / "labels.csv"
    write_csv(path, iter([record(0, text='a "b", c\r\nd'), record(1, **APART, calibrated=False)]))
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf")
    first, second = read_csv(path)
    assert list(first) == [*PLAIN, "input.text", "rank", "tags"]
    assert first["text"] == 'a "b", c\r\nd'
    assert (first["p_correct"], first["calibrated"], first["line"]) == ("0.875", "true", "1")
    assert (first["input.text"], first["rank"]) == ("text 0", "0")
    assert json.loads(first["tags"]) == ["ä", None]
    assert (second["label"], second["calibrated"], second["suggestion"]) == ("", "false", "refund")


def test_own_fields_of_the_input_have_columns_of_their_own_in_a_csv(tmp_path):
    path = tmp_path / "labels.csv"
    own = [
        {"id": "row-0", "label": "old", "input.label": 1, "=cmd()": "=cmd()"},
        {"id": "row-1", "late": True, "line": 2},
        None,
    ]
    write_csv(path, (record(n, fields=fields) for n, fields in enumerate(own)))
    first, second, third = read_csv(path)
    # The id says nothing new; a name that is taken is led by another word.
    names = ["input.label", "input.input.label", "'=cmd()", "late"]
    assert list(first) == PLAIN + names
    assert [first[name] for name in names] == ["old", "1", "'=cmd()", ""]
    assert [second[name] for name in names] == ["", "", "", "true"]
    assert [third[name] for name in names] == [""] * 4


def test_names_of_own_fields_stay_apart_and_too_many_stay_together(tmp_path):
    path = tmp_path / "labels.csv"
    write_csv(path, iter([record(fields={"=a": 1, "'=a": 2})]))
    (row,) = read_csv(path)
    assert (row["'=a"], row["input.'=a"]) == ("1", "2")
    write_csv(path, (record(n, fields={f"key {n}": n}) for n in range(600)))
    rows = read_csv(path)
    assert list(rows[0]) == list(COLUMNS)
    assert json.loads(rows[7]["fields"]) == {"key 7": 7}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["", "=", "+", "-", "@", "\t", "\r"]), TEXT)
def test_no_csv_cell_is_a_formula_and_every_text_can_be_read_back(tmp_path_factory, start, rest):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    text = start + rest
    write_csv(path, iter([record(id=text, text=text, label=text, reason=text)]))
    (row,) = read_csv(path)
    for name in ("id", "text", "label", "reason"):
        cell = row[name]
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell == (f"'{text}" if text[:1] in {*"=+-@\t\r"} - {""} else text)


@pytest.mark.parametrize("write", WRITERS)
def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, write):
    path = tmp_path / "labels"
    write(path, iter([record()]))
    before = path.read_bytes()

    def broken():
        yield record(1)
        raise RuntimeError("the pool is gone")

    with pytest.raises(RuntimeError, match="the pool is gone"):
        write(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", WRITERS)
def test_no_rows_are_a_file_too(tmp_path, write):
    path = tmp_path / "labels"
    write(path, iter([]))
    assert path.exists()
    if write is write_parquet:
        assert parquet.read_table(path).num_rows == 0


class Traced(dict):
    """A record whose end of life can be seen."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("write", WRITERS)
def test_records_do_not_pile_up(tmp_path, monkeypatch, write):
    monkeypatch.setattr(export, "ROW_GROUP", 10)
    alive: weakref.WeakValueDictionary[int, Traced] = weakref.WeakValueDictionary()
    most = 0

    def rows():
        nonlocal most
        for n in range(200):
            row = Traced(record(n))
            alive[n] = row
            most = max(most, len(alive))
            yield row

    write(tmp_path / "labels", rows())
    assert most <= 11


def test_a_figure_that_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_jsonl(tmp_path / "labels.jsonl", iter([record(p_correct=float("nan"))]))
