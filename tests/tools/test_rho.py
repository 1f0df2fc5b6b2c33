"""rho without labels, with an audit, what an audit is worth, and how gains fall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.tools.decay import (
    EXPONENT,
    LEAST,
    MOST,
    fit_exponent,
    learnable,
    share_of_next,
)
from labelwright.tools.rho import (
    PRIOR_RHO,
    TRUST,
    confidence_rho,
    expected_error,
    rho_after_audit,
    rho_interval,
    worth_of_audit,
)


def test_confidence_is_the_margin_of_the_new_label_over_the_old():
    before, after = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    proba = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.0, 1.0]])
    got = confidence_rho(before, after, proba)
    assert got.estimate == pytest.approx(TRUST * np.mean([0.4, 0.2]))
    assert got.source == "confidence"
    assert got.low < got.estimate < got.high


def test_where_nothing_changed_nothing_is_known():
    same = np.array([0, 1])
    got = confidence_rho(same, same, np.full((2, 2), 0.5))
    assert (got.estimate, got.source) == (PRIOR_RHO, "prior")


def test_class_weights_weigh_what_is_won_and_lost():
    before, after = np.array([0]), np.array([1])
    proba, weights = np.array([[0.4, 0.6]]), np.array([3.0, 1.0])
    got = confidence_rho(before, after, proba, weights)
    # A frequent class is predicted where a rare one may be lost.
    assert got.estimate == pytest.approx(TRUST * (0.6 - 1.2) / 3)


def test_a_calibrated_student_knows_its_own_gain():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1, 1], 20_000)
    truth = (proba.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    before, after = rng.integers(0, 3, 20_000), proba.argmax(axis=1)
    changed = before != after
    gained = ((after == truth).astype(int) - (before == truth))[changed].mean()
    assert confidence_rho(before, after, proba).estimate / TRUST == pytest.approx(gained, abs=0.02)


def test_an_audit_is_folded_in_as_twenty_items_were_seen_before():
    prior = rho_interval(0.15, 0, "prior")
    got = rho_after_audit(12, 2, 30, prior)
    assert got.estimate == pytest.approx((12 - 2 + 20 * 0.15) / 50)
    assert got.source == "audit"
    assert got.high - got.low < prior.high - prior.low
    assert rho_after_audit(0, 0, 0, prior) == prior


@given(st.floats(-1, 1), st.floats(0, 1000))
def test_intervals_hold_the_estimate_within_the_possible(estimate, items):
    got = rho_interval(estimate, items, "audit")
    assert -1 <= got.low <= estimate <= got.high <= 1


def test_an_audit_is_bought_where_its_answer_may_change_the_decision_for_less_than_it_costs():
    close = {"gain_at_one": 1e8, "cost_next": 20_000_000, "rho": 0.18, "changed": 100}
    free = worth_of_audit(**close, price=0)
    assert free.items == 40
    assert free.worth > 0
    assert worth_of_audit(**close, price=1_000_000).items == 0
    # Far below its price no answer would save the batch.
    hopeless = worth_of_audit(gain_at_one=1e8, cost_next=95_000_000, rho=0.1, changed=100, price=0)
    assert hopeless.worth < free.worth / 20
    few = worth_of_audit(gain_at_one=1e8, cost_next=20_000_000, rho=0.18, changed=25, price=0)
    assert few.items == 20
    none = worth_of_audit(gain_at_one=1e8, cost_next=20_000_000, rho=0.18, changed=19, price=0)
    assert none.items == 0


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_the_share_is_that_of_the_curve(exponent):
    def curve(n):
        return 0.9 - 2 * n**-exponent

    got = share_of_next(200, 400, 500, exponent)
    assert got == pytest.approx((curve(500) - curve(400)) / (curve(400) - curve(200)))


@given(st.floats(1, 1e6), st.floats(1.01, 10), st.floats(1, 10), st.floats(LEAST, MOST))
def test_the_next_gain_is_no_greater_for_the_same_effort(before, times, more, exponent):
    now = before * times
    then = now + (now - before) * more
    assert 0 <= share_of_next(before, now, then, exponent) <= more + 1e-6


def test_the_exponent_is_fitted_to_churn_and_held_near_the_usual():
    def history(exponent, rounds, n=4000):
        effort = [100 * (r + 1) for r in range(rounds)]
        rows, made = np.zeros(n, int), []
        for a, b in zip([None, *effort], effort, strict=False):
            if a is not None:
                most = 100**-exponent - 200**-exponent
                flips = round(n * 0.5 * (a**-exponent - b**-exponent) / most)
                rows = rows.copy()
                rows[:flips] = 1 - rows[:flips]
            made.append(rows)
        return made, effort

    assert fit_exponent(*history(1.0, 3)) == EXPONENT
    slow, fast = fit_exponent(*history(0.2, 40)), fit_exponent(*history(1.2, 40))
    assert LEAST <= slow < EXPONENT < fast <= MOST
    # Few rounds move it little.
    assert abs(fit_exponent(*history(1.2, 6)) - EXPONENT) < fast - EXPONENT


def test_the_expected_error_is_what_the_probabilities_leave():
    proba = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert expected_error(np.array([0, 1]), proba) == pytest.approx(0.2)
    # With weights: 0.1 of the rare class is lost in the first, 0.3 of the frequent one after it.
    weights = np.array([0.5, 4.0])
    lost = np.mean([0.1 * 4.0, 0.3 * 0.5])
    assert expected_error(np.array([0, 1]), proba, weights) == pytest.approx(lost)


@given(
    st.floats(0, 1),
    st.integers(1, 500),
    st.integers(1, 500),
    st.integers(0, 500),
    st.floats(0.1, 2),
)
def test_what_is_learnable_falls_on_the_curve_to_half_of_the_error(error, before, more, next_, c):
    now = before + more
    window = learnable(error, before, now, c)
    coming = window * share_of_next(before, now, now + next_, c)
    assert coming == pytest.approx(error / 2 * (1 - (now / (now + next_)) ** c), abs=1e-9)
    assert 0 <= coming <= error / 2
