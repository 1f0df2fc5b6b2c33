"""What audits teach about the annotators, and what votes then add up to."""

from itertools import combinations, product

import numpy as np
import pytest

from labelwright.agents.ballot import Ballot
from labelwright.agents.panel import (
    ENOUGH,
    EXPONENTS,
    OVERLAP_STRENGTH,
    USUAL_OVERLAP,
    Panel,
    calibration_of,
    learn_panel,
    posterior_of,
)

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


def noisy(rng, truth, accuracy, *, shift=1):
    """Votes that are right that often, and else the class ``shift`` further on."""
    return np.where(rng.random(len(truth)) < accuracy, truth, (truth + shift) % 3)


@pytest.mark.parametrize(
    ("reference", "gold", "ceiling"),
    [(None, (), 0.85), ("strong", (), 0.85), ("strong", ("strong",), 1.0)],
)
def test_without_audits_beliefs_are_kept(reference, gold, ceiling):
    learned = learn(ballot([]), reference=reference, gold=gold)
    assert (learned.reference, learned.gold) == (reference, gold)
    assert learned.reliability.tolist() == [0.7, 0.7]
    assert learned.overlap.tolist() == [[0, USUAL_OVERLAP], [USUAL_OVERLAP, 0]]
    assert learned.audited.tolist() == [0, 0]
    assert learned.lessons is None
    assert learned.student_weight == 0.5
    assert learned.ceiling == ceiling


def test_nothing_is_surer_than_a_lone_annotator_that_nobody_checks():
    alone = Ballot((), ("weak",), np.empty((0, 1), np.int64), np.empty((0, 1), np.int64))
    assert learn(alone, reference=None).ceiling == 0.7


def test_an_untrusted_reference_keeps_the_usual_overlap_with_the_others():
    votes = [[0, 0], [1, 1], [1, 0], [2, 2]] * 30
    learned = learn(ballot(votes), reference="strong", gold=())
    assert learned.overlap.tolist() == [[0, USUAL_OVERLAP], [USUAL_OVERLAP, 0]]


def test_a_belief_below_chance_does_not_turn_votes_round():
    doubted = learn(ballot([]), reference=None, classes=2, prior_accuracy=0.3)
    both_sides = posterior([[1, -1], [0, -1]], doubted, classes=2)
    assert both_sides.argmax(axis=1).tolist() == [1, 0]


def test_reliability_is_what_the_audit_says_shrunk_to_the_belief():
    audit = ballot([[0, 0]] * 20 + [[1, 0]] * 10 + [[-1, 0]] * 5 + [[0, -1]] * 5)
    learned = learn(audit, gold=["strong"])
    assert learned.reliability[0] == pytest.approx((20 + 7) / (30 + 10))
    assert learned.audited.tolist() == [30, 35]


def test_agreement_with_itself_is_no_evidence_for_a_reference():
    audit = ballot([[0, 0]] * 40)
    for gold, right in ((), 0.85), (["strong"], 1.0):
        learned = learn(audit, gold=gold)
        assert learned.reliability[1] == learned.ceiling == right


def test_an_audit_that_the_reference_has_not_answered_teaches_nothing():
    unanswered = ballot([[0, -1], [1, -1]])
    for student in (None, np.full((2, 3), 1 / 3)):
        learned = learn(unanswered, gold=["strong"], student=student)
        assert learned.reliability[0] == pytest.approx(0.7)
        assert learned.overlap[0, 1] == USUAL_OVERLAP
        assert learned.audited.tolist() == [0, 0]
        assert calibration_of(learned, 3, np.asarray([True, False]), student is not None) is None


@pytest.mark.parametrize("audits", [1, 5, 20, 400])
def test_few_audits_leave_the_overlap_near_the_usual_one(audits):
    # Nobody is wrong, so nothing is seen that the annotators could have in common.
    learned = learn(ballot([[0, 0]] * audits), gold=["strong"])
    shrunk = OVERLAP_STRENGTH * USUAL_OVERLAP / (audits + OVERLAP_STRENGTH)
    assert learned.overlap == pytest.approx(np.asarray([[0, shrunk], [shrunk, 0]]))


def test_many_audits_tell_copies_from_others():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    copied, other = noisy(rng, truth, 0.6), noisy(rng, truth, 0.6, shift=2)
    audit = ballot(np.stack([copied, copied, other, truth], 1), ("x", "y", "other", "gold"))
    learned = learn(audit, reference="gold", gold=["gold"])
    assert (learned.overlap == learned.overlap.T).all()
    assert learned.overlap.diagonal().tolist() == [0] * 4
    assert learned.overlap[0, 1] > 0.9
    assert learned.overlap[0, 2] < 0.1
    one, both, others = [0, -1, -1, -1], [0, 0, -1, -1], [0, -1, 0, -1]
    alone, copies, apart = posterior([one, both, others], learned).max(axis=1)
    # Two of three errors of "x" are the next label, so its vote says more than "60 % right" does.
    assert alone == pytest.approx(learned.reliability[0], abs=0.15)
    assert abs(copies - alone) < 0.05
    assert apart > max(alone, copies) + 0.05


