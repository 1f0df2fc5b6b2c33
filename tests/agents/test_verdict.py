"""The most probable label of an item, and how probably it is correct."""

import numpy as np
import pytest

from labelwright.agents.ballot import Ballot
from labelwright.agents.panel import Panel, learn_panel, posterior_of
from labelwright.agents.verdict import gold_labels, weigh
from labelwright.tools.aggregation import NO_VOTE

NAMES = ("cheap", "strong", "expert", "judge")


def ballot(votes):
    matrix = np.asarray(votes, np.int64).reshape(-1, len(NAMES))
    ids = tuple(f"i{n}" for n in range(len(matrix)))
    return Ballot(ids, NAMES, matrix, (matrix >= 0).astype(np.int64))


def panel(*, gold=(), ceiling=1.0):
    return Panel(
        reference="judge",
        gold=tuple(gold),
        reliability=np.asarray([0.6, 0.8, 0.9, 0.95]),
        overlap=np.zeros((4, 4)),
        audited=np.full(4, 60),
        student_weight=1.0,
        ceiling=ceiling,
    )


STUDENT = np.asarray([[0.9, 0.05, 0.05]])


def audit(n, seed=0):
    """Votes of everybody on n items; the judge is right, the others less and less often."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    others = [
        np.where(rng.random(n) < right, truth, (truth + 1) % 3) for right in (0.55, 0.75, 0.9)
    ]
    return ballot(np.stack([*others, truth], 1))


def learned_from(votes, *, gold=("judge",), student=None, **more):
    return learn_panel(
        votes,
        student,
        reference="judge",
        gold=gold,
        classes=3,
        prior_accuracy=0.7,
        prior_strength=10.0,
        strongest_accuracy=0.85,
        student_weight=0.5,
        **more,
    )


# -- trusted votes --


def test_a_trusted_vote_decides_alone():
    verdict = weigh(ballot([[0, 0, 0, 2]]), panel(gold=["judge"]), STUDENT, classes=3)
    assert verdict.label.tolist() == [2]
    assert verdict.p_correct.tolist() == [1.0]
    assert verdict.calibrated.tolist() == [True]


def test_the_same_vote_untrusted_does_not():
    verdict = weigh(ballot([[0, 0, 0, 2]]), panel(), STUDENT, classes=3)
    assert verdict.label.tolist() == [0]
    assert verdict.p_correct[0] < 1
    assert verdict.calibrated.tolist() == [False]


def test_of_two_trusted_annotators_the_last_of_the_cascade_wins():
    votes = ballot(
        [
            [0, 0, 1, 2],
            [0, 0, 1, -1],
            [0, 0, -1, 2],
            [0, 0, -1, -1],
        ]
    )
    # However the configuration lists them.
    for gold in (["expert", "judge"], ["judge", "expert"]):
        assert gold_labels(votes, panel(gold=gold)).tolist() == [2, 1, 2, NO_VOTE]
        verdict = weigh(votes, panel(gold=gold), None, classes=3)
        assert verdict.label.tolist() == [2, 1, 2, 0]
        assert verdict.p_correct[:3].tolist() == [1, 1, 1]
        assert verdict.calibrated.tolist() == [True, True, True, False]
        assert verdict.p_correct[3] < 1


def test_without_trust_there_is_no_gold():
    assert gold_labels(ballot([[0, 1, 2, 0]]), panel()).tolist() == [NO_VOTE]


# -- probabilities --


def test_the_label_is_the_likeliest():
    learned = panel()
    votes = ballot([[0, 1, -1, -1], [2, 2, -1, -1], [-1, -1, -1, -1]])
    student = np.repeat(STUDENT, 3, axis=0)
    verdict = weigh(votes, learned, student, classes=3)
    posterior = posterior_of(votes.votes, learned, 3, student)
    assert verdict.posterior == pytest.approx(posterior)
    assert verdict.label.tolist() == posterior.argmax(axis=1).tolist() == [0, 2, 0]
    assert verdict.p_correct == pytest.approx(posterior.max(axis=1))
    assert not verdict.calibrated.any()


def test_calibrated_is_said_only_with_trust_and_audits_enough():
    votes = ballot([[0, -1, -1, -1], [0, 1, -1, -1], [-1, -1, -1, -1]])
    for n, gold, expected in (
        (120, ("judge",), [True, True, False]),  # nothing is known of an item without a vote
        (120, (), [False] * 3),
        (40, ("judge",), [False] * 3),
    ):
        verdict = weigh(votes, learned_from(audit(n), gold=gold), None, classes=3)
        assert verdict.calibrated.tolist() == expected


def test_a_student_alone_can_be_calibrated():
    seen = audit(200)
    student = (
        np.eye(3)[seen.votes[:, 1]] * 0.97 + 0.01
    )  # claims 0.98, and is right 75 % of the time
    learned = learned_from(seen, student=student)
    verdict = weigh(ballot([[-1] * 4]), learned, student[:1], classes=3)
    assert verdict.calibrated.tolist() == [True]
    assert verdict.p_correct[0] == pytest.approx(0.75, abs=0.08)


def test_with_the_reference_among_the_voters_there_is_no_calibration():
    learned = learned_from(audit(120), gold=())
    verdict = weigh(ballot([[0, -1, -1, 1]]), learned, None, classes=3)
    expected = posterior_of(np.asarray([[0, -1, -1, 1]]), learned, 3, None)
    assert verdict.posterior == pytest.approx(expected)
    assert verdict.p_correct[0] == pytest.approx(min(expected.max(), 0.85))


def test_an_audited_item_is_judged_without_its_own_label():
    """Labels drawn by lot can be learned by heart, and no audit must pass for knowledge."""
    rng = np.random.default_rng(7)
    classes, n = 20, 60
    votes = rng.integers(0, classes, (n, 4))
    lot = ballot(votes)
    learned = learn_panel(
        lot,
        None,
        reference="judge",
        gold=["judge"],
        classes=classes,
        prior_accuracy=0.7,
        prior_strength=10.0,
        strongest_accuracy=0.85,
        student_weight=0.5,
    )
    hidden = votes.copy()
    hidden[:, 3] = -1
    same = Ballot(lot.item_ids, NAMES, hidden, (hidden >= 0).astype(np.int64))
    others = Ballot(tuple(f"x{k}" for k in range(n)), NAMES, hidden, same.answers)
    own, by_heart = (weigh(b, learned, None, classes=classes) for b in (same, others))
    of_truth = np.arange(n), votes[:, 3]
    assert own.posterior[of_truth].mean() < by_heart.posterior[of_truth].mean()
    assert (own.label == votes[:, 3]).mean() < 0.2


def test_stated_confidence_counts_as_far_as_the_audit_shows():
    rng = np.random.default_rng(8)
    n = 400
    seen = audit(n)
    right = seen.votes[:, 1] == seen.votes[:, 3]
    votes = np.full((n, 4), -1)
    votes[:, 1], votes[:, 3] = seen.votes[:, 1], seen.votes[:, 3]
    confidence = np.full((n, 4), np.nan)
    found = {}
    for name, stated in (
        ("telling", np.where(right, 0.9, 0.8) + rng.normal(0, 0.03, n)),
        ("idle", rng.uniform(0.7, 1, n)),
    ):
        confidence[:, 1] = stated
        told = Ballot(seen.item_ids, NAMES, votes, seen.answers, None, confidence.copy())
        learned = learned_from(told)
        asked = np.asarray([[-1, 1, -1, -1]] * 2)
        claims = np.full((2, 4), np.nan)
        claims[:, 1] = [0.75, 0.95]
        answers = (asked != NO_VOTE).astype(np.int64)
        pair = Ballot(("a", "b"), NAMES, asked, answers, None, claims)
        low, high = weigh(pair, learned, None, classes=3).p_correct
        found[name] = high - low
    assert found["telling"] > 0.2
    assert abs(found["idle"]) < 0.05


def test_nothing_is_surer_than_an_untrusted_reference():
    certain = np.asarray([[1.0, 0.0, 0.0]] * 3)
    votes = ballot([[-1, -1, -1, -1], [0, 0, 0, 0], [0, -1, -1, -1]])
    verdict = weigh(votes, panel(ceiling=0.85), certain, classes=3)
    assert verdict.p_correct[0] == pytest.approx(0.85, abs=1e-4)
    assert verdict.p_correct[1:].tolist() == [0.85, 0.85]
    assert verdict.posterior[1, 0] > 0.85
    # Nor is it where everybody has always agreed with it.
    agreed = ballot(np.repeat(np.arange(300)[:, None] % 3, 4, axis=1))
    verdict = weigh(ballot([[0, 0, 0, -1]]), learned_from(agreed, gold=()), None, classes=3)
    assert verdict.p_correct.tolist() == [0.85]


def test_an_audit_teaches_probabilities_that_hold_on_other_items():
    """Two annotators that err alike, against a trusted one: stated and true accuracy are near."""
    rng = np.random.default_rng(4)
    n = 4_000
    truth = rng.integers(0, 3, n)
    slips = rng.random(n) < 0.3
    cheap = np.where(slips, (truth + 1) % 3, truth)
    strong = np.where(slips & (rng.random(n) < 0.8), (truth + 1) % 3, truth)
    audit, rest = slice(0, 300), slice(300, n)
    nobody = np.full(n, -1)
    learned = learn_panel(
        ballot(np.stack([cheap, strong, nobody, truth], 1)[audit]),
        None,
        reference="judge",
        gold=["judge"],
        classes=3,
        prior_accuracy=0.7,
        prior_strength=10.0,
        strongest_accuracy=0.85,
        student_weight=0.5,
    )
    agreed = cheap[rest] == strong[rest]
    votes = np.stack([cheap, strong, nobody, nobody], 1)[rest][agreed]
    verdict = weigh(ballot(votes), learned, None, classes=3)
    right = verdict.label == truth[rest][agreed]
    assert verdict.calibrated.all()
    assert verdict.p_correct.mean() == pytest.approx(right.mean(), abs=0.05)


def test_no_items_have_no_verdict():
    verdict = weigh(ballot([]), panel(gold=["judge"]), None, classes=3)
    assert verdict.label.shape == verdict.p_correct.shape == verdict.calibrated.shape == (0,)


def told(votes, answered, prefix="x"):
    """A ballot on which some have answered without a vote."""
    votes = np.asarray(votes, np.int64)
    blank = np.asarray(answered, bool) & (votes == NO_VOTE)
    ids = tuple(f"{prefix}{k}" for k in range(len(votes)))
    return Ballot(ids, NAMES, votes, (blank | (votes != NO_VOTE)).astype(np.int64), blank=blank)


def test_an_answer_without_a_valid_vote_is_not_taken_for_a_question_never_asked():
    """Items on which one found no label are judged as such items were on the audit sample."""
    rng = np.random.default_rng(5)
    n = 300
    truth = rng.integers(0, 3, n)
    hard = np.arange(n) % 5 == 0
    votes = np.stack([np.where(hard, (truth + 1) % 3, truth)] * 2 + [np.full(n, NO_VOTE), truth], 1)
    votes[rng.random(n) < 0.1, 0] = 0
    votes[hard, 1] = NO_VOTE
    learned = learned_from(told(votes, np.arange(4) == 1, "audited"))
    pair = [[1, NO_VOTE, NO_VOTE, NO_VOTE]] * 2
    verdict = weigh(told(pair, [[1, 0, 0, 0], [1, 1, 0, 0]]), learned, None, classes=3)
    alone, unanswered = verdict.p_correct
    assert alone > 0.65
    assert unanswered < 0.4
    assert verdict.calibrated.all()


def test_an_answer_that_the_audit_can_not_judge_leaves_the_votes_calibrated():
    """The trusted one found no label, or one that no audit has seen did."""
    votes = audit(200).votes
    votes[:, 2] = NO_VOTE
    learned = learned_from(told(votes, votes != NO_VOTE, "audited"))
    three = [[1, NO_VOTE, NO_VOTE, NO_VOTE]] * 3
    asked = told(three, [[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0]])
    verdict = weigh(asked, learned, None, classes=3)
    assert verdict.calibrated.all()
    assert verdict.p_correct.tolist() == [verdict.p_correct[0]] * 3


def test_what_answers_without_a_vote_mean_is_not_calibrated_where_the_audit_had_none():
    votes = audit(200).votes
    learned = learned_from(told(votes, votes != NO_VOTE, "audited"))
    pair = [[1, NO_VOTE, NO_VOTE, NO_VOTE]] * 2
    verdict = weigh(told(pair, [[1, 0, 0, 0], [1, 1, 0, 0]]), learned, None, classes=3)
    assert verdict.calibrated.tolist() == [True, False]


@pytest.mark.parametrize("feature", ["repeated", "nearby"])
def test_repetition_and_neighbours_count_as_far_as_the_audit_shows(feature):
    rng = np.random.default_rng(9)
    n = 400
    seen = audit(n)
    right = seen.votes[:, 1] == seen.votes[:, 3]
    votes = np.full((n, 4), NO_VOTE)
    votes[:, 1], votes[:, 3] = seen.votes[:, 1], seen.votes[:, 3]
    asked = np.asarray([[NO_VOTE, 1, NO_VOTE, NO_VOTE]] * 3)
    found = {}
    for name, told in (
        ("telling", np.where(right, 0.9, 0.6) + rng.normal(0, 0.1, n)),
        ("idle", rng.uniform(0.5, 1, n)),
    ):
        known = dict(zip((*seen.item_ids, "low", "high"), (*told, 0.5, 1.0), strict=True))
        ids = ("low", "high", "unknown")

        def nearby(items, label, known=known):
            return np.asarray([known.get(item, np.nan) for item in items])

        def repeated(items, known=known):
            column = np.full((len(items), 4), np.nan)
            column[:, 1] = [known.get(item, np.nan) for item in items]
            return column

        by_neighbours = feature == "nearby"
        learned = learned_from(
            Ballot(
                seen.item_ids,
                NAMES,
                votes,
                (votes != NO_VOTE).astype(np.int64),
                repeated=None if by_neighbours else repeated(seen.item_ids),
            ),
            nearby=nearby if by_neighbours else None,
        )
        new = Ballot(
            ids,
            NAMES,
            asked,
            (asked != NO_VOTE).astype(np.int64),
            repeated=None if by_neighbours else repeated(ids),
        )
        low, high, unknown = weigh(new, learned, None, classes=3).p_correct
        found[name] = high - low
        assert min(low, high) <= unknown <= max(low, high)
    assert found["telling"] > 0.2
    assert abs(found["idle"]) < 0.05
