import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.tools import strategies
from labelwright.tools.strategies import (
    STRATEGIES,
    diverse_margin,
    k_center,
    k_means_pick,
    most_uncertain,
    pick,
    random_pick,
    typiclust,
    uncertainty,
)

NONE = np.zeros(0, np.intp)


def blobs(rng, centres, per, spread=0.05, dim=8):
    middle = rng.normal(size=(centres, dim))
    points = np.repeat(middle, per, axis=0) + spread * rng.normal(size=(centres * per, dim))
    return points.astype(np.float32), np.repeat(np.arange(centres), per)


def brute_k_center(vectors, labelled, candidates, n):
    """Sener and Savarese's algorithm 1, written with the full distance matrix."""
    distances = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    centres, left = list(labelled), list(candidates)
    for _ in range(n):
        gaps = [distances[i, centres].min() for i in left]
        centres.append(left.pop(int(np.argmax(gaps))))
    return centres[len(labelled) :]


@pytest.mark.parametrize("k", [2, 3, 8, 77])
def test_uncertainty_is_what_its_definition_says(k):
    proba = np.random.default_rng(0).dirichlet(np.ones(k), size=5000)
    ordered = np.sort(proba, axis=1)
    expected = {
        "margin": 1 - (ordered[:, -1] - ordered[:, -2]),
        "entropy": -(proba * np.log(proba)).sum(axis=1) / np.log(k),
        "least_confidence": 1 - ordered[:, -1],
    }
    for kind, values in expected.items():
        scores = uncertainty(proba, kind)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, values, atol=2e-6)


@pytest.mark.parametrize("kind", ["margin", "entropy", "least_confidence"])
def test_uncertainty_at_its_ends(kind):
    proba = np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]], np.float32)
    scores = uncertainty(proba, kind)
    assert scores[0] == 0
    assert scores[0] < scores[1] <= scores[2]
    assert uncertainty(np.ones((4, 1), np.float32), kind).tolist() == [0, 0, 0, 0]
    assert uncertainty(np.zeros((0, 3), np.float32), kind).shape == (0,)


