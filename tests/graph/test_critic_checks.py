"""The paid checks in whole runs: a server's faults are found, and a sound one is left alone."""

import json
import re
from collections import Counter

import pytest
from doubles.openai_server import Reply
from doubles.scripted_models import Models, usd, wobble

from labelwright.agents.annotators.orders import SIDE_BY_SIDE
from labelwright.graph import resume, run
from labelwright.graph.foreseen_votes import votes_foreseen
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import CHECK_ATTEMPTS

CHECKS = ("check_order", "check_retest", "check_template")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")


@pytest.fixture
def models(corpus, openai_server):
    """Sound: what it says of an item depends on the item alone."""
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    openai_server.script = Models(texts, corpus.gold, corpus.labels)
    return openai_server.script


@pytest.fixture
def config(corpus, openai_server):
    def config(checks, **more):
        chat = {"kind": "chat", "name": "weak", "model": "weak", "base_url": openai_server.url}
        chat |= {"price": usd("weak"), "max_output_tokens": 64, "retries": 0, "tier": 1}
        return corpus.config(
            annotators=[chat, corpus.recorded("strong", 2, trusted=True)],
            selection={"batch_size": 50},
            critic={"audit_first": 12, "checks": checks},
            stopping={"max_rounds": 2, "stop_set_size": 50} | more,
        )

    return config


def shown_labels(request):
    """The labels in the order in which a request shows them."""
    said = "\n".join(str(message["content"]) for message in request["messages"])
    return re.findall(r'^- "(\w+)"', said, re.MULTILINE)


def says(label):
    return Reply({"label": label, "confidence": 0.9, "reason": "it says so"})


def last_record(ledger):
    return ledger.log.decisions("consistency")[-1]


def carried_out(config, outcome, tmp_path):
    result = run(config, name="run", runs=tmp_path)
    assert result.status == "finished"
    return outcome(result.folder)


ORDER = {"order": 0.5, "template": 0, "retest": 0}


def test_a_server_that_follows_the_order_of_labels_is_found(
    config, models, openai_server, outcome, tmp_path
):
    def script(request):
        labels = shown_labels(request)
        item = next((i for i, t in models.texts.items() if t in str(request["messages"])), None)
        lazy = item is not None and wobble("lazy", item) < 0.5
        return says(labels[0]) if lazy else models(request)

    openai_server.script = script
    seen = carried_out(config(ORDER), outcome, tmp_path)
    with seen.ledger() as ledger:
        record = last_record(ledger)
    weak = record.evidence["annotators"]["weak"]
    assert weak["position"]["p_value"] < 0.01
    assert weak["check_order"]["estimate"] > 0.1
    # Only answers to orders that were drawn: those chosen by the answers would raise the alarm.
    changed = weak["check_order"]["estimate"] * weak["check_order"]["n"]
    assert weak["position"]["flips"] == round(changed)
    assert any("follow the order" in alarm for alarm in record.decision["alarms"])


def test_a_sound_server_raises_no_alarm(config, models, outcome, tmp_path):
    seen = carried_out(config({"order": 0.3, "template": 0.3, "retest": 0.3}), outcome, tmp_path)
    with seen.ledger() as ledger:
        record = last_record(ledger)
        spent = {row["purpose"] for row in ledger.spending() if row["annotator"] == "weak"}
        votes = ledger.votes.all()
    weak = record.evidence["annotators"]["weak"]
    assert [a for a in record.decision["alarms"] if a.startswith("weak")] == []
    assert weak["position"]["p_value"] is None
    for check in CHECKS:
        assert weak[check]["n"] > 3
        assert weak[check]["estimate"] == (1.0 if check == "check_retest" else 0.0)
    assert spent >= set(CHECKS)
    # No more than its share, and nothing of it is a vote.
    counts = Counter(vote.purpose for vote in votes if vote.annotator == "weak")
    answers = sum(vote.attempt == 0 for vote in votes if vote.annotator == "weak")
    assert all(0 < counts[check] <= 0.3 * answers for check in CHECKS)
    assert all((vote.purpose in CHECKS) == (vote.attempt >= CHECK_ATTEMPTS) for vote in votes)
    noise = record.evidence["noise"]
    assert all(figures["low"] <= figures["high"] for figures in noise.values())
    assert sum(figures["n"] for figures in noise.values()) > 0


