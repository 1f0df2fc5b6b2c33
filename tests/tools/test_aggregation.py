import numpy as np
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelwright.tools.aggregation import (
    crowdlab,
    effective_weights,
    majority,
    one_coin,
    redundancy,
    reliability,
)

K = 4


@st.composite
def crowds(draw):
    """Votes, truth (partly unknown), reliabilities, and an order of the annotators."""
    n, m = draw(st.integers(1, 20)), draw(st.integers(1, 5))
    votes = draw(arrays(np.int64, (n, m), elements=st.integers(-1, K - 1)))
    truth = draw(arrays(np.int64, n, elements=st.integers(-1, K - 1)))
    trust = draw(arrays(np.float64, m, elements=st.floats(0.05, 0.99)))
    return votes, truth, trust, np.array(draw(st.permutations(range(m))))


def simulated(seed: int, n: int, accuracies: list[float], n_labels: int = K):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, n_labels, n)
    shift = rng.integers(1, n_labels, (n, len(accuracies)))
    right = rng.random(shift.shape) < accuracies
    return true, np.where(right, true[:, None], (true[:, None] + shift) % n_labels)


def test_majority():
    votes = np.array([[0, 0, 1], [0, 1, -1], [-1, -1, -1], [2, -1, -1], [3, 1, 1]])
    labels, share = majority(votes, K)
    assert labels.tolist() == [0, -1, -1, 2, 1]
    np.testing.assert_allclose(share, [2 / 3, 1 / 2, 0, 1, 2 / 3])


def test_a_weight_can_break_a_tie_and_overrule_two_weak_annotators():
    weights = np.array([0.4, 0.4, 1.0])
    assert majority(np.array([[0, 0, 1], [0, -1, 1]]), K, weights)[0].tolist() == [1, 1]


@settings(deadline=None)
@given(crowds())
def test_no_statistic_depends_on_the_order_of_annotators(crowd):
    votes, truth, trust, order = crowd
    for one, other in zip(majority(votes, K), majority(votes[:, order], K), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(
        one_coin(votes, trust, K), one_coin(votes[:, order], trust[order], K), atol=1e-9
    )
    np.testing.assert_allclose(
        reliability(votes, truth, K)[order], reliability(votes[:, order], truth, K)
    )
    np.testing.assert_allclose(
        redundancy(votes, truth, K)[np.ix_(order, order)],
        redundancy(votes[:, order], truth, K),
        atol=1e-12,
    )


@settings(deadline=None)
@given(crowds(), st.integers(0, 1000))
def test_posteriors_are_distributions(crowd, seed):
    votes, _, trust, _ = crowd
    prior = np.random.default_rng(seed).dirichlet(np.full(K, 0.1), len(votes))
    for posterior in (
        one_coin(votes, trust, K),
        one_coin(votes, trust, K, prior, 0.5),
        crowdlab(votes, prior).posterior,
    ):
        assert (posterior >= 0).all()
        np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-9)


@settings(deadline=None)
@given(crowds())
def test_redundancy_is_a_symmetric_share(crowd):
    votes, truth, _, _ = crowd
    matrix = redundancy(votes, truth, K)
    assert ((matrix >= 0) & (matrix <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 0).all()
    weights = effective_weights(matrix)
    assert ((weights > 0) & (weights <= 1)).all()


def test_one_coin_is_bayes_rule():
    votes = np.array([[0, 1, -1]])
    posterior = one_coin(votes, np.array([0.9, 0.6, 0.99]), 3, np.array([[0.2, 0.5, 0.3]]))
    by_hand = np.array([0.2 * 0.9 * 0.2, 0.5 * 0.05 * 0.6, 0.3 * 0.05 * 0.2])
    np.testing.assert_allclose(posterior[0], by_hand / by_hand.sum())


def test_an_item_without_votes_keeps_its_prior():
    prior = np.array([[0.7, 0.2, 0.1, 0.0]])
    nobody = np.full((1, 2), -1)
    np.testing.assert_allclose(one_coin(nobody, np.full(2, 0.9), K, prior), prior, atol=1e-9)
    np.testing.assert_allclose(one_coin(nobody, np.full(2, 0.9), K), np.full((1, K), 1 / K))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.5, 0.95))
def test_reliability_lies_between_prior_and_audit_and_tends_to_the_prior(right, wrong, prior):
    truth = np.zeros(right + wrong + 1, dtype=int)
    truth[-1] = -1
    votes = np.array([0] * right + [1] * wrong + [1])[:, None]
    (got,) = reliability(votes, truth, K, prior_accuracy=prior, prior_strength=10)
    if right + wrong == 0:
        assert got == pytest.approx(prior)
        return
    audited = right / (right + wrong)
    assert min(prior, audited) - 1e-9 <= got or got == pytest.approx(1 / K + 0.01)
    assert got <= max(prior, audited) + 1e-9
    (stronger,) = reliability(votes, truth, K, prior_accuracy=prior, prior_strength=1000)
    assert abs(stronger - prior) <= abs(got - prior) + 1e-9


