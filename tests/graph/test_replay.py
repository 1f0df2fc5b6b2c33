"""Replays of finished runs: the same again, something else, and nothing ever changed or paid."""

import hashlib
import json
from itertools import islice

import pytest

from labelwright.graph import replay, run
from labelwright.graph.replay import parse_settings
from labelwright.graph.replay_labels import AGGREGATIONS, _on_gold
from labelwright.graph.replay_stops import parse_rule, record_of
from labelwright.graph.session import open_run
from labelwright.graph.stop_check import loop_rounds
from labelwright.graph.value import value
from labelwright.tools.errors import ConfigError
from labelwright.tools.hindsight import checks_of
from labelwright.tools.stop_rules import STOP_RULES

FEW = {"max_rounds": 4, "stop_set_size": 50, "min_labels": 60, "point_value_usd": 5}


def state_of(folder):
    """Every file of a run with what is in it."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    sections = {"data": {"path": "pool.csv", "id": "id", "gold": "gold"}, "stopping": FEW}
    sections["annotators"] = [
        {"kind": "embedded", "name": "near", "tier": 1},
        corpus.recorded("cheap", 2),
        corpus.recorded("strong", 3, trusted=True),
    ]
    return run(corpus.config(**sections), name="first", runs=tmp_path_factory.mktemp("runs"))


def test_a_replay_with_nothing_changed_is_the_run_again(finished, tmp_path, outcome):
    before = state_of(finished.folder)
    made = replay(finished.folder, out=tmp_path / "again")
    assert state_of(finished.folder) == before
    again, first = outcome(made.folder).decided(), outcome(finished.folder).decided()
    assert again["decisions"] == first["decisions"]
    assert again["labels"] == first["labels"]
    assert again["spent"] == first["spent"]
    assert {(v.item_id, v.annotator, v.label) for v in again["votes"]} == {
        (v.item_id, v.annotator, v.label) for v in first["votes"]
    }


def test_a_run_goes_by_the_rule_that_replays_and_benchmarks_measure(finished):
    with open_run(finished.folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        rounds = loop_rounds(ctx)
        seen = record_of(ctx, rounds, value(ctx).nano)
        told = [d.evidence["check"] for d in ctx.ledger.log.decisions("stop_check")]
        measured = checks_of(
            list(seen.predictions),
            [int(money) for money in seen.money],
            seen.value,
            ctx.config.stopping,
            labels=[int(labels) for labels in seen.labels],
            proba=list(seen.proba),
        )
        checks = list(islice(measured, len(told)))
    same = ("churn", "rho", "weight", "error", "learnable", "expected_gain", "certificate_gain")
    assert len(told) > 1
    for ours, check in zip(told, checks, strict=True):
        assert [ours[name] for name in same] == [getattr(check, name) for name in same]
    # The part that rests on what is left to learn takes part.
    assert any(check.weight < 1 and check.learnable > 0 for check in checks)


def test_a_derived_run_says_what_it_is_and_asks_nobody(finished, tmp_path, outcome):
    before = state_of(finished.folder)
    made = replay(
        finished.folder, strategy="random", seed=3, settings={"student.C": 2}, out=tmp_path / "r"
    )
    assert state_of(finished.folder) == before
    summary = json.loads((made.folder / "summary.json").read_text())
    assert summary["replay_of"] == "first"
    assert summary["seed"] == 3
    assert "replay of" in (made.folder / "card.md").read_text()
    assert {row["kind"] for row in summary["annotators"]} == {"recorded"}
    assert outcome(made.folder).decided()["decisions"] != outcome(finished.folder).decided()
    with outcome(finished.folder).ledger() as ledger:
        recorded = {(v.item_id, v.annotator): (v.label, v.cost) for v in ledger.votes.all()}
    with outcome(made.folder).ledger() as ledger:
        votes = ledger.votes.all()
        mixes = [d.evidence["mix"] for d in ledger.log.decisions("batch")]
    assert mixes[-1] == {"random": 1.0}
    for vote in votes:
        was = recorded.get((vote.item_id, vote.annotator))
        if was is None:
            assert (vote.label, vote.invalid, vote.cost) == (None, "not_recorded", 0)
        else:
            assert (vote.label, vote.cost) == was
    # The replay can be replayed, from its own ledger.
    assert replay(made.folder, stop="kappa").stops


def test_every_stop_rule_is_told_with_money_and_accuracy(finished):
    before = state_of(finished.folder)
    found = replay(finished.folder)
    assert state_of(finished.folder) == before
    assert (found.run, found.labels) == (None, None)
    rows = {row.rule: row for row in found.stops}
    assert list(rows) == list(STOP_RULES)
    last = rows["to_the_end"]
    assert last.round is None
    assert last.labels == max(row.labels for row in found.stops if row.labels)
    for row in found.stops:
        assert row.why_not is None
        assert 0 < row.gold <= 1
        assert row.cost_usd == pytest.approx(row.spent_usd + (1 - row.gold) * 500)
    assert rows["fixed_budget"].spent_usd == last.spent_usd
    dear = replay(finished.folder, stop="cost_plateau", value=1e6).stops[0]
    assert dear.round is None
    cheap = replay(finished.folder, stop="cost_plateau", value=1e-6).stops[0]
    assert cheap.round == 2


def test_what_a_rule_needs_and_a_run_lacks_is_said(corpus, tmp_path):
    config = corpus.config(annotators=[corpus.recorded("cheap", 1)])
    made = run(config, name="bare", runs=tmp_path)
    (row,) = replay(made.folder, stop="marginal_gain").stops
    assert (row.round, row.why_not) == (None, "needs an audit")


@pytest.mark.parametrize("aggregation", ["auto", "weighted", "one_coin", "majority", "crowdlab"])
def test_votes_are_weighed_again(finished, aggregation):
    found = replay(finished.folder, stop="to_the_end", aggregation=aggregation).labels
    assert found.aggregation == aggregation
    assert found.items > 0
    assert found.differ == len(found.labels) <= found.items
    assert 0 < found.gold["again"]["estimate"] <= 1
    assert found.gold["again"]["n"] == found.gold["delivered"]["n"] == found.gold["items"]
    assert 0 < found.calibrated <= found.items
    assert found.gold["delivered"]["estimate"] > 0.8
    assert aggregation in AGGREGATIONS


def test_both_ways_are_judged_on_texts_that_have_a_label_under_both():
    gold = {"a": "x", "b": "x", "c": "x"}
    found = _on_gold(gold, ["a", "b", "c", "d"], ["x", "x", "y", "y"], ["x", "y", None, "y"])
    assert found["items"] == 2  # c was set apart, d has no gold
    assert (found["again"]["estimate"], found["again"]["n"]) == (1.0, 2)
    assert (found["delivered"]["estimate"], found["delivered"]["n"]) == (0.5, 2)
    assert _on_gold(gold, ["c"], ["x"], [None]) is None


def test_mistakes_are_named(finished, tmp_path):
    with pytest.raises(ConfigError, match="expected one of cost_plateau"):
        replay(finished.folder, stop="kapa")
    with pytest.raises(ConfigError, match="no parameter 'treshold'"):
        parse_rule("kappa:treshold=1")
    with pytest.raises(ConfigError, match="expected a number"):
        parse_rule("kappa:threshold=much")
    with pytest.raises(ConfigError, match="expected one of auto"):
        replay(finished.folder, aggregation="mean")
    with pytest.raises(ConfigError, match="not the folder of a run"):
        replay(tmp_path)
    with pytest.raises(ConfigError, match="is not empty"):
        replay(finished.folder, out=finished.folder)
    with pytest.raises(ConfigError, match="did you mean 'folds'"):
        replay(finished.folder, settings={"student.fold": 3}, out=tmp_path / "x")
    with pytest.raises(ConfigError, match="can not be changed"):
        replay(finished.folder, settings={"annotators.0": 3}, out=tmp_path / "x")
    model = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "price": {"in": 1, "out": 1}}
    for section in ("selection", "generation", "critic"):
        with pytest.raises(ConfigError, match=rf"{section}.model: a replay asks no model"):
            replay(finished.folder, settings={f"{section}.model": model}, out=tmp_path / "x")
    for fixed in (
        "data",
        "data.path",
        "pool.url",
        "task.text",
        "embedder.kind",
        "prompts",
        "replay_of",
    ):
        with pytest.raises(
            ConfigError, match=rf"{fixed}: can not .* can be set: .*student, budget"
        ):
            replay(finished.folder, settings={fixed: "x"}, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(ConfigError, match=r"section\.field=value"):
        parse_settings(["student.C"])
    assert parse_settings(["student.C=3", "seed=4"]) == {"student.C": 3, "seed": 4}
