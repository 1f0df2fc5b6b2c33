"""The live figures of a run, against figures counted in another way."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from doubles.built_run import LABELS, call, checked, conclude, configured, metrics, pooled, vote
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from labelwright.tools.audit import wilson_interval
from labelwright.tools.ledger import Decision, Ledger, Settlement
from labelwright.tools.watch import agreement, balance, differences, pool_map
from labelwright.tools.watch.agreement import Votes, right_on_audits
from labelwright.tools.watch.balance import Tally
from labelwright.tools.watch.curve import Curve, proposed_at
from labelwright.tools.watch.money import Spending, money

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
        # The first audits are in the price of the first round, by whomever it is told.
        first = {"check": {"money_next": 400}}
        assert money(reader).next_batch is money(reader).batches_left is None
        ledger.log.decide(Decision(3, 1, "critic", "stop_check", {}, first))
        assert money(reader).next_batch is money(reader).batches_left is None
        ledger.log.close_round(2, {"spent": 650}, none)
        assert money(reader).next_batch == 250
        ledger.log.decide(Decision(4, 2, "critic", "stop_check", {}, {"check": {"money_next": 9}}))
        ledger.log.decide(Decision(5, 2, "selector", "batch", {"batch": ["x"]}, {}))
        assert (money(reader).over, money(reader).next_batch) == (False, 9)
        # Once it has decided to stop no batch comes, until it decides anew.
        stop = {"stop": {"reason": "cap", "detail": "spent"}}
        check = {"check": {"money_next": 9}}
        ledger.log.decide(Decision(6, 3, "critic", "stop_check", stop, check))
        ledger.log.decide(Decision(7, 4, "critic", "deliver", {}, {}))
        found = money(reader)
        assert (found.over, found.next_batch, found.batches_left) == (True, None, None)
        ledger.log.decide(Decision(8, 4, "critic", "stop_check", {"stop": None}, check))
        assert (money(reader).over, money(reader).next_batch) == (False, 9)


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
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        whole = [one for one in ledger.votes.all() if one.attempt < 1000]
    at_once = right_on_audits(whole, {"person"})
    assert set(at_once) == {"cheap", "dear"}
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
        # A report has all votes at once, and the same figure.
        assert one.right == at_once.get(one.annotator, wilson_interval(0, 0))
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


def test_the_curve_grows_with_the_rounds_and_their_checks(tmp_path):
    reader, curve = configured(tmp_path), Curve()
    assert curve.refresh(reader) == ()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.log.decide(Decision(90, 1, "selector", "batch", {"batch": ["a"]}, {}))
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
    # No batch was chosen for the second.
    assert [(one.in_round, one.name) for one in (first, second)] == [
        (True, "round 1"),
        (False, "the last training"),
    ]
    assert second.check.churn.high == 0.5
    assert second.check.stop == ("cost_plateau", "enough")
    assert second.check.plain.startswith("It stops: the next batch costs about $0.000000040")
    assert second.check.gates == (("labels", True, "few"),)
    assert proposed_at((first,)) is None
    assert proposed_at((first, second)) is second
    assert curve.refresh(reader) == (first, second)


def test_the_figures_need_no_heavy_library():
    code = (
        "import sys, labelwright.tools.watch.live, labelwright.tools.watch.differences;"
        "print(sorted(m for m in ('scipy', 'sklearn', 'pandas', 'streamlit', 'chromadb', "
        "'langgraph', 'labelwright.graph', 'labelwright.agents') if m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
