"""The map of the pool, labels that differ, and the stage of a run, seen from outside."""

import json
from collections import Counter

import numpy as np
import pytest
from doubles.built_run import LABELS, checked, conclude, configured, metrics, pooled, vote

from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.watch import differences, pool_map
from labelwright.tools.watch.live import Live
from labelwright.tools.watch.stage import Stages

# -- map --------------------------------------------------------------------------------------


def test_the_map_keeps_apart_what_lies_apart_and_is_always_the_same(tmp_path):
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1], 60)
    vectors = rng.normal(size=(120, 16)).astype(np.float32)
    vectors[:, 3] += 30 * groups
    texts = ["long " * 100] * 120
    pooled(tmp_path, [f"i{n}" for n in range(120)], vectors, texts)
    reader = configured(tmp_path)
    found, again = pool_map.pool_map(reader), pool_map.pool_map(reader)
    assert (found.places == again.places).all()
    # The widest direction is the one that the groups differ in.
    side = found.places[:, 0] > found.places[:, 0].mean()
    assert set(side[:60]) != set(side[60:])
    assert len(set(side[:60])) == len(set(side[60:])) == 1
    assert 0.9 < found.kept <= 1
    assert len(found.begins[0]) == pool_map.TEXT + 1
    exact = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    assert np.linalg.norm(found.places, axis=0) == pytest.approx(exact[:2], rel=1e-3)


def test_a_large_pool_is_sampled_at_random_and_its_vectors_belong_to_its_texts(tmp_path):
    ids = [f"i{n:03d}" for n in range(300)]
    vectors = np.arange(1200, dtype=np.float32).reshape(300, 4)
    pooled(tmp_path, ids, vectors)
    reader = configured(tmp_path)
    found = pool_map.pool_map(reader, most=50)
    assert len(found.ids) == len(set(found.ids)) == 50
    assert found.texts == 300
    # The vectors lie on one line in the order of the ids, so the map does.
    steps = np.diff(found.places[:, 0])
    assert (steps > 0).all()
    gaps = np.diff([int(i[1:]) for i in found.ids])
    assert steps == pytest.approx(8 * gaps, rel=1e-3)


@pytest.mark.parametrize("n", [0, 2])
def test_there_is_no_map_of_next_to_nothing(tmp_path, n):
    if n:
        pooled(tmp_path, list("ab"))
    assert pool_map.pool_map(configured(tmp_path)) is None


def test_the_standing_of_an_item_is_its_latest(tmp_path):
    pooled(tmp_path, list("abcd"))
    live = Live(configured(tmp_path))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        conclude(ledger, 1, [("a", "a", "model", "accept"), ("b", "b", "model", "accept")])
        conclude(ledger, 2, [("a", "c", "person", "accept")])
    chart, standing = live.pool_map()
    by_id = dict(zip(chart.ids, standing, strict=True))
    assert (by_id["a"].label, by_id["a"].source) == ("c", "person")
    assert by_id["b"].label == "b"
    assert by_id["d"] == pool_map.NOTHING
    assert live.pool_map()[0] is chart


# -- differences ------------------------------------------------------------------------------


def test_differences_are_those_of_item_by_item(tmp_path, monkeypatch):
    monkeypatch.setattr(differences, "_BLOCK", 7)
    rng = np.random.default_rng(5)
    readers, truths = [], []
    for name, share in (("one", 0.8), ("two", 0.6)):
        folder = tmp_path / name
        ids = [f"i{n:02d}" for n in range(60) if rng.random() < share]
        pooled(folder, [str(i) for i in rng.permutation(ids)])
        truth = dict.fromkeys(ids, "")
        with Ledger(folder / "ledger.sqlite") as ledger:
            for step in range(3):
                picked = [i for i in ids if rng.random() < 0.4]
                entries = [
                    (
                        i,
                        LABELS[rng.integers(2)],
                        "model",
                        "accept" if rng.random() < 0.8 else "soft",
                    )
                    for i in picked
                ]
                conclude(ledger, step, entries)
                truth |= {i: lab if out == "accept" else "" for i, lab, _, out in entries}
        readers.append(configured(folder))
        truths.append(truth)
    found = differences.differences(*readers)
    one, two = truths
    shared = sorted(one.keys() & two.keys())
    assert found.shared == len(shared)
    assert (found.only_one, found.only_other) == (len(one) - len(shared), len(two) - len(shared))
    assert found.both == sum(bool(one[i] and two[i]) for i in shared)
    assert found.same == sum(bool(one[i]) and one[i] == two[i] for i in shared)
    assert [d.item for d in found.items] == [i for i in shared if one[i] != two[i]]
    assert found.alone == sum(bool(one[i]) != bool(two[i]) for i in shared) > 0
    assert all((d.one, d.other) == (one[d.item], two[d.item]) for d in found.items)
    assert found.pairs == Counter((one[i], two[i]) for i in shared)


