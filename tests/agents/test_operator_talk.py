"""The conversation in the ledger: answers, offers, and what becomes of them."""

import json
import subprocess
import sys
import threading

import pytest
from doubles.operator_run import HOSTILE, write_run

from labelwright.agents.operator.facts import read_facts
from labelwright.agents.operator.talk import carried_out, messages, settle, tell
from labelwright.tools.errors import ConfigError, LedgerError
from labelwright.tools.ledger import OPERATOR, Call, Decision, Ledger, Settlement
from labelwright.tools.reviews import Review
from labelwright.tools.watch import RunReader


@pytest.fixture
def open_run(tmp_path):
    opened = []

    def open_run(**more):
        opened.append(RunReader(write_run(tmp_path / f"run{len(opened)}", **more)))
        return opened[-1]

    yield open_run
    for reader in opened:
        reader.close()


@pytest.fixture
def reader(open_run):
    return open_run()


def words(reply):
    return "\n".join(line.text for line in reply.lines)


def directives(reader):
    with Ledger(reader.folder / "ledger.sqlite", create=False) as ledger:
        return [(d.kind, d.payload, d.acknowledged) for d in ledger.log.directives()]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("status", ["The run is paused.", "Round 2; last: critic, stop check.",
                    "$2.25 spent of a cap of $10.00; $7.75 left.", "Open proposals: 1, 2, 3, 4."]),
        ("money", ["ann: $2.25 for 9 requests.", "cheap: $0.00 for 9 requests."]),
        ("how good are the labels", ["agrees with 91.0%",
                                     "On 30 audited items it is right for 90.0%",
                                     "95 % interval 73.0% to 98.0%",
                                     "No accepted label yet: fraud"]),
        ("why m4", ["where is parcel 4", "Now: delivery, by person, round 1, p_correct 0.900.",
                    f"cheap (label, round 1, $0.00): billing: {HOSTILE}"]),
        ("confusions", ["billing and delivery: annotators disagree on 3 items, the student "
                        "contradicts 1 accepted label."]),
        ("billing vs delivery", ["where is parcel 4", "cheap: billing", "ann: delivery",
                                 "accepted: billing; student: delivery"]),
        ("billing vs fraud", ["Nobody has taken billing for fraud_report yet."]),
        ("what would $5 more buy", ["Another $5.00 buys about", "a point is worth $1.00"]),
        ("when will it stop", ["Last check: It would stop: the next batch costs",
                               "Value A = $100.00", "Gate classes holds it back",
                               "the cap of $10.00"]),
        ("proposals", ["1. [open] relabel items", "$0.20", "price unknown",
                       "Expected: up to 2 labels"]),
        ("help", ["cap $3 / raise the cap to 3 dollars"]),
        ("why twin", ["The row twin has the same text as m4, and so its label:",
                      "where is parcel 4", "Now: delivery, by person, round 1"]),
        ("hepl", ["Did you mean: help?"]),
        ("\udcff broken \x00", ["none of the commands"]),
    ],
)  # fmt: skip
def test_answers_are_the_ledgers(reader, said, told):
    reply = tell(reader, said, by="Ada")
    assert reply.offer is None
    for line in told:
        assert line in words(reply)
    assert directives(reader) == []


def test_a_finished_run_is_told_as_one(open_run):
    reader = open_run(state="finished")
    why = words(tell(reader, "why did it stop", by="Ada"))
    assert "Value A = $100.00" in why
    assert "At the latest" not in why
    assert "At the latest it ends" in words(tell(open_run(), "why did it stop", by="Ada"))
    bought = words(tell(reader, "what would $5 buy", by="Ada"))
    assert bought.startswith("The run is finished and buys nothing more. By its last check:\n")
    assert "buys about" in bought
    assert "at most" not in bought, "of more than the window has cost no bound is known"
    assert "at most" in words(tell(reader, "what would $0.01 buy", by="Ada"))


