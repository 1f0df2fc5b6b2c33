"""The paid checks in whole runs: a server's faults are found, and a sound one is left alone."""

import re
from collections import Counter

import pytest
from doubles.openai_server import Reply
from doubles.scripted_models import Models, usd, wobble

from labelwright.graph import resume, run
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
    checks = {"order": 0.3, "template": 0.3, "retest": 0.3}
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
