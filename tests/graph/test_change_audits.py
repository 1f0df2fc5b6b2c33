"""Audits of changed predictions: bought once where they pay, and kept apart from the audit."""

import pytest

from labelwright.graph import resume, run
from labelwright.graph.nodes import decide
from labelwright.graph.session import open_run

STOPPING = {
    "min_labels": 10,
    "class_min_labels": 1,
    "noise_tolerance": 1,
    "max_rounds": 6,
    "point_value_usd": 0.1,
    "prior_rho": 0.005,
}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A pool this small has few changes."""
    monkeypatch.setattr("labelwright.tools.rho.AUDITS", (3, 5))


def config(corpus, price, **stopping):
    strong = {**corpus.recorded("strong", 2, trusted=True), "price": price}
    return corpus.config(
        annotators=[corpus.recorded("cheap", 1), strong],
        stopping={**STOPPING, **stopping},
        selection={"batch_size": 12, "strategy": "random"},
    )


def test_a_free_answer_is_taken_once_before_a_stop(new_corpus, tmp_path, outcome):
    corpus = new_corpus(400, duplicates=0)
    result = run(config(corpus, "free"), name="run", runs=tmp_path)
    seen = outcome(result.folder)
    with seen.ledger() as ledger:
        (audit,) = ledger.log.decisions("audit_change")
        checks = ledger.log.decisions("stop_check")
        votes = [vote for vote in ledger.votes.all() if vote.purpose == "audit_change"]
        sampled = {i for d in ledger.log.decisions("batch") for i in d.decision["audit"]}
    items = audit.decision["items"]
    assert len(items) in {3, 5}
    assert {vote.item_id for vote in votes} == set(items)
    assert {vote.annotator for vote in votes} == {"strong"}
    assert not sampled & set(items)
    # One check a round, and the one that was put off has the answers.
    assert [check.round for check in checks] == sorted({check.round for check in checks})
    told = checks[-1].evidence
    assert told["changes_audited"]["audited"] == len(items)
    assert told["check"]["rho_from"] == "audit"
    assert "by an audit of changed predictions" in told["explanation"]
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        assert set(items) <= set(ctx.ids(ctx.splits.stop_set))
        for number in {d.round for d in checks}:
            assert not set(items) & set(ctx.round_fit(number).ids)
    # In the end they are labels like any other.
    labels = {row["id"]: row for row in seen.labels}
    assert all(labels[item]["label"] == corpus.votes["strong"][item] for item in items)
    again = run(config(corpus, "free"), name="again", runs=tmp_path)
    assert outcome(again.folder).decided() == seen.decided()


@pytest.mark.parametrize(
    ("price", "stopping"),
    [({"per_label": 1.0}, {}), ("free", {"audit_changes": False})],
)
def test_a_dear_answer_or_an_unwanted_one_is_not(new_corpus, tmp_path, outcome, price, stopping):
    corpus = new_corpus(400, duplicates=0)
    result = run(config(corpus, price, **stopping), name="run", runs=tmp_path)
    with outcome(result.folder).ledger() as ledger:
        assert ledger.log.decisions("audit_change") == []


def test_a_person_is_asked_and_may_leave_it(new_corpus, tmp_path, outcome):
    corpus = new_corpus(400, duplicates=0)
    person = {"kind": "human", "name": "ann", "price": "free"}
    asked = []

    def answer(order):
        asked.append(order["purpose"])
        items = [question["item_id"] for question in order["questions"]]
        if order["purpose"] == "audit_change":
            return {item: corpus.gold[item] for item in items[:2]}
        return {item: corpus.gold[item] for item in items}

    settings = corpus.config(
        annotators=[corpus.recorded("cheap", 1), person],
        stopping=STOPPING,
        selection={"batch_size": 12, "strategy": "random"},
    )
    result = run(settings, name="run", runs=tmp_path, answer=answer)
    assert result.status == "finished"
    assert asked.count("audit_change") == 1
    with outcome(result.folder).ledger() as ledger:
        told = ledger.log.decisions("stop_check")[-1].evidence
    assert told["changes_audited"]["audited"] == 2


def test_a_check_that_is_cut_off_asks_the_same_when_it_is_made_again(
    new_corpus, tmp_path, outcome, monkeypatch
):
    corpus = new_corpus(400, duplicates=0)
    whole = run(config(corpus, "free"), name="whole", runs=tmp_path)
    ask = decide._audit

    def cut_off(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(decide, "_audit", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(config(corpus, "free"), name="cut", runs=tmp_path)
    monkeypatch.setattr(decide, "_audit", ask)
    cut = resume(tmp_path / "cut")
    assert outcome(cut.folder).decided() == outcome(whole.folder).decided()
