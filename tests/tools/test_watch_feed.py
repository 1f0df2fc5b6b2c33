"""The messages of a run: decisions, proposals, orders and the conversation, in time order."""

import pytest
from doubles.operator_run import HOSTILE, write_run

from labelwright.agents.operator.talk import settle, tell
from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.report import guaranteed
from labelwright.tools.reviews import Review
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.decided import ruled
from labelwright.tools.watch.feed import feed
from labelwright.tools.watch.proposals import RUN_KINDS, read_proposals

PROVEN = {
    "threshold": 0.9, "accepted": 200, "audited": 40, "wrong": 1, "audits": 50, "needed": 45,
    "why_not": None, "error": 0.05, "of": "delivered", "confidence": 0.9, "tests": 1,
    "labels": {"estimate": 0.97, "of": 240, "wrong": 1}, "escalated": 140, "escalated_labels": 139,
}  # fmt: skip


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
    assert told["rulings"].title == "Round 2: 8 labels accepted"
    assert told["trained"].title.endswith("trained on 80 labels, 90% right in the audit")
    # A plain sentence first; the arithmetic is for those who unfold it.
    assert told["stop_check"].title == (
        "Round 2. It would stop: the next batch costs about $1.00 and is expected to be worth only "
        "$0.63. But some labels have too few examples, so there is another round first."
    )
    lines = [line.text for line in told["stop_check"].lines]
    assert lines[0].startswith("Gate classes holds it back")
    assert lines[1].startswith("Another $1.00 buys")
    assert any(line.startswith("Value A = ") for line in lines[2:])
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
            ("rest_escalated", {"items": ["c"]}, {"judge": "ann", "of": 4}),
            ("rest_escalated", {"items": ["c", "d"]}, {"judge": "ann", "of": 2}),
            ("guarantee", PROVEN, None),
            ("guarantee", {**PROVEN, "threshold": None, "why_not": "too few"}, "too few"),
            ("applied", {"number": 1, "what": "done"}, {}),
            ("deliver", {"best_round": 2, "labelled_last": {"model": 3}},
             {"stop": {"reason": "cap", "detail": "the cap is reached"}}),
            ("something_new", {}, {}),
        ],
        10,
    ):  # fmt: skip
        ledger.log.decide(Decision(step, 3, "critic", kind, decision, evidence))
    assert titles(reader)[-14:] == [
        "9 texts read",
        "Round 3: 2 texts written",
        "Round 3: 1 alarm of the checks",
        "Round 3: who is asked has changed",
        "Round 3: 1 changed prediction put to ann",
        "Sweep of the rest: cheap about 12 texts",
        "Sweep: nothing more is worth its price",
        "Last audit: 2 texts put to ann",
        "1 text that could not be accepted, put to ann",
        "2 texts that could not be accepted, put to ann",
        "Guarantee",
        "No guarantee",
        "Proposal 1: done",
        "Labels delivered",
    ]
    said = [[line.text for line in message.lines] for message in feed(reader)[0][-6:]]
    assert said[0] == ["There are 4 such texts; the cap pays for no more of them."]
    assert said[1] == []
    (proven,), (unproven,) = said[2:4]
    # In the words of the report, and no list of figures.
    assert proven == guaranteed({"guarantee": PROVEN}) != ""
    assert "139" in proven
    assert "of: delivered" not in proven
    assert unproven.startswith("No guarantee that at most 5% of the labels are wrong: too few.")


def test_who_is_asked_is_told_in_sentences(reader, ledger):
    members = [
        ("a", "drop", [], "broken: 60% of 20 answers are no label"),
        ("b", "restrict", ["x", "y"], "restricted: it adds nothing elsewhere"),
        ("m", "admit", [], "back: b, for which it was dropped, is asked no more"),
        ("n", "drop", [], "dear"),
    ]
    names = ("annotator", "action", "labels", "reason")
    made = {"members": [dict(zip(names, member, strict=True)) for member in members]}
    ledger.log.decide(Decision(30, 3, "critic", "membership", made, {}))
    assert [line.text for line in feed(reader)[0][-1].lines] == [
        "a is asked no more: 60% of 20 answers are no label.",
        "b is asked only where the label so far is one of x, y: it adds nothing elsewhere.",
        "m is asked again: b, for which it was dropped, is asked no more.",
        "n is asked no more: dear.",
    ]