def test_runs_without_a_pool_have_nothing_in_common(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    found = differences.differences(configured(tmp_path / "one"), configured(tmp_path / "two"))
    assert (found.shared, found.items) == (0, ())


# -- stage ------------------------------------------------------------------------------------


class Told:
    """A run's file of events, as its process writes it."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, event, **fields):
        line = json.dumps({"at": "2026-01-01T10:00:00.000+00:00", "event": event, **fields})
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(line + "\n")


def test_the_stage_follows_the_events(tmp_path):
    reader, stages, tell = configured(tmp_path), Stages(), Told(tmp_path)
    assert stages.refresh(reader).node == ""
    tell("process", status="started", pid=1)
    tell("node", node="ingest", round=0, phase="loop", step=0)
    tell("ingested", rows=12, texts=10)
    assert stages.refresh(reader).node == "ingest"
    tell("node", node="select", round=0, phase="loop", step=1)
    tell("selected", round=1, batch=3, audit=2, recheck=0)
    tell("node", node="annotate", round=1, phase="loop", step=2)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        vote(ledger, "a", "cheap", "a")
        vote(ledger, "b", "cheap", None)
        now = stages.refresh(reader)
        assert (now.node, now.round, now.done, now.total) == ("annotate", 1, 2, 5)
        assert {s.name: s.detail for s in now.steps} == {
            "Reading": "12 rows, 10 different texts",
            "Choosing": "round 1: 3 texts, 2 audits",
            "Asking": "round 1: 2 answers to 5 texts",
        }
        # The vote that a block reports is one that was counted before.
        tell("answers", annotator="cheap", votes=1, invalid=1, not_asked=0, skipped=0)
        tell("trained", round=1, labels=2, votes=2)
        tell("decided", round=1, stop=None, order=None, why="it pays")
        tell("selected", round=2, batch=4, audit=0, recheck=0)
        assert (stages.refresh(reader).done, stages.refresh(reader).total) == (0, 4)
        vote(ledger, "c", "cheap", "a")
        assert stages.refresh(reader).done == 1
    tell("process", status="stopped", pid=1)
    assert stages.refresh(reader).since == ""


def test_the_answers_to_a_sweep_are_counted_from_where_it_began(tmp_path):
    reader, stages, tell = configured(tmp_path), Stages(), Told(tmp_path)
    tell("trained", round=1, labels=2, votes=0)
    tell("selected", round=2, batch=1, audit=0)
    tell("answers", annotator="cheap", votes=1, invalid=0, not_asked=0, skipped=0)
    tell("sweep", asked={"cheap": 3, "dear": 1})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for item in "abc":
            vote(ledger, item, "cheap", "a")
    now = stages.refresh(reader)
    assert (now.done, now.total) == (2, 4)
    tell("rest_escalated", asked=2, judge="dear")
    now = stages.refresh(reader)
    assert now.total == 2
    assert any(step.detail.startswith("what could not be accepted: ") for step in now.steps)


def test_a_run_without_events_is_read_from_its_decisions(tmp_path):
    reader, stages = configured(tmp_path), Stages()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ingest = {"rows": 12, "texts": 10}
        ledger.log.decide(Decision(0, 0, "ingest", "ingest", {}, ingest))
        assert stages.refresh(reader).node == "select"
        ledger.log.decide(Decision(1, 1, "selector", "batch", {"batch": ["a"]}, {}))
        assert (stages.refresh(reader).node, stages.refresh(reader).round) == ("annotate", 1)
        ledger.log.decide(Decision(2, 1, "student", "trained", {"labels": 2}, metrics(5)))
        ledger.log.decide(checked(1, "continue"))
    now = stages.refresh(reader)
    assert now.node == "select"
    assert [(s.name, s.detail) for s in now.steps] == [
        ("Reading", "12 rows, 10 different texts"),
        ("Training", "round 1: 2 labels"),
        ("Deciding", "round 1: go on: because"),
    ]
    # No batch was chosen for what is trained after the rounds.
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.log.decide(Decision(4, 2, "student", "trained", {"labels": 3}, metrics(5)))
    after = Stages().refresh(reader).steps
    assert ("Training", "the last one: 3 labels") in [(s.name, s.detail) for s in after]
