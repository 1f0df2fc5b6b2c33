"""Whole runs with chat models over HTTP: agents that decide, and everything that goes wrong."""

import json

import pytest
from doubles.openai_server import Reply
from doubles.scripted_models import Models, usd

from labelwright.graph import resume, run
from labelwright.tools.errors import EndpointError
from labelwright.tools.money import to_nano

KEY = "sk-loopback-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def models(corpus, openai_server):
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    openai_server.script = Models(texts, corpus.gold, corpus.labels)
    return openai_server.script


@pytest.fixture
def chat(openai_server):
    def chat(model, tier=None, **more):
        shared = {"model": model, "base_url": openai_server.url, "price": usd(model)}
        shared |= {"max_output_tokens": 64, "concurrency": 16, "retries": 2, "timeout_s": 30}
        who = {"kind": "chat", "name": model, "tier": tier} if tier else {}
        return {**shared, **who, **more}

    return chat


def assert_paid_what_was_served(seen, models, server):
    """Every answer that arrived is paid once, to the nanodollar; only lost ones are in doubt."""
    with seen.ledger() as ledger:
        balance, votes = ledger.balance(), ledger.votes.all()
    assert balance.spent == models.charged(server)
    assert balance.reserved == 0
    doubtful = seen.sql("SELECT count(*) FROM settlements WHERE outcome = 'unknown'")[0][0]
    assert (balance.uncertain > 0) == (doubtful > 0)
    answered = seen.sql(
        "SELECT c.request_key FROM calls c JOIN settlements s USING(call_id) "
        "WHERE s.outcome = 'answered' GROUP BY c.request_key HAVING count(*) > 1"
    )
    assert answered == []
    assert all(vote.label in {None, *models.labels} for vote in votes)
    return votes


def test_it_completes_whatever_the_endpoint_does(
    corpus, models, chat, openai_server, outcome, tmp_path
):
    wrong = {
        0: Reply("slow down", status=429, headers={"retry-after-ms": "20"}),
        1: Reply("oops", status=500),
        2: Reply(delay=60),
        3: Reply(drop=True),
        4: Reply(raw="{not json"),
        5: Reply({"label": "weather", "confidence": 0.9, "reason": "r"}),
        6: Reply('{"label": "bil', finish="length"),
        7: Reply("", refusal="I can not help with that."),
        8: Reply(""),
        9: Reply('{"label": "billing"'),
        10: Reply("the prompt was filtered", status=400, code="content_filter"),
    }
    met = set()

    def fault(model, item, before):
        kind = int(item[1:]) % 24
        if model != "weak" or before or kind not in wrong or (kind == 2 and 2 in met):
            return None
        met.add(kind)
        return wrong[kind]

    models.fault = fault
    annotators = [chat("weak", 1, timeout_s=5), chat("solid", 2)]
    agent = chat("agent", max_output_tokens=300, usd_per_decision=1)
    config = corpus.config(
        annotators=annotators,
        selection={"batch_size": 20, "model": agent},
        critic={"audit_first": 6, "model": agent},
    )
    result = run(config, name="run", runs=tmp_path)
    assert result.status == "finished"
    seen = outcome(result.folder)
    assert [row["id"] for row in seen.labels] == list(corpus.gold)
    assert {row["label"] for row in seen.labels} <= {None, *corpus.labels}
    votes = assert_paid_what_was_served(seen, models, openai_server)
    assert met == set(wrong)
    assert {v.invalid for v in votes if v.invalid} >= {
        "not_in_label_set",
        "truncated",
        "refusal",
        "not_json",
        "empty",
        "no_answer",
    }
    with seen.ledger() as ledger:
        said, choices = ledger.log.transcript(), ledger.log.decisions("batch")
        rulings = ledger.log.decisions("rulings")
    assert all(choice.evidence["by"] == "model agent" for choice in choices)
    assert any(ruling.evidence["by"] == "model agent" for ruling in rulings)
    assert {message["agent"] for message in said} == {"selector", "critic"}
    assert {"system", "user", "assistant", "tool", "outcome"} <= {m["role"] for m in said}
    for message in said:
        json.dumps(message)
    ends = [m["content"] for m in said if m["role"] == "outcome"]
    assert all(end["failure"] is None for end in ends)