def test_what_became_of_labels_is_a_sentence():
    counts = {"accept": 1, "soft": 41, "re_ask": 0, "escalate": 1_200, "new_kind": 2}
    assert ruled(counts) == (
        "1 label accepted, 41 accepted though unsure, 1,200 put to the next annotator, 2 new kind"
    )
    assert ruled({"soft": 2}) == "2 labels accepted though unsure"
    assert ruled({}) == ""


def test_trainings_after_the_last_batch_are_no_rounds(reader, ledger):
    (before,) = [m for m in feed(reader)[0] if m.kind == "trained"]
    assert before.title.startswith("Round 2: student trained on")
    (metrics,) = [made.evidence for made in ledger.log.decisions("trained")]
    ledger.log.decide(Decision(20, 3, "student", "trained", {"labels": 80}, metrics))
    ledger.log.decide(Decision(21, 3, "critic", "deliver", {"best_round": 3}, {"stop": None}))
    ledger.log.decide(Decision(22, 3, "critic", "deliver", {"best_round": 2}, {"stop": None}))
    ledger.log.decide(Decision(23, 3, "critic", "deliver", {"best_round": 0}, {"stop": None}))
    *_, trained, first, second, third = feed(reader)[0]
    assert trained.title.startswith("After the rounds: student trained on 80 labels")
    assert [one.title for one in (first, second, third)] == [
        "Labels delivered", "Labels delivered again", "Labels delivered again"
    ]  # fmt: skip
    assert [[line.text for line in one.lines] for one in (first, second, third)] == [
        ["The student trained after the rounds is delivered."],
        ["The student of round 2 is delivered."],
        [],
    ]


def test_a_delivery_after_corrections_says_what_they_changed(reader, ledger):
    learned = {"corrected": 3, "by": ["Ada"], "by_student": True,
               "relabelled": 5, "accepted": 1, "set_apart": 0}  # fmt: skip
    stop = {"stop": {"reason": "cap", "detail": "the cap is reached"}}
    for step, more in ((21, {}), (22, {"learned": learned})):
        decision = {"best_round": 2, "labelled_last": {}, **more}
        ledger.log.decide(Decision(step, 3, "critic", "deliver", decision, stop))
    # What an earlier version has written down says nothing of it, and is read all the same.
    before, after = [[line.text for line in one.lines] for one in feed(reader)[0][-2:]]
    assert before == ["It stopped: the cap is reached.", "The student of round 2 is delivered."]
    assert after == [
        "3 corrections are in. The student has learned from them; 5 other labels changed, 1 text "
        "that was set apart has a label now.",
        *before,
    ]


def test_an_offer_tells_how_it_went_on(reader, ledger):
    offer = tell(reader, "cap 3", by="Ada").reply
    assert feed(reader)[0][-1].state == "open"
    settle(reader, offer, yes=True, by="Bo")
    assert feed(reader)[0][-1].data["became"] == [
        "Confirmed by Bo, ordered (order 1)", "not taken up yet"
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
    # A second thought on a text is no further text.
    ledger.log.direct("review", Review(0, "m8", "Ada", "label", "delivery").payload())
    ledger.log.direct("cap", {"usd": 2, "was": 1})
    ledger.log.direct("unheard of", [1])
    assert titles(reader)[-5:] == [
        "Order 1: pause",
        f"Order 2: search for {HOSTILE} in 2 batches",
        "Reviews of 9 texts by Ada",
        "Order 13: cap $2.00",
        "Order 14: unheard of",
    ]
    assert feed(reader)[0][-3].lines[0].text == "9 texts not taken up yet"


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
