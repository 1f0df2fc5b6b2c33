import json

import pytest

from labelwright.tools.errors import DataError
from labelwright.tools.gold import Gold
from labelwright.tools.readers import DataConfig, Rejected, Row, read_rows
from labelwright.tools.rows import RowCounts, Rows, StoredRow
from labelwright.tools.task import LabelConfig, TaskConfig


def row(line, text, row_id=None, **fields):
    return Row(line, row_id or f"r{line}", text, fields, None)


def test_rows_come_back_in_order_with_their_duplicates(tmp_path):
    with Rows(tmp_path / "pool" / "rows.sqlite") as rows:
        first = rows.add_many([row(2, "a", n=1.5, s="日本\ud7ff"), row(3, "b"), row(4, "a")])
        assert [one.id for one in first] == ["r2", "r3"]
        assert rows.add_many([row(5, "b"), row(6, "c")]) == [row(6, "c")]
    with Rows(tmp_path / "pool" / "rows.sqlite") as rows:
        assert list(rows) == [
            StoredRow(1, 2, "r2", None, None, "r2", {"n": 1.5, "s": "日本\ud7ff"}),
            StoredRow(2, 3, "r3", None, None, "r3", {}),
            StoredRow(3, 4, "r4", "r2", None, "r2", {}),
            StoredRow(4, 5, "r5", "r3", None, "r3", {}),
            StoredRow(5, 6, "r6", None, None, "r6", {}),
        ]
        assert rows.counts() == RowCounts(5, 3, 2, 0, 0)


def test_adding_again_changes_nothing_and_names_the_same_items(tmp_path):
    batch = [row(1, "a"), row(2, "a"), Rejected(3, "empty", "x"), row(4, "b")]
    with Rows(tmp_path / "rows.sqlite") as rows:
        first = rows.add_many(batch)
        before = list(rows), rows.counts(), list(rows.rejected())
        assert rows.add_many(batch) == first == [batch[0], batch[3]]
        assert (list(rows), rows.counts(), list(rows.rejected())) == before
        assert before[2] == [Rejected(3, "empty", "x")]
        assert rows.add_many([]) == []


def test_a_corrected_row_is_no_longer_rejected(tmp_path):
    with Rows(tmp_path / "rows.sqlite") as rows:
        rows.add_many([row(1, "a"), Rejected(2, "broken"), Rejected(9, "broken")])
        rows.add_many([row(1, "a"), row(2, "b")])
        assert list(rows.rejected()) == [Rejected(9, "broken")]
        assert rows.counts() == RowCounts(2, 2, 0, 0, 1)


def test_an_id_with_another_text_is_refused_and_its_batch_is_not_kept(tmp_path):
    with Rows(tmp_path / "rows.sqlite") as rows:
        rows.add_many([row(1, "a", "x")])
        with pytest.raises(DataError, match=r"Line 3: the row 'x' was stored before \(line 1\)"):
            rows.add_many([row(2, "new"), row(3, "b", "x")])
        assert [stored.id for stored in rows] == ["x"]


def test_duplicates_of_a_near_duplicate_follow_it(tmp_path):
    with Rows(tmp_path / "rows.sqlite") as rows:
        rows.add_many([row(1, "a"), row(2, "a!"), row(3, "a!"), row(4, "b")])
        rows.set_near_duplicates({"r4": "r1"})
        rows.set_near_duplicates({"r2": "r1"})
        assert [(stored.id, stored.label_from) for stored in rows] == [
            ("r1", "r1"),
            ("r2", "r1"),
            ("r3", "r1"),
            ("r4", "r4"),
        ]
        assert [stored.near_duplicate_of for stored in rows] == [None, "r1", None, None]
        assert rows.counts() == RowCounts(4, 3, 1, 1, 0)


@pytest.mark.parametrize("near", [{"r2": "no"}, {"no": "r2"}, {"r2": "r1", "r3": "r2"}])
def test_near_duplicates_of_unknown_rows_and_chains_are_refused(tmp_path, near):
    with Rows(tmp_path / "rows.sqlite") as rows:
        rows.add_many([row(1, "a"), row(2, "b"), row(3, "c")])
        rows.set_near_duplicates({"r3": "r1"})
        with pytest.raises(DataError, match="Expected"):
            rows.set_near_duplicates(near)
        assert [stored.near_duplicate_of for stored in rows] == [None, None, "r1"]


def test_every_row_of_a_file_is_accounted_for_and_gold_is_kept_apart(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [{"text": "a", "y": "no"}, {"text": " a"}, {"text": ""}, {"text": "b", "y": "YES"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    task = TaskConfig(name="t", labels=[LabelConfig(name="yes"), LabelConfig(name="no")])
    read = list(read_rows(DataConfig(path=path, gold="y"), task))
    gold_path = tmp_path / "pool" / "gold.sqlite"
    with Rows(tmp_path / "pool" / "rows.sqlite") as rows, Gold(gold_path) as gold:
        first = rows.add_many(read)
        gold.put_many((r.id, r.gold) for r in read if isinstance(r, Row) and r.gold)
        assert rows.counts() == RowCounts(3, 2, 1, 0, 1)
        assert all("y" not in stored.fields for stored in rows)
        expected = {first[0].id: "no", first[1].id: "yes"}
        assert gold.get_all() == expected
        gold.put_many([(first[0].id, "yes")])
    with Gold(gold_path) as gold:
        assert gold.get_all() == expected | {first[0].id: "yes"}


def test_the_first_row_of_a_text_is_found_by_any_of_its_rows(tmp_path):
    with Rows(tmp_path / "rows.sqlite") as rows:
        rows.add_many([row(2, "a"), row(3, "b"), row(4, "a")])
        assert [rows.first_of(each) for each in ("r2", "r3", "r4", "no")] == [
            "r2",
            "r3",
            "r2",
            None,
        ]
