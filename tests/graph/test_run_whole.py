"""Whole runs without a model: every kind of end, and the same result each time."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.graph import resume, run
from labelwright.tools.money import to_nano
from labelwright.tools.student_file import load

PRICES = {"cheap": 1_000_000, "middle": 5_000_000, "strong": 20_000_000}
EARLY = {"window": 1, "min_rounds": 2, "min_labels": 10, "class_min_labels": 1}
EARLY |= {"stop_set_size": 50, "noise_tolerance": 1}


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory):
    return run(corpus.config(), name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_every_row_is_delivered_once_in_order_with_its_history(corpus, finished, outcome):
    assert finished.status == "finished"
    rows = outcome(finished.folder).labels
    assert [row["id"] for row in rows] == list(corpus.gold)
    assert [row["text"] for row in rows] == list(corpus.texts.values())
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        assert 0 < row["p_correct"] <= 1
        if row["outcome"] == "accept":
            assert row["label"] in corpus.labels
            assert row["source"] in {"student", "model", "panel"}
        else:
            assert (row["outcome"], row["label"], row["source"]) == ("set_apart", None, None)
            assert row["reason"]
    for copy, first in corpus.same.items():
        assert by_id[copy]["duplicate_of"] == first
        for field in ("label", "source", "p_correct", "outcome", "reason"):
            assert by_id[copy][field] == by_id[first][field]
    right = sum(row["label"] == corpus.gold[row["id"]] for row in rows)
    assert right / len(rows) > 0.85  # the cheap annotator alone: 0.81
    _, metadata = load(finished.folder / "student.skops")
    assert metadata["round"] == finished.summary["best_round"]
    for name in ("labels.parquet", "report.html", "card.md", "summary.json"):
        assert (finished.folder / name).stat().st_size


def test_money_is_the_sum_of_the_recorded_prices(corpus, finished, outcome):
    with outcome(finished.folder).ledger() as ledger:
        votes, balance = ledger.votes.all(), ledger.balance()
    assert all(vote.cost == PRICES[vote.annotator] for vote in votes)
    assert balance.spent == sum(vote.cost for vote in votes)
    assert (balance.reserved, balance.uncertain) == (0, 0)
    assert balance.requests == len(votes) == len({(v.item_id, v.annotator) for v in votes})
    assert all(vote.label == corpus.votes[vote.annotator][vote.item_id] for vote in votes)
    assert finished.summary["money"]["spent_usd"] == pytest.approx(balance.spent / 1e9)
    stopped = finished.summary["stop"]
    assert stopped == outcome(finished.folder).stop()
    assert stopped == {"reason": "max_rounds", "detail": "3 rounds, as configured"}


def test_resuming_a_finished_run_changes_nothing(finished, outcome):
    before = outcome(finished.folder).decided()
    journal = outcome(finished.folder).sql("SELECT count(*) FROM journal")
    again = resume(finished.folder)
    assert again.status == "finished"
    # A higher cap does not reopen what has been delivered.
    richer = resume(finished.folder, usd=100)
    assert richer.status == "finished"
    assert richer.summary["money"]["cap_usd"] == 100
    assert outcome(finished.folder).decided() == before
    assert outcome(finished.folder).sql("SELECT count(*) FROM journal") == journal


@pytest.mark.parametrize("usd", [0, 0.0005, 0.03, 0.2, 0.317])
def test_no_cap_is_ever_passed(corpus, tmp_path, outcome, usd):
    made = []
    for name in ("first", "second"):
        result = run(corpus.config(budget={"usd": usd}), name=name, runs=tmp_path)
        assert result.status == "finished"
        assert result.summary["stop"]["reason"] == "cap"
        seen = outcome(result.folder)
        assert seen.most_committed() <= to_nano(usd)
        assert [row["id"] for row in seen.labels] == list(corpus.gold)
        made.append(seen.decided())
    # Whose votes the cap still paid for does not depend on which thread came first.
    assert made[0] == made[1]
    spent = made[0]["spent"]
    assert spent == sum(vote.cost for vote in made[0]["votes"])
    if usd < 0.001:
        assert spent == 0
        assert {row["outcome"] for row in seen.labels} == {"set_apart"}
    else:
        # What is left is less than a vote that was wanted.
        assert to_nano(usd) - PRICES["strong"] < spent


@pytest.mark.parametrize("budget", [{"requests": 31}, {"tokens": 9000}])
def test_the_other_caps_hold_too(corpus, tmp_path, outcome, budget):
    by_tokens = {"price": {"in": 1, "out": 2}}
    annotators = [corpus.recorded(name, t, **by_tokens) for t, name in enumerate(PRICES, 1)]
    config = corpus.config(annotators=annotators, budget={"usd": 5, **budget})
    result = run(config, name="run", runs=tmp_path)
    assert result.summary["stop"]["reason"] == "cap"
    (kind, cap), *_ = budget.items()
    most = outcome(result.folder).sql(f"SELECT max({kind}) FROM journal")[0][0]
    assert cap * 0.9 < most <= cap


def test_equal_seeds_give_equal_runs_under_other_hashes_and_threads(corpus, tmp_path, outcome):
    sections = {"budget": {"usd": 0.4}, "seed": 7}
    script = (
        "import sys; from labelwright.graph import run; sys.setswitchinterval(float(sys.argv[3]));"
        "run(sys.argv[1], name=sys.argv[2], runs='.')"
    )
    config = str(corpus.write("same.yaml", **sections))
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, config, f"h{seed}", interval],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
        )
        for seed, interval in (("1", "0.005"), ("2", "0.0001"))
    ]
    here = run(corpus.config(**sections), name="here", runs=tmp_path)
    assert [process.wait() for process in processes] == [0, 0]
    wanted = outcome(here.folder).decided()
    for name in ("h1", "h2"):
        assert outcome(tmp_path / name).decided() == wanted
    other = run(corpus.config(**{**sections, "seed": 8}), name="other", runs=tmp_path)
    assert outcome(other.folder).decided()["decisions"] != wanted["decisions"]


def test_it_stops_when_the_money_can_not_have_paid(corpus, tmp_path):
    stopping = {**EARLY, "point_value_usd": 0.0001}
    result = run(corpus.config(stopping=stopping), name="run", runs=tmp_path)
    assert result.summary["stop"]["reason"] == "certificate"
    assert result.summary["rounds"] < 6


def test_it_stops_at_the_cost_plateau(corpus, tmp_path):
    # Free labels are never stopped by money: what is left is that nothing moves any more.
    annotators = [corpus.recorded("strong", 1, price="free")]
    stopping = {**EARLY, "free_churn": 1, "patience": 1}
    config = corpus.config(annotators=annotators, stopping=stopping)
    result = run(config, name="run", runs=tmp_path)
    assert result.summary["stop"]["reason"] == "cost_plateau"


def test_it_stops_when_the_pool_is_exhausted(new_corpus, tmp_path, outcome):
    small = new_corpus(60, duplicates=2)
    result = run(small.config(stopping={"stop_set_size": 50}), name="run", runs=tmp_path)
    assert result.summary["stop"]["reason"] == "pool_exhausted"
    assert len(outcome(result.folder).labels) == 62


def test_it_stops_when_the_time_is_up(corpus, tmp_path):
    config = corpus.config(budget={"usd": 5, "wall_clock_s": 0.001})
    result = run(config, name="run", runs=tmp_path)
    stopped = result.summary["stop"]
    assert (stopped["reason"], result.summary["rounds"]) == ("cap", 1)
    assert "wall clock" in stopped["detail"]


def test_items_that_nobody_could_be_asked_about_are_not_lost(new_corpus, tmp_path, outcome):
    # The cheap annotator's answers are none, and the money is gone in the middle of a round: what
    # was not asked goes back to the pool, and everything is delivered.
    mine = new_corpus(100, duplicates=2)
    path = mine.folder / "votes.csv"
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([row[0], "?", *row[2:]] for row in rows)])
    config = mine.config(budget={"usd": 0.008}, critic={"audit_first": 0, "audit_share": 0})
    result = run(config, name="poor", runs=tmp_path)
    assert result.summary["stop"]["reason"] == "cap"
    seen = outcome(result.folder)
    with seen.ledger() as ledger:
        votes = ledger.votes.all()
        returned = [d.decision["counts"].get("return", 0) for d in ledger.log.decisions("rulings")]
    assert [vote.invalid for vote in votes] == ["not_in_label_set"] * 8
    assert returned[-1] == 12 - 8
    assert [row["id"] for row in seen.labels] == list(mine.gold)
    assert {row["outcome"] for row in seen.labels} == {"set_apart"}
    assert result.summary["labels"]["unlabelled"] == 0


def test_nothing_is_written_outside_the_runs_folder(corpus, tmp_path):
    before = set(corpus.folder.iterdir())
    run(corpus.config(budget={"usd": 0}), name="run", runs=tmp_path / "runs")
    assert set(corpus.folder.iterdir()) == before
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["run"]
    assert [Path(p).name for p in tmp_path.iterdir()] == ["runs"]
