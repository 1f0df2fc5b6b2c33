"""The live figures of a run, against figures counted in another way."""

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from labelwright.tools.audit import wilson_interval
from labelwright.tools.ledger import Call, Consensus, Decision, Ledger, Settlement, Vote
from labelwright.tools.snapshot import Snapshot
from labelwright.tools.watch import RunReader, agreement, balance, differences, pool_map
from labelwright.tools.watch.agreement import Votes
from labelwright.tools.watch.balance import Tally
from labelwright.tools.watch.curve import Curve, proposed_at
from labelwright.tools.watch.live import Live
from labelwright.tools.watch.money import Spending, money
from labelwright.tools.watch.stage import Stages

LABELS = ["a", "b", "c"]
ANNOTATORS = [
    {"name": "cheap", "trusted": False},
    {"name": "dear", "trusted": False},
    {"name": "person", "trusted": True},
]


def configured(folder, **more):
    config = {"task": {"labels": [{"name": n} for n in LABELS]}, "annotators": ANNOTATORS}
    (folder / "run.yaml").write_text(yaml.safe_dump({**config, "budget": {"usd": 5.0}, **more}))
    return RunReader(folder)


def call(key, annotator="cheap", purpose="label"):
    return Call(key, "annotator", annotator, "model", purpose, 1)


def vote(ledger, item, annotator, label, *, purpose="label", cost=0, attempt=0):
    key = f"{item} {annotator} {attempt}"
    answer = (label, None) if label else (None, "not_in_label_set")
    given = Vote(item, annotator, *answer, "prompt", attempt, purpose, 1, cost)
    ledger.record(call(key, annotator, purpose), Settlement("answered", cost), [given])


def conclude(ledger, step, entries):
    ledger.votes.conclude(
        step, 1, [Consensus(i, lab, 0.9, True, src, out, "", {}) for i, lab, src, out in entries]
    )


def pooled(folder, ids, vectors=None, texts=None):
    (folder / "pool").mkdir(parents=True)
    if vectors is None:
        vectors = np.arange(1, 4 * len(ids) + 1, dtype=np.float32).reshape(-1, 4)
    pool = Snapshot(folder / "pool", fingerprint="f", dim=vectors.shape[1], collection="c")
    pool.append(ids, texts or [f"text {i}" for i in ids], vectors, "real")
    pool.close()


# -- money ------------------------------------------------------------------------------------


def test_a_run_that_has_not_begun_has_spent_nothing_and_knows_its_cap(tmp_path):
    found = money(configured(tmp_path))
    assert (found.spent, found.committed, found.requests) == (0, 0, 0)
    assert found.cap == found.left == 5_000_000_000
    assert found.per_minute is found.next_batch is found.batches_left is found.minutes_left is None


