"""Which labels are suspect, and how many."""

import numpy as np
import pytest

from labelwright.tools.suspicion import suspicion


@pytest.fixture
def made():
    """400 items of 8 classes with one label in five wrong, and two witnesses of it."""
    rng = np.random.default_rng(0)
    n, classes = 400, 8
    truth = rng.integers(classes, size=n)
    wrong = rng.random(n) < 0.2
    labels = np.where(wrong, (truth + rng.integers(1, classes, n)) % classes, truth)
    similarity = rng.normal(size=(n, classes)) + 2 * np.eye(classes)[truth]
    p = np.clip(np.where(wrong, 0.55, 0.75) + rng.normal(0, 0.15, n), 0.02, 0.98)
    return labels, p, similarity, wrong


def found(judged, wrong):
    n = int(wrong.sum())
    return float(wrong[np.argsort(-judged.score)[:n]].mean())


def test_two_witnesses_find_more_than_either_and_noise_is_not_heard(made):
    labels, p, similarity, wrong = made
    voters = np.full(len(labels), 2)
    both = suspicion(labels, p, similarity, voters=voters)
    alone = suspicion(labels, p, None, voters=voters)
    described = suspicion(labels, np.full(len(p), 0.8), similarity, voters=voters)
    assert found(both, wrong) > max(found(alone, wrong), found(described, wrong))
    assert alone.kappa == 0.0
    noise = np.random.default_rng(1).normal(size=similarity.shape)
    silent = suspicion(labels, p, noise, voters=voters)
    assert silent.kappa < 0.1
    np.testing.assert_array_equal(silent.score, alone.score)


def test_a_lone_vote_leaves_more_to_the_description(made):
    labels, p, similarity, _ = made
    one = suspicion(labels, p, similarity, voters=np.ones(len(labels), int))
    two = suspicion(labels, p, similarity, voters=np.full(len(labels), 2))
    none = suspicion(labels, np.full(len(p), 0.5), similarity, voters=np.ones(len(labels), int))
    assert np.corrcoef(one.score, none.score)[0, 1] > np.corrcoef(two.score, none.score)[0, 1]


def test_audits_say_how_many_labels_are_wrong(made):
    labels, p, similarity, wrong = made
    voters = np.full(len(labels), 2)
    unaudited = suspicion(labels, np.minimum(p + 0.24, 0.99), similarity, voters=voters)
    assert not unaudited.fitted
    audited = np.arange(0, len(labels), 4)
    judged = suspicion(
        labels,
        np.minimum(p + 0.24, 0.99),
        similarity,
        voters=voters,
        audited=audited,
        wrong=wrong[audited],
    )
    assert judged.fitted
    assert abs(judged.suspects().mean() - 0.2) < 0.05
    assert abs(unaudited.suspects().mean() - 0.2) > 0.05
    np.testing.assert_array_equal(np.argsort(judged.score), np.argsort(unaudited.score))


@pytest.mark.parametrize("wrong", [True, False])
def test_audits_that_all_come_out_alike_fit_nothing(made, wrong):
    labels, p, similarity, _ = made
    audited = np.arange(50)
    judged = suspicion(
        labels,
        p,
        similarity,
        voters=np.ones(len(labels), int),
        audited=audited,
        wrong=np.full(50, wrong),
    )
    assert not judged.fitted
    np.testing.assert_allclose(judged.p_wrong, 1 - p)


def test_labels_that_nothing_tells_apart_are_equally_suspect():
    same = suspicion(np.zeros(5, int), np.full(5, 0.9), None, voters=np.ones(5, int))
    assert set(same.score.tolist()) == {0.0}
    assert same.suspects().sum() in {0, 1}