def test_an_annotator_worse_than_chance_is_ignored_not_inverted():
    truth = np.zeros(500, dtype=int)
    (got,) = reliability(np.ones((500, 1), dtype=int), truth, K)
    assert got == pytest.approx(1 / K + 0.01)
    posterior = one_coin(np.array([[1]]), np.array([got]), K)
    assert posterior[0].argmax() == 1
    assert posterior[0, 1] < 0.28


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([2, 3, 10]))
def test_a_copy_of_a_voter_does_not_double_its_weight(seed, n_labels):
    true, votes = simulated(seed, 300, [0.7, 0.75], n_labels)
    votes = np.column_stack([votes, votes[:, 0]])
    trust = reliability(votes, true, n_labels)
    weights = effective_weights(redundancy(votes, true, n_labels))
    assert weights[0] == weights[2]
    assert 0.45 < weights[0] < 0.56
    assert weights[1] > 0.75
    odds = np.log(trust / (1 - trust))
    assert odds[0] * weights[0] + odds[2] * weights[2] < 1.12 * odds[0]


def test_independent_annotators_that_confuse_the_same_two_labels_are_no_copies():
    rng = np.random.default_rng(0)
    true = rng.integers(0, K, 2000)
    confused = np.where(rng.random((2000, 2)) < 0.8, true[:, None], (true[:, None] + 1) % K)
    # Whenever both are wrong they agree; it still happens no more often than by chance.
    assert redundancy(confused, true, K)[0, 1] < 0.15


def test_few_audits_prove_no_redundancy():
    votes = np.array([[1, 1]] + [[0, 0]] * 9)
    truth = np.zeros(10, dtype=int)
    assert redundancy(votes, truth, K)[0, 1] < 0.25
    assert redundancy(votes, np.full(10, -1), K)[0, 1] == 0


def test_weighing_by_reliability_and_redundancy_beats_counting_votes():
    true, votes = simulated(4, 4000, [0.55, 0.85, 0.8])
    votes = np.column_stack([votes, votes[:, 0], votes[:, 0]])
    audited = np.where(np.arange(4000) < 300, true, -1)
    posterior = one_coin(
        votes,
        reliability(votes, audited, K),
        K,
        weights=effective_weights(redundancy(votes, audited, K)),
    )
    counted, _ = majority(votes, K)
    assert (posterior.argmax(axis=1) == true).mean() > (counted == true).mean() + 0.2


@pytest.mark.parametrize("seed", range(6))
def test_crowdlab_equals_cleanlab(seed):
    rng = np.random.default_rng(seed)
    true, votes = simulated(seed, 200, [0.9, 0.7, 0.6, 0.5])
    absent = rng.random(votes.shape) < 0.5
    absent[np.arange(200), rng.integers(0, 4, 200)] = False
    votes = np.where(absent, -1, votes)
    proba = rng.dirichlet(np.ones(K), 200) * 0.6 + 0.4 * np.eye(K)[true]
    reference = get_label_quality_multiannotator(
        np.where(votes < 0, np.nan, votes), proba, return_weights=True, verbose=False
    )
    ours = crowdlab(votes, proba)
    np.testing.assert_array_equal(ours.consensus, reference["label_quality"]["consensus_label"])
    np.testing.assert_allclose(
        ours.posterior[np.arange(200), ours.consensus],
        reference["label_quality"]["consensus_quality_score"],
    )
    np.testing.assert_allclose(ours.annotator_weight, reference["annotator_weight"])
    assert ours.model_weight == pytest.approx(reference["model_weight"])


def test_crowdlab_without_overlap_trusts_the_student():
    proba = np.array([[0.2, 0.8], [0.6, 0.4]])
    crowd = crowdlab(np.array([[0, -1], [-1, -1]]), proba)
    np.testing.assert_array_equal(crowd.posterior, proba)
    assert crowd.consensus.tolist() == [0, 0]
    assert crowd.model_weight == 1
    assert crowd.annotator_weight.tolist() == [1, 1]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"0\.\.3, got -1\.\.4"):
        majority(np.array([[4, -1]]), K)
    with pytest.raises(ValueError, match="items x annotators"):
        majority(np.array([1, 2]), K)
    with pytest.raises(ValueError, match="one reliability"):
        one_coin(np.array([[0, 1]]), np.array([0.9]), K)
    with pytest.raises(ValueError, match="prior has shape"):
        one_coin(np.array([[0]]), np.array([0.9]), K, np.ones((2, K)))
    with pytest.raises(ValueError, match="truth has shape"):
        reliability(np.array([[0]]), np.array([0, 1]), K)
    with pytest.raises(ValueError, match="prior_strength"):
        reliability(np.array([[0]]), np.array([0]), K, prior_strength=0)