def test_the_account_is_the_ledgers_and_the_cap_the_one_ordered_last(tmp_path):
    reader = configured(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(call("1"), Settlement("answered", 200), [])
        ledger.reserve(call("2"), 70, try_no=0, bound_tokens=0)
        lost = ledger.reserve(call("3"), 30, try_no=0, bound_tokens=0)
        ledger.settle(lost, Settlement("unknown"))
        first = ledger.log.direct("cap", {"usd": 3.0, "was": 5.0})
        ledger.log.acknowledge(first, "taken")
        assert not money(reader).cap_pending
        ledger.log.direct("cap", {"usd": 4.0, "was": 3.0})
        found = money(reader)
        balance_ = ledger.balance()
    assert (found.spent, found.reserved, found.uncertain) == (200, 70, 30)
    assert found.committed == balance_.committed
    assert found.requests == balance_.requests == 3
    assert (found.cap, found.cap_pending) == (4_000_000_000, True)
    assert found.left == 4_000_000_000 - 300


def test_the_pace_is_that_of_the_last_minutes(tmp_path):
    reader = configured(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in range(50):
            ledger.record(call(str(number)), Settlement("answered", 6_000_000), [])
    now = datetime.now(UTC)
    # All in the last ten seconds, the least that a pace is taken over.
    found = money(reader, now)
    assert found.per_minute == pytest.approx(6 * 50 * 6_000_000, rel=0.05)
    assert found.requests_per_minute == pytest.approx(300, rel=0.05)
    assert found.minutes_left == pytest.approx(found.left / found.per_minute)
    later = money(reader, now + timedelta(minutes=2))
    assert later.per_minute == pytest.approx(50 * 6_000_000 / 2, rel=0.05)
    assert money(reader, now + timedelta(minutes=6)).per_minute is None


def test_the_pace_leaves_out_what_is_older_than_the_window(tmp_path):
    reader = configured(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in range(9):
            ledger.reserve(call(str(number)), 0, try_no=0, bound_tokens=0)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        for number in range(9):
            at = (now - timedelta(minutes=8 - number)).isoformat(timespec="milliseconds")
            ledger._store._db.execute(
                "INSERT INTO settlements VALUES(?,'answered',60,0,0,0,0,NULL,NULL,?)",
                (number + 1, at),
            )
    found = money(reader, now)
    assert found.per_minute == pytest.approx(6 * 60 / 5)


def test_the_price_of_the_next_batch_is_the_last_checks_or_the_last_rounds(tmp_path):
    reader = configured(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        none = np.zeros(0, np.int32)
        ledger.log.close_round(1, {"spent": 400}, none)
        assert money(reader).next_batch == 400
        ledger.log.close_round(2, {"spent": 650}, none)
        assert money(reader).next_batch == 250
        ledger.log.decide(Decision(4, 2, "critic", "stop_check", {}, {"check": {"money_next": 9}}))
        ledger.log.decide(Decision(5, 2, "selector", "batch", {"batch": ["x"]}, {}))
        assert money(reader).next_batch == 9


def test_spending_is_the_ledgers_however_often_it_is_looked_at(tmp_path):
    reader = configured(tmp_path)
    spending = Spending()
    assert spending.refresh(reader) == []
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        early = ledger.reserve(call("early"), 50, try_no=0, bound_tokens=0)
        for number in range(6):
            answer = Settlement("answered", 10 * number, tokens_in=3, tokens_out=1)
            ledger.record(call(str(number), "dear", "audit"), answer, [])
            spending.refresh(reader)
        # Settled after calls that were made later.
        ledger.settle(early, Settlement("refused_by_server", 5))
        expected = ledger.spending()
    found = spending.refresh(reader)
    assert [vars(one) for one in found] == expected
    assert spending.refresh(reader) == found


# -- labels -----------------------------------------------------------------------------------

ENTRY = st.tuples(
    st.sampled_from("uvwxyz"),
    st.sampled_from(LABELS),
    st.sampled_from(["person", "panel", "model", "student"]),
    st.sampled_from(["accept", "set_apart", "soft"]),
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.lists(ENTRY, max_size=6, unique_by=lambda e: e[0]), max_size=8))
def test_counts_kept_up_step_by_step_are_those_of_the_latest_consensus(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("run")
    pooled(folder, list("tuvwxyz"))
    reader, tally = configured(folder), Tally()
    with Ledger(folder / "ledger.sqlite") as ledger:
        for step, entries in enumerate(steps):
            conclude(ledger, step, entries)
            found = tally.refresh(reader)
            latest = ledger.votes.concluded().values()
            accepted = [one for one in latest if one.outcome == "accept"]
            assert found.accepted == Counter((one.label, one.source) for one in accepted)
            assert found.set_apart == sum(one.outcome == "set_apart" for one in latest)
            assert found.open == sum(one.outcome == "soft" for one in latest)
            assert found.labelled + found.set_apart + found.unlabelled == found.texts == 7
            assert sum(found.by_label().values()) == sum(found.by_source().values())
            assert Tally().refresh(reader) == found
    reader.close()


def test_agreement_is_what_counting_by_hand_gives(tmp_path):
    reader, votes = configured(tmp_path), Votes()
    rng = np.random.default_rng(3)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        given = {}
        for number in range(80):
            item = f"i{number}"
            for name in rng.permutation(["cheap", "dear", "person"]):
                if rng.random() < 0.7:
                    label = LABELS[rng.integers(3)] if rng.random() < 0.9 else None
                    purpose = "audit" if name == "person" and number % 2 else "label"
                    vote(ledger, item, str(name), label, purpose=purpose)
                    given[item, str(name)] = (label, purpose)
            if number % 7 == 0:
                votes.refresh(reader)
        # Answers to checks measure an annotator and are no votes.
        vote(ledger, "i0", "cheap", "a", attempt=1000)
    found = votes.refresh(reader)
    assert found.annotators == ("cheap", "dear", "person")
    assert {(pair.one, pair.other) for pair in found.pairs} == {
        ("cheap", "dear"),
        ("cheap", "person"),
        ("dear", "person"),
    }
    for pair in found.pairs:
        both = [
            (given[f"i{n}", pair.one][0], given[f"i{n}", pair.other][0])
            for n in range(80)
            if (f"i{n}", pair.one) in given and (f"i{n}", pair.other) in given
        ]
        both = [(a, b) for a, b in both if a and b]
        assert (pair.n, pair.same) == (len(both), sum(a == b for a, b in both))
        assert pair.kappa == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))
    for one in found.audited:
        mine = [label for (_, name), (label, _) in given.items() if name == one.annotator]
        assert (one.votes, one.invalid) == (len(mine), mine.count(None))
        judged = [
            label == truth
            for (item, name), (label, _) in given.items()
            if name == one.annotator and not one.trusted and label
            for truth, purpose in [given.get((item, "person"), (None, ""))]
            if truth and purpose == "audit"
        ]
        assert one.right == wilson_interval(sum(judged), len(judged))
    assert votes.refresh(reader) == found


@pytest.mark.parametrize(("right", "n"), [(0, 9), (9, 9), (5, 40), (114, 114), (700, 1000)])
def test_wilsons_interval(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    found = wilson_interval(right, n)
    assert found.estimate == right / n
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_wilsons_interval_of_nothing_says_nothing():
    found = wilson_interval(0, 0)
    assert (found.estimate, found.low, found.high) == (None, 0.0, 1.0)
    with pytest.raises(ValueError, match="got 3, 2"):
        wilson_interval(3, 2)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (balance.INCREMENT, (0, 9)),
        (agreement.PAIRS, (0, 9)),
        (pool_map.LATEST.format("?,?"), ("a", "b")),
        (differences.LATEST, ("a", "b")),
    ],
)
def test_no_query_goes_through_a_whole_table(tmp_path, sql, values):
    reader = configured(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite"):
        plan = [row[3] for row in reader.rows(f"EXPLAIN QUERY PLAN {sql}", *values)]
    assert any("SEARCH" in line for line in plan)
    assert [line for line in plan if line.startswith("SCAN")] == []


# -- rounds -----------------------------------------------------------------------------------


def metrics(spent, **more):
    audit = {"audited": 0, "audit_student": None, "audit_student_low": 0, "audit_student_high": 1}
    return {
        "spent": spent,
        "votes": 10,
        "labels": 8,
        "agreement": 0.75,
        "macro_f1": 0.5,
        "audit_label_errors": 0,
        "classes": {"a": 4, "b": 4, "c": 0},
        **audit,
        **more,
    }


def checked(round_, verdict, stop=None, **more):
    check = {"verdict": verdict, "why": "because", "money_next": 40, "next_gain": 30, **more}
    gates = [{"name": "labels", "passed": False, "waived": True, "detail": "few"}]
    return Decision(
        4 * round_,
        round_,
        "critic",
        "stop_check",
        {"stop": stop, "order": None},
        {"check": check, "gates": gates, "explanation": "1 + 1", "next_dollar": "buys 2"},
    )


def test_the_curve_grows_with_the_rounds_and_their_checks(tmp_path):
    reader, curve = configured(tmp_path), Curve()
    assert curve.refresh(reader) == ()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.log.close_round(1, metrics(100), np.asarray([0, 0, 1, 2], np.int32))
        (first,) = curve.refresh(reader)
        assert (first.moved, first.check, first.predicted) == (None, None, (2, 1, 1))
        assert first.student.estimate is None
        ledger.log.decide(checked(1, "continue", churn=None))
        assert curve.refresh(reader)[0].check.churn.estimate is None
        ledger.log.close_round(2, metrics(140), np.asarray([0, 1, 1, 2], np.int32))
        stop = {"reason": "cost_plateau", "detail": "enough"}
        ledger.log.decide(checked(2, "stop", stop, churn=0.25, churn_low=0.1, churn_high=0.5))
        first, second = curve.refresh(reader)
    assert second.moved == 0.25
    assert second.check.churn.high == 0.5
    assert second.check.stop == ("cost_plateau", "enough")
    assert second.check.gates == (("labels", True, "few"),)
    assert proposed_at((first,)) is None
    assert proposed_at((first, second)) is second
    assert curve.refresh(reader) == (first, second)


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


def test_the_figures_need_no_heavy_library():
    code = (
        "import sys, labelwright.tools.watch.live, labelwright.tools.watch.differences;"
        "print(sorted(m for m in ('scipy', 'sklearn', 'pandas', 'streamlit', 'chromadb', "
        "'langgraph', 'labelwright.graph', 'labelwright.agents') if m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
