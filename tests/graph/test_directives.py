"""Orders that an operator gives while a run is going, or while nobody runs it."""

import shutil
import threading

import pytest
from doubles.mortal_run import Death, carry_on

from labelwright.graph import resume, run
from labelwright.graph.session import create_run
from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.money import to_nano
from labelwright.tools.report import guaranteed, why_stopped


def order(folder, kind, payload=None):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.log.direct(kind, payload)


def answers(folder, kind):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return [order.acknowledged for order in ledger.log.directives(kind)]


def decided(folder, kind):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.log.decisions(kind)


class At:
    """Gives an order once, when an event comes for the n-th time; waits where it is heard live."""

    def __init__(self, folder, event, *given, nth=1, heard=False):
        self.folder, self.event, self.given, self.left = folder, event, given, nth
        self.heard, self.after = heard, []

    def __call__(self, event):
        if event["event"] == self.event:
            self.left -= 1
            if self.left == 0:
                order(self.folder, *self.given)
                while self.heard and answers(self.folder, self.given[0])[-1] is None:
                    threading.Event().wait(0.01)
                return
        if self.left <= 0:
            self.after.append(event)


@pytest.fixture
def begin(corpus, tmp_path):
    def begin(event, *given, nth=1, heard=False, **sections):
        folder = tmp_path / "run"
        at = At(folder, event, *given, nth=nth, heard=heard)
        return run(corpus.config(**sections), name="run", runs=tmp_path, notify=at), at

    return begin


# -- cap -------------------------------------------------------------------------------------------


def test_a_higher_cap_holds_while_the_run_is_going(begin, outcome):
    result, _ = begin("ingested", "cap", {"usd": 5, "was": 0.05}, heard=True, budget={"usd": 0.05})
    assert answers(result.folder, "cap") == ["the cap is $5"]
    assert result.summary["stop"]["reason"] == "max_rounds"
    assert result.summary["money"]["cap_usd"] == 5
    assert outcome(result.folder).most_committed() > to_nano(0.05)


def test_a_lower_cap_sends_nothing_more(begin, outcome):
    result, _ = begin("trained", "cap", {"usd": 0.01, "was": 5}, heard=True)
    assert result.summary["stop"]["reason"] == "cap"
    [said] = answers(result.folder, "cap")
    assert said.startswith("the cap is $0.01; ")
    assert said.endswith("is spent or reserved, so nothing more is sent")
    seen = outcome(result.folder)
    first = decided(result.folder, "trained")[0]
    assert seen.decided()["spent"] == first.evidence["spent"]


def test_a_cap_that_is_raised_while_a_capped_run_delivers_is_used_by_the_next_process(
    corpus, tmp_path, outcome
):
    config = corpus.config(budget={"usd": 0.3}, stopping={"max_rounds": 9, "stop_set_size": 50})
    folder = tmp_path / "run"
    raises = At(folder, "last finish", "cap", {"usd": 2, "was": 0.3}, heard=True)

    def notify(event):
        if event["event"] == "node" and (event["node"], event["phase"]) == ("finish", "deliver"):
            raises({"event": "last finish"})

    result = run(config, name="run", runs=tmp_path, notify=notify)
    assert (result.summary["stop"]["reason"], answers(folder, "cap")) == ("cap", ["the cap is $2"])
    spent = outcome(folder).decided()["spent"]
    assert resume(folder).status == "finished"
    assert spent < outcome(folder).decided()["spent"] <= to_nano(2)
    ended = outcome(folder).decided()
    resume(folder)
    assert outcome(folder).decided() == ended


NONSENSE = [None, 7, [], {}, {"usd": "much"}, {"usd": -1}, {"usd": True}, {"usd": None}]


def test_what_is_no_cap_changes_nothing(begin, corpus, outcome, tmp_path):
    wanted = run(corpus.config(), name="undisturbed", runs=tmp_path).folder
    result, _ = begin("ingested", "cap", {"usd": "much"}, heard=True)
    assert outcome(result.folder).decided() == outcome(wanted).decided()
    for payload in NONSENSE:
        order(result.folder, "cap", payload)
    assert resume(result.folder).status == "finished"
    said = answers(result.folder, "cap")
    assert len(said) == 1 + len(NONSENSE)
    assert all(note.startswith("refused: expected {usd: an amount") for note in said)
    assert outcome(result.folder).decided() == outcome(wanted).decided()


# -- finish ----------------------------------------------------------------------------------------


