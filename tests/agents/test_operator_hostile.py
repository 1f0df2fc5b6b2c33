"""What an operator may say that is long, late or large."""

import json

import pytest
from doubles.operator_run import write_run

from labelwright.agents.operator.talk import settle, tell
from labelwright.agents.operator.words import cleaned
from labelwright.tools.ledger import Ledger
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.proposals import read_proposals


@pytest.fixture
def reader(tmp_path):
    reader = RunReader(write_run(tmp_path / "run"))
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("pause, please", "pause"),
        ("pause ,, thanks!", "pause"),
        ("x" + "," * 9 + "y", "x,,,,,,,,,y"),
    ],
)
def test_courtesies_at_the_end_are_left_out(said, meant):
    assert cleaned(said) == meant


def test_what_was_dismissed_is_not_accepted_after_all(reader):
    number = next(one.number for one in read_proposals(reader) if one.state == "open")
    dismissed = tell(reader, f"dismiss proposal {number}")
    settle(reader, dismissed.reply, yes=True)
    made = tell(reader, f"accept proposal {number} as x: y")
    assert made.offer is None
    assert "dismissed before" in made.lines[0].text


def test_a_huge_text_is_not_kept_with_every_answer(reader, tmp_path):
    import sqlite3

    (item,) = reader.items("SELECT id FROM items LIMIT 1")[0]
    with sqlite3.connect(reader.folder / "pool" / "items.sqlite") as pool:
        pool.execute("UPDATE items SET text = ? WHERE id = ?", ("z" * 1_000_000, item))
    made = tell(reader, f"why {item}")
    with Ledger(reader.folder / "ledger.sqlite", create=False) as ledger:
        kept = [one["content"] for one in ledger.log.transcript()]
    assert made.lines[0].text.startswith("zzz")
    assert len(json.dumps(kept)) < 20_000
