import hashlib
import json
import tracemalloc
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labelwright.tools.errors import DataError
from labelwright.tools.readers import DataConfig, ReadReport, Rejected, Row, read_rows
from labelwright.tools.task import LabelConfig, TaskConfig

LABELS = [LabelConfig(name="Spam"), LabelConfig(name="ham")]


def read(path, text="{{ text }}", report=None, **columns):
    task = TaskConfig(name="t", labels=LABELS, text=text)
    return list(read_rows(DataConfig(path=path, **columns), task, report))


def put(tmp_path, name, content, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def derived(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rejected(rows):
    return [row for row in rows if isinstance(row, Rejected)]


def texts(rows):
    return [row.text for row in rows if isinstance(row, Row)]


# ---- CSV and TSV


def test_csv_row_with_id_and_gold(tmp_path):
    path = put(tmp_path, "a.csv", "id,text,label,stars\n007,hello,SPAM ,5\n")
    assert read(path, id="id", gold="label") == [
        Row(2, "007", "hello", {"id": "007", "text": "hello", "stars": "5"}, "Spam")
    ]


def test_byte_order_mark_and_windows_newlines(tmp_path):
    path = put(tmp_path, "a.csv", "\ufefftext,b\r\nx,1\r\ny,2\r\n")
    rows = read(path)
    assert texts(rows) == ["x", "y"]
    assert [row.line for row in rows] == [2, 3]


def test_quotes_newlines_and_commas_inside_a_field(tmp_path):
    path = put(tmp_path, "a.csv", 'text,b\n"one ""1"",\ntwo",x\nthree,y\n')
    rows = read(path)
    assert texts(rows) == ['one "1",\ntwo', "three"]
    assert [row.line for row in rows] == [2, 4]


def test_ragged_rows_are_rejected_with_their_line(tmp_path):
    path = put(tmp_path, "a.csv", 'text,b\n"a\nb",1\nonly\nc,2,3\nd,4\n')
    rows = read(path)
    assert texts(rows) == ["a\nb", "d"]
    assert rejected(rows) == [
        Rejected(4, "1 columns instead of 2"),
        Rejected(5, "3 columns instead of 2"),
    ]


def test_broken_quoting_spoils_its_own_row(tmp_path):
    path = put(tmp_path, "a.csv", 'text,b\n"a" b,1\nc,2\n')
    rows = read(path)
    assert texts(rows) == ["c"]
    assert rejected(rows)[0].line == 2
    assert "broken quoting" in rejected(rows)[0].reason


def test_a_quote_that_is_never_closed_says_what_it_took(tmp_path):
    path = put(tmp_path, "a.csv", 'text,b\na,1\n"b,2\nc,3\nd,4\n')
    (row, bad) = read(path)
    assert row.text == "a"
    assert (bad.line, "(lines 3 to 5)" in bad.reason) == (3, True)


def test_undecodable_bytes_spoil_their_own_row(tmp_path):
    path = put(tmp_path, "a.csv", b"text\nok\nbad \xff byte\nfine\n")
    rows = read(path)
    assert texts(rows) == ["ok", "fine"]
    assert rejected(rows)[0].line == 3
    assert "not text in the file's encoding" in rejected(rows)[0].reason


def test_nul_bytes_and_empty_texts_are_rejected(tmp_path):
    path = put(tmp_path, "a.csv", "text,b\na\0,1\n   ,2\n\nc,3\n")
    rows = read(path)
    assert texts(rows) == ["c"]
    assert [(bad.line, bad.reason) for bad in rejected(rows)] == [
        (2, "the row has a NUL byte"),
        (3, "the text is empty"),
    ]


def test_other_encodings(tmp_path):
    assert texts(read(put(tmp_path, "a.csv", "text\nñ\n", "cp1252"), encoding="cp1252")) == ["ñ"]
    assert texts(read(put(tmp_path, "b.tsv", "text\nñ\n", "utf-16"), encoding="utf-16")) == ["ñ"]
    with pytest.raises(ValidationError, match="unknown encoding 'utf-7x'"):
        DataConfig(path=tmp_path / "a.csv", encoding="utf-7x")


def test_tsv_keeps_commas(tmp_path):
    assert texts(read(put(tmp_path, "a.tsv", "text\tb\na, b\t1\n"))) == ["a, b"]


def test_five_megabyte_fields(tmp_path):
    long = "x" * 5_000_000
    assert texts(read(put(tmp_path, "a.csv", f"text\n{long}\n"))) == [long]
    assert texts(read(put(tmp_path, "a.jsonl", json.dumps({"text": long})))) == [long]


# ---- ids


def test_derived_ids_count_later_copies_and_are_stable_under_appending(tmp_path):
    path = put(tmp_path, "a.csv", "text,n\nx,1\ny,2\nx ,3\nx,4\n")
    ids = [row.id for row in read(path)]
    assert ids == [derived("x"), derived("y"), derived("x") + "-2", derived("x") + "-3"]
    with path.open("a") as file:
        file.write("x,5\nz,6\n")
    assert [row.id for row in read(path)][:4] == ids


def test_a_duplicate_id_is_rejected_and_names_the_first_line(tmp_path):
    rows = read(put(tmp_path, "a.csv", "id,text\n1,a\n2,b\n1,c\n,d\n"), id="id")
    assert rejected(rows) == [
        Rejected(4, "the id '1' was on line 2 before", "1"),
        Rejected(5, "the id column 'id' is empty or missing"),
    ]


def test_the_id_of_a_rejected_row_stays_free(tmp_path):
    rows = read(put(tmp_path, "a.csv", "id,text\n1,\n1,a\n"), id="id")
    assert [row.id for row in rows] == ["1", "1"]
    assert texts(rows) == ["a"]


def test_ids_are_texts_whatever_their_type(tmp_path):
    lines = [{"k": 7, "text": "a"}, {"k": "007", "text": "b"}, {"k": True, "text": "c"}]
    path = put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert [row.id for row in read(path, id="k")] == ["7", "007", "true"]
    pq.write_table(pa.table({"k": ["007", "7"], "text": ["a", "b"]}), tmp_path / "s.parquet")
    pq.write_table(pa.table({"k": [7, 2**62], "text": ["a", "b"]}), tmp_path / "n.parquet")
    assert [row.id for row in read(tmp_path / "s.parquet", id="k")] == ["007", "7"]
    assert [row.id for row in read(tmp_path / "n.parquet", id="k")] == ["7", str(2**62)]


# ---- gold


def test_gold_reaches_neither_fields_nor_text(tmp_path):
    path = put(tmp_path, "a.csv", "text,label\na,ham\n")
    (row,) = read(path, gold="label")
    assert row.fields == {"text": "a"}
    with pytest.raises(DataError, match="'label' is undefined"):
        read(path, text="{{ text }} {{ label }}", gold="label")


def test_unknown_gold_is_counted_and_the_row_kept(tmp_path):
    path = put(tmp_path, "a.csv", "text,label\na,ham\nb,eggs\nc,\nd,eggs\n")
    report = ReadReport()
    rows = read(path, gold="label", report=report)
    assert [row.gold for row in rows] == ["ham", None, None, None]
    assert report == ReadReport(rows=4, rejected=0, with_gold=3, unknown_gold={"eggs": 2})


def test_a_gold_column_without_any_value_is_an_error(tmp_path):
    path = put(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": "b", "label": null}\n')
    with pytest.raises(DataError, match="no row has a value in the gold column 'lable'"):
        read(path, gold="lable")


def test_id_and_gold_must_differ(tmp_path):
    with pytest.raises(ValidationError, match="same column 'a'"):
        DataConfig(path=tmp_path, id="a", gold="a")


# ---- JSON lines


def test_lines_that_are_no_objects_are_rejected(tmp_path):
    lines = ['{"text": "a"}', "[1]", '"b"', "{", "", '{"text": 5}', '{"other": 1}', "[" * 100_000]
    rows = read(put(tmp_path, "a.jsonl", "\r\n".join(lines)))
    assert texts(rows) == ["a", "5"]
    assert [bad.line for bad in rejected(rows)] == [2, 3, 4, 7, 8]
    reasons = [bad.reason for bad in rejected(rows)]
    assert reasons[0] == "expected a JSON object ({...}), found a list"
    assert reasons[2].startswith("not valid JSON")
    assert "'text' is undefined" in reasons[3]


def test_nested_fields_and_odd_numbers(tmp_path):
    line = '{"m": {"t": ["x", {"y": "z"}]}, "n": NaN, "i": 1e999, "b": false, "text": null}'
    (row,) = read(put(tmp_path, "a.ndjson", "\ufeff" + line), text="{{ m.t[1].y }}{{ text }}")
    assert row.text == "z"
    assert row.fields["n"] is None
    assert row.fields["i"] is None
    json.dumps(row.fields, allow_nan=False)


def test_separators_inside_a_string_end_no_line(tmp_path):
    text = "a\u2028b\x85c\rd"
    path = put(tmp_path, "a.jsonl", json.dumps({"text": text}, ensure_ascii=False) + "\n" * 3)
    assert texts(read(path)) == [text]


def test_surrogates(tmp_path):
    content = '{"text": "\\ud83d\\ude00"}\n{"text": "\\ud83d"}\n{"text": "a", "o": ["\\uDE00"]}\n'
    rows = read(put(tmp_path, "a.jsonl", content))
    assert texts(rows) == ["😀"]
    assert [bad.line for bad in rejected(rows)] == [2, 3]


def test_an_escaped_nul_in_the_text_is_rejected(tmp_path):
    rows = read(put(tmp_path, "a.jsonl", '{"text": "a\\u0000"}\n{"text": "b"}'))
    assert rejected(rows) == [Rejected(1, "the text has a NUL byte")]


# ---- Parquet


def test_parquet_values_become_json(tmp_path):
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    table = pa.table(
        {
            "text": ["a", None, "c"],
            "day": [date(2024, 5, 6), None, None],
            "moment": pa.array([moment, None, None], pa.timestamp("ns", "UTC")),
            "clock": pa.array([time(1, 2, 3), None, None], pa.time64("ns")),
            "long": pa.array([timedelta(hours=2), None, None], pa.duration("ns")),
            "price": [Decimal("1.10"), None, None],
            "share": [float("nan"), 0.5, None],
            "raw": [b"x", b"\xff", None],
            "deep": [{"a": [date(2024, 1, 2)]}, None, None],
            "kind": pa.array(["u", "v", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, empty, last = read(tmp_path / "a.parquet")
    assert first.fields == {
        "text": "a",
        "day": "2024-05-06",
        "moment": "2024-05-06 07:08:09+00:00",
        "clock": "01:02:03",
        "long": "2:00:00",
        "price": "1.10",
        "share": None,
        "raw": "x",
        "deep": {"a": ["2024-01-02"]},
        "kind": "u",
    }
    assert empty == Rejected(2, "the text is empty")
    assert (last.line, last.text, last.fields["price"]) == (3, "c", None)
    json.dumps(last.fields, allow_nan=False)


def test_a_parquet_file_that_unpacks_to_much_is_read_in_little_memory(tmp_path):
    long = "x" * 200_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 600, pa.int32()), [long])
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    before, most = pa.total_allocated_bytes(), 0
    task = TaskConfig(name="t", labels=[{"name": "a"}, {"name": "b"}], text="{{ text }}")
    tracemalloc.start()
    try:
        for row in read_rows(DataConfig(path=tmp_path / "a.parquet"), task):
            assert row.text == long
            most = max(most, pa.total_allocated_bytes() - before)
        _, python = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of it is 120 MB.
    assert most < 20_000_000
    assert python < 10_000_000


def test_a_parquet_value_that_is_no_text_spoils_its_own_row(tmp_path):
    broken = pa.array([b"ok", b"\xff\xfe", b"fine"]).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet")
    assert texts(rows) == ["ok", "fine"]
    assert rejected(rows)[0].line == 2


def test_a_file_that_is_no_parquet(tmp_path):
    with pytest.raises(DataError, match="can not be read as Parquet"):
        read(put(tmp_path, "a.parquet", b"text\na\n"))


# ---- files and columns


def test_missing_file_folder_and_unknown_suffix(tmp_path):
    with pytest.raises(DataError, match=r"b\.csv does not exist"):
        read(tmp_path / "b.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match=r"d\.csv is not a file"):
        read(tmp_path / "d.csv")
    path = put(tmp_path, "a.txt", "text\na\n")
    with pytest.raises(DataError, match=r"unknown suffix '\.txt'.*\.csv"):
        read(path)
    assert texts(read(path, format="csv")) == ["a"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_column_is_named_before_any_row_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        path.write_text("title,body\na,b\n")
    else:
        pq.write_table(pa.table({"title": ["a"], "body": ["b"]}), path)
    with pytest.raises(DataError, match=r"no column 'text' .*text template.*'title', 'body'"):
        read(path)
    with pytest.raises(DataError, match=r"no column 'key' \(asked for by: id\)"):
        read(path, text="{{ title }}", id="key")
    with pytest.raises(DataError, match=r"no column 'label' \(asked for by: gold\)"):
        read(path, text="{{ title }}", gold="label")


def test_files_without_a_usable_row(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        read(put(tmp_path, "a.csv", ""))
    with pytest.raises(DataError, match="no usable row"):
        read(put(tmp_path, "b.csv", "text\n"))
    with pytest.raises(DataError, match=r"1 rejected\).*line 1: .*'text' is undefined"):
        read(put(tmp_path, "c.jsonl", '{"txt": 1}\n'))
    with pytest.raises(DataError, match="'text' is there twice"):
        read(put(tmp_path, "d.csv", "text,text\na,b\n"))


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = put(tmp_path, "a.csv", "text\n" + ("word " * 400 + "\n") * 5_000)
    task = TaskConfig(name="t", labels=LABELS)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(DataConfig(path=path), task))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 5_000
    assert peak < path.stat().st_size / 5


field = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(field, field), min_size=1, max_size=8))
def test_whatever_json_writes_comes_back_or_is_rejected(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("h") / "a.jsonl"
    pairs = [("first", ""), *pairs]
    lines = [json.dumps({"text": text, "o": other}, ensure_ascii=False) for text, other in pairs]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    rows = read(path)
    assert len(rows) == len(pairs)
    for row, (text, other) in zip(rows, pairs, strict=True):
        if isinstance(row, Row):
            assert row.text == text.strip()
            assert row.fields == {"text": text, "o": other}
        else:
            assert not text.strip()
