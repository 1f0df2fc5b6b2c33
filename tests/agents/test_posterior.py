"""What votes add up to, when a panel says what each is worth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.agents.ballot import Ballot
from labelwright.agents.panel import Panel, learn_panel, posterior_of

BELIEFS = {
    "prior_accuracy": 0.7,
    "prior_strength": 10.0,
    "strongest_accuracy": 0.85,
    "student_weight": 0.5,
}


def ballot(votes, names=("cheap", "strong")):
    matrix = np.asarray(votes, np.int64).reshape(-1, len(names))
    ids = tuple(f"i{n}" for n in range(len(matrix)))
    return Ballot(ids, tuple(names), matrix, (matrix >= 0).astype(np.int64))


def learn(audit, *, reference="strong", gold=(), student=None, classes=3, **more):
    return learn_panel(
        audit, student, reference=reference, gold=gold, classes=classes, **{**BELIEFS, **more}
    )


def panel(reliability, overlap=None, *, student_weight=1.0, ceiling=1.0):
    """A panel that nobody had to learn."""
    m = len(reliability)
    return Panel(
        reference=None,
        gold=(),
        reliability=np.asarray(reliability, float),
        overlap=np.zeros((m, m)) if overlap is None else np.asarray(overlap, float),
        audited=np.zeros(m, np.int64),
        student_weight=student_weight,
        ceiling=ceiling,
    )


def posterior(votes, panel_, classes=3, student=None):
    matrix = np.asarray(votes, np.int64).reshape(-1, len(panel_.reliability))
    return posterior_of(matrix, panel_, classes, student)


def posterior_by_hand(votes, reliability, classes, prior):
    """Bayes' rule in plain loops."""
    scores = []
    for k in range(classes):
        score = prior[k]
        for given_, r in zip(votes, reliability, strict=True):
            if given_ >= 0:
                score *= r if given_ == k else (1 - r) / (classes - 1)
        scores.append(score)
    return np.asarray(scores) / sum(scores)


RELIABILITIES = st.floats(0.35, 0.99)
OVERLAPS = st.floats(0.0, 1.0)


@given(st.integers(2, 6), RELIABILITIES, RELIABILITIES, OVERLAPS, st.integers(0, 1))
def test_a_lone_vote_has_exactly_its_reliability(classes, one, other, shared, column):
    learned = panel([one, other], [[0, shared], [shared, 0]])
    votes = np.full((1, 2), -1)
    votes[0, column] = 1
    r = (one, other)[column]
    rest = (1 - r) / (classes - 1)
    expected = [r if k == 1 else rest for k in range(classes)]
    assert posterior(votes, learned, classes)[0] == pytest.approx(expected)


@given(st.integers(2, 6), RELIABILITIES)
def test_a_perfect_copy_adds_nothing(classes, r):
    copies = panel([r, r], [[0, 1], [1, 0]])
    one, both = posterior([[0, -1], [0, 0]], copies, classes)
    assert both == pytest.approx(one)


@given(st.integers(2, 6), st.floats(0.6, 0.95), OVERLAPS, OVERLAPS)
def test_the_more_two_have_in_common_the_less_their_agreement_says(classes, r, a, b):
    less, more = sorted((a, b))
    sure, doubtful = (
        posterior([[0, 0]], panel([r, r], [[0, shared], [shared, 0]]), classes)[0, 0]
        for shared in (less, more)
    )
    assert r - 1e-9 <= doubtful <= sure + 1e-9


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_agreement_of_a_panel_counts_for_less_than_independence_would_say(classes):
    learned = learn(ballot([]), reference=None, classes=classes)
    free = replace(learned, overlap=np.zeros((2, 2)))
    alone, both = posterior([[0, -1], [0, 0]], learned, classes)[:, 0]
    naive = posterior([[0, 0]], free, classes)[0, 0]
    assert alone < both < naive


def test_who_has_not_voted_on_an_item_takes_no_weight_there():
    full = np.ones((3, 3)) - np.eye(3)
    crowd, pair = panel([0.7, 0.8, 0.9], full), panel([0.7, 0.8], full[:2, :2])
    votes = [[0, 1], [0, -1], [-1, 2], [1, 1]]
    absent = np.column_stack([np.asarray(votes), np.full(4, -1)])
    assert posterior(absent, crowd) == pytest.approx(posterior(votes, pair))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-1, 2)] * 3), min_size=1, max_size=4),
    st.lists(RELIABILITIES, min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_votes_with_nothing_in_common_are_weighed_by_bayes_rule(votes, reliability, seed):
    student = np.random.default_rng(seed).dirichlet([1.0] * 3, len(votes))
    found = posterior(votes, panel(reliability), student=student)
    for row, given_ in enumerate(votes):
        expected = posterior_by_hand(given_, reliability, 3, student[row])
        assert found[row] == pytest.approx(expected, abs=1e-6)


def test_items_with_other_voters_do_not_touch_each_other():
    learned = panel([0.6, 0.7, 0.8], 0.5 * (np.ones((3, 3)) - np.eye(3)))
    votes = np.asarray(np.meshgrid([-1, 0, 1], [-1, 0, 2], [-1, 1, 2])).reshape(3, -1).T
    student = np.random.default_rng(3).dirichlet([1.0] * 3, len(votes))
    together = posterior(votes, learned, student=student)
    for row in range(len(votes)):
        alone = posterior(votes[row], learned, student=student[[row]])
        assert together[row] == pytest.approx(alone[0])


def test_a_weaker_student_says_less():
    student = np.asarray([[0.8, 0.1, 0.1]])
    seen = [
        posterior([[-1, -1]], panel([0.7, 0.7], student_weight=w), student=student)[0, 0]
        for w in (0.05, 0.5, 1.0)
    ]
    assert 1 / 3 < seen[0] < seen[1] < seen[2] == pytest.approx(0.8)


@given(st.integers(2, 6), st.floats(0.6, 1.0))
def test_a_student_is_no_surer_than_what_it_learned_from(classes, ceiling):
    certain = np.eye(classes)[:1]
    found = posterior([[-1]], panel([0.7], ceiling=ceiling), classes, certain)[0]
    assert found[0] == pytest.approx(ceiling, abs=1e-6)
    assert found.sum() == pytest.approx(1)


def test_without_votes_and_student_every_label_is_as_likely():
    assert posterior([[-1, -1]], panel([0.7, 0.9])) == pytest.approx(np.full((1, 3), 1 / 3))


def test_no_items_have_no_posterior():
    assert posterior([], panel([0.7, 0.9])).shape == (0, 3)
