"""Who is asked in a whole run: a useless annotator is found out, and its money is saved."""

import csv

import numpy as np
import pytest

from labelwright.app.outcome import SAVED_BY
from labelwright.app.outcome import rows as printed_rows
from labelwright.graph import resume, run
from labelwright.graph.roster import KIND, SPARED, judge_members, money_saved, roster
from labelwright.graph.session import open_run
from labelwright.tools.ledger import Decision

PRICES = {"cheap": 0.001, "useless": 0.004, "strong": 0.02}
NANO = 1_000_000_000


@pytest.fixture
def with_useless(new_corpus):
    """A corpus in which "useless" votes as is said, between "cheap" and "strong"."""

    def make(how, n=150):
        corpus = new_corpus(n, duplicates=0)
        rng = np.random.default_rng(5)
        with (corpus.folder / "votes.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row["useless"] = how(row, rng, corpus)
            row["gold"] = corpus.gold[row["item_id"]]
        header = ["item_id", *PRICES, "gold"]
        with (corpus.folder / "votes.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *([row[h] for h in header] for row in rows)])
        return corpus

    return make


def settings(corpus, *, person=True, **sections):
    annotators = [
        {
            "kind": "recorded",
            "name": name,
            "path": "votes.csv",
            "tier": tier,
            "price": {"per_label": PRICES[name]},
        }
        for tier, name in enumerate(PRICES, 1)
    ]
    if person:
        gold = {"kind": "recorded", "name": "expert", "column": "gold", "path": "votes.csv"}
        annotators.append({**gold, "tier": 9, "trusted": True, "price": {"per_label": 0.5}})
    small = {"critic": {"audit_first": 30}, "budget": {"usd": 60}, "annotators": annotators}
    return corpus.config(**{**small, **sections})


def always_billing(row, rng, corpus):
    return "billing"


def guesses(row, rng, corpus):
    return corpus.labels[rng.integers(4)]


def members(seen):
    with seen.ledger() as ledger:
        return [
            (d.round, member["annotator"], member["action"], member["reason"].split(":")[0])
            for d in ledger.log.decisions(KIND)
            for member in d.decision["members"]
        ]


def rounds_of(seen, name):
    with seen.ledger() as ledger:
        return sorted({vote.round for vote in ledger.votes.all() if vote.annotator == name})


@pytest.mark.parametrize(
    ("how", "person", "reason"),
    [(always_billing, True, "broken"), (always_billing, False, "broken"), (guesses, True, "bad")],
)
def test_a_useless_annotator_is_asked_in_the_first_round_alone(
    with_useless, tmp_path, outcome, how, person, reason
):
    corpus = with_useless(how)
    result = run(settings(corpus, person=person), name="run", runs=tmp_path)
    seen = outcome(result.folder)
    assert (1, "useless", "drop", reason) in members(seen)
    assert rounds_of(seen, "useless") == [1]
    assert result.summary["rounds"] > 1
    with seen.ledger() as ledger:
        audited = {
            item
            for d in ledger.log.decisions("batch")
            if d.round > 1
            for item in d.decision["audit"]
        }
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        saved = money_saved(ctx)["useless"]
        assert [voter.name for voter in roster(ctx).voters][:2] == ["cheap", "strong"]
    # At the least its votes on the audits of the later rounds.
    assert saved["votes"] >= len(audited) > 0
    assert saved["nano"] == saved["votes"] * 0.004 * NANO
    assert result.summary["money"]["saved_usd"] == pytest.approx(saved["nano"] / NANO)
    assert f"saved by {SAVED_BY}" in dict(printed_rows(result.summary))["Money"]


def test_it_saves_money_at_no_loss(with_useless, tmp_path, outcome):
    corpus = with_useless(always_billing)
    spent, right = {}, {}
    for membership in (True, False):
        config = settings(corpus, ensemble={"membership": membership})
        result = run(config, name=f"run-{membership}", runs=tmp_path)
        seen = outcome(result.folder)
        with seen.ledger() as ledger:
            models = [v for v in ledger.votes.all() if v.annotator != "expert"]
            spent[membership] = sum(vote.cost for vote in models)
            assert bool(ledger.log.decisions(KIND)) == membership
            assert bool(ledger.log.decisions(SPARED)) == membership
        right[membership] = np.mean([r["label"] == corpus.gold[r["id"]] for r in seen.labels])
    assert spent[True] < spent[False]
    assert right[True] >= right[False] - 0.02


def test_nobody_is_dropped_where_all_are_of_use(corpus, tmp_path, outcome):
    config = corpus.config(critic={"audit_first": 30})
    result = run(config, name="run", runs=tmp_path)
    assert members(outcome(result.folder)) == []


def test_a_resumed_run_knows_who_is_dropped(with_useless, tmp_path, outcome):
    corpus = with_useless(always_billing)
    whole = run(settings(corpus), name="whole", runs=tmp_path)
    again = resume(whole.folder)
    assert outcome(again.folder).decided() == outcome(whole.folder).decided()
    twin = run(settings(corpus), name="twin", runs=tmp_path)
    assert outcome(twin.folder).decided() == outcome(whole.folder).decided()


def test_a_node_that_runs_again_does_not_see_what_it_decided(with_useless, tmp_path):
    corpus = with_useless(always_billing)
    result = run(settings(corpus), name="run", runs=tmp_path)
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        step = ctx.ledger.log.decisions(KIND)[0].step
        ctx.step = step
        assert not roster(ctx).dropped
        ctx.step = step + 1
        assert roster(ctx).dropped == {"useless"}


def test_one_that_was_redundant_is_asked_again_when_the_other_is_dropped(with_useless, tmp_path):
    """Whom it made superfluous must not be missed when an annotator breaks."""
    corpus = with_useless(always_billing)
    told = []
    result = run(settings(corpus, ensemble={"membership": False}), name="run", runs=tmp_path)
    with open_run(result.folder, notify=told.append, stopping=lambda: False) as ctx:
        ctx.config = settings(corpus)
        member = {"annotator": "cheap", "action": "drop", "labels": [], "reason": "as a test"}
        member |= {"beside": "useless"}
        ctx.ledger.log.decide(Decision(10**6, 1, "critic", KIND, {"members": [member]}, {}))
        assert roster(ctx).beside == {"cheap": "useless"}
        panel = ctx.panel(30, None)
        ctx.step = 10**6 + 1
        fresh = judge_members(ctx, ctx.step, 1, 30, None, panel)
        assert [(m.annotator, m.action) for m in fresh] == [("useless", "drop"), ("cheap", "admit")]
        # From this step on, for the step itself as for those that follow.
        assert roster(ctx, fresh).dropped == {"useless"}
        ctx.step += 1
        assert roster(ctx).dropped == {"useless"}
        assert judge_members(ctx, ctx.step, 2, 30, None, panel) == []
    assert told[-1]["event"] == KIND
    assert "asked no more" in told[-1]["members"][1]["reason"]


def test_an_annotator_may_be_restricted_to_labels(with_useless, tmp_path):
    corpus = with_useless(always_billing)
    result = run(settings(corpus), name="run", runs=tmp_path)
    with open_run(result.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        member = {
            "annotator": "cheap",
            "action": "restrict",
            "labels": ["praise"],
            "reason": "as a test",
        }
        ctx.ledger.log.decide(Decision(10**6, 9, "critic", KIND, {"members": [member]}, {}))
        names = [voter.name for voter in ctx.voters]
        praise = ctx.labels.index("praise")
        open_to = roster(ctx).open_to(names, np.asarray([praise, 1 - praise]))
        assert open_to[:, names.index("cheap")].tolist() == [True, False]
        assert not open_to[:, names.index("useless")].any()
        assert open_to[:, names.index("strong")].all()
        free = {**member, "action": "admit", "labels": []}
        ctx.ledger.log.decide(Decision(10**6 + 1, 9, "critic", KIND, {"members": [free]}, {}))
        open_to = roster(ctx).open_to(names, np.asarray([praise, 1 - praise]))
        assert open_to[:, names.index("cheap")].all()
