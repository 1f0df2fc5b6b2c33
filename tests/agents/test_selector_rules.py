"""The rule policy: the mix of strategies, and the batch that comes of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labelwright.agents.selector import (
    SEARCH,
    STUDENTLESS,
    Mix,
    PoolView,
    SelectionConfig,
    error_auroc,
    fill_batch,
    mix_by_rule,
)
from labelwright.tools.strategies import STRATEGIES

N, K = 60, 3


def view(seed=0, *, labelled=10, student=True, closed=(), wrong=None):
    """A pool of N items; the first ``labelled`` rows are labelled, ``closed`` ones a stop set."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(N, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    proba = rng.dirichlet([1.0] * K, N).astype(np.float32)
    labels = np.full(N, -1, np.int64)
    labels[:labelled] = rng.integers(0, K, labelled)
    out_of_sample = np.full((N, K), np.nan, np.float32)
    out_of_sample[:labelled] = proba[:labelled]
    candidates = np.setdiff1d(np.arange(labelled, N), np.asarray(closed, int))
    return PoolView(
        vectors=vectors,
        candidates=candidates,
        labelled=labels >= 0,
        labels=labels,
        proba=proba if student else None,
        out_of_sample=out_of_sample if student else None,
    )


def with_errors(telling, errors=20, right=30):
    """A student with errors, which it is unsure about (``telling``) or not."""
    base = view(labelled=errors + right)
    proba = np.full((N, K), np.nan, np.float32)
    sure, unsure = [0.9, 0.05, 0.05], [0.4, 0.35, 0.25]
    proba[:errors] = unsure if telling else sure
    proba[errors : errors + right] = sure if telling else unsure
    labels = np.full(N, -1, np.int64)
    labels[:errors], labels[errors : errors + right] = 1, 0
    return PoolView(base.vectors, base.candidates, labels >= 0, labels, base.proba, proba)


# -- the mix --


def shares(config=None, pool=None, **more):
    return mix_by_rule(config or SelectionConfig(), pool or view(), **more).shares


def test_the_first_round_covers_the_clusters():
    for pool in (view(student=False), view(labelled=0), view(student=False, labelled=0)):
        assert shares(pool=pool) == pytest.approx({"k_means": 0.9, "random": 0.1})


def test_uncertainty_rules_once_it_predicts_errors():
    assert shares(pool=with_errors(True)) == pytest.approx({"diverse_margin": 0.9, "random": 0.1})
    mixed = shares(pool=with_errors(False))
    assert mixed == pytest.approx({"typiclust": 0.63, "margin": 0.27, "random": 0.1})


def test_too_few_errors_do_not_judge_it():
    assert error_auroc(with_errors(True, errors=14)) is None
    assert error_auroc(with_errors(True, right=14)) is None
    assert error_auroc(view(student=False)) is None
    assert error_auroc(with_errors(True)) == 1.0
    assert error_auroc(with_errors(False)) == 0.0
    assert "not enough errors" in mix_by_rule(SelectionConfig(), with_errors(True, errors=5)).reason


def test_the_switch_is_where_it_is_configured():
    pool = with_errors(True)
    # A quarter of the errors among the sure ones, a sixth of the right ones among the unsure.
    pool.out_of_sample[[*range(5), *range(20, 25)]] = pool.out_of_sample[
        [*range(20, 25), *range(5)]
    ]
    auroc = error_auroc(pool)
    assert auroc == pytest.approx(15 / 20 * 25 / 30 + (15 / 20 * 5 / 30 + 5 / 20 * 25 / 30) / 2)
    assert "diverse_margin" in shares(SelectionConfig(switch_at=auroc), pool)
    assert "typiclust" in shares(SelectionConfig(switch_at=auroc + 0.01), pool)


def test_a_plateau_gets_another_strategy_for_a_round():
    mixed = shares(SelectionConfig(strategy="margin"), with_errors(True), another=True)
    assert mixed == pytest.approx({"typiclust": 0.45, "random": 0.55})


