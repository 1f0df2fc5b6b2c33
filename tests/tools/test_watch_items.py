"""The items of a run as a page lists them, against the ledger read whole."""

import itertools
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import yaml

from labelwright.graph import resume, run
from labelwright.tools.ledger import CHECK_ATTEMPTS, Ledger
from labelwright.tools.watch import RunReader
from labelwright.tools.watch import item as records
from labelwright.tools.watch.item_table import ItemTable
from labelwright.tools.watch.items import Search, find, rows
from labelwright.tools.watch.review_log import ReviewLog

WORDS = {
    "billing": ["invoice", "charged", "refund", "card", "payment"],
    "login": ["password", "account", "locked", "sign", "code"],
    "delivery": ["parcel", "courier", "late", "tracking", "box"],
}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A run of a weak and a recorded annotator, taken to its end, with duplicates."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(5)
    lines, votes = [], ["item_id,middle"]
    for number in range(120):
        label = list(WORDS)[number % 3]
        words = [*rng.choice(WORDS[label], 3), *rng.choice(WORDS["billing"], 1), str(number % 117)]
        lines.append({"id": f"r{number:03}", "text": " ".join(words), "extra": number})
        votes.append(f"r{number:03},{label if rng.random() < 0.8 else 'login'}")
    lines[-1]["text"] = lines[0]["text"]
    (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    (folder / "votes.csv").write_text("\n".join(votes), encoding="utf-8")
    config = {
        "task": {
            "name": "t",
            "labels": [
                {"name": name, "description": " ".join(words)} for name, words in WORDS.items()
            ],
        },
        "data": {"path": "pool.jsonl", "id": "id"},
        "annotators": [
            {"kind": "embedded", "name": "embedded", "tier": 1},
            {
                "kind": "recorded",
                "name": "middle",
                "tier": 2,
                "path": "votes.csv",
                "price": {"per_label": 0.01},
            },
            {"kind": "human", "name": "ann", "tier": 3, "price": {"per_label": 0.1}},
        ],
        "selection": {"batch_size": 20},
        "critic": {"audit_first": 10},
        "stopping": {"max_rounds": 2, "stop_set_size": 50},
        "budget": {"usd": 5},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    result = run(folder / "run.yaml", name="real", runs=folder / "runs")
    while result.status == "waiting_for_people":
        asked = (result.folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        answers = folder / "answers.jsonl"
        wanted = [json.loads(line)["item_id"] for line in asked]
        given = [{"item_id": item, "label": list(WORDS)[int(item[1:]) % 3]} for item in wanted]
        answers.write_text("\n".join(map(json.dumps, given)), encoding="utf-8")
        result = resume(result.folder, answers=answers)
    assert result.status == "finished"
    return result.folder


@pytest.fixture(scope="module")
def seen(real):
    """The same, read whole by the ledger's own means."""
    with Ledger(real / "ledger.sqlite", create=False) as ledger:
        held = ledger.votes.concluded()
        votes = [vote for vote in ledger.votes.all() if vote.attempt < CHECK_ATTEMPTS]
    with closing(sqlite3.connect(real / "pool" / "items.sqlite")) as db:
        texts = dict(db.execute("SELECT id, text FROM items ORDER BY position"))
    return held, votes, texts


def opened(folder):
    reader = RunReader(folder)
    table, log = ItemTable(reader), ReviewLog(reader)
    table.refresh()
    log.refresh()
    return reader, table, log


def ids(table, places):
    return [table.ids[place] for place in places]


def test_every_filter_finds_what_the_ledger_says(real, seen):
    held, votes, texts = seen
    _, table, log = opened(real)
    assert table.ids == list(texts)

    def found(**search):
        return ids(table, find(table, Search(**search), log))

    assert found() == list(texts)
    for label in WORDS:
        wanted = [i for i in texts if i in held and held[i].label == label]
        assert found(label=label) == wanted
        assert wanted
    for source in table.sources:
        assert found(source=source) == [i for i in texts if held[i].source == source]
    assert found(source="person"), "the fixture must have some"
    for outcome in ("accept", "set_apart"):
        assert found(outcome=outcome) == [i for i in texts if held[i].outcome == outcome]
    assert found(outcome="open") == []
    assert found(doubted=True) == [i for i in texts if held[i].evidence["flags"]]
    given = {}
    for vote in votes:
        given.setdefault(vote.item_id, {})[vote.annotator] = vote.label
    differ = [i for i in texts if len({v for v in given.get(i, {}).values() if v}) > 1]
    assert found(disagree=True) == differ
    assert differ
    assert found(text="PARCEL") == [i for i in texts if "parcel" in texts[i]]
    assert found(text="r01") == [i for i in texts if "r01" in i or "r01" in texts[i]]
    assert found(text="PARCEL", label="login") == [
        i for i in texts if "parcel" in texts[i] and held[i].label == "login"
    ]
    assert found(label="no such label") == found(text="no such text") == []
    assert found(origin="synthetic") == []
    assert found(origin="real") == list(texts)


@pytest.mark.parametrize("descending", [False, True])
def test_orders_and_their_ties(real, seen, descending):
    held, votes, texts = seen
    _, table, log = opened(real)
    count = dict.fromkeys(texts, 0)
    for vote in votes:
        count[vote.item_id] += 1
    keys = {
        "id": lambda item: item,
        "votes": lambda item: count[item],
        "p_correct": lambda item: np.float32(held[item].p_correct),
    }
    for sort, key in keys.items():
        got = ids(table, find(table, Search(sort=sort, descending=descending), log))
        assert sorted(got) == sorted(texts)
        values = [key(item) for item in got]
        assert values == sorted(values, reverse=descending)
        if sort != "id":
            order = list(texts)
            ties = itertools.pairwise(got)
            assert all(key(a) != key(b) or order.index(a) < order.index(b) for a, b in ties)


def test_rows_tell_what_the_ledger_holds(real, seen):
    held, votes, texts = seen
    reader, table, _ = opened(real)
    listed = rows(reader, table, list(range(len(table))))
    for row in listed:
        last = held[row.id]
        mine = [vote for vote in votes if vote.item_id == row.id]
        assert (row.label, row.source, row.outcome) == (last.label, last.source, last.outcome)
        assert row.p_correct == pytest.approx(last.p_correct, abs=1e-6)
        assert row.votes == len(mine)
        assert row.preview == texts[row.id]
        latest = {vote.annotator: vote.label for vote in mine}
        assert row.disagree == (len({label for label in latest.values() if label}) > 1)
    assert rows(reader, table, []) == []


def test_nothing_is_told_of_what_is_hidden(real, seen):
    held, _, texts = seen
    reader, table, log = opened(real)
    item = next(iter(texts))
    (row,) = rows(reader, table, [0], hidden={item})
    assert (row.label, row.p_correct, row.source, row.outcome) == (None, None, None, "hidden")
    assert not row.disagree
    for search in (Search(label=held[item].label), Search(sort="p_correct")):
        assert item in ids(table, find(table, search, log))
        assert item not in ids(table, find(table, search, log, hidden={item}))
    assert item in ids(table, find(table, Search(text=texts[item]), log, hidden={item}))


def test_the_history_of_an_item(real, seen):
    reader, table, _ = opened(real)
    with Ledger(real / "ledger.sqlite", create=False) as ledger:
        for item in table.ids:
            wanted = ledger.votes.history(item)
            history = records.held(reader, item)
            assert [one.label for one in history] == [one.label for one in wanted]
            assert [list(one.flags) for one in history] == [one.evidence["flags"] for one in wanted]
            given = ledger.votes.of_items([item])[item]
            lines = records.votes(reader, item)
            assert sorted((v.annotator, v.attempt, v.label, v.cost) for v in lines) == sorted(
                (v.annotator, v.attempt, v.label, v.cost) for v in given
            )
            assert all(line.at and line.model for line in lines)
        chosen = {
            item
            for made in ledger.log.decisions("batch")
            for part in ("batch", "audit")
            for item in made.decision[part]
        }
    assert chosen
    for item in table.ids:
        parts = {f.text for f in records.findings(reader, item) if f.what == "chosen"}
        assert bool(parts & {"batch", "audit"}) == (item in chosen)
    assert records.votes(reader, "nobody") == records.held(reader, "nobody") == []


def test_the_rows_that_an_item_stands_for(real):
    reader, table, log = opened(real)
    lines = records.input_rows(reader, "r000")
    assert [line.id for line in lines][:2] == ["r000", "r119"]
    assert lines[0].fields["extra"] == 0
    assert lines[1].same
    assert table.at.get("r119") is None
    # Whoever looks for the row finds the item that has its text.
    assert reader.same_text("r119") == "r000"
    assert reader.same_text("r000") is reader.same_text("nobody") is None
    assert "r000" in {table.ids[place] for place in find(table, Search(text="R119"), log)}
    assert records.input_rows(reader, "nobody") == []


def test_proposals_are_numbered_as_the_command_numbers_them(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        from labelwright.tools.ledger import Decision

        def proposal(kind, items):
            return {"kind": kind, "items": items, "text": "t", "evidence": "e", "target": "x"}

        made = [[proposal("a", ["i1"]), proposal("b", ["i2"])], [proposal("c", ['q"<i1>', "i1"])]]
        for step, proposals in enumerate(made):
            ledger.log.decide(
                Decision(step, step, "rule", "proposals", {"proposals": proposals}, {})
            )
        reader = RunReader(tmp_path)
        assert [f.what for f in records.findings(reader, "i1")] == [
            "proposal 1: a",
            "proposal 3: c",
        ]
        assert [f.what for f in records.findings(reader, 'q"<i1>')] == ["proposal 3: c"]
        assert records.findings(reader, "i") == []
        reader.close()
