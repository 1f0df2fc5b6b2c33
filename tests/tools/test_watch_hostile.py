"""What others write into a ledger, and what an audit must not be told."""

import json
import threading

import pytest
import yaml
from doubles.operator_run import write_run

from labelwright.agents.operator.facts import read_facts
from labelwright.tools.ledger import Ledger
from labelwright.tools.money import to_nano
from labelwright.tools.reviews import Review
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.feed import feed
from labelwright.tools.watch.money import money
from labelwright.tools.watch.proposals import read_proposals
from labelwright.tools.watch.queue import blind_items
from labelwright.tools.watch.review_log import ReviewLog


@pytest.fixture
def reader(tmp_path):
    reader = RunReader(write_run(tmp_path / "run"))
    yield reader
    reader.close()


@pytest.fixture
def ledger(reader):
    with Ledger(reader.folder / "ledger.sqlite", create=False) as ledger:
        yield ledger


@pytest.mark.parametrize(
    "payload",
    [None, [1], {}, {"usd": None}, {"usd": "3"}, {"usd": -5}, {"usd": True}],
)
def test_a_cap_that_the_run_refuses_is_none(reader, ledger, payload):
    ledger.log.direct("cap", {"usd": 7, "was": 5})
    ledger.log.direct("cap", payload)
    assert money(reader).cap == read_facts(reader).cap == to_nano(7)
    assert feed(reader)[0]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("value", None),
        ("value", {"point_usd": None}),
        ("value", {"point_usd": "x"}),
        ("focus", {"labels": ["x"], "rounds": "three"}),
        ("focus", {"labels": 3, "rounds": 1}),
        ("review", {"item_id": ["x"], "verdict": ["y"]}),
    ],
)
def test_an_order_that_makes_no_sense_keeps_no_page_from_being_shown(reader, ledger, kind, payload):
    before = read_facts(reader).point
    (reader.folder / "questions.jsonl").write_text(asked("m1"))
    ledger.log.direct(kind, payload)
    assert read_facts(reader).point == before
    assert feed(reader)[0][-1].number == 1


@pytest.mark.parametrize("words", [["dismiss", "accept"], ["accept", "dismiss"]])
def test_of_a_persons_words_on_a_proposal_the_first_counts(reader, ledger, words):
    (first, *_) = [one for one in read_proposals(reader) if one.state == "open"]
    for word in words:
        ledger.log.direct(f"{word}_proposal", {"number": first.number})
    state = read_proposals(reader)[first.number - 1].state
    assert state == {"dismiss": "dismissed", "accept": "accepted"}[words[0]]


def asked(item, purpose="audit"):
    question = {"item_id": item, "text": "t", "labels": ["billing"], "purpose": purpose}
    return json.dumps(question) + "\n"


def test_what_a_reviewer_answers_is_not_told_while_an_audit_asks_others(reader, ledger):
    def told():
        return " ".join(feed(reader)[0][-1].title for _ in "1")

    ledger.log.direct("review", Review(0, "m4", "ann", "label", "billing").payload())
    assert "billing" in told()
    (reader.folder / "questions.jsonl").write_text(asked("m4"))
    assert blind_items(reader.folder) == {"m4"}
    assert "m4" in told()
    assert "billing" not in told()
    (reader.folder / "questions.jsonl").write_text(asked("m4", "escalate"))
    assert "billing" in told()


def test_a_page_goes_through_reviews_while_another_adds_to_them(tmp_path):
    config = {"task": {"labels": [{"name": "a"}, {"name": "b"}]}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.log.direct("review", Review(0, "i1", "ann", "label", "a").payload())
        reader = RunReader(tmp_path)
        log = ReviewLog(reader)
        log.refresh()
        page = iter(log.standing.items())
        ledger.log.direct("review", Review(0, "i2", "ann", "label", "b").payload())
        other = threading.Thread(target=log.refresh)
        other.start()
        other.join()
        assert [item for item, _ in page] == ["i1"]
        assert set(log.standing) == {"i1", "i2"}
        reader.close()
