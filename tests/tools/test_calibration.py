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


@pytest.mark.parametrize(("n", "isotonic"), [(50, False), (499, False), (500, True)])
def test_the_method_follows_the_number_of_audits(n, isotonic):
    calibration = fit_calibration(*overconfident(0, n))
    assert calibration is not None
    assert bool(calibration.knots) == isotonic
    assert calibration.n == n


def test_too_few_audits_give_no_calibration():
    assert fit_calibration(*overconfident(0, 49)) is None


@pytest.mark.parametrize("right", [True, False])
def test_one_outcome_alone_moves_the_scores_towards_it_and_not_to_the_end(right):
    scores = np.full(900, 0.9)
    calibration = fit_calibration(scores, np.full(900, right))
    assert calibration is not None
    (found,) = apply_calibration(calibration, scores[:1])
    assert 0.9 < found < 1 if right else 0 < found < 0.5


def test_few_audits_that_agree_with_the_scores_change_nothing():
    scores = np.repeat([0.6, 0.9], 40)
    right = np.r_[np.arange(40) < 24, np.arange(40) < 36]
    calibration = fit_calibration(scores, right)
    assert calibration is not None
    np.testing.assert_allclose(apply_calibration(calibration, scores), scores, atol=1e-4)


def test_a_feature_counts_as_far_as_the_audit_shows():
    rng = np.random.default_rng(5)
    n = 4_000
    telling, idle = rng.normal(size=n), rng.normal(size=n)
    right = rng.random(n) < 1 / (1 + np.exp(-1 - telling))
    scores = np.full(n, 0.73)
    few, many = (
        fit_calibration(scores[:k], right[:k], np.column_stack([telling, idle])[:k])
        for k in (60, 490)
    )
    assert few is not None
    assert many is not None
    assert 0 < few.features[0][2] < many.features[0][2] < 1
    assert abs(many.features[1][2]) < 0.15
    high, low = apply_calibration(many, scores[:2], np.asarray([[1.0, 0.0], [-1.0, 0.0]]))
    assert low < 0.73 < high


def test_an_unknown_feature_is_an_average_one():
    rng = np.random.default_rng(6)
    features = rng.normal(3, 2, size=(300, 1))
    scores = rng.uniform(0.3, 0.9, 300)
    right = rng.random(300) < scores
    calibration = fit_calibration(scores, right, features)
    assert calibration is not None
    mean = calibration.features[0][0]
    unknown = apply_calibration(calibration, scores, np.full((300, 1), np.nan))
    average = apply_calibration(calibration, scores, np.full((300, 1), mean))
    np.testing.assert_array_equal(unknown, average)
    nothing = fit_calibration(scores, right, np.full((300, 1), np.nan))
    assert nothing is not None
    plain = fit_calibration(scores, right)
    assert plain is not None
    np.testing.assert_allclose(
        apply_calibration(nothing, scores, np.full((300, 1), np.nan)),
        apply_calibration(plain, scores),
    )


def test_a_group_that_is_worse_is_believed_less():
    scores = np.full(400, 0.8)
    groups = np.arange(400) % 2
    right = np.where(groups == 0, np.arange(400) % 20 != 0, np.arange(400) % 20 < 12)
    calibration = fit_calibration(scores, right, None, groups, 3)
    assert calibration is not None
    better, worse, unseen = apply_calibration(
        calibration, np.full(3, 0.8), groups=np.asarray([0, 1, 2])
    )
    assert worse < unseen < better


def test_answers_without_a_valid_vote_count_against_a_label_as_far_as_audits_show():
    scores, blank = np.full(400, 0.8), (np.arange(400) % 4 == 0).astype(float)
    alike = np.arange(400) % 5 != 0
    worse = np.where(blank > 0, np.arange(400) % 8 == 0, alike)

    def cost(right):
        calibration = fit_calibration(scores, right, blank=blank)
        assert calibration is not None
        whole, none = apply_calibration(calibration, np.full(2, 0.8), blank=np.asarray([0, 1]))
        assert apply_calibration(calibration, np.full(1, 0.8))[0] == whole
        return whole - none

    assert cost(worse) > 0.2
    assert abs(cost(alike)) < 0.05


@pytest.mark.parametrize("n", [400, 4000])
def test_calibration_removes_most_of_the_overconfidence(n):
    calibration = fit_calibration(*overconfident(1, n))
    scores, right = overconfident(2, 20_000)
    assert calibration is not None
    before = calibration_error(scores, right)
    after = calibration_error(apply_calibration(calibration, scores), right)
    assert before > 0.12
    # Of few audits a slope that far from the usual one is believed in part.
    assert after < before * (1 / 3 if n < 500 else 0.2)


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


def test_a_large_audit_brings_the_fit_to_logistic_regression():
    scores, right = overconfident(3, 499)
    times = 8  # the prior counts for an eighth: every item is given so often
    many = np.tile(scores, times), np.tile(right, times)
    calibration = fit_calibration(scores, right)
    logit = np.log(scores / (1 - scores))[:, None]
    reference = LogisticRegression(C=1e8, tol=1e-8).fit(logit, right)
    assert calibration is not None
    shrunk = fit_calibration(*many)
    assert shrunk is not None
    distances = [abs(c.slope - reference.coef_[0, 0]) for c in (calibration, shrunk)]
    assert distances[1] < distances[0] / 4


def test_isotonic_equals_sklearn():
    rng = np.random.default_rng(4)
    scores = rng.random(800).round(2)
    right = rng.random(800) < scores
    calibration = fit_calibration(scores, right)
    reference = IsotonicRegression(y_min=1 / 802, y_max=801 / 802, out_of_bounds="clip")
    reference.fit(scores, right)
    assert calibration is not None
    np.testing.assert_allclose(
        apply_calibration(calibration, scores), reference.predict(scores), atol=2e-3
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