def test_classes_with_too_few_labels_are_searched_for():
    assert shares(wanted=[2]) == pytest.approx({SEARCH: 0.9, "random": 0.1})
    assert SEARCH not in shares(pool=view(student=False), wanted=[2])  # nobody to search with


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("random_share", [0, 0.1, 1])
def test_a_configured_strategy_is_used(strategy, random_share):
    config = SelectionConfig(strategy=strategy, random_share=random_share)
    mixed = shares(config)
    assert sum(mixed.values()) == pytest.approx(1)
    assert mixed.get("random", 0) == pytest.approx(1 if strategy == "random" else random_share)
    assert set(mixed) <= {strategy, "random"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_configured_strategy_that_needs_a_student_waits_for_one(strategy):
    config = SelectionConfig(strategy=strategy)
    cold = {"k_means": 0.9, "random": 0.1}
    own = {"random": 1.0} if strategy == "random" else {strategy: 0.9, "random": 0.1}
    for pool in (view(student=False), view(labelled=0), view(student=False, labelled=0)):
        mix = mix_by_rule(config, pool)
        assert mix.shares == pytest.approx(own if strategy in STUDENTLESS else cold)
        assert ("configured" in mix.reason) == (strategy in STUDENTLESS)
    assert shares(config, view()) == pytest.approx(own)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_who_needs_no_student_chooses_the_same_with_and_without_one(strategy):
    mix, size = Mix({strategy: 1.0}, "test"), 10
    blind, seeing, none = (
        fill_batch(pool, mix, size, np.random.default_rng(0)).tolist()
        for pool in (view(student=False), view(), view(student=False))
    )
    assert blind == none
    assert (blind == seeing) == (strategy in STUDENTLESS)


@given(
    st.floats(0, 1), st.booleans(), st.lists(st.integers(0, K - 1)), st.booleans(), st.booleans()
)
def test_shares_sum_to_one(random_share, another, wanted, student, telling):
    pool = with_errors(telling) if student else view(student=False)
    mix = mix_by_rule(
        SelectionConfig(random_share=random_share), pool, another=another, wanted=wanted
    )
    assert sum(mix.shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in mix.shares.values())
    assert mix.reason


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValidationError, match="strategy"):
        SelectionConfig(strategy="best")


@pytest.mark.parametrize(
    ("pool_size", "classes", "size"),
    [(100_000, 4, 50), (100_000, 40, 80), (100_000, 400, 200), (300, 4, 30), (5, 2, 1), (0, 2, 1)],
)
def test_the_batch_is_sized_by_pool_and_classes(pool_size, classes, size):
    assert SelectionConfig().size(pool_size, classes) == size


def test_a_configured_batch_is_no_larger_than_the_pool():
    assert SelectionConfig(batch_size=40).size(1000, 4) == 40
    assert SelectionConfig(batch_size=40).size(30, 4) == 30


# -- the batch --

MIXES = st.dictionaries(
    st.sampled_from([*STRATEGIES, SEARCH]), st.floats(0.05, 1), min_size=1, max_size=4
)
ROWS = st.lists(st.integers(0, N - 1), max_size=15)


@settings(max_examples=60, deadline=None)
@given(MIXES, st.integers(0, N + 5), ROWS, ROWS, ROWS, st.booleans(), st.booleans())
def test_a_batch_is_new_distinct_and_full(mix, size, first, avoid, closed, student, wanted):
    total = sum(mix.values())
    pool = view(student=student, closed=closed)
    allowed = set(pool.candidates.tolist()) - set(avoid)
    picked = fill_batch(
        pool,
        Mix({name: share / total for name, share in mix.items()}, "test"),
        size,
        np.random.default_rng(1),
        wanted=[0, 2] if wanted else [],
        first=first,
        avoid=avoid,
    ).tolist()
    assert len(picked) == len(set(picked)) == min(size, len(allowed))
    assert set(picked) <= allowed  # none labelled, none of the stop set, none to be avoided
    musts = [row for row in dict.fromkeys(first) if row in allowed]
    assert picked[: len(musts)] == musts[:size]


