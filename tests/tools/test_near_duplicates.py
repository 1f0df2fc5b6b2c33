import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.tools import near_duplicates as module
from labelwright.tools.near_duplicates import near_duplicates


def rng():
    return np.random.default_rng(0)


def one_by_one(vectors, threshold):
    """The definition, without blocks or cells."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kept, found = [], {}
    for i, vector in enumerate(unit):
        earlier = next((j for j in kept if vector @ unit[j] >= threshold), None)
        if earlier is None:
            kept.append(i)
        else:
            found[i] = earlier
    return found


def clustered(n, copies, seed=0, dim=32):
    """n directions far from each other, of which `copies` are repeated with a little noise."""
    generator = np.random.default_rng(seed)
    base = generator.normal(size=(n, dim))
    again = base[generator.integers(0, n, copies)] + 0.02 * generator.normal(size=(copies, dim))
    vectors = generator.permutation(np.vstack([base, again])).astype(np.float32)
    return vectors * generator.uniform(0.5, 2, size=(len(vectors), 1)).astype(np.float32)


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.3, 0.7, 0.95]))
def test_it_is_what_the_definition_says(seed, n, threshold):
    vectors = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    assert near_duplicates(vectors, threshold, rng=rng()) == one_by_one(vectors, threshold)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_the_size_of_a_block_does_not_matter(monkeypatch, block):
    monkeypatch.setattr(module, "_BLOCK", block)
    vectors = clustered(100, 80)
    found = near_duplicates(vectors, rng=rng())
    assert found == one_by_one(vectors, 0.95)
    assert len(found) == 80


def test_nothing_and_one_item():
    assert near_duplicates(np.empty((0, 4), np.float32), rng=rng()) == {}
    assert near_duplicates(np.ones((1, 4), np.float32), rng=rng()) == {}


def test_identical_vectors_all_belong_to_the_first():
    vectors = np.ones((3_000, 8), np.float32)
    assert near_duplicates(vectors, rng=rng()) == dict.fromkeys(range(1, 3_000), 0)


def test_cells_find_what_comparing_all_pairs_finds(monkeypatch):
    vectors = clustered(3_000, 1_000)
    exact = near_duplicates(vectors, rng=rng())
    monkeypatch.setattr(module, "_EXACT_LIMIT", 500)
    found = near_duplicates(vectors, rng=rng())
    assert found == near_duplicates(vectors, rng=rng())
    assert not found.keys() & set(found.values())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert all(i > j and unit[i] @ unit[j] >= 0.95 for i, j in found.items())
    assert len(found.keys() & exact.keys()) >= 0.98 * len(exact)


def test_cells_of_identical_vectors(monkeypatch):
    monkeypatch.setattr(module, "_EXACT_LIMIT", 500)
    vectors = np.ones((2_000, 8), np.float32)
    assert near_duplicates(vectors, rng=rng()) == dict.fromkeys(range(1, 2_000), 0)
