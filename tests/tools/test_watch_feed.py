"""The messages of a run: decisions, proposals, orders and the conversation, in time order."""

import pytest
from doubles.operator_run import HOSTILE, write_run

from labelwright.agents.operator.talk import settle, tell
from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.reviews import Review
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.feed import feed
from labelwright.tools.watch.proposals import RUN_KINDS, read_proposals


@pytest.fixture
def reader(tmp_path):
    reader = RunReader(write_run(tmp_path / "run"))
    yield reader
    reader.close()


@pytest.fixture
def ledger(reader):
    with Ledger(reader.folder / "ledger.sqlite", create=False) as ledger:
        yield ledger


def titles(reader, most=50):
    return [message.title for message in feed(reader, most)[0]]


def test_what_was_decided_in_a_line_each(reader):
    found, earlier = feed(reader)
    assert not earlier
    told = {message.kind: message for message in found}
    assert told["batch"].title == "Round 2: 2 texts chosen, 1 random for the audit"
    assert [line.text for line in told["batch"].lines] == [
        "Query strategies: random 100%.",
        HOSTILE,
    ]
    assert told["rulings"].title == "Round 2: labels 8 accepted"
    assert told["trained"].title.endswith("trained on 80 labels, 90% right in the audit")
    assert told["stop_check"].title.startswith("Round 2: stopping is proposed, ")
    assert any("Gate classes holds it back" in line.text for line in told["stop_check"].lines)
    first = next(message for message in found if message.kind == "proposal")
    assert (first.number, first.state) == (1, "open")
    assert "Price: $0.20." in [line.text for line in first.lines]


def test_every_kind_of_decision_has_its_words(reader, ledger):
    audit = {"items": ["a"], "rounds": 2}
    for step, (kind, decision, evidence) in enumerate(
        [
            ("ingest", {}, {"texts": 9, "items": 9, "rejected": 1, "stop_set": 3}),
            ("generated", {"items": ["a", "b"], "failure": None}, {"wanted": [["x", 2, "rare"]]}),
            ("consistency", {"alarms": ["drift"]}, {}),
            ("consistency", {"alarms": []}, {}),
            ("membership", {"members": [{"annotator": "x", "action": "drop", "labels": [],
                                         "reason": "dear"}]}, {}),
            ("audit_change", audit, {"judge": "ann"}),
            ("sweep", {"cheap": 12}, {}),
            ("sweep", {}, {}),
            ("last_audit", {"items": ["a", "b"]}, {"judge": "ann"}),
            ("guarantee", {"accuracy": 0.9, "texts": 7}, None),
            ("applied", {"number": 1, "what": "done"}, {}),
            ("deliver", {"best_round": 2, "labelled_last": {"model": 3}},
             {"stop": {"reason": "cap", "detail": "the cap is reached"}}),
            ("something_new", {}, {}),
        ],
        10,
    ):  # fmt: skip
        ledger.log.decide(Decision(step, 3, "critic", kind, decision, evidence))
    assert titles(reader)[-11:] == [
        "9 texts read",
        "Round 3: 2 texts written",
        "Round 3: 1 alarm of the checks",
        "Round 3: who is asked has changed",
        "Round 3: 1 changed prediction put to ann",
        "Sweep of the rest: cheap about 12 texts",
        "Sweep: nothing more is worth its price",
        "Last audit: 2 texts put to ann",
        "Guarantee",
        "Proposal 1: done",
        "Labels delivered",
    ]


def test_an_offer_tells_how_it_went_on(reader, ledger):
    offer = tell(reader, "cap 3", by="Ada").reply
    assert feed(reader)[0][-1].state == "open"
    settle(reader, offer, yes=True, by="Bo")
    assert feed(reader)[0][-1].data["became"] == [
        "Confirmed by Bo, ordered (directive 1)", "not taken up yet"
    ]  # fmt: skip
    ledger.log.acknowledge(1, "the cap is $3")
    last = feed(reader)[0][-1]
    assert last.data["became"][-1] == "taken up: the cap is $3"
    assert "Order 1" not in " ".join(titles(reader))


def test_orders_from_elsewhere_and_many_reviews(reader, ledger):
    ledger.log.direct("stop")
    ledger.log.direct("focus", {"labels": [HOSTILE], "rounds": 2})
    for number in range(9):
        ledger.log.direct("review", Review(0, f"m{number}", "Ada", "label", "billing").payload())
    ledger.log.direct("cap", {"usd": 2, "was": 1})
    ledger.log.direct("unheard of", [1])
    assert titles(reader)[-5:] == [
        "Order 1: pause",
        f"Order 2: search for {HOSTILE} in 2 batches",
        "9 labels by Ada",
        "Order 12: cap $2.00",
        "Order 13: unheard of",
    ]
    assert feed(reader)[0][-3].lines[0].text == "9 not taken up yet"


def test_it_gives_the_latest_and_says_that_there_are_more(reader):
    for number in range(6):
        tell(reader, f"status {number}")
    found, earlier = feed(reader, 4)
    assert earlier
    assert [message.kind for message in found] == ["operator", "answer"] * 2
    assert len({message.key for message in feed(reader)[0]}) == len(feed(reader)[0])


def test_proposals_are_those_that_the_graph_lists(reader, ledger):
    from labelwright.graph.proposals import RUN_KINDS as TAKEN_UP
    from labelwright.graph.proposals import listed

    assert set(RUN_KINDS) == TAKEN_UP
    ledger.log.direct("accept_proposal", {"number": 1})
    ledger.log.direct("dismiss_proposal", {"number": 3})
    mine = read_proposals(reader)
    assert [one.state for one in mine] == ["accepted", "open", "dismissed", "open"]
    theirs = listed(ledger)
    assert [(one.number, one.kind, one.target) for one in mine] == [
        (entry.number, entry.proposal.kind, entry.proposal.target) for entry in theirs
    ]
