"""What a guarantee could not accept, put to the trusted annotator."""

import json

import pytest

from labelwright.graph import plan, run
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
        assert f"{len(accepted) + n} labels that were not in the last audit" in said
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