@pytest.mark.parametrize("what", ["check_template", "check_retest"])
def test_a_server_that_changes_its_answers_is_found(
    config, models, openai_server, outcome, tmp_path, what
):
    def script(request):
        reply = models(request)
        other = "Which of these labels" in str(request["messages"])
        item = next((i for i, t in models.texts.items() if t in str(request["messages"])), None)
        again = item is not None and models.asked["weak", item] > 1
        if (again and what == "check_retest") or (other and what == "check_template"):
            label = reply.content["label"]
            labels = list(models.labels)
            return says(labels[(labels.index(label) + 1) % len(labels)])
        return reply

    openai_server.script = script
    checks = {"order": 0, "template": 0, "retest": 0} | {what.removeprefix("check_"): 0.4}
    seen = carried_out(config(checks), outcome, tmp_path)
    with seen.ledger() as ledger:
        record = last_record(ledger)
        sent = [d.decision["sent_on"] for d in ledger.log.decisions("rulings")]
    weak = record.evidence["annotators"]["weak"]
    if what == "check_retest":
        assert weak[what]["estimate"] == 0.0
        assert any("agreement with itself" in alarm for alarm in record.decision["alarms"])
    else:
        assert weak[what]["estimate"] == 1.0
        assert weak[what]["confusions"]
    # A label that did not hold goes to somebody else.
    reasons = " ".join(reason for moved in sent for _, _, reason in moved.values())
    assert "changes" in reasons


def test_a_run_that_breaks_off_in_its_checks_pays_nothing_twice(
    config, models, openai_server, outcome, tmp_path
):
    checks = {"order": 0.3, "template": 0.3, "retest": 0.3, "counter": 0.1}
    whole = carried_out(config(checks), outcome, tmp_path / "whole")
    models.asked.clear()
    openai_server.served.clear()
    dead = Reply("down for maintenance", status=503)

    def broken(model, item, before):
        return dead if before and sum(models.asked.values()) > 75 else None

    models.fault = broken
    with pytest.raises(EndpointError, match="503"):
        run(config(checks), name="run", runs=tmp_path)
    models.fault = lambda *_: None
    assert resume(tmp_path / "run").status == "finished"
    seen = outcome(tmp_path / "run")
    with seen.ledger() as ledger, whole.ledger() as other:
        paid = [row["cost"] for row in ledger.spending() if row["annotator"] != "strong"]
        assert sum(paid) == models.charged(openai_server)
        keys = [(v.item_id, v.annotator, v.attempt) for v in ledger.votes.all() if v.label]
        wanted = {(v.item_id, v.annotator, v.attempt) for v in other.votes.all() if v.label}
    assert len(keys) == len(set(keys))
    # Nothing but checks that the server refused is missing, and a refusal says nothing of a label.
    assert all(attempt >= CHECK_ATTEMPTS for _, _, attempt in wanted - set(keys))


# -- what the delivered report says of it --


def delivered(seen):
    """The part of the summary about one annotator, and the card as one line."""
    summary = json.loads((seen.folder / "summary.json").read_text(encoding="utf-8"))
    (weak,) = [one for one in summary["consistency"] if one["annotator"] == "weak"]
    return weak, " ".join((seen.folder / "card.md").read_text(encoding="utf-8").split())


def test_the_two_best_labels_of_a_doubtful_item_are_asked_about_side_by_side(
    config, models, openai_server, outcome, tmp_path
):
    seen = carried_out(config(ORDER), outcome, tmp_path)
    with seen.ledger() as ledger:
        made = ledger.log.decisions("checks")
        asked = {v.item_id: v.attempt for v in ledger.votes.all() if v.purpose == "check_order"}
    queued = {item for made in made for item in made.decision["queued"]["weak"]["check_order"]}
    random = {item for made in made for item in made.decision["random"]["weak"]["check_order"]}
    assert queued
    assert random
    assert {item for item, attempt in asked.items() if attempt >= SIDE_BY_SIDE} == queued
    weak, card = delivered(seen)
    # Rates are of the random ones, whose orders know nothing of the answers.
    assert weak["check_order"]["n"] == len(random)
    assert f"100.0% of {len(random)} texts" in card
    assert "with the labels in another order" in card
    lists = [
        shown_labels(exchange.request)
        for exchange in openai_server.chats
        if "Label this text" in str(exchange.request["messages"])
    ]
    assert len({tuple(shown) for shown in lists}) > 5