def test_most_uncertain_breaks_ties_by_position_and_ignores_the_others():
    proba = np.array([[0.5, 0.5], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.5, 0.5]], np.float32)
    candidates = np.array([4, 3, 2, 1])
    assert most_uncertain(proba, candidates, 3).tolist() == [4, 2, 3]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_strategy_keeps_the_contract(data):
    n_rows = data.draw(st.integers(1, 40))
    duplicates = data.draw(st.booleans())
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_rows, 5)).astype(np.float32)
    if duplicates:
        vectors = vectors[rng.integers(0, max(1, n_rows // 4), n_rows)]
    proba = rng.dirichlet(np.ones(3), size=n_rows).astype(np.float32)
    labelled = rng.random(n_rows) < data.draw(st.sampled_from([0.0, 0.3]))
    candidates = np.flatnonzero(~labelled)
    candidates = candidates[rng.random(len(candidates)) < data.draw(st.sampled_from([0.3, 1.0]))]
    n = data.draw(st.integers(0, 45))
    for name in STRATEGIES:

        def run(order, name=name):
            return pick(
                name,
                order,
                n,
                np.random.default_rng(seed),
                vectors=vectors,
                labelled_mask=labelled,
                proba=proba,
            )

        picks = run(candidates)
        assert picks.dtype == np.intp
        assert len(picks) == len(set(picks.tolist())) == min(n, len(candidates)), name
        assert set(picks.tolist()) <= set(candidates.tolist()), name
        again = run(np.concatenate([candidates[::-1], candidates]))
        assert again.tolist() == picks.tolist(), name


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("labels", [0, 7])
def test_k_center_equals_the_full_matrix(share, labels):
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(400, 16)).astype(np.float32)
    labelled = np.arange(labels)
    candidates = np.arange(labels, int(400 * share))
    mask = np.zeros(400, bool)
    mask[labelled] = True
    picks = k_center(vectors, mask, candidates, 15)
    if labels:
        assert picks.tolist() == brute_k_center(vectors, labelled, candidates, 15)
    else:
        mean = vectors[candidates].mean(axis=0)
        assert picks[0] == np.linalg.norm(vectors[candidates] - mean, axis=1).argmin()
        rest = np.setdiff1d(candidates, picks[:1])
        assert picks[1:].tolist() == brute_k_center(vectors, picks[:1], rest, 14)


def test_k_center_reads_a_memory_map(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    nothing = np.zeros(300, bool)
    expected = k_center(vectors, nothing, np.arange(300), 10)
    assert k_center(mapped, nothing, np.arange(300), 10).tolist() == expected.tolist()
    del mapped


def test_k_means_takes_one_of_each_cluster_and_the_one_in_its_middle():
    vectors, cluster = blobs(np.random.default_rng(1), centres=6, per=30)
    picks = k_means_pick(vectors, np.arange(180), 6, np.random.default_rng(0))
    assert sorted(cluster[picks]) == list(range(6))
    for row in picks:
        members = np.flatnonzero(cluster == cluster[row])
        middle = vectors[members].mean(axis=0)
        assert row == members[np.linalg.norm(vectors[members] - middle, axis=1).argmin()]


def test_k_means_gives_the_largest_cluster_first():
    rng = np.random.default_rng(1)
    vectors, _ = blobs(rng, centres=2, per=40)
    picks = k_means_pick(vectors[30:], np.arange(50), 2, np.random.default_rng(0))
    assert picks[0] >= 10 > picks[1]


def test_more_picks_than_distinct_points_are_filled_without_a_warning():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    picks = k_means_pick(vectors, np.arange(30), 8, np.random.default_rng(0))
    assert len(set(picks.tolist())) == 8
    assert {row // 10 for row in picks[:3].tolist()} == {0, 1, 2}


def test_the_sub_sample_leaves_no_cluster_out(monkeypatch):
    monkeypatch.setattr(strategies.clusters, "_SAMPLE", 60)
    monkeypatch.setattr(strategies.clusters, "_TYPICALITY_SAMPLE", 20)
    vectors, cluster = blobs(np.random.default_rng(1), centres=4, per=100)
    everything, nothing = np.arange(400), np.zeros(400, bool)
    spread = k_means_pick(vectors, everything, 4, np.random.default_rng(0))
    typical = typiclust(vectors, nothing, everything, 4, np.random.default_rng(0))
    assert sorted(cluster[spread]) == sorted(cluster[typical]) == [0, 1, 2, 3]


def test_diverse_margin_picks_among_the_smallest_margins():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 6)).astype(np.float32)
    proba = rng.dirichlet(np.ones(4), size=200).astype(np.float32)
    candidates = np.arange(20, 200)
    picks = diverse_margin(vectors, proba, candidates, 5, np.random.default_rng(0), prefilter=4)
    assert set(picks.tolist()) <= set(most_uncertain(proba, candidates, 20).tolist())
    assert picks.tolist() != most_uncertain(proba, candidates, 5).tolist()


def test_typiclust_goes_to_clusters_without_labels_largest_first():
    rng = np.random.default_rng(5)
    sizes = [40, 30, 20, 10]
    middle = 10 * np.eye(4, 6)
    cluster = np.repeat(np.arange(4), sizes)
    vectors = (middle[cluster] + 0.01 * rng.normal(size=(100, 6))).astype(np.float32)
    labelled = np.zeros(100, bool)
    labelled[0] = True  # one label in the largest cluster: 1 + 3 = 4 clusters
    candidates = np.flatnonzero(~labelled)
    picks = typiclust(vectors, labelled, candidates, 3, np.random.default_rng(0))
    assert cluster[picks].tolist() == [1, 2, 3]


def test_typiclust_takes_the_smallest_mean_distance_to_its_neighbours():
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    picks = typiclust(vectors, np.zeros(60, bool), np.arange(60), 1, rng)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    typicality = 1 / (np.sort(distances, axis=1)[:, 1:21].mean(axis=1) + 1e-5)
    assert picks.tolist() == [typicality.argmax()]


def test_typiclust_uses_small_clusters_only_when_the_others_are_exhausted():
    cluster = np.repeat([0, 1, 2], [6, 3, 8])
    noise = np.random.default_rng(0).normal(size=(17, 3))
    vectors = (10 * np.eye(3)[cluster] + 0.01 * noise).astype(np.float32)
    labelled = np.zeros(17, bool)
    # n = 3 makes three clusters, one of them of 3 points: the picks stay in the other two.
    picks = typiclust(vectors, labelled, np.arange(17), 3, np.random.default_rng(0))
    assert cluster[picks].tolist() == [2, 0, 2]
    only_small = typiclust(vectors, labelled, np.arange(6, 9), 3, np.random.default_rng(0))
    assert sorted(only_small.tolist()) == [6, 7, 8]


def test_random_is_uniform():
    counts = np.zeros(10)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts[random_pick(np.arange(10), 3, rng)] += 1
    assert counts.min() > 500
    assert counts.max() < 700


def test_pick_says_what_is_missing():
    arrays = {"vectors": np.zeros((2, 2), np.float32), "labelled_mask": np.zeros(2, bool)}
    with pytest.raises(ValueError, match=r"unknown query strategy 'magic': use one of random"):
        pick("magic", NONE, 1, np.random.default_rng(0), **arrays)
    with pytest.raises(ValueError, match=r"'margin' needs the student's probabilities"):
        pick("margin", NONE, 1, np.random.default_rng(0), **arrays)
