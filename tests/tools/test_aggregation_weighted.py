"""The conditional logit over votes: its optimum, its prior, and what it is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad, minimize

from labelwright.tools.aggregation import evidence, fit_weights, tally, weighted_posterior
from labelwright.tools.aggregation.weighted import OF_ANNOTATOR, OF_LABEL, OF_TRUST, Weights

MEAN, SD = np.asarray([1.0, 0.5]), np.asarray([0.7, 0.3])


def made(seed, n=80, m=4, classes=3, missing=0.2):
    """Votes that are right 70 % of the time, with a second opinion, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    votes = np.where(rng.random((n, m)) < 0.7, truth[:, None], rng.integers(0, classes, (n, m)))
    votes[rng.random((n, m)) < missing] = -1
    opinion = np.log(rng.dirichlet(np.ones(classes), n))
    return evidence(votes, classes, (tally(votes, classes, np.ones(m)), opinion)), truth


def penalised(flat, seen, truth):
    """The objective, in plain words of the docstring."""
    m, classes = seen.votes.shape[1], seen.share.shape[1]
    weights = Weights(*np.split(flat, np.cumsum([2, m, classes])))
    p = weighted_posterior(seen, weights)[np.arange(len(truth)), truth]
    prior = [(weights.scores - MEAN) / SD, weights.annotator / OF_ANNOTATOR]
    prior += [weights.label / OF_LABEL, weights.trust / OF_TRUST]
    return -np.log(p).sum() + 0.5 * (np.concatenate(prior) ** 2).sum()


def flat(weights):
    return np.concatenate([weights.scores, weights.annotator, weights.label, weights.trust])


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_fit_is_the_optimum_that_a_general_search_finds(classes):
    seen, truth = made(classes, classes=classes)
    found = flat(fit_weights(seen, truth, MEAN, SD))
    searched = minimize(penalised, np.zeros(found.size), args=(seen, truth), tol=1e-9).x
    np.testing.assert_allclose(found, searched, atol=2e-3)
    assert penalised(found, seen, truth) <= penalised(searched, seen, truth) + 1e-4


def test_the_slope_at_the_fit_is_zero():
    seen, truth = made(1)
    found = flat(fit_weights(seen, truth, MEAN, SD))
    zero = np.zeros(found.size)
    assert check_grad(penalised, lambda *_: zero, found, seen, truth) < 0.05


def test_where_the_search_begins_makes_no_difference():
    seen, truth = made(2)
    cold = fit_weights(seen, truth, MEAN, SD)
    warm = fit_weights(seen.take(np.arange(60)), truth[:60], MEAN, SD, cold)
    again = fit_weights(seen.take(np.arange(60)), truth[:60], MEAN, SD)
    np.testing.assert_allclose(flat(warm), flat(again), atol=2e-3)


def test_without_audits_the_prior_is_kept():
    seen, truth = made(3)
    nothing = np.arange(0)
    weights = fit_weights(seen.take(nothing), truth[nothing], MEAN, SD)
    assert weights.scores == pytest.approx(MEAN)
    assert flat(weights)[2:] == pytest.approx(0)
    expected = MEAN[0] * seen.scores[0] + MEAN[1] * seen.scores[1]
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weighted_posterior(seen, weights), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 5), st.integers(1, 40))
def test_posteriors_are_distributions_whatever_was_seen(seed, classes, m, n):
    seen, truth = made(seed, n=n, m=m, classes=classes, missing=0.5)
    p = weighted_posterior(seen, fit_weights(seen, truth, MEAN, SD))
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_labels_that_are_always_right_do_not_run_away():
    truth = np.arange(500) % 4
    votes = np.repeat(truth[:, None], 3, axis=1)
    seen = evidence(votes, 4, (tally(votes, 4, np.ones(3)), np.zeros((500, 4))))
    weights = fit_weights(seen, truth, MEAN, SD)
    assert np.isfinite(flat(weights)).all()
    assert np.abs(flat(weights)).max() < 5


def test_two_copies_share_the_weight_of_one():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 3_000)
    one, other = (np.where(rng.random(3_000) < 0.7, truth, (truth + s) % 3) for s in (1, 2))

    def fit(votes):
        seen = evidence(votes, 3, (tally(votes, 3, np.ones(votes.shape[1])), np.zeros((3_000, 3))))
        weights = fit_weights(seen, truth, MEAN, SD)
        return weights.scores[0] + weights.annotator

    apart = fit(np.stack([one, other], 1))
    copies = fit(np.stack([one, one, other], 1))
    assert copies[0] + copies[1] == pytest.approx(apart[0], rel=0.15)
    assert copies[2] == pytest.approx(apart[1], rel=0.15)


def test_wrong_shapes_are_named():
    votes = np.zeros((2, 1), int)
    with pytest.raises(ValueError, match="scores must have shape"):
        evidence(votes, 3, (np.zeros((2, 2)),))
    with pytest.raises(ValueError, match=r"0\.\.2"):
        evidence(votes + 5, 3, ())