def test_a_server_that_gives_in_to_objections_is_found(
    config, models, openai_server, outcome, tmp_path
):
    def script(request):
        reply = models(request)
        objected = re.search(r'its label is NOT "(\w+)"', str(request["messages"][-1]["content"]))
        if objected:
            assert reply.content["label"] == objected[1]
            denied.append(objected[1])
            return says(next(label for label in models.labels if label != objected[1]))
        return reply

    denied = []
    openai_server.script = script
    checks = {"order": 0, "template": 0, "retest": 0, "counter": 0.1}
    seen = carried_out(config(checks), outcome, tmp_path)
    with seen.ledger() as ledger:
        votes = [vote for vote in ledger.votes.all() if vote.annotator == "weak"]
        reasons = str([d.decision["sent_on"] for d in ledger.log.decisions("rulings")])
        paid = {row["purpose"]: row["cost"] for row in ledger.spending()}
    objections = [vote for vote in votes if vote.purpose == "check_counter"]
    assert len(objections) == len(denied) > 0
    assert len(objections) <= 0.1 * sum(vote.attempt == 0 for vote in votes)
    assert paid["check_counter"] > 0
    # It is a measurement: no label is doubted for it.
    assert "changes" not in reasons
    weak, card = delivered(seen)
    assert (weak["check_counter"]["estimate"], weak["check_counter"]["n"]) == (1, len(denied))
    assert f"gave in for 100.0% of {len(denied)} text" in card
    assert "stayed the same" not in card


def test_a_reply_to_an_objection_that_is_no_label_is_not_giving_in(
    config, models, openai_server, outcome, tmp_path
):
    def script(request):
        reply = models(request)
        objected = re.search(r'its label is NOT "(\w+)"', str(request["messages"][-1]["content"]))
        if not objected:
            return reply
        denied.append(objected[1])
        return says("nonsense") if len(denied) > 1 else reply

    denied = []
    openai_server.script = script
    checks = {"order": 0, "template": 0, "retest": 0, "counter": 0.1}
    weak, card = delivered(carried_out(config(checks), outcome, tmp_path))
    assert len(denied) > 1
    assert (weak["check_counter"]["estimate"], weak["check_counter"]["n"]) == (0, 1)
    assert weak["check_counter"]["confusions"] == []
    assert "gave in for 0.0% of 1 text" in card


def test_a_model_that_is_exchanged_between_rounds_is_told_of(
    config, models, openai_server, outcome, tmp_path
):
    changed = []

    def script(request):
        repeated = any(count > 1 for count in models.asked.values())
        known = set(models.asked)
        reply = models(request)
        # A new item after repetitions: the second round has begun.
        if repeated and set(models.asked) - known:
            changed.append(True)
        if changed and "label" in reply.content:
            at = models.labels.index(reply.content["label"])
            return says(models.labels[(at + 1) % len(models.labels)])
        return reply

    openai_server.script = script
    checks = {"order": 0, "template": 0, "retest": 0.4}
    seen = carried_out(config(checks), outcome, tmp_path)
    weak, card = delivered(seen)
    assert weak["unsteady"]
    assert weak["retested"] == 2
    assert "Alarm in round 2: agreement with itself fell from 1.000 to" in card
    assert "No silent change" not in card


def test_the_same_run_checks_the_same(config, models, outcome, tmp_path):
    checks = {"order": 0.3, "template": 0, "retest": 0, "counter": 0.1}
    one, twin = (carried_out(config(checks), outcome, tmp_path / name) for name in "ab")
    assert one.decided() == twin.decided()
    with one.ledger() as ledger:
        purposes = {vote.purpose for vote in ledger.votes.all()}
    assert purposes >= {"check_order", "check_counter"}


def test_objections_are_foreseen_in_the_plan(config):
    def most(**share):
        checks = {"order": 0, "template": 0, "retest": 0, "counter": 0} | share
        return votes_foreseen(config(checks), 50, 200, (1, 2))["weak"][1]

    assert most(counter=0.5) == most(order=0.5) > most()
