import tracemalloc

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues
from cleanlab.internal.multiannotator_utils import find_best_temp_scaler, temp_scale_pred_probs
from cleanlab.multiannotator import get_active_learning_scores
from cleanlab.rank import get_normalized_margin_for_each_label
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from labelwright.tools import consistency
from labelwright.tools.aggregation import crowdlab
from labelwright.tools.consistency import (
    active_lab,
    confident_learning,
    neighbour_disagreement,
    normalised_margin,
)


def noisy(
    seed: int, n: int, n_labels: int, signal: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True labels, labels with 20 % noise, and probabilities that know a little."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, n_labels, n)
    given_labels = np.where(rng.random(n) < 0.2, rng.integers(0, n_labels, n), true)
    given_labels[:n_labels] = np.arange(n_labels)
    logits = rng.normal(size=(n, n_labels)) + signal * np.eye(n_labels)[true]
    proba = np.exp(logits)
    return true, given_labels, proba / proba.sum(axis=1, keepdims=True)


def disagreement_by_definition(vectors, labels, k, weights, exclude):
    similarity = cosine_similarity(vectors.astype(np.float64))
    scores = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i and not exclude[j]]
        nearest = sorted(others, key=lambda j: -similarity[i, j])[:k]
        weight = [max(similarity[i, j], 0) * weights[j] for j in nearest]
        against = sum(w for w, j in zip(weight, nearest, strict=True) if labels[j] != labels[i])
        scores.append(against / sum(weight) if sum(weight) > 0 else 0.0)
    return np.array(scores)


@pytest.mark.parametrize(("queries", "base"), [(1024, 8192), (16, 7), (5, 200)])
def test_neighbour_disagreement_equals_its_definition_whatever_the_blocks(
    monkeypatch, queries, base
):
    monkeypatch.setattr(consistency, "_QUERIES", queries)
    monkeypatch.setattr(consistency, "_BASE", base)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(120, 6)).astype(np.float32)
    labels = rng.integers(0, 3, 120)
    weights = rng.random(120)
    exclude = rng.random(120) < 0.2
    got = neighbour_disagreement(vectors, labels, k=7, weights=weights, exclude=exclude)
    expected = disagreement_by_definition(vectors, labels, 7, weights, exclude)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_wrong_label_in_a_cluster_stands_out_and_synthetic_items_are_no_evidence():
    rng = np.random.default_rng(1)
    centre = np.repeat(np.eye(2, 8), 40, axis=0)
    vectors = centre + rng.normal(scale=0.05, size=centre.shape)
    labels = np.repeat([0, 1], 40)
    labels[3] = 1
    scores = neighbour_disagreement(vectors, labels, k=10)
    assert scores[3] == 1.0
    assert scores.argmax() == 3
    # When everything else in its cluster is synthetic, the only evidence left is the other one.
    exclude = np.arange(80) < 40
    assert neighbour_disagreement(vectors, labels, k=10, exclude=exclude)[3] < 1.0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 40))
def test_neighbour_disagreement_is_a_share(seed, k, n):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3))
    labels = rng.integers(0, 2, n)
    scores = neighbour_disagreement(vectors, labels, k=k, exclude=rng.random(n) < 0.5)
    assert ((scores >= 0) & (scores <= 1)).all()
    one_label = neighbour_disagreement(vectors, np.zeros(n, dtype=int), k=k)
    assert (one_label == 0).all()


def test_no_square_matrix_is_built(monkeypatch):
    monkeypatch.setattr(consistency, "_QUERIES", 64)
    monkeypatch.setattr(consistency, "_BASE", 256)
    n = 3000
    vectors = np.random.default_rng(2).normal(size=(n, 4)).astype(np.float32)
    labels = np.zeros(n, dtype=int)
    tracemalloc.start()
    try:
        neighbour_disagreement(vectors, labels, k=5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n * n * 4 / 10


def test_some_rows_can_be_scored_alone():
    rng = np.random.default_rng(3)
    vectors, labels = rng.normal(size=(200, 4)), rng.integers(0, 3, 200)
    rows = np.array([150, 3, 7])
    np.testing.assert_allclose(
        neighbour_disagreement(vectors, labels, rows=rows),
        neighbour_disagreement(vectors, labels)[rows],
        atol=1e-6,
    )


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="labels"):
        neighbour_disagreement(np.zeros((3, 2)), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="labels"):
        confident_learning(np.zeros(2, dtype=int), np.full((3, 2), 0.5))


