"""What a guarantee could not accept, put to the trusted annotator."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from labelwright.agents.annotators.annotator import Asked
from labelwright.agents.annotators.recorded import RecordedAnnotator
from labelwright.graph import escalation, guarantee, plan, run
from labelwright.graph.audit_proof import judge_labels
from labelwright.graph.nodes import finish
from labelwright.graph.session import open_run
from labelwright.graph.state import START
from labelwright.tools.ledger import Ledger

GUARANTEE = {"error": 0.1, "confidence": 0.9, "audits": 120}
ERRORS = {"accepted": 0.1, "delivered": 0.06}


def rows(outcome):
    lines = (outcome.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def decided(outcome, kind):
    with Ledger(outcome.folder / "ledger.sqlite", create=False) as ledger:
        return [decision.decision for decision in ledger.log.decisions(kind)]


def escalating(of="accepted", **terms):
    return {"guarantee": {**GUARANTEE, "error": ERRORS[of], "rest": "escalate", "of": of, **terms}}


@pytest.mark.parametrize("of", ["accepted", "delivered"])
def test_what_could_not_be_accepted_is_put_to_the_trusted_annotator(guaranteed, tmp_path, of):
    corpus, config = guaranteed(ensemble=escalating(of=of), odd=0.5)
    outcome = run(config, name="run", runs=tmp_path)
    (drawn,), (asked,) = decided(outcome, "last_audit"), decided(outcome, "rest_escalated")
    (proven,) = decided(outcome, "guarantee")
    assert set(asked["items"]).isdisjoint(drawn["items"])
    given = {row["id"]: row for row in rows(outcome) if row["duplicate_of"] is None}
    assert all(row["outcome"] == "accept" for row in given.values())
    for item in asked["items"]:
        assert (given[item]["label"], given[item]["source"]) == (corpus.gold[item], "person")
    assert proven["escalated"] == proven["escalated_labels"] == len(asked["items"]) > 0
    accepted = [row for row in given.values() if row["source"] != "person"]
    assert len(accepted) == proven["accepted"] > 0
    assert min(row["p_correct"] for row in accepted) >= proven["threshold"] - 1e-6
    wrong = sum(row["label"] != corpus.gold[row["id"]] for row in accepted)
    assert wrong <= ERRORS[of] * (len(accepted) + len(asked["items"]) * (of == "delivered"))
    said = (outcome.folder / "card.md").read_text(encoding="utf-8")
    n = len(asked["items"])
    assert f"was asked about {n} of the other texts and gave {n} a label" in said
    if of == "delivered":
        assert f"{len(accepted) + n} labels accepted by the guarantee or given by the" in said
    assert outcome.summary["money"]["spent_usd"] >= 0.05 * (120 + n)


def test_the_test_does_not_see_what_is_escalated(guaranteed, tmp_path):
    _, config = guaranteed(odd=0.5)
    _, escalate = guaranteed(ensemble=escalating(), odd=0.5)
    apart, asked = (
        run(config, name=name, runs=tmp_path)
        for name, config in (("apart", config), ("asked", escalate))
    )
    (before,), (after,) = decided(apart, "guarantee"), decided(asked, "guarantee")
    assert {name: after[name] for name in before if name != "labels"} == {
        name: before[name] for name in before if name != "labels"
    }
    assert after["labels"] == before["labels"]
    model = {r["id"]: r["label"] for r in rows(apart) if r["outcome"] == "accept"}
    assert model.items() <= {r["id"]: r["label"] for r in rows(asked)}.items()


@pytest.mark.parametrize("of", ["accepted", "delivered"])
def test_where_the_money_ends_the_least_probable_have_been_asked_about(guaranteed, tmp_path, of):
    corpus, config = guaranteed(odd=0.5, ensemble=escalating(of=of), budget={"usd": 11.5})
    outcome = run(config, name="run", runs=tmp_path)
    (asked,), (proven,) = decided(outcome, "rest_escalated"), decided(outcome, "guarantee")
    assert outcome.summary["money"]["spent_usd"] <= 11.5
    assert proven["threshold"] is not None
    given = {row["id"]: row for row in rows(outcome) if row["duplicate_of"] is None}
    apart = [row for row in given.values() if row["outcome"] == "set_apart"]
    assert apart
    assert all("as guaranteed" in row["reason"] for row in apart)
    assert {given[item]["source"] for item in asked["items"]} == {"person"}
    accepted = [row for row in given.values() if row["source"] == "model"]
    wrong = sum(row["label"] != corpus.gold[row["id"]] for row in accepted)
    assert wrong <= ERRORS[of] * (len(accepted) + proven["escalated_labels"] * (of == "delivered"))


def test_a_person_may_leave_some_of_the_rest_open(guaranteed, tmp_path):
    corpus, config = guaranteed(
        judge="human", odd=0.5, human={"questions_per_round": 40}, ensemble=escalating()
    )
    asked = []

    def answer(payload):
        items = [question["item_id"] for question in payload["questions"]]
        if payload["purpose"] != "rest_escalated":
            return {item: corpus.gold[item] for item in items}
        asked.extend(items)
        if len(asked) > 50:
            return {}
        # No label fits the first, and the second stays open.
        return {item: corpus.gold[item] if row else None for row, item in enumerate(items)
                if row != 1}  # fmt: skip

    outcome = run(config, name="run", runs=tmp_path, answer=answer)
    (proven,) = decided(outcome, "guarantee")
    assert proven["threshold"] is not None
    assert 30 < proven["escalated_labels"] < proven["escalated"]
    given = {row["id"]: row for row in rows(outcome) if row["duplicate_of"] is None}
    assert given[asked[0]]["reason"] == "a trusted annotator finds no label right"
    assert given[asked[1]]["outcome"] == "set_apart"
    assert outcome.status == "finished"


def test_nobody_is_asked_where_nothing_is_proven(guaranteed, tmp_path):
    _, config = guaranteed(n=150, ensemble=escalating(audits=10))
    outcome = run(config, name="run", runs=tmp_path)
    assert decided(outcome, "rest_escalated") == []
    assert outcome.summary["guarantee"]["threshold"] is None


def test_the_quote_counts_with_all_of_the_rest(guaranteed):
    def most(config):
        return next(line for line in plan(config).lines if "judge" in line.what).requests[1]

    _, apart = guaranteed(judge="human", ensemble={"guarantee": GUARANTEE})
    _, escalate = guaranteed(judge="human", ensemble=escalating())
    assert most(apart) < most(escalate) == 500


@pytest.mark.parametrize(("of", "answers"), [("accepted", 117), ("delivered", 80)])
def test_an_audit_that_breaks_off_is_not_followed_by_an_escalation(
    guaranteed, tmp_path, monkeypatch, of, answers
):
    _, config = guaranteed(odd=0.5, ensemble=escalating(of=of))
    true, times = RecordedAnnotator.ask, []

    def ask(self, questions, asking):
        if asking.purpose != "last_audit":
            return true(self, questions, asking)
        times.append(len(questions))
        first = questions[:answers] if len(times) == 1 else []
        got = true(self, first, asking) if first else Asked(0, 0, ())
        return replace(got, not_asked=tuple(one.item_id for one in questions[len(first) :]))

    monkeypatch.setattr(RecordedAnnotator, "ask", ask)
    outcome = run(config, name="run", runs=tmp_path)
    assert times == [120, 120 - answers]
    assert decided(outcome, "rest_escalated") == []
    (proven,) = decided(outcome, "guarantee")
    assert proven["audits"] == answers
    if of == "accepted":
        assert proven["threshold"] is not None
        return
    # It is not what the audit has found: with the labels of the rest it would have been enough.
    assert proven["threshold"] is None
    assert "were not put to the trusted annotator" in proven["why_not"]
    assert proven["short_of"] == "labels"
    assert "It takes" not in (outcome.folder / "card.md").read_text(encoding="utf-8")


def test_what_was_left_open_in_the_audit_is_not_asked_about_again(guaranteed, tmp_path):
    corpus, config = guaranteed(judge="human", odd=0.5, ensemble=escalating(),
                                human={"questions_per_round": 500})  # fmt: skip
    with (corpus.folder / "pool.csv").open(encoding="utf-8", newline="") as file:
        looks = {row["id"]: row["gold"] for row in csv.DictReader(file)}

    def answer(payload):
        items = [question["item_id"] for question in payload["questions"]]
        if payload["purpose"] == "last_audit":
            # Nothing is said of those that are not what they look like.
            items = [item for item in items if corpus.gold[item] == looks[item]]
        return {item: corpus.gold[item] for item in items}

    outcome = run(config, name="run", runs=tmp_path, answer=answer)
    (drawn,), (asked,) = decided(outcome, "last_audit"), decided(outcome, "rest_escalated")
    (proven,) = decided(outcome, "guarantee")
    assert set(asked["items"]).isdisjoint(drawn["items"])
    assert {row["source"] for row in rows(outcome) if row["id"] in drawn["items"]} > {"person"}
    assert proven["audits"] == 120
    assert proven["threshold"] is not None
    with Ledger(outcome.folder / "ledger.sqlite", create=False) as ledger:
        (made,) = ledger.log.decisions("rest_escalated")
    assert (made.evidence["audits"], made.evidence["threshold"]) == (120, proven["threshold"])


def test_answers_of_the_escalation_are_no_outcomes_of_the_test(guaranteed, tmp_path):
    _, config = guaranteed(odd=0.5, ensemble=escalating(of="delivered"))
    outcome = run(config, name="run", runs=tmp_path)
    (drawn,), (asked,) = decided(outcome, "last_audit"), decided(outcome, "rest_escalated")
    with open_run(outcome.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        panel, read = ctx.panel(40, None), ctx.ledger.votes.of_items
        late = {*drawn["items"][-20:]}

        def later(items):
            return {
                item: [
                    replace(vote, purpose="rest_escalated")
                    if item in late and vote.purpose == "last_audit"
                    else vote
                    for vote in votes
                ]
                for item, votes in read(items).items()
            }

        ctx.ledger.votes.of_items = later
        state = {**START, "audited": 40}
        rest = [*asked["items"], *late]
        finished = guarantee.finished_labels(ctx, state, panel, None, drawn["items"], rest)
        assert finished.heard.tolist() == [True] * 100 + [False] * 20
        assert set(finished.audited.tolist()).isdisjoint(finished.escalated.tolist())
        # The sample by which the rest was chosen stays the same.
        assert judge_labels(ctx, finished, panel).audits == 120


def test_an_escalation_that_was_not_made_is_named(guaranteed, tmp_path, monkeypatch):
    _, config = guaranteed(odd=0.5, ensemble=escalating(of="delivered"))
    drawn = finish.last_audit
    monkeypatch.setattr(finish, "time_is_up", lambda ctx, _: drawn(ctx) is not None)
    outcome = run(config, name="run", runs=tmp_path)
    (proven,) = decided(outcome, "guarantee")
    assert (proven["threshold"], proven["audits"]) == (None, 120)
    assert "were not put to the trusted annotator" in proven["why_not"]
    assert proven["short_of"] == "labels"


def test_nothing_is_spent_on_a_proof_that_is_out_of_reach(guaranteed, tmp_path, monkeypatch):
    _, config = guaranteed(odd=0.5, ensemble=escalating(of="delivered"))
    true = escalation.asking_costs
    monkeypatch.setattr(escalation, "asking_costs", lambda ctx, items: 100 * true(ctx, items))
    outcome = run(config, name="run", runs=tmp_path)
    assert decided(outcome, "rest_escalated") == []
    (proven,) = decided(outcome, "guarantee")
    assert proven["threshold"] is None
    assert "were not put to the trusted annotator" in proven["why_not"]


def test_what_the_money_reaches_is_counted_by_the_prices_of_the_least_probable(
    guaranteed, tmp_path, monkeypatch
):
    _, config = guaranteed(n=200, ensemble=escalating(of="delivered"))
    outcome = run(config, name="run", runs=tmp_path)
    with open_run(outcome.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        panel, state = ctx.panel(40, None), {**START, "audited": 40}
        (drawn,) = decided(outcome, "last_audit")
        finished = guarantee.finished_labels(ctx, state, panel, None, drawn["items"])
        ids = finished.ballot.item_ids
        order = np.argsort(finished.verdict.p_correct, kind="stable").tolist()
        dear = {ids[row] for row in order[:60]}

        def costs(_, items):
            return np.asarray([50 if item in dear else 1 for item in items], np.int64)

        monkeypatch.setattr(guarantee, "asking_costs", costs)
        assert guarantee._within_reach(ctx, finished, set(), 1049) == 20
        sample = {ids[row] for row in order[:50]}
        assert guarantee._within_reach(ctx, finished, sample, 505) == 15


def test_without_a_proof_the_word_of_the_trusted_annotator_still_holds(guaranteed, tmp_path):
    corpus, config = guaranteed(
        judge="human",
        odd=0.5,
        human={"questions_per_round": 500},
        ensemble=escalating(of="delivered"),
    )
    unheard, refused = set(), set()

    def answer(payload):
        items = [question["item_id"] for question in payload["questions"]]
        if payload["purpose"] == "rest_escalated":
            # None of the labels fits those that no last audit could test; the others stay open.
            refused.update(unheard.intersection(items))
            return dict.fromkeys(unheard.intersection(items))
        if payload["purpose"] != "last_audit" and not unheard:
            unheard.update(items[:8])
        return {item: corpus.gold[item] for item in items if item not in unheard}

    outcome = run(config, name="run", runs=tmp_path, answer=answer)
    (proven,), (asked,) = decided(outcome, "guarantee"), decided(outcome, "rest_escalated")
    assert proven["threshold"] is None
    assert f"gave a label to 0 of the {len(asked['items'])} texts" in proven["why_not"]
    assert (proven["short_of"], proven["escalated_labels"]) == ("labels", 0)
    assert len(refused) > 3
    given = {row["id"]: row for row in rows(outcome)}
    assert {given[item]["outcome"] for item in refused} == {"set_apart"}
    assert {given[item]["reason"] for item in refused} == {
        "a trusted annotator finds no label right"
    }
