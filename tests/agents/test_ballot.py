"""Votes as a matrix, what audits teach, and what the votes add up to."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.agents.ballot import (
    ENOUGH,
    EXPONENTS,
    Ballot,
    accuracy_after_vote,
    count_votes,
    learn_panel,
    weigh,
)
from labelwright.tools.calibration import Calibration, apply_calibration
from labelwright.tools.ledger import Vote

LABELS = ("a", "b", "c")
BELIEFS = {
    "prior_accuracy": 0.7,
    "prior_strength": 10.0,
    "strongest_accuracy": 0.85,
    "student_weight": 0.5,
}


def vote(annotator, label, attempt=0):
    invalid = None if label else "truncated"
    return Vote("i", annotator, label, invalid, "h", attempt, "label", 1)


def ballot(votes, names=("cheap", "strong")):
    matrix = np.asarray(votes, np.int64).reshape(-1, len(names))
    ids = tuple(f"i{n}" for n in range(len(matrix)))
    return Ballot(ids, tuple(names), matrix, (matrix >= 0).astype(np.int64))


def panel(audit, *, reference="strong", trusted=False, student=None, classes=3, **more):
    return learn_panel(
        audit, student, reference=reference, trusted=trusted, classes=classes, **{**BELIEFS, **more}
    )


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


# -- counting --


def test_of_several_valid_answers_the_last_counts_and_invalid_ones_are_counted():
    counted = count_votes(
        {
            "x": [vote("cheap", "a"), vote("cheap", "b", 1), vote("cheap", None, 2)],
            "y": [vote("cheap", None), vote("stranger", "a")],
            "z": [],
        },
        ["cheap", "strong"],
        LABELS,
    )
    assert counted.item_ids == ("x", "y", "z")
    assert counted.votes.tolist() == [[1, -1], [-1, -1], [-1, -1]]
    assert counted.answers.tolist() == [[3, 0], [1, 0], [0, 0]]
    assert counted.column("strong").tolist() == [-1, -1, -1]


def test_a_label_that_left_the_label_set_is_no_vote():
    counted = count_votes({"x": [vote("cheap", "gone")]}, ["cheap"], LABELS)
    assert counted.votes.tolist() == [[-1]]
    assert counted.answers.tolist() == [[1]]


# -- learning from audits --


@pytest.mark.parametrize("reference", [None, "strong"])
def test_without_audits_beliefs_are_kept(reference):
    learned = panel(ballot([]), reference=reference)
    assert learned.reliability.tolist() == [0.7, 0.7]
    assert 0 < learned.overlap[0, 1] == learned.overlap[1, 0] < 1
    assert learned.overlap.diagonal().tolist() == [0, 0]
    assert learned.audited.tolist() == [0, 0]
    assert learned.calibrations == (None, None, None)
    assert learned.student_weight == 0.5


def test_a_belief_below_chance_does_not_turn_votes_round():
    doubted = panel(ballot([]), reference=None, classes=2, prior_accuracy=0.3)
    verdict = weigh(ballot([[1, -1]]), doubted, np.asarray([[0.4, 0.6]]), classes=2)
    assert verdict.label.tolist() == [1]


def test_reliability_is_what_the_audit_says_shrunk_to_the_belief():
    audit = ballot([[0, 0]] * 20 + [[1, 0]] * 10 + [[-1, 0]] * 5 + [[0, -1]] * 5)
    learned = panel(audit, trusted=True)
    assert learned.reliability[0] == pytest.approx((20 + 7) / (30 + 10))
    assert learned.audited.tolist() == [30, 35]


def test_agreement_with_itself_is_no_evidence_for_an_untrusted_reference():
    audit = ballot([[0, 0]] * 40)
    assert panel(audit).reliability[1] == 0.85
    assert panel(audit, trusted=True).reliability[1] > 0.85


def test_copies_share_a_vote():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    copied = np.where(rng.random(200) < 0.6, truth, (truth + 1) % 3)
    other = np.where(rng.random(200) < 0.6, truth, (truth + 2) % 3)
    audit = ballot(np.stack([copied, copied, other, truth], 1), ("x", "y", "other", "gold"))
    learned = panel(audit, reference="gold", trusted=True)
    assert learned.overlap[0, 1] > 0.9
    assert learned.overlap[0, 2] < 0.1
    free = replace(learned, overlap=np.zeros((4, 4)))
    one, both, others = [0, -1, -1, -1], [0, 0, -1, -1], [0, -1, 0, -1]
    votes = ballot([one, both, others], audit.annotators)
    alone, copies, apart = weigh(votes, learned, None, classes=3).p_correct
    assert alone == weigh(votes, free, None, classes=3).p_correct[0]
    assert alone <= copies < alone + 0.05 < apart


@pytest.mark.parametrize("sharp", [1.0, 0.3])
def test_the_students_weight_is_the_one_that_fits_the_audit(sharp):
    rng = np.random.default_rng(1)
    n = 2_000
    true_p = rng.dirichlet([0.5] * 3, n)
    truth = np.asarray([rng.choice(3, p=row) for row in true_p])
    stated = true_p ** (1 / sharp)  # over-confident by that much
    stated /= stated.sum(axis=1, keepdims=True)
    audit = ballot(np.stack([np.full(n, -1), truth], 1))
    learned = panel(audit, trusted=True, student=stated)
    assert learned.student_weight in EXPONENTS
    assert learned.student_weight == pytest.approx(sharp, abs=0.1)


def test_with_few_audits_the_students_weight_is_the_configured_one():
    audit = ballot([[-1, 0]] * (ENOUGH - 1))
    student = np.tile([0.9, 0.05, 0.05], (ENOUGH - 1, 1))
    assert panel(audit, trusted=True, student=student).student_weight == 0.5


def test_calibrated_is_said_only_with_trust_and_enough_audits():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 120)
    cheap = np.where(rng.random(120) < 0.7, truth, (truth + 1) % 3)
    student = rng.dirichlet([1.0] * 3, 120)
    audit = ballot(np.stack([cheap, truth], 1))
    untrusted = panel(audit, student=student)
    assert not weigh(ballot([[0, -1]]), untrusted, student[:1], classes=3).calibrated.any()
    learned = panel(audit, trusted=True, student=student).calibrations
    assert [c is not None for c in learned] == [True, True, False]
    assert panel(audit, trusted=True).calibrations[0] is None
    few = ballot(audit.votes[:40])
    assert panel(few, trusted=True, student=student[:40]).calibrations == (None, None, None)


# -- adding up --


def test_a_trusted_vote_decides_alone():
    learned = panel(ballot([[0, 1]] * 30), trusted=True)
    student = np.asarray([[1.0, 0.0, 0.0]])
    verdict = weigh(ballot([[0, 2]]), learned, student, classes=3)
    assert verdict.label.tolist() == [2]
    assert verdict.p_correct.tolist() == [1.0]
    assert verdict.calibrated.tolist() == [True]


def test_the_same_vote_untrusted_does_not():
    learned = panel(ballot([[0, 0]] * 90 + [[0, 1]]))
    verdict = weigh(ballot([[0, 2]]), learned, np.asarray([[0.9, 0.05, 0.05]]), classes=3)
    assert verdict.label.tolist() == [0]
    assert verdict.p_correct[0] < 1
    assert verdict.calibrated.tolist() == [False]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-1, 2)] * 3), min_size=1, max_size=4),
    st.lists(st.floats(0.35, 0.99), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_untrusted_votes_are_weighed_by_bayes_rule(votes, reliability, seed):
    student = np.random.default_rng(seed).dirichlet([1.0] * 3, len(votes))
    base = panel(ballot([], ("x", "y", "z")), reference=None, student_weight=1.0)
    learned = replace(
        base, reliability=np.asarray(reliability), overlap=np.zeros((3, 3)), ceiling=1.0
    )
    verdict = weigh(ballot(votes, ("x", "y", "z")), learned, student, classes=3)
    for row, given_ in enumerate(votes):
        expected = posterior_by_hand(given_, reliability, 3, student[row])
        assert verdict.posterior[row] == pytest.approx(expected, abs=1e-6)
        assert verdict.p_correct[row] == pytest.approx(expected.max(), abs=1e-6)
    assert not verdict.calibrated.any()


def test_a_weaker_student_says_less():
    base = replace(panel(ballot([]), reference=None), ceiling=1.0)
    student = np.asarray([[0.8, 0.1, 0.1]])
    seen = [
        weigh(ballot([[-1, -1]]), replace(base, student_weight=w), student, classes=3).p_correct[0]
        for w in (0.05, 0.5, 1.0)
    ]
    assert 1 / 3 < seen[0] < seen[1] < seen[2] == pytest.approx(0.8)


def test_nothing_is_surer_than_an_untrusted_reference():
    learned = panel(ballot([[0, 0]] * 40))
    certain = np.asarray([[1.0, 0.0, 0.0]] * 2)
    verdict = weigh(ballot([[-1, -1], [0, 0]]), learned, certain, classes=3)
    assert verdict.p_correct[0] == pytest.approx(0.85, abs=1e-4)
    assert verdict.p_correct[1] == 0.85


def test_an_audit_that_the_reference_has_not_answered_teaches_nothing():
    unanswered = ballot([[0, -1], [1, -1]])
    for student in (None, np.full((2, 3), 1 / 3)):
        learned = panel(unanswered, trusted=True, student=student)
        assert learned.reliability[0] == pytest.approx(0.7)
        assert learned.audited.tolist() == [0, 0]
        assert learned.calibrations == (None, None, None)
    nobody = weigh(ballot([]), learned, None, classes=3)
    assert nobody.label.shape == nobody.p_correct.shape == (0,)


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_agreement_of_a_panel_counts_for_less_than_independence_would_say(classes):
    learned = replace(panel(ballot([]), reference=None, classes=classes), ceiling=1.0)
    free = replace(learned, overlap=np.zeros((2, 2)))
    agreed = ballot([[0, -1], [0, 0]])
    alone, both = weigh(agreed, learned, None, classes=classes).p_correct
    _, naive = weigh(agreed, free, None, classes=classes).p_correct
    assert alone < both < naive


def test_without_votes_and_student_every_label_is_as_likely():
    verdict = weigh(ballot([[-1, -1]]), panel(ballot([]), reference=None), None, classes=3)
    assert verdict.p_correct.tolist() == [pytest.approx(1 / 3)]


def test_the_calibration_of_as_many_voters_is_used():
    base = panel(ballot([[0, 0]] * 30), trusted=True)
    halves = [Calibration("platt", 60, (), (0.5, shift)) for shift in (-1.0, 0.0, 1.0)]
    learned = replace(base, calibrations=(halves[0], halves[1], None))
    student = np.tile([0.6, 0.3, 0.1], (3, 1))
    raw = weigh(ballot([[-1, -1], [0, -1], [1, 2]]), base, student, classes=3)
    verdict = weigh(ballot([[-1, -1], [0, -1], [1, 2]]), learned, student, classes=3)
    for row, calibration in ((0, halves[0]), (1, halves[1])):
        expected = apply_calibration(calibration, raw.p_correct[[row]])[0]
        assert verdict.p_correct[row] == pytest.approx(expected)
    assert verdict.p_correct[2] == 1.0  # the trusted vote
    assert verdict.calibrated.tolist() == [True, True, True]
    assert verdict.posterior == pytest.approx(raw.posterior)


# -- what one more vote would be worth --


def brute_force(posterior, r):
    """The expected accuracy of the best label, over every answer that may come."""
    k = len(posterior)
    total = 0.0
    for answer in range(k):
        joint = [p * (r if label == answer else (1 - r) / (k - 1))
                 for label, p in enumerate(posterior)]  # fmt: skip
        total += max(joint)
    return total


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.lists(st.integers(0, 4), min_size=k, max_size=k).filter(any)
    ),
    st.floats(0.0, 1.0),
)
def test_accuracy_after_a_vote_is_what_enumeration_gives(weights, reliability):
    posterior = np.asarray([weights], float) / sum(weights)  # small integers: many ties
    found = accuracy_after_vote(posterior, reliability)
    assert found == pytest.approx([brute_force(posterior[0], reliability)])
    assert found[0] >= posterior.max() - 1e-9  # a vote can be ignored


def test_a_trusted_vote_leaves_no_doubt():
    assert accuracy_after_vote(np.full((3, 4), 0.25), 0.3, trusted=True).tolist() == [1, 1, 1]


def test_all_rows_at_once_equal_each_alone():
    rows = np.asarray([p for p in product([0.0, 0.25, 0.5, 1.0], repeat=3) if sum(p) == 1])
    together = accuracy_after_vote(rows, 0.8)
    assert together == pytest.approx([brute_force(row, 0.8) for row in rows])