def test_a_class_that_is_missing_is_written_for(new_corpus, chat, openai_server, outcome, tmp_path):
    corpus = new_corpus(120, duplicates=2, rare=0.0)
    written = [
        (f"{word} {word} what a {thing} you people have", "praise")
        for word, thing in (
            ("wonderful", "team"),
            ("superb", "shop"),
            ("splendid", "kitchen"),
            ("marvellous", "library"),
        )
    ]
    texts = {i: text for i, text in corpus.texts.items() if i not in corpus.same}
    models = openai_server.script = Models(texts, corpus.gold, corpus.labels, written=written)
    models.accuracy = {"weak": 1.0, "solid": 1.0}
    # A blind annotator that takes one of them for something else.
    models.truth = {**corpus.gold, written[3][0]: "technical"}
    stopping = {"window": 1, "min_rounds": 2, "min_labels": 10, "class_min_labels": 2}
    stopping |= {"stop_set_size": 50, "noise_tolerance": 1, "max_rounds": 8}
    stopping |= {"point_value_usd": 0.0, "patience": 1}
    config = corpus.config(
        annotators=[chat("weak", 1), chat("solid", 2)],
        generation={
            "enabled": True,
            "per_class": 4,
            "max_share": 0.5,
            "model": chat("agent", max_output_tokens=400, usd_per_decision=1),
        },
        stopping=stopping,
    )
    result = run(config, name="run", runs=tmp_path)
    assert result.status == "finished"
    seen = outcome(result.folder)
    assert_paid_what_was_served(seen, models, openai_server)
    with seen.ledger() as ledger:
        made = [d for d in ledger.log.decisions("generated") if d.decision["items"]]
        concluded = ledger.votes.concluded()
        votes = [v for v in ledger.votes.all() if v.item_id.startswith("synthetic-")]
    assert len(made[0].decision["items"]) == 4
    assert made[0].evidence["labelled_blind_by"] == "solid"
    assert {vote.annotator for vote in votes} == {"solid"}
    outcomes = [concluded[item].outcome for item in made[0].decision["items"]]
    assert outcomes == ["accept", "accept", "accept", "set_apart"]
    assert [row["id"] for row in seen.labels] == list(corpus.gold)  # what was written stays inside
    assert result.summary["pool"]["synthetic"] >= 4
    assert result.summary["labels"]["texts"] == 120


@pytest.mark.parametrize("cap", [0.0004, 0.0021, 0.006])
def test_no_cap_is_passed_with_sixteen_requests_in_flight(
    corpus, models, chat, openai_server, outcome, tmp_path, cap
):
    config = corpus.config(
        annotators=[chat("weak", 1), chat("solid", 2)],
        selection={"batch_size": 40},
        budget={"usd": cap},
    )
    result = run(config, name="run", runs=tmp_path)
    seen = outcome(result.folder)
    assert result.summary["stop"]["reason"] == "cap"
    assert seen.most_committed() <= to_nano(cap)
    assert_paid_what_was_served(seen, models, openai_server)
    assert len(seen.labels) == len(corpus.gold)


def test_a_refused_key_is_an_error_and_never_another_annotator(
    corpus, chat, openai_server, tmp_path
):
    openai_server.script = lambda _: Reply(f"Incorrect API key provided: {KEY}", status=401)
    embedded = {"kind": "embedded", "name": "embedded", "tier": 2}
    config = corpus.config(annotators=[chat("weak", 1), embedded])
    with pytest.raises(EndpointError, match="OPENAI_API_KEY") as caught:
        run(config, name="run", runs=tmp_path)
    assert "401" in str(caught.value)
    assert KEY not in str(caught.value)
    folder = tmp_path / "run"
    assert not (folder / "labels.jsonl").exists()
    for path in folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert {served.status for served in openai_server.chats} == {401}
    assert len(openai_server.chats) <= 2  # the blocks that were under way


@pytest.mark.parametrize("status", [401, 404])
def test_an_agent_that_can_not_be_reached_stops_the_run_until_it_is_put_right(
    corpus, models, chat, openai_server, outcome, tmp_path, status
):
    def script(request):
        broken = request["model"] == "agent"
        return Reply("no such thing", status=status) if broken else models(request)

    openai_server.script = script
    config = corpus.config(
        annotators=[chat("weak", 1), chat("solid", 2)],
        selection={"batch_size": 40, "model": chat("agent", usd_per_decision=1)},
    )
    with pytest.raises(EndpointError, match=f"HTTP {status}: no such thing"):
        run(config, name="run", runs=tmp_path)
    seen = outcome(tmp_path / "run")
    assert not (seen.folder / "labels.jsonl").exists()
    assert {s.request["model"] for s in openai_server.chats} == {"agent"}
    openai_server.script = models
    assert resume(seen.folder).status == "finished"
    assert_paid_what_was_served(seen, models, openai_server)
    with seen.ledger() as ledger:
        assert ledger.log.decisions("batch")[0].evidence["by"] == "model agent"


def test_a_server_that_dies_is_an_error_and_nothing_is_paid_twice_after_it(
    corpus, models, chat, openai_server, outcome, tmp_path
):
    dead = Reply("down for maintenance", status=503)
    models.fault = lambda *_: dead if sum(models.asked.values()) > 30 else None
    config = corpus.config(
        annotators=[chat("weak", 1, retries=0), chat("solid", 2, retries=0)],
        critic={"audit_first": 6, "attempts": 3},
    )
    with pytest.raises(EndpointError, match="resume") as caught:
        run(config, name="run", runs=tmp_path)
    assert "503" in str(caught.value)
    seen = outcome(tmp_path / "run")
    assert not (seen.folder / "labels.jsonl").exists()
    with seen.ledger() as ledger:
        before = {(v.item_id, v.annotator, v.attempt): v for v in ledger.votes.all()}
    models.fault = lambda *_: None
    good = len([v for v in before.values() if v.label])
    assert good > 20
    result = resume(seen.folder)
    assert result.status == "finished"
    votes = assert_paid_what_was_served(seen, models, openai_server)
    after = {(v.item_id, v.annotator, v.attempt): v for v in votes}
    assert {key: after[key] for key in before} == before
    labelled = [(v.item_id, v.annotator) for v in votes if v.label]
    assert len(labelled) == len(set(labelled))
    assert [row["id"] for row in seen.labels] == list(corpus.gold)
