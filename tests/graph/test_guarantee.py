"""A run with a guarantee: its last audit, what it accepts, and what it says of it."""

import json

import numpy as np
import pytest

from labelwright.agents.critic_bench import Proposal
from labelwright.agents.verdict import weigh
from labelwright.graph import plan, replay, run
from labelwright.graph.acceptance import accept
from labelwright.graph.guarantee import finished_labels, times_tested
from labelwright.graph.nodes import finish
from labelwright.graph.proposals import listed, propose
from labelwright.graph.run import resume
from labelwright.graph.session import open_run
from labelwright.graph.state import START
from labelwright.graph.stop_check import loop_rounds
from labelwright.tools.errors import ConfigError
from labelwright.tools.ledger import Decision, Ledger

GUARANTEE = {"error": 0.1, "confidence": 0.9, "audits": 120}
DELIVERED = {**GUARANTEE, "error": 0.06, "rest": "escalate", "of": "delivered"}


def rows(outcome):
    lines = (outcome.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def decided(outcome, kind):
    with Ledger(outcome.folder / "ledger.sqlite", create=False) as ledger:
        return [decision.decision for decision in ledger.log.decisions(kind)]


def test_what_is_accepted_is_as_good_as_proven(guaranteed, tmp_path):
    corpus, config = guaranteed()
    outcome = run(config, name="run", runs=tmp_path)
    (drawn,) = decided(outcome, "last_audit")
    (proven,) = decided(outcome, "guarantee")
    assert len(set(drawn["items"])) == 120
    assert proven["threshold"] is not None
    audited = set(drawn["items"])
    given = [row for row in rows(outcome) if row["duplicate_of"] is None]
    accepted = [row for row in given if row["outcome"] == "accept" and row["source"] != "person"]
    assert len(accepted) == proven["accepted"] > 100
    assert audited.isdisjoint(row["id"] for row in accepted)
    assert min(row["p_correct"] for row in accepted) >= proven["threshold"] - 1e-6
    wrong = sum(row["label"] != corpus.gold[row["id"]] for row in accepted)
    assert wrong <= 0.1 * len(accepted)
    for row in given:
        if row["id"] in audited:
            assert (row["label"], row["source"]) == (corpus.gold[row["id"]], "person")
        elif row["outcome"] == "set_apart":
            assert "as guaranteed" in row["reason"]
    summary = outcome.summary
    assert summary["guarantee"]["accepted"] == len(accepted)
    labels, gold = summary["quality"]["labels"], summary["quality"]["gold"]
    assert labels["low"] <= gold["accuracy"]["estimate"] <= labels["high"]
    said = (
        f"At most 10% of the {len(accepted)} labels that no trusted annotator has given are wrong"
    )
    for name in ("card.md", "report.html"):
        assert said in (outcome.folder / name).read_text(encoding="utf-8")
    for label, share in summary["class_shares"].items():
        true = sum(corpus.gold[row["id"]] == label for row in given) / len(given)
        assert share["low"] - 0.02 <= true <= share["high"] + 0.02


@pytest.mark.parametrize("aggregation", ["auto", "dawid_skene"])
def test_labels_that_are_tested_do_not_move_by_what_the_test_finds(
    guaranteed, tmp_path, aggregation
):
    method = {"aggregation": aggregation, "guarantee": GUARANTEE}
    critic = {"audit_first": 80, "escalate_share": 0.0}
    _, config = guaranteed(n=300, ensemble=method, critic=critic)
    outcome = run(config, name="run", runs=tmp_path)
    (drawn,) = decided(outcome, "last_audit")
    with open_run(outcome.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        panel = ctx.panel(80, None)
        state = {**START, "audited": 80}
        tested = finished_labels(ctx, state, panel, None, drawn["items"])
        ctx.ledger.votes.all = without(ctx.ledger.votes.all)
        ctx.ledger.votes.of_items = without(ctx.ledger.votes.of_items)
        before = ctx.ballot(list(tested.ballot.item_ids))
        assert (before.votes != tested.ballot.votes).sum() == len(drawn["items"]) == 120
        fresh = ctx.panel(80, None)
        verdict = weigh(before, fresh, None, classes=len(ctx.labels))
    np.testing.assert_array_equal(tested.verdict.label, verdict.label)
    np.testing.assert_array_equal(tested.verdict.p_correct, verdict.p_correct)


def without(read):
    """What the ledger held before the last audit."""

    def early(votes):
        return [vote for vote in votes if vote.purpose != "last_audit"]

    def found(*args):
        given = read(*args)
        if isinstance(given, list):
            return early(given)
        return {item: early(votes) for item, votes in given.items()}

    return found


def test_too_few_audits_are_told_and_labels_kept(guaranteed, tmp_path):
    _, config = guaranteed(n=150, ensemble={"guarantee": {"error": 0.05, "audits": 10}})
    outcome = run(config, name="run", runs=tmp_path)
    proven = outcome.summary["guarantee"]
    assert proven["threshold"] is None
    assert proven["needed"] == 45
    assert outcome.summary["labels"]["accepted"] > 100
    card = (outcome.folder / "card.md").read_text(encoding="utf-8")
    assert "10 audits are too few to prove an error of 5.0% or less" in card
    assert "It takes 45 audits" in card


def test_a_person_is_asked_a_few_at_a_time_and_may_leave_some_open(guaranteed, tmp_path):
    corpus, config = guaranteed(judge="human", human={"questions_per_round": 50})
    asked = []

    def answer(payload):
        items = [question["item_id"] for question in payload["questions"]]
        asked.append((payload["purpose"], len(items)))
        left = {items[0]} if payload["purpose"] == "last_audit" else set()
        return {item: corpus.gold[item] for item in items if item not in left}

    outcome = run(config, name="run", runs=tmp_path, answer=answer)
    sizes = [size for purpose, size in asked if purpose == "last_audit"]
    assert max(sizes) <= 50
    assert sum(sizes) > 120  # who leaves a question open is asked once more while answers come
    (proven,) = decided(outcome, "guarantee")
    assert proven["audits"] == 120
    assert outcome.status == "finished"


def test_a_person_who_does_not_answer_leaves_no_guarantee(guaranteed, tmp_path):
    corpus, config = guaranteed(n=150, judge="human")

    def answer(payload):
        if payload["purpose"] == "last_audit":
            return {}
        return {q["item_id"]: corpus.gold[q["item_id"]] for q in payload["questions"]}

    outcome = run(config, name="run", runs=tmp_path, answer=answer)
    assert outcome.summary["guarantee"]["audits"] == 0
    assert outcome.summary["guarantee"]["threshold"] is None


def test_money_is_kept_for_the_last_audit(guaranteed, tmp_path):
    _, config = guaranteed(budget={"usd": 9.0})
    outcome = run(config, name="run", runs=tmp_path)
    (drawn,) = decided(outcome, "last_audit")
    assert len(drawn["items"]) == 120
    assert outcome.summary["money"]["spent_usd"] <= 9.0
    assert outcome.summary["guarantee"]["audits"] == 120


def test_the_quote_has_the_last_audit(guaranteed):
    _, config = guaranteed(judge="human")
    _, without = guaranteed(judge="human", ensemble={})

    def questions(config):
        return next(line for line in plan(config).lines if "judge" in line.what).requests

    assert questions(config)[0] == questions(without)[0] + 120


def test_a_run_that_waits_for_its_last_audit_is_taken_up(guaranteed, tmp_path):
    corpus, config = guaranteed(judge="human", human={"questions_per_round": 200})
    purposes = []

    def early(payload):
        purposes.append(payload["purpose"])
        if payload["purpose"] == "last_audit":
            return None
        return {q["item_id"]: corpus.gold[q["item_id"]] for q in payload["questions"]}

    waiting = run(config, name="run", runs=tmp_path, answer=early)
    assert waiting.status == "waiting_for_people"
    assert waiting.summary["guarantee"] is None

    def late(payload):
        return {q["item_id"]: corpus.gold[q["item_id"]] for q in payload["questions"]}

    outcome = resume(waiting.folder, answer=late)
    assert outcome.status == "finished"
    assert len(decided(outcome, "last_audit")) == 1
    assert outcome.summary["guarantee"]["audits"] == 120


def test_nobody_to_judge_is_refused_at_the_start(corpus):
    with pytest.raises(ConfigError, match=r"ensemble.guarantee: no annotator is trusted.*trusted"):
        corpus.config(ensemble={"guarantee": {"error": 0.05}})
    with pytest.raises(ConfigError, match="error"):
        corpus.config(ensemble={"guarantee": {"confidence": 0.9}})


@pytest.mark.parametrize("rest", ["set_apart", "escalate"])
def test_a_delivery_that_is_cut_off_draws_no_second_sample(
    guaranteed, tmp_path, monkeypatch, outcome, rest
):
    ensemble = {"guarantee": GUARANTEE} if rest == "set_apart" else {"guarantee": DELIVERED}
    _, config = guaranteed(ensemble=ensemble, odd=0.5)
    whole = run(config, name="whole", runs=tmp_path)
    assert len(decided(whole, "rest_escalated")) == (rest == "escalate")
    assert len(decided(whole, "deliver")) == 1
    made = "_deliver" if rest == "set_apart" else "escalate_rest"
    true = getattr(finish, made)

    def cut_off(*args):
        true(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(finish, made, cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(config, name="cut", runs=tmp_path)
    monkeypatch.undo()
    cut = resume(tmp_path / "cut")
    assert outcome(cut.folder).decided() == outcome(whole.folder).decided()


def test_a_replay_proves_nothing_by_answers_that_nobody_was_asked_for(guaranteed, tmp_path):
    _, config = guaranteed(n=200)
    first = run(config, name="run", runs=tmp_path)
    again = replay(first.folder, out=tmp_path / "again", stop="kappa").run
    assert again.summary["guarantee"] == first.summary["guarantee"]
    other = replay(first.folder, seed=3, stop="kappa").run
    proven, labels = other.summary["guarantee"], other.summary["quality"]["labels"]
    assert (proven["threshold"], proven["audits"]) == (None, 0)
    assert "the recorded votes of judge lack" in proven["why_not"]
    # What is said of the labels comes from the audits of the rounds.
    assert labels["low"] <= other.summary["quality"]["gold"]["accuracy"]["estimate"]


def test_a_pool_that_the_audits_of_the_rounds_use_up_is_delivered(new_corpus, tmp_path):
    corpus = new_corpus(5, duplicates=1)
    annotators = [corpus.recorded("cheap", 1), corpus.recorded("strong", 2, trusted=True)]
    config = corpus.config(annotators=annotators, ensemble={"guarantee": {"error": 0.1}})
    outcome = run(config, name="run", runs=tmp_path)
    assert outcome.summary["labels"]["accepted"] == 5
    assert "no label was left" in outcome.summary["guarantee"]["why_not"]


def test_a_run_that_is_taken_up_only_to_end_pays_for_no_second_audit(guaranteed, tmp_path):
    _, config = guaranteed(n=200)
    first = run(config, name="run", runs=tmp_path)
    with open_run(first.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        wish = Proposal(kind="generate_for_class", target="praise", text="t", evidence="e")
        propose(ctx, {**START, "step": 900, "round": 1}, [wish], "model m", "r")
        number = len(listed(ctx.ledger))
        spent = ctx.ledger.balance().spent
    accept(first.folder, number)
    again = resume(first.folder)
    with Ledger(first.folder / "ledger.sqlite", create=False) as ledger:
        assert len(ledger.log.decisions("deliver")) == 2
        assert ledger.balance().spent == spent
    assert again.summary["guarantee"] == first.summary["guarantee"]


def test_a_second_test_of_one_run_is_less_sure(guaranteed, tmp_path):
    _, config = guaranteed(n=200)
    first = run(config, name="run", runs=tmp_path)
    assert (first.summary["guarantee"]["tests"], first.summary["guarantee"]["confidence"]) == (
        1,
        config.ensemble.guarantee.confidence,
    )
    with open_run(first.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        ctx.step = 10_000
        for step in (900, 901):
            ctx.ledger.log.decide(Decision(step, 1, "critic", "last_audit", {"items": []}, {}))
        proven = times_tested(ctx)
    alpha = 1 - config.ensemble.guarantee.confidence
    assert proven == (3, pytest.approx(1 - 3 * alpha))


def test_what_the_last_audit_cost_is_no_price_of_the_next_batch(guaranteed, tmp_path, monkeypatch):
    """Of a run that is taken up again after its delivery."""
    _, config = guaranteed()
    outcome = run(config, name="run", runs=tmp_path)
    with open_run(outcome.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        late = sum(v.cost for v in ctx.ledger.votes.all() if v.purpose == "last_audit")
        assert late > 0
        before, rounds = loop_rounds(ctx), list(ctx.ledger.log.rounds())
        number, metrics, predictions = rounds[-1]
        # As if another round had followed: what was spent since is in its figures.
        followed = (number + 1, {**metrics, "spent": metrics["spent"] + late + 7}, predictions)
        ctx.ledger.log.decide(Decision(10**6, number + 1, "selector", "batch", {}, {}))
        monkeypatch.setattr(type(ctx.ledger.log), "rounds", lambda _: [*rounds, followed])
        *same, last = loop_rounds(ctx)
        assert [now[1]["spent"] for now in same] == [was[1]["spent"] for was in before]
        assert last[1]["spent"] - before[-1][1]["spent"] == 7