# cleanlab warns that it flags nothing in a class without two items; so do we, silently.
@pytest.mark.filterwarnings("ignore:May not flag all label issues:UserWarning")
def test_confident_learning_equals_cleanlab():
    same_joint = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n_labels = int(rng.integers(2, 8))
        size = int(rng.integers(5 * n_labels, 400))
        _, labels, proba = noisy(seed, size, n_labels, signal=[0.5, 2, 4][seed % 3])
        ours = confident_learning(labels, proba)
        reference = compute_confident_joint(labels, proba)
        # cleanlab leaves it to an unstable sort which of two equally rounded counts gives way.
        assert np.abs(ours.joint - reference).max() <= 1
        np.testing.assert_array_equal(ours.joint.sum(axis=1), reference.sum(axis=1))
        if (ours.joint == reference).all():
            same_joint += 1
            issues = find_label_issues(labels, proba, filter_by="prune_by_noise_rate", n_jobs=1)
            np.testing.assert_array_equal(ours.flags, issues)
    assert same_joint >= 45


@pytest.mark.filterwarnings("ignore:May not flag all label issues:UserWarning")
def test_confident_learning_equals_cleanlab_with_a_class_that_nobody_labelled():
    _, labels, proba = noisy(3, 200, 4)
    labels = np.where(labels == 2, 0, labels)
    issues = find_label_issues(labels, proba, filter_by="prune_by_noise_rate", n_jobs=1)
    ours = confident_learning(labels, proba)
    np.testing.assert_array_equal(ours.flags, issues)
    assert ours.noise[2] == 0


def test_confident_learning_finds_the_noise_that_was_put_in():
    true, labels, proba = noisy(1, 3000, 4, signal=6.0)
    found = confident_learning(labels, proba)
    wrong = labels != true
    assert (found.flags & wrong).sum() / wrong.sum() > 0.9
    assert (found.flags & wrong).sum() / found.flags.sum() > 0.9
    for k in range(4):
        assert found.noise[k] == pytest.approx(wrong[labels == k].mean(), abs=0.03)


def test_one_item_of_a_class_is_never_flagged():
    labels = np.array([0] * 20 + [1])
    proba = np.tile([0.9, 0.1], (21, 1))
    assert not confident_learning(labels, proba).flags[20]


def test_a_class_is_never_flagged_away_completely():
    # Three items labelled 0, each clearly of another class, and five good ones of each other.
    truth = np.array([1, 2, 3] + [1] * 5 + [2] * 5 + [3] * 5)
    labels = np.where(np.arange(18) < 3, 0, truth)
    proba = np.full((18, 4), 0.02)
    proba[np.arange(18), truth] = 0.94
    found = confident_learning(labels, proba)
    assert found.joint[0, 0] == 0
    assert not found.flags[:3].all()
    issues = find_label_issues(labels, proba, filter_by="prune_by_noise_rate", n_jobs=1)
    np.testing.assert_array_equal(found.flags, issues)


def test_normalised_margin_equals_cleanlab():
    _, labels, proba = noisy(4, 100, 5)
    np.testing.assert_allclose(
        normalised_margin(labels, proba), get_normalized_margin_for_each_label(labels, proba)
    )


def some_votes(seed: int, true: np.ndarray, n_labels: int, *, single: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n, m = len(true), 4
    votes = np.where(rng.random((n, m)) < 0.75, true[:, None], rng.integers(0, n_labels, (n, m)))
    absent = rng.random((n, m)) < 0.4
    absent[np.arange(n), rng.integers(0, m, n)] = False
    if single:
        absent = np.arange(m) != rng.integers(0, m, n)[:, None]
    return np.where(absent, -1, votes)


@pytest.mark.parametrize("single", [False, True])
def test_active_lab_equals_cleanlab(single):
    true, _, proba = noisy(5, 250, 3)
    labelled = np.arange(250) < 180
    votes = some_votes(5, true, 3, single=single)
    as_floats = np.where(votes[labelled] < 0, np.nan, votes[labelled])
    temperature = 1.0 if single else find_best_temp_scaler(as_floats, proba[labelled])
    reference = get_active_learning_scores(as_floats, proba[labelled], proba[~labelled])
    # cleanlab scales the temperature itself; ours takes calibrated probabilities.
    scaled = temp_scale_pred_probs(proba, temperature)
    votes[~labelled] = -1
    crowd = crowdlab(votes, scaled)
    scores = active_lab(votes, crowd)
    np.testing.assert_allclose(scores[labelled], reference[0], atol=1e-9)
    np.testing.assert_allclose(scores[~labelled], reference[1], atol=1e-9)


def test_active_lab_asks_for_disputed_items_before_agreed_ones():
    true, _, proba = noisy(6, 100, 3)
    votes = np.repeat(true[:, None], 3, axis=1)
    votes[0] = [0, 1, 2]
    proba[0] = 1 / 3
    assert active_lab(votes, crowdlab(votes, proba)).argmin() == 0