def test_a_run_is_ended_after_the_batch_under_way(begin, outcome):
    result, at = begin("selected", "finish", {}, nth=2)
    assert (result.status, result.summary["rounds"]) == ("finished", 2)
    stop = {"reason": "operator", "detail": "the operator ended the run"}
    assert result.summary["stop"] == outcome(result.folder).stop() == stop
    assert why_stopped(result.summary) == "It stopped after 2 rounds: the operator ended the run."
    assert answers(result.folder, "finish") == [
        "the run ends here: it is delivered with what there is"
    ]
    trained = [event for event in at.after if event["event"] == "trained"]
    assert len(trained) == 1
    assert result.summary["money"]["spent_usd"] * 1e9 == pytest.approx(trained[0]["spent"])
    assert [event["asked"] for event in at.after if event["event"] == "sweep"] == [{}]
    assert all(row["outcome"] in {"accept", "set_apart"} for row in outcome(result.folder).labels)
    # It stays as it was delivered.
    before = outcome(result.folder).decided()
    assert resume(result.folder, usd=50).status == "finished"
    assert outcome(result.folder).decided() == before


def test_a_sweep_is_ended_after_the_blocks_under_way(begin, outcome):
    cheap = {"max_rounds": 1, "stop_set_size": 50}
    result, at = begin("sweep", "finish", {}, stopping=cheap)
    assert result.summary["stop"]["reason"] == "max_rounds"
    sweeps = [made.decision for made in decided(result.folder, "sweep")]
    assert sweeps[0]
    assert sweeps[1:] == [{}]
    assert answers(result.folder, "finish") == [
        "nothing more is bought: the run is delivered with what there is"
    ]
    # What the blocks brought is learned.
    assert "trained" in [event["event"] for event in at.after]


def test_without_its_last_audit_nothing_is_guaranteed(begin, corpus):
    judge = corpus.recorded("strong", 3, trusted=True)
    result, _ = begin(
        "selected",
        "finish",
        {},
        annotators=[corpus.recorded("cheap", 1), judge],
        ensemble={"guarantee": {"error": 0.1, "confidence": 0.9, "audits": 60}},
    )
    found = result.summary["guarantee"]
    assert found["threshold"] is None
    assert found["why_not"] == "the operator ended the run before its last audit"
    assert "the operator ended the run before its last audit" in guaranteed(result.summary)
    assert decided(result.folder, "last_audit") == []


def test_an_end_that_was_ordered_while_nobody_ran_it_comes_at_the_next_check(corpus, tmp_path):
    create_run(corpus.config(), tmp_path / "run")
    order(tmp_path / "run", "finish", {})
    result = resume(tmp_path / "run")
    assert (result.summary["rounds"], result.summary["stop"]["reason"]) == (1, "operator")


def test_orders_to_a_finished_run_are_answered(begin, outcome):
    result, _ = begin("nothing")
    before = outcome(result.folder).decided()
    given = {
        "finish": {},
        "focus": {"labels": ["billing"], "rounds": 1},
        "value": {"point_usd": 9},
        "hand_in": {},
    }
    for kind, payload in given.items():
        order(result.folder, kind, payload)
    assert resume(result.folder).status == "finished"
    note = "the run had finished (max_rounds) and stays so"
    assert [answers(result.folder, kind) for kind in given] == [[note]] * 4
    assert outcome(result.folder).decided() == before


def test_an_ended_run_goes_on_for_a_proposal_and_is_not_ended_again(begin, corpus):
    result, _ = begin("selected", "finish", {})
    item = next(iter(corpus.gold))
    with Ledger(result.folder / "ledger.sqlite") as ledger:
        step = max(made.step for made in ledger.log.decisions()) + 100
        made = {"kind": "relabel_items", "target": "x", "text": "t", "evidence": "e"}
        proposal = {"proposals": [{**made, "items": [item]}]}
        ledger.log.decide(Decision(step, 1, "critic", "proposals", proposal, {"by": "rule"}))
        number = len(ledger.log.decisions("proposals")[-1].decision["proposals"])
        earlier = ledger.log.decisions("proposals")[:-1]
        number += sum(len(one.decision["proposals"]) for one in earlier)
        ledger.log.direct("accept_proposal", {"number": number})
    again = resume(result.folder)
    assert again.summary["rounds"] > result.summary["rounds"]
    assert again.summary["stop"]["reason"] == "max_rounds"


# -- focus -----------------------------------------------------------------------------------------


def mixes(folder):
    return [made.evidence.get("focus") for made in decided(folder, "batch")]


