"""The ledger's file: shared by processes, killed at any point, or not a ledger at all."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelwright.tools.errors import LedgerError
from labelwright.tools.ledger import Balance, Call, Ledger, Settlement, Vote

# Reserves and settles without end (or `most` times), four calls under way at a time.
WORKER = """
import sys
from pathlib import Path
from labelwright.tools.errors import BudgetExceeded
from labelwright.tools.ledger import Call, Caps, Ledger, Settlement, Vote

path, who, most, cap = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
with Ledger(path, Caps(money=cap)) as ledger:
    done, number = 0, 0
    while number < most:
        ids = []
        for _ in range(4):
            call = Call(f"{who}-{number}", "annotator", who, "m", "label", 1, (f"i{number}",), "h")
            number += 1
            try:
                ids.append((number, ledger.reserve(call, 10, try_no=0, bound_tokens=5)))
            except BudgetExceeded:
                pass
        for n, call_id in ids:
            vote = Vote(f"i{n}", who, "spam", None, "h", 0, "label", 1, cost=7)
            ledger.settle(call_id, Settlement("answered", 7, 2, 1, response={"n": n}), [vote])
            done += 1
        print(done, flush=True)
"""


def start(path: Path, who: str, most: int = 10**9, cap: int = 10**12) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), who, str(most), str(cap)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(*workers: subprocess.Popen[str]) -> None:
    """Let them begin together, once all of them have imported what they need."""
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()


def counts(ledger: Ledger) -> dict[str, int]:
    names = ("calls", "settlements", "votes", "journal")
    return {name: ledger._store.rows(f"SELECT count(*) FROM {name}")[0][0] for name in names}


def test_two_processes_keep_one_cap(tmp_path):
    path = tmp_path / "l.sqlite"  # they make it at the same moment
    workers = [start(path, who, most=200, cap=1_000) for who in ("a", "b")]
    go(*workers)
    done = 0
    for worker in workers:
        out, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        done += int(out.split()[-1])
    with Ledger(path, create=False) as ledger:
        balance = ledger.balance()
        assert counts(ledger) == {
            "calls": done, "settlements": done, "votes": done, "journal": 2 * done,
        }  # fmt: skip
        assert balance == Balance(spent=7 * done, tokens=3 * done, requests=done)
        # A reservation of 10 no longer fits above 990, and neither gave up before.
        assert 990 < balance.committed <= 1_000


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """A ledger whose process was killed three times in the middle of its work."""
    path = tmp_path / "l.sqlite"
    for life in range(3):
        worker = start(path, f"life{life}")
        go(worker)
        assert worker.stdout is not None
        for _ in range(5 + 3 * life):
            worker.stdout.readline()
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=60)
        assert worker.returncode == -signal.SIGKILL
    return path


def test_a_killed_process_leaves_a_whole_account(killed):
    with Ledger(killed, create=False) as ledger:
        # One more, so that there is an orphan wherever the kills fell.
        ledger.reserve(Call("x", "annotator", "a", "m", "label", 1), 10, try_no=0, bound_tokens=5)
        before = counts(ledger)
        orphans = before["calls"] - before["settlements"]
        assert orphans >= 1
        assert before["journal"] == before["calls"] + before["settlements"]
        assert before["votes"] == before["settlements"]
        assert ledger.balance() == Balance(
            spent=7 * before["settlements"],
            reserved=10 * orphans,
            tokens=3 * before["settlements"],
            tokens_reserved=5 * orphans,
            requests=before["calls"],
        )
        assert ledger.recover() == orphans
        assert ledger.recover() == 0
        after = counts(ledger)
        assert after["settlements"] == after["calls"] == before["calls"]
        assert ledger.balance() == Balance(
            spent=7 * before["settlements"],
            uncertain=10 * orphans,
            tokens=3 * before["settlements"],
            tokens_reserved=5 * orphans,
            requests=before["calls"],
        )
        unknown = ledger._store.rows(
            "SELECT c.request_key FROM settlements s JOIN calls c USING(call_id) "
            "WHERE outcome = 'unknown'"
        )
        assert len(set(unknown)) == len(unknown) == orphans
        assert all(ledger.answered(key) is None for (key,) in unknown)


def test_a_second_life_repeats_no_answer(killed):
    with Ledger(killed, create=False) as ledger:
        ledger.recover()
        answered = [vote.item_id for vote in ledger.votes.all() if vote.annotator == "life0"]
        number = int(answered[0].removeprefix("i")) - 1
        settled = ledger.answered(f"life0-{number}")
        assert settled is not None
        assert settled.response == {"n": number + 1}
        with pytest.raises(LedgerError, match="in the ledger already"):
            ledger.reserve(
                Call(f"life0-{number}", "annotator", "life0", "m", "label", 1),
                10,
                try_no=0,
                bound_tokens=5,
            )


def test_there_is_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match="there is no ledger here"):
        Ledger(tmp_path / "l.sqlite", create=False)
    assert not (tmp_path / "l.sqlite").exists()


def test_its_folder_is_missing(tmp_path):
    with pytest.raises(LedgerError, match=r"no\.sqlite: unable to open"):
        Ledger(tmp_path / "no" / "no.sqlite")


def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "l.sqlite"
    path.write_bytes(b"this is no database, however long it may be read " * 40)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="not a usable ledger"):
        Ledger(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 99])
def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path, version):
    path = tmp_path / "l.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE gold(id TEXT)")
    other.execute(f"PRAGMA user_version = {version}")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"version {version}, this program reads"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_reopened_ledger_is_the_same(tmp_path):
    path = tmp_path / "l.sqlite"
    settlement = Settlement("answered", 5, 1, 1, response=json.loads('{"a": "\\ud83d\\ude00"}'))
    vote = Vote("i1", "a", "spam", None, "h", 0, "label", 1)
    with Ledger(path) as ledger:
        ledger.record(Call("k", "annotator", "a", "m", "label", 1), settlement, [vote])
    with Ledger(path, create=False) as ledger:
        assert ledger.answered("k") == settlement
        assert ledger.votes.all() == [vote]
        assert ledger.recover() == 0