def test_corrections_are_told_beside_the_figure_of_the_audit(open_run):
    reader = open_run(state="finished")
    labels = {"estimate": 1.0, "low": 0.9, "high": 1.0, "n": 40}
    summary = {"labels": {"accepted": 9, "texts": 9}, "quality": {"labels": labels}}
    (reader.folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    good = "how good are the labels"
    assert "correct" not in words(tell(reader, good, by="Ada"))
    with Ledger(reader.folder / "ledger.sqlite", create=False) as ledger:
        made = {"items": {"m4": "billing"}, "examples": []}
        ledger.log.decide(Decision(90, 2, OPERATOR, "corrections", made, {}))
    told = words(tell(reader, good, by="Ada"))
    assert "Delivered labels: 100.0% right (95 % interval 90.0% to 100.0%, 40 audited)." in told
    assert "That is estimated from the audit; 1 corrected label counts as right in it." in told


def test_a_row_that_repeats_a_text_is_corrected_as_the_item_that_has_it(reader):
    offer = tell(reader, "relabel twin as billing", by="Ada").offer
    assert offer["order"]["payload"]["item_id"] == "m4"


def test_texts_of_the_pool_are_told_apart(reader):
    reply = tell(reader, "what confuses billing and delivery")
    shown = {line.item: line.text for line in reply.lines if line.role == "item"}
    assert shown["m4"] == "where is parcel 4"
    assert all(line.item is None for line in reply.lines if line.role != "item")


def test_a_young_run_answers_too(open_run, tmp_path):
    reader = open_run()
    (reader.folder / "ledger.sqlite").unlink()
    with Ledger(reader.folder / "ledger.sqlite"):
        pass
    for said in ("status", "money", "how good", "confusions", "what would $2 buy",
                 "why did it stop", "proposals", "why m1"):  # fmt: skip
        assert words(tell(reader, said))


def test_an_audit_that_is_still_blind_is_not_given_away(reader):
    question = {"item_id": "m4", "text": "t", "labels": [], "purpose": "audit", "annotator": "ann"}
    (reader.folder / "questions.jsonl").write_text(json.dumps(question) + "\n")
    assert "billing" not in words(tell(reader, "why m4"))
    assert "m4" not in {line.item for line in tell(reader, "billing vs delivery").lines}
    assert "open question of an audit" in words(tell(reader, "relabel m4 as billing"))
    assert "1 questions wait" in words(tell(reader, "status"))


def test_an_order_waits_for_a_yes_and_is_given_once(reader):
    reply = tell(reader, "cap 3 dollars", by="Ada")
    assert reply.offer["before"] == ["cap: $10.00"]
    assert reply.offer["patch"] == "budget:\n  usd: 3.0\n"
    assert directives(reader) == []
    outcome = settle(reader, reply.reply, yes=True, by="Bo")
    assert (outcome.status, outcome.directive) == ("confirmed", 1)
    assert directives(reader) == [("cap", {"usd": 3.0, "was": 10.0}, None)]
    with pytest.raises(ConfigError, match="answered before"):
        settle(reader, reply.reply, yes=True)
    with pytest.raises(ConfigError, match="answered before"):
        settle(reader, reply.reply, yes=False)
    assert len(directives(reader)) == 1
    assert "of a cap of $3.00" in words(tell(reader, "status"))
    assert "Order 1 (cap) is not taken up yet." in words(tell(reader, "status"))


def test_two_browsers_confirm_at_once(reader):
    offer = tell(reader, "cap 3").reply
    ends = []

    def confirm():
        try:
            ends.append(settle(reader, offer, yes=True).status)
        except ConfigError:
            ends.append("before")

    threads = [threading.Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["before", "before", "before", "confirmed"]
    assert len(directives(reader)) == 1


def test_what_is_cancelled_changes_nothing(reader):
    offer = tell(reader, "cap 3").reply
    assert settle(reader, offer, yes=False, by="Ada").status == "cancelled"
    assert directives(reader) == []


def test_a_later_offer_takes_the_place_of_the_one_before(reader):
    first, other = tell(reader, "cap 3").reply, tell(reader, "relabel m1 as billing").reply
    second = tell(reader, "cap 4").reply
    with pytest.raises(ConfigError, match="answered before"):
        settle(reader, first, yes=True)
    settle(reader, other, yes=True, by="Ada")
    settle(reader, second, yes=True)
    assert directives(reader) == [
        ("review", Review(0, "m1", "Ada", "label", "billing").payload(), None),
        ("cap", {"usd": 4.0, "was": 10.0}, None),
    ]


def test_a_yes_that_comes_too_late_is_refused(reader):
    offers = [tell(reader, "dismiss proposal 1").reply, tell(reader, "accept proposal 1").reply]
    settle(reader, offers[0], yes=True)
    assert directives(reader) == [("dismiss_proposal", {"number": 1}, "dismissed")]
    again = tell(reader, "accept proposal 2: x").reply
    with Ledger(reader.folder / "ledger.sqlite") as ledger:
        ledger.log.direct("accept_proposal", {"number": 2})
    outcome = settle(reader, again, yes=True)
    assert (outcome.status, outcome.what) == ("refused", "Proposal 2 was accepted before.")


def test_what_no_directive_carries_is_left_to_the_caller(open_run):
    reader = open_run(state="stopped")
    for said in (
        "resume",
        "guideline: be brief",
        "accept proposal 2",
        "accept proposal 3 as A, B: t",
    ):
        offer = tell(reader, said).reply
        outcome = settle(reader, offer, yes=True)
        assert outcome.todo is not None
        carried_out(reader, offer, "done", by="Ada", files=["x-task.yaml"])
        with pytest.raises(ConfigError, match="answered before"):
            settle(reader, offer, yes=True)
    assert directives(reader) == []


def test_there_must_be_an_offer_and_a_ledger(reader):
    said = tell(reader, "status")
    for number in (said.message, said.reply, 999):
        with pytest.raises(ConfigError, match="no offer"):
            settle(reader, number, yes=True)
    for file in reader.folder.glob("ledger.sqlite*"):
        file.unlink()
    reader.close()
    with pytest.raises(LedgerError, match="start it first"):
        tell(reader, "status")


def test_what_was_said_is_there_for_the_next_message(reader):
    tell(reader, "why m4", by="Ada")
    last = tell(reader, "status")
    said = messages(reader, last.message, 6)
    assert said[0] == {"who": "operator", "text": "why m4"}
    assert said[1]["who"] == "you"
    assert "where is parcel" not in said[1]["text"]


def test_with_a_model_what_is_no_command_is_left_to_it(open_run):
    reader = open_run(operator={"model": {"model": "m", "price": {"in": 1, "out": 1}}})
    reply = tell(reader, "tell me a story")
    assert (reply.reply, reply.understood) == (None, False)
    assert tell(reader, "status").reply is not None


def test_each_process_recovers_its_own_calls(reader):
    with Ledger(reader.folder / "ledger.sqlite") as ledger:
        mine = ledger.reserve(
            Call("a", OPERATOR, None, "m", "chat", 1), 5, try_no=0, bound_tokens=1
        )
        ledger.reserve(Call("b", "critic", None, "m", "review", 1), 7, try_no=0, bound_tokens=1)
        # A run begins while the chat waits for an answer: the answer must find its call open.
        assert ledger.recover() == 1
        assert ledger.balance().uncertain == 7
        ledger.settle(mine, Settlement("answered", cost=3, response={"content": "late"}))
        assert ledger.answered("a").response == {"content": "late"}
        ledger.reserve(Call("c", OPERATOR, None, "m", "chat", 1), 5, try_no=0, bound_tokens=1)
        assert ledger.recover(operator=True) == 1


def test_facts_of_a_run(reader):
    facts = read_facts(reader, item="m1", by="Ada")
    assert (facts.state, facts.cap, facts.item, facts.questions) == ("stopped", 10**10, "m1", 0)
    assert facts.point == (10**9, "1,000 items x $0.10 for a wrong label")
    assert read_facts(reader, item="nobody").item is None
    assert facts.label_of("m1") == "delivery, by person, p_correct 0.90"


def test_the_chat_without_a_model_loads_nothing_heavy():
    heavy = ("sklearn", "scipy", "chromadb", "langgraph", "langchain_core", "labelwright.graph")
    script = (
        "import sys, labelwright.agents.operator.talk, labelwright.app.commands.say\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
