"""A run's files read from outside."""

import sqlite3

import numpy as np
import pytest

from labelwright.tools.errors import LedgerError
from labelwright.tools.ledger import Ledger
from labelwright.tools.locking import hold, is_held
from labelwright.tools.snapshot import Snapshot
from labelwright.tools.watch import RunReader, run_status


def test_a_folder_without_files_reads_as_empty(tmp_path):
    reader = RunReader(tmp_path)
    assert reader.rows("SELECT * FROM votes") == []
    assert reader.items("SELECT * FROM items") == []
    assert reader.texts(["a"]) == {}
    assert reader.vectors(0, 5).shape == (0, 0)
    assert reader.events() == ([], 0)
    reader.close()


def test_what_another_process_adds_is_seen_and_nothing_can_be_written(tmp_path):
    reader = RunReader(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert reader.rows("SELECT count(*) FROM directives") == [(0,)]
        ledger.log.direct("stop")
        assert reader.rows("SELECT kind FROM directives") == [("stop",)]
        with pytest.raises(LedgerError, match="readonly"):
            reader.rows("INSERT INTO directives(kind, payload, at) VALUES('x', 'null', '')")
    reader.close()


def test_a_damaged_ledger_is_an_error_in_words(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(LedgerError, match="can not be read"):
        RunReader(tmp_path).rows("SELECT 1 FROM votes")


def test_texts_and_vectors_come_from_the_snapshot(tmp_path):
    pool = tmp_path / "pool"
    pool.mkdir()
    snapshot = Snapshot(pool, fingerprint="f", dim=3, collection=None)
    vectors = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    snapshot.append(list("abcd"), ["A", "B", "C", "D"], vectors, "real")
    snapshot.close()
    reader = RunReader(tmp_path)
    assert reader.texts(["d", "nobody", "a"]) == {"a": "A", "d": "D"}
    np.testing.assert_array_equal(reader.vectors(1, 3), vectors[1:3])
    # More than there are: the pool may have grown since the count was taken, never shrunk.
    np.testing.assert_array_equal(reader.vectors(2, 9), vectors[2:])
    reader.close()


def test_events_are_read_on_from_where_they_were_left(tmp_path):
    reader, file = RunReader(tmp_path), tmp_path / "events.jsonl"
    file.write_text('{"event": "a"}\n{"event": "b"}\n{"eve')
    events, place = reader.events()
    assert [event["event"] for event in events] == ["a", "b"]
    with file.open("a") as more:
        more.write('nt": "c"}\nhalf a line of a killed process\n{"event": "d"}\n')
    events, place = reader.events(place)
    assert [event["event"] for event in events] == ["c", "d"]
    assert reader.events(place) == ([], place)


def test_a_lock_is_seen_without_being_taken(tmp_path):
    lock = tmp_path / "run.lock"
    assert not is_held(lock)
    with hold(lock, "the run"):
        assert is_held(lock)
        assert is_held(lock)
    assert not is_held(lock)


@pytest.mark.parametrize(
    ("events", "state", "resumable"),
    [
        (["started"], "interrupted", True),
        (["started", "stopped"], "stopped", True),
        (["started", "finished"], "finished", False),
        (["started", "stopped", "started", "waiting_for_people"], "waiting_for_people", True),
    ],
)
def test_the_last_word_of_the_last_process_counts(tmp_path, events, state, resumable):
    lines = [f'{{"event":"process","status":"{status}","pid":1}}\n' for status in events]
    # More than the end that is looked at first.
    noise = '{"event":"answers","votes":1}\n' * 5000
    (tmp_path / "events.jsonl").write_text(noise.join(lines) + noise)
    found = run_status(tmp_path)
    assert (found.state, found.resumable) == (state, resumable)
    with hold(tmp_path / "run.lock", "the run"):
        # An export holds the lock, too, and does not say that it runs the run.
        held = "running" if state == "interrupted" else state
        assert run_status(tmp_path).state == held


def test_a_failed_run_says_why(tmp_path):
    line = '{"event":"process","status":"failed","pid":1,"error":"no such model"}\n'
    (tmp_path / "events.jsonl").write_text(line)
    assert run_status(tmp_path).error == "no such model"


def test_runs_without_events(tmp_path):
    assert run_status(tmp_path).state == "not_started"
    with hold(tmp_path / "run.lock", "the run"):
        assert run_status(tmp_path).state == "running"
    sqlite3.connect(tmp_path / "ledger.sqlite").close()
    (tmp_path / "ledger.sqlite").touch()
    assert run_status(tmp_path).state == "interrupted"
    (tmp_path / "summary.json").write_text('{"status": "stopped"}')
    assert run_status(tmp_path).state == "stopped"