@pytest.mark.parametrize("sharp", [1.0, 0.3])
def test_the_students_weight_is_the_one_that_fits_the_audit(sharp):
    rng = np.random.default_rng(1)
    n = 2_000
    true_p = rng.dirichlet([0.5] * 3, n)
    truth = np.asarray([rng.choice(3, p=row) for row in true_p])
    stated = true_p ** (1 / sharp)  # over-confident by that much
    stated /= stated.sum(axis=1, keepdims=True)
    audit = ballot(np.stack([np.full(n, -1), truth], 1))
    learned = learn(audit, gold=["strong"], student=stated)
    assert learned.student_weight in EXPONENTS
    assert learned.student_weight == pytest.approx(sharp, abs=0.1)


def test_with_few_audits_the_students_weight_is_the_configured_one():
    audit = ballot([[-1, 0]] * (ENOUGH - 1))
    student = np.tile([0.9, 0.05, 0.05], (ENOUGH - 1, 1))
    assert learn(audit, gold=["strong"], student=student).student_weight == 0.5


# -- calibrations --

NAMES = ("cheap", "middle", "dear", "ann", "strong")


@pytest.fixture(scope="module")
def audited():
    """120 audited items with errors of everybody but the reference, and a student."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 120)
    votes = [noisy(rng, truth, accuracy) for accuracy in (0.6, 0.7, 0.8, 0.95)]
    return ballot(np.stack([*votes, truth], 1), NAMES), rng.dirichlet([1.0] * 3, 120)


def calibrated(learned, student):
    """For which sets of annotators there is a calibration, and on how many items."""
    found = {}
    for pattern in product([False, True], repeat=len(NAMES)):
        calibration = calibration_of(learned, 3, np.asarray(pattern), student)
        if calibration is not None:
            names = tuple(name for name, voted in zip(NAMES, pattern, strict=True) if voted)
            found[names] = calibration.n
    return found


def subsets(names):
    return {c for k in range(len(names) + 1) for c in combinations(names, k)}


def test_there_is_a_calibration_for_whoever_may_have_voted(audited):
    audit, student = audited
    # Nobody is calibrated against himself, and a trusted vote needs no probability.
    learned = learn(audit, gold=["ann", "strong"], student=student)
    judged = subsets(("cheap", "middle", "dear"))
    assert calibrated(learned, True) == dict.fromkeys(judged, 120)
    # Without votes and student there is nothing to calibrate.
    assert calibrated(learned, False) == dict.fromkeys(judged - {()}, 120)
    assert calibrated(learn(audit, gold=["ann", "strong"]), True) == {}


def test_an_untrusted_reference_calibrates_as_well(audited):
    audit, student = audited
    found = calibrated(learn(audit, student=student), True)
    assert set(found) == subsets(("cheap", "middle", "dear", "ann"))


def test_only_those_items_count_that_all_have_answered(audited):
    audit, student = audited
    votes = audit.votes.copy()
    votes[40:, 1] = -1  # 40 answers of middle are too few
    learned = learn(ballot(votes, NAMES), gold=["ann", "strong"], student=student)
    assert set(calibrated(learned, True)) == subsets(("cheap", "dear"))


def test_few_audits_calibrate_nothing(audited):
    audit, student = audited
    few = ballot(audit.votes[:40], NAMES)
    assert calibrated(learn(few, gold=["strong"], student=student[:40]), True) == {}


# -- weights --


def accuracy(learned, votes, truth, shown):
    hidden = np.where(np.isin(NAMES, shown), votes, -1)
    return (posterior_of(hidden, learned, 3, None).argmax(axis=1) == truth).mean()


def test_audits_make_one_good_annotator_outvote_copies_that_err():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, 2_000)
    slip = rng.random(2_000) < 0.4
    copies = np.where(slip, (truth + 1) % 3, truth)
    good = noisy(rng, truth, 0.85, shift=2)
    votes = np.stack([copies, copies, copies, good, truth], 1)
    audits = ballot(votes[:100], NAMES)
    shown = ("cheap", "middle", "dear", "ann")
    before = learn(ballot([], NAMES), gold=["strong"])
    after = learn(audits, gold=["strong"])
    crowd, wise = (accuracy(p, votes[100:], truth[100:], shown) for p in (before, after))
    assert crowd < 0.65
    assert wise > 0.83


def test_votes_for_a_label_that_is_used_too_often_count_less():
    rng = np.random.default_rng(6)
    truth = np.where(rng.random(2_000) < 0.9, 0, 1)
    # Each says 1 too often, so that a 1 is more often wrong than right.
    votes = [np.where((truth == 0) & (rng.random(2_000) < 0.25), 1, truth) for _ in range(2)]
    matrix = np.stack([votes[0], votes[1], truth], 1)
    learned = learn_panel(
        ballot(matrix[:200], ("x", "y", "gold")),
        None,
        reference="gold",
        gold=["gold"],
        classes=2,
        **BELIEFS,
    )
    ones, zeros = posterior([[1, -1, -1], [0, -1, -1]], learned, classes=2)
    assert ones[1] < 0.5 < 0.95 < zeros[0]


def test_a_lone_vote_is_weighed_as_one():
    """The weight of one vote among copies must not be what it has when it stands alone."""
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 3, 300)
    copy = noisy(rng, truth, 0.8)
    learned = learn(ballot(np.stack([copy] * 4 + [truth], 1), NAMES), gold=["strong"])
    alone, together = posterior([[0, -1, -1, -1, -1], [0, 0, 0, 0, -1]], learned).max(axis=1)
    assert alone == pytest.approx(0.8, abs=0.08)
    assert together == pytest.approx(alone, abs=0.05)


def test_the_same_audits_teach_the_same_in_any_order_of_questions(audited):
    audit, student = audited
    votes = np.asarray([[0, 1, -1, -1, -1], [2, -1, -1, -1, -1], [-1, 1, 1, -1, -1]])
    view = student[:3]
    forward = learn(audit, gold=["strong"], student=student)
    backward = learn(audit, gold=["strong"], student=student)
    there = [posterior_of(votes[[k]], forward, 3, view[[k]]) for k in (0, 1, 2)]
    back = [posterior_of(votes[[k]], backward, 3, view[[k]]) for k in (2, 1, 0)]
    assert np.concatenate(there).tolist() == np.concatenate(back[::-1]).tolist()


# -- other ways of adding votes up --


@pytest.mark.parametrize("method", ["majority", "crowdlab", "one_coin"])
def test_other_aggregations_can_be_chosen(audited, method):
    audit, student = audited
    learned = learn(audit, gold=["strong"], student=student, aggregation=method)
    votes = np.asarray([[0, 0, 1, -1, -1], [2, -1, -1, -1, -1]])
    found = posterior_of(votes, learned, 3, student[:2])
    by_default = posterior_of(votes, learn(audit, gold=["strong"], student=student), 3, student[:2])
    assert not np.allclose(found, by_default)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # Whatever adds the votes up, the audits say how far it can be believed.
    assert calibrated(learned, True).keys() == subsets(("cheap", "middle", "dear", "ann"))
    if method == "majority":
        assert found[0] == pytest.approx([2 / 3, 1 / 3, 0])


def test_methods_without_audits_learn_from_every_vote():
    pytest.importorskip("crowdkit.aggregation")
    rng = np.random.default_rng(9)
    truth = rng.integers(0, 3, 100)
    cast = [np.where(rng.random(100) < r, truth, rng.integers(0, 3, 100)) for r in (0.3, 0.9, 0.9)]
    votes = np.stack([*cast, *[np.full(100, -1)] * 2], 1)
    learned = learn(ballot([], NAMES), gold=["strong"], aggregation="dawid_skene", cast=votes)
    weak_against_strong = posterior([[0, 1, -1, -1, -1]], learned)[0]
    assert weak_against_strong.argmax() == 1


def test_many_voters_are_learned_together():
    rng = np.random.default_rng(10)
    truth = rng.integers(0, 3, 200)
    votes = np.stack([noisy(rng, truth, 0.7) for _ in range(9)] + [truth], 1)
    votes[:, :9][rng.random((200, 9)) < 0.1] = -1
    names = (*"abcdefghi", "gold")
    learned = learn(ballot(votes, names), reference="gold", gold=["gold"])
    lessons = learned.lessons
    seven, six = np.arange(10) < 7, np.arange(10) < 6
    assert lessons.taken_as(seven).tolist() == lessons.judged.tolist()
    assert lessons.taken_as(six).tolist() == six.tolist()
    assert calibration_of(learned, 3, seven, False).n > 150
    hidden = np.where(np.arange(10) < 9, votes, -1)
    p = posterior_of(hidden, learned, 3, None)
    assert (p.argmax(axis=1) == truth).mean() > 0.9


def test_labels_given_so_far_tell_which_are_common():
    """Two unlike labels that are confused: an audit too small to show which is common."""
    rng = np.random.default_rng(5)
    truth = rng.choice(4, 60, p=[0.4, 0.4, 0.15, 0.05])
    votes = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 4, 60))
    audit = ballot(np.column_stack([votes, truth]))
    alone = learn(audit, gold=["strong"], classes=4)
    told = learn(audit, gold=["strong"], classes=4, labelled=np.repeat([0, 3], [10, 990]))
    assert np.argmax(told.lessons.log_frequency) == 3
    assert np.argmax(alone.lessons.log_frequency) != 3
    assert learn(audit, gold=["strong"], classes=4, labelled=np.empty(0, int)).lessons is not None
    given, expected = told.lessons.log_frequency, alone.lessons.log_frequency
    assert np.exp(given[3] - given[0]) > np.exp(expected[3] - expected[0])