@pytest.mark.parametrize("strategy", [*STRATEGIES, SEARCH])
def test_equal_randomness_gives_equal_batches(strategy):
    mix = Mix({strategy: 0.7, "random": 0.3} if strategy != "random" else {"random": 1.0}, "test")
    one, two = (
        fill_batch(view(), mix, 20, np.random.default_rng(5), wanted=[1]).tolist() for _ in range(2)
    )
    assert one == two
    other = fill_batch(view(), mix, 20, np.random.default_rng(6), wanted=[1]).tolist()
    assert other != one


def test_each_strategy_gets_its_share():
    pool = view()
    mix = Mix({"margin": 0.6, "random": 0.4}, "test")
    picked = fill_batch(pool, mix, 20, np.random.default_rng(0)).tolist()
    top = np.sort(pool.proba[pool.candidates], axis=1)
    margins = top[:, -1] - top[:, -2]
    smallest = set(pool.candidates[np.argsort(margins, kind="stable")[:12]].tolist())
    assert set(picked[:12]) == smallest
    assert not set(picked[12:]) & smallest


def test_a_search_takes_the_likeliest_of_each_class_in_turn():
    pool = view()
    picked = fill_batch(
        pool, Mix({SEARCH: 1.0}, "test"), 6, np.random.default_rng(0), wanted=[0, 2]
    ).tolist()
    ranked = {
        label: pool.candidates[np.argsort(-pool.proba[pool.candidates, label], kind="stable")]
        for label in (0, 2)
    }
    assert picked == [ranked[label][turn] for turn in range(3) for label in (0, 2)]


def search(pool, wanted, n=12):
    mix = Mix({SEARCH: 1.0}, "test")
    return fill_batch(pool, mix, n, np.random.default_rng(0), wanted=wanted).tolist()


def likened(pool, **more):
    near = np.random.default_rng(3).normal(size=(N, K)).astype(np.float32)
    return replace(pool, similarity=near, **more)


def ranked_by(pool, *keys):
    """Candidates by the first key, ties by the next one, the highest first."""
    columns = [-key[pool.candidates] for key in reversed(keys)]
    return pool.candidates[np.lexsort(columns)].tolist()


def test_a_search_for_a_class_never_seen_takes_what_is_nearest_to_its_description():
    pool = likened(view())
    labels = np.where(pool.labels == 2, 1, pool.labels)
    pool = replace(pool, labels=labels)
    assert search(pool, [2]) == ranked_by(pool, pool.similarity[:, 2])[:12]
    # Beside one that has been seen, each is searched for in its own way.
    nearest, likeliest = (ranked_by(pool, a)[:3] for a in (pool.similarity[:, 2], pool.proba[:, 1]))
    assert search(pool, [2, 1], 6) == [
        row for turn in zip(nearest, likeliest, strict=True) for row in turn
    ]


def test_a_search_for_a_class_that_was_seen_asks_the_student_and_breaks_ties_by_nearness():
    pool = likened(view())
    assert 1 in pool.labels
    assert search(pool, [1]) == ranked_by(pool, pool.proba[:, 1])[:12]
    coarse = replace(pool, proba=np.round(pool.proba))
    assert search(coarse, [1]) == ranked_by(coarse, coarse.proba[:, 1], pool.similarity[:, 1])[:12]


def test_a_search_that_nothing_guides_does_not_take_the_first_rows_of_the_file():
    pool = view(labelled=0)
    assert search(pool, [2]) != pool.candidates[:12].tolist()
    assert sorted(search(pool, [2], N)) == pool.candidates.tolist()


def test_without_a_student_its_strategies_are_random_not_an_error():
    pool = view(student=False)
    mix = Mix({"margin": 0.5, SEARCH: 0.3, "entropy": 0.2}, "test")
    assert len(set(fill_batch(pool, mix, 15, np.random.default_rng(0), wanted=[1]))) == 15
