import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from labelwright.tools.audit import (
    accuracy_interval,
    audited_rho,
    churn,
    class_scores,
    lower_bound,
    macro_f1,
    macro_weights,
    stratified_interval,
    upper_bound,
)


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_the_exact_one(counts):
    correct, n = counts
    interval = accuracy_interval(correct, n)
    exact = binomtest(correct, n).proportion_ci(0.95, method="exact")
    assert interval.low == pytest.approx(exact.low, abs=1e-7)
    assert interval.high == pytest.approx(exact.high, abs=1e-7)
    assert interval.low <= interval.estimate <= interval.high
    assert interval.n == n


def test_nothing_audited_proves_nothing():
    interval = accuracy_interval(0, 0)
    assert (interval.estimate, interval.low, interval.high, interval.n) == (None, 0.0, 1.0, 0)


def test_the_rule_of_three_and_the_mirror():
    assert upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert lower_bound(100, 100) == pytest.approx(0.05 ** (1 / 100))


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(p):
    n = 60
    covered = 0.0
    for correct in range(n + 1):
        interval = accuracy_interval(correct, n)
        if interval.low <= p <= interval.high:
            covered += binom.pmf(correct, n, p)
    assert covered >= 0.95


def test_strata():
    one = accuracy_interval(45, 50)
    whole = stratified_interval([45], [50], [1000])
    assert (whole.estimate, whole.low, whole.high) == pytest.approx((0.9, one.low, one.high))
    two = stratified_interval([45, 10], [50, 20], [900, 100])
    assert two.estimate == pytest.approx(0.9 * 0.9 + 0.1 * 0.5)
    assert two.low < two.estimate < two.high
    assert two.n == 70


def test_a_stratum_that_nobody_audited_leaves_no_estimate():
    whole = stratified_interval([50, 0], [50, 0], [900, 100])
    assert whole.estimate is None
    assert whole.low < 0.9
    assert whole.high == 1.0


def test_stratified_intervals_cover():
    rng = np.random.default_rng(0)
    sizes, audits, truth = [8000, 2000], [60, 40], [0.95, 0.7]
    target = 0.8 * truth[0] + 0.2 * truth[1]
    hits = 0
    for _ in range(400):
        right = [int(rng.binomial(n, p)) for n, p in zip(audits, truth, strict=True)]
        interval = stratified_interval(right, audits, sizes)
        hits += interval.low <= target <= interval.high
    assert hits >= 380


labels = arrays(np.int64, st.just(30), elements=st.integers(0, 4))


@settings(deadline=None)
@given(labels, labels)
def test_class_scores_equal_sklearn(gold, predicted):
    assert macro_f1(gold, predicted, 7) == pytest.approx(f1_score(gold, predicted, average="macro"))
    ours = class_scores(gold, predicted, 7)
    reference = precision_recall_fscore_support(gold, predicted, labels=range(7), zero_division=0.0)
    for mine, theirs in zip(
        (ours.precision, ours.recall, ours.f1, ours.support), reference, strict=True
    ):
        np.testing.assert_allclose(mine, theirs)


def test_no_answer_counts_as_wrong():
    assert macro_f1(np.array([0, 0]), np.array([0, -1]), 2) == pytest.approx(2 / 3)
    assert macro_f1(np.array([], dtype=int), np.array([], dtype=int), 2) == 0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="0 <= count <= n"):
        accuracy_interval(3, 2)
    with pytest.raises(ValueError, match="strata"):
        stratified_interval([1], [1, 2], [3])
    with pytest.raises(ValueError, match="gold of shape"):
        macro_f1(np.array([0]), np.array([0, 1]), 2)


predictions = arrays(np.int64, st.just(60), elements=st.integers(0, 3))


@settings(deadline=None)
@given(predictions, predictions, predictions)
def test_churn_bounds_the_change_of_accuracy(before, after, truth):
    moved = churn(before, after)
    assert abs((before == truth).mean() - (after == truth).mean()) <= moved.estimate + 1e-12
    assert moved.low <= moved.estimate <= moved.high


@settings(deadline=None)
@given(predictions, predictions, predictions, arrays(np.float64, 4, elements=st.floats(0, 20)))
def test_weighted_churn_bounds_the_change_of_weighted_accuracy(before, after, truth, weights):
    moved = churn(before, after, weights)
    change = (weights[truth] * ((before == truth) * 1.0 - (after == truth))).mean()
    assert abs(change) <= moved.estimate + 1e-9
    assert moved.low <= moved.estimate <= moved.high + 1e-9


def test_macro_weights_make_every_class_weigh_the_same():
    predicted = np.array([0] * 90 + [1] * 10)
    weights = macro_weights(predicted, 2)
    assert weights[predicted].mean() == pytest.approx(1)
    assert weights[0] * 90 == pytest.approx(weights[1] * 10)
    assert np.isfinite(macro_weights(predicted, 3)).all()


def test_the_interval_of_weighted_churn_covers():
    rng = np.random.default_rng(1)
    weights = np.array([0.5, 3.0])
    truth = 0.1 * 3.0
    hits = 0
    for _ in range(300):
        after = (rng.random(500) < 0.1).astype(int)
        interval = churn(np.zeros(500, dtype=int), after, weights)
        hits += interval.low <= truth <= interval.high
    assert hits >= 285


def test_audited_rho_moves_from_the_prior_to_the_audit():
    assert audited_rho(0, 0, 0) == pytest.approx(0.15)
    assert audited_rho(15, 5, 30) == pytest.approx((10 + 20 * 0.15) / 50)
    assert audited_rho(0, 1000, 1000) == pytest.approx(-1, abs=0.03)
    with pytest.raises(ValueError, match="of 3 audited"):
        audited_rho(2, 2, 3)


def test_churn_needs_the_same_items():
    with pytest.raises(ValueError, match="stop set"):
        churn(np.zeros(3), np.zeros(4))
