import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from labelwright.tools.calibration import apply_calibration, calibration_error, fit_calibration


def overconfident(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that claim more than they hold: logit(truth) = logit(score) / 3."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(5, 1, n)
    logit = np.log(scores / (1 - scores))
    return scores, rng.random(n) < 1 / (1 + np.exp(-logit / 3))


@pytest.mark.parametrize(("n", "kind"), [(50, "platt"), (499, "platt"), (500, "isotonic")])
def test_the_method_follows_the_number_of_audits(n, kind):
    calibration = fit_calibration(*overconfident(0, n))
    assert calibration is not None
    assert calibration.kind == kind
    assert calibration.n == n


def test_too_few_audits_or_one_outcome_give_no_calibration():
    scores, right = overconfident(0, 49)
    assert fit_calibration(scores, right) is None
    assert fit_calibration(np.full(900, 0.9), np.ones(900, dtype=bool)) is None
    assert fit_calibration(np.full(900, 0.9), np.zeros(900, dtype=bool)) is None


@pytest.mark.parametrize("n", [400, 4000])
def test_calibration_removes_most_of_the_overconfidence(n):
    calibration = fit_calibration(*overconfident(1, n))
    scores, right = overconfident(2, 20_000)
    assert calibration is not None
    before = calibration_error(scores, right)
    after = calibration_error(apply_calibration(calibration, scores), right)
    assert before > 0.12
    assert after < before / 3


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([60, 600]), st.booleans())
def test_a_calibrated_probability_is_inside_0_1_and_monotone(seed, n, useless):
    rng = np.random.default_rng(seed)
    scores = rng.random(n).round(2)
    right = rng.random(n) < (1 - scores if useless else scores)
    calibration = fit_calibration(scores, right)
    assert calibration is not None
    grid = apply_calibration(calibration, np.linspace(0, 1, 101))
    assert ((grid > 0) & (grid < 1)).all()
    assert (np.diff(grid) >= -1e-12).all()


def test_scores_that_rank_backwards_fall_back_to_the_base_rate():
    scores = np.linspace(0.01, 0.99, 200)
    calibration = fit_calibration(scores, scores < 0.5)
    assert calibration is not None
    np.testing.assert_allclose(apply_calibration(calibration, scores), 0.5, atol=0.01)


def test_platt_equals_logistic_regression_on_its_smoothed_targets():
    scores, right = overconfident(3, 300)
    calibration = fit_calibration(scores, right)
    logit = np.log(scores / (1 - scores))[:, None]
    positives, negatives = right.sum(), (~right).sum()
    target = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    reference = LogisticRegression(C=1e8, tol=1e-8).fit(
        np.vstack([logit, logit]), np.repeat([1, 0], 300), np.concatenate([target, 1 - target])
    )
    assert calibration is not None
    slope, intercept = calibration.values
    assert slope == pytest.approx(reference.coef_[0, 0], abs=1e-3)
    assert intercept == pytest.approx(reference.intercept_[0], abs=1e-3)


def test_isotonic_equals_sklearn():
    rng = np.random.default_rng(4)
    scores = rng.random(800).round(2)
    right = rng.random(800) < scores
    calibration = fit_calibration(scores, right)
    reference = IsotonicRegression(y_min=1 / 802, y_max=801 / 802, out_of_bounds="clip")
    reference.fit(scores, right)
    assert calibration is not None
    grid = np.linspace(0, 1, 77)
    np.testing.assert_allclose(
        apply_calibration(calibration, grid), reference.predict(grid), atol=2e-3
    )


def test_calibration_error_by_hand():
    p = np.array([0.1, 0.2, 0.8, 0.9])
    right = np.array([False, False, True, False])
    assert calibration_error(p, right, bins=2) == pytest.approx((0.15 + 0.35) / 2)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        fit_calibration(np.array([np.nan]), np.array([True]))
    with pytest.raises(ValueError, match="outcomes"):
        fit_calibration(np.array([0.5]), np.array([True, False]))
    with pytest.raises(ValueError, match="outcomes"):
        calibration_error(np.array([]), np.array([]))