def test_the_next_batches_search_for_labels(begin, outcome):
    rounds = {"max_rounds": 5, "stop_set_size": 50}
    payload = {"labels": ["praise", "billing"], "rounds": 2}
    result, _ = begin("ingested", "focus", payload, stopping=rounds)
    [said] = answers(result.folder, "focus")
    # There is nothing to search with before the first training.
    assert said == "batches of rounds 2 to 3 search for praise, billing"
    first, second, third, *others = mixes(result.folder)
    assert first is None
    assert others
    assert not any(others)
    assert second == {"directive": 1, "labels": ["praise", "billing"], "round": 1, "of": 2}
    assert third["round"] == 2
    batch = decided(result.folder, "batch")[1]
    assert max(batch.evidence["mix"], key=batch.evidence["mix"].get) == "search"
    assert batch.evidence["by"] == "rule: the operator ordered search"
    found = [
        row["label"]
        for row in outcome(result.folder).labels
        if row["id"] in batch.decision["batch"]
    ]
    wanted = sum(label in payload["labels"] for label in found)
    assert wanted > len(found) / 2


def test_a_later_focus_replaces_one_that_is_not_done(begin):
    rounds = {"max_rounds": 4, "stop_set_size": 50}
    result, _ = begin(
        "selected", "focus", {"labels": ["praise"], "rounds": 9}, nth=2, stopping=rounds
    )
    assert answers(result.folder, "focus") == ["batches of rounds 3 to 11 search for praise"]
    assert [bool(one) for one in mixes(result.folder)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"labels": ["fraud"], "rounds": 1}, "no such label: 'fraud'; the labels are billing,"),
        ({"labels": ["billing"], "rounds": 0}, "rounds: expected a whole number from 1 to 100"),
        ({"labels": ["billing"], "rounds": 1.5}, "rounds: expected a whole number"),
        ({"labels": [], "rounds": 1}, "expected {labels: [...], rounds: n}"),
        ({"labels": [["billing"]], "rounds": 1}, "no such label: ['billing']"),
        ("billing", "expected {labels: [...], rounds: n}"),
    ],
)
def test_a_focus_that_makes_no_sense_is_refused(begin, corpus, payload, why):
    result, _ = begin("ingested", "focus", payload, stopping={"max_rounds": 2, "stop_set_size": 50})
    [said] = answers(result.folder, "focus")
    assert said.startswith(f"refused: {why}")
    assert mixes(result.folder) == [None, None]


# -- value -----------------------------------------------------------------------------------------


def test_what_accuracy_is_worth_holds_from_the_next_check_on(begin, outcome):
    rounds = {"max_rounds": 3, "stop_set_size": 50, "items": 1000, "error_cost_usd": 1.0}
    result, _ = begin("selected", "value", {"point_usd": 2.5}, nth=2, stopping=rounds)
    first, *later = decided(result.folder, "stop_check")
    assert first.evidence["value"] == to_nano(1000)
    assert [made.evidence["value"] for made in later] == [to_nano(250)] * len(later)
    assert "as the operator said" in later[0].evidence["value_from"]
    assert all(made.evidence["check"]["value"] == to_nano(250) for made in later)
    assert answers(result.folder, "value") == ["from round 2 on a point of accuracy is worth $2.5"]
    assert result.summary["money"]["value_usd"] == 250
    # In another process, too.
    assert resume(result.folder).summary["money"]["value_usd"] == 250


def test_a_value_that_is_none_is_refused(begin):
    result, _ = begin("ingested", "value", {"point_usd": -1})
    [said] = answers(result.folder, "value")
    assert said.startswith("refused: expected {point_usd: an amount of 0 or more}")
    assert "as the operator said" not in result.summary["money"]["value_from"]


# -- kills -----------------------------------------------------------------------------------------


def test_orders_are_taken_once_through_kills(corpus, tmp_path, outcome):
    config = corpus.write("ordered.yaml", stopping={"max_rounds": 6, "stop_set_size": 50})
    first = tmp_path / "first"
    # All of it is ordered before the second round is chosen.
    assert carry_on(config, first, Death("decided", 1, 0)) == -9
    order(first, "focus", {"labels": ["praise"], "rounds": 1})
    order(first, "value", {"point_usd": 3})
    order(first, "finish", {})
    whole = shutil.copytree(first, tmp_path / "whole")
    assert carry_on(config, whole) == 0
    # A kill at any statement of the steps that take orders.
    for statements in (4, 9, 14, 19, 24, 30):
        folder = shutil.copytree(first, tmp_path / str(statements))
        codes = [carry_on(config, folder, Death("node", 1, statements)) for _ in range(2)]
        codes.append(carry_on(config, folder))
        assert codes[-1] == 0
        assert -9 in codes
        assert outcome(folder).decided() == outcome(whole).decided()
        assert all(answers(folder, kind)[0] for kind in ("focus", "value", "finish"))
    assert len(decided(whole, "batch")) == 2
    assert outcome(whole).stop()["reason"] == "operator"
