"""Statistics of repeated answers: each finds a planted fault and is silent without one."""

import numpy as np
import pytest

from labelwright.tools.audit import accuracy_interval
from labelwright.tools.stability import (
    FEWEST_FLIPS,
    flip_rate,
    model_changed,
    position_bias,
    prior_drift,
    total_agreement,
)


def turned(n, classes, rng):
    """Places of each label in the usual list and in lists turned at random."""
    usual = np.tile(np.arange(classes), (n, 1))
    turns = rng.integers(1, classes, n)
    return usual, (usual - turns[:, None]) % classes


@pytest.mark.parametrize("classes", [2, 3, 7, 40])
def test_answers_that_follow_the_order_are_found(classes):
    rng = np.random.default_rng(classes)
    usual, again = turned(60, classes, rng)
    truth = rng.integers(classes, size=60)
    # On a third of the items the first label of the list is taken, whatever it is.
    lazy = rng.random(60) < 1 / 3
    first = np.where(lazy, usual.argmin(axis=1), truth)
    second = np.where(lazy, again.argmin(axis=1), truth)
    found = position_bias(first, second, usual, again)
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.shares[0] == max(found.shares)


@pytest.mark.parametrize("classes", [2, 3, 7, 40])
def test_answers_that_change_by_chance_are_no_bias(classes):
    rng = np.random.default_rng(classes)
    false_alarms = 0
    for _ in range(200):
        usual, again = turned(60, classes, rng)
        truth = rng.choice(classes, 60, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
        noisy = rng.random((2, 60)) < 0.3
        guesses = rng.integers(classes, size=(2, 60))
        first, second = np.where(noisy, guesses, truth)
        p_value = position_bias(first, second, usual, again).p_value
        false_alarms += p_value is not None and p_value < 0.05
    assert false_alarms <= 22  # 5 % of 200, and three standard deviations


def test_a_few_changes_prove_nothing():
    usual, again = turned(FEWEST_FLIPS - 1, 4, np.random.default_rng(0))
    found = position_bias(usual.argmin(axis=1), again.argmin(axis=1), usual, again)
    assert found.flips == FEWEST_FLIPS - 1
    assert found.p_value is None


def test_an_answer_that_is_no_label_stands_nowhere():
    usual, again = turned(10, 4, np.random.default_rng(0))
    none = np.full(10, -1)
    assert position_bias(np.zeros(10, int), none, usual, again).flips == 0
    assert flip_rate(np.zeros(10, int), none).estimate == 1.0


def test_total_agreement_counts_items_on_which_all_answers_are_the_same():
    answers = np.asarray([[1, 1, 1], [1, 1, 2], [-1, -1, -1], [0, 2, 1]])
    assert total_agreement(answers).estimate == 0.5


def test_an_exchanged_model_is_found_and_a_steady_one_is_not():
    before = accuracy_interval(98, 100)
    assert model_changed(accuracy_interval(97, 100), before) is None
    assert "fell from 0.980 to 0.600" in str(model_changed(accuracy_interval(12, 20), before))
    nothing = accuracy_interval(0, 0)
    assert "below 0.95" in str(model_changed(accuracy_interval(12, 20), nothing))
    # Two of three is what a steady model shows now and then.
    assert model_changed(accuracy_interval(2, 3), before) is None
    assert model_changed(nothing, before) is None


def test_drift_is_what_the_selection_does_not_explain():
    expected = np.asarray([0.7, 0.2, 0.1])
    assert not prior_drift(np.asarray([70, 20, 10]), expected).alarm
    drift = prior_drift(np.asarray([30, 20, 50]), expected)
    assert drift.alarm
    assert drift.divergence > 0.1
    # As far off by chance: too few labels to say so.
    assert not prior_drift(np.asarray([1, 1, 2]), expected).alarm
    assert prior_drift(np.zeros(3, int), expected).divergence == 0


def test_chance_is_seldom_called_drift():
    rng = np.random.default_rng(0)
    expected = rng.dirichlet(np.ones(20))
    alarms = sum(prior_drift(rng.multinomial(40, expected), expected).alarm for _ in range(300))
    assert alarms <= 9
