"""What is accepted under a guarantee is right often enough, whatever the scores are worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from labelwright.tools.guarantee import (
    GuaranteeConfig,
    accept_labels,
    audits_needed,
    candidates,
    usual_audits,
)


def pool(rng, size, levels, worst):
    """Scores with ties, and labels that are wrong about as often as they announce."""
    scores = np.round(rng.beta(4, 1.2, size) * levels) / levels
    return scores, rng.random(size) < worst * (1 - scores)


def violations(rng, scores, wrong, audits, draws, **terms):
    """(how often more than eps of what nobody audited was wrong, mean share accepted)."""
    broken, share = 0, 0.0
    for _ in range(draws):
        audited = rng.choice(len(scores), audits, replace=False)
        found = accept_labels(scores, audited, wrong[audited], **terms)
        rest = np.ones(len(scores), bool)
        rest[audited] = False
        if found.threshold is None:
            continue
        kept = rest & (scores >= found.threshold)
        assert kept.sum() == found.accepted
        expert = terms.get("expert", 0) if terms.get("gave") is None else terms["gave"]
        of = min(rest.sum(), kept.sum() + expert)
        broken += wrong[kept].sum() > terms["error"] * of
        share += kept.sum() / rest.sum()
    return broken / draws, share / draws


# How many an expert was meant to label, and has labelled.
@pytest.mark.parametrize("expert", [(0, None), (2000, None), (100, None), (2000, 60), (50, 200)])
@pytest.mark.parametrize(("size", "audits"), [(300, 150), (2000, 150)])
@pytest.mark.parametrize("skill", ["good", "none", "upside down"])
def test_it_is_broken_no_more_often_than_promised(expert, size, audits, skill):
    rng = np.random.default_rng(size + len(skill))
    scores, wrong = pool(rng, size, 20, 0.9)
    if skill == "none":
        scores = rng.permutation(scores)
    elif skill == "upside down":
        scores = 1 - scores
    draws, terms = 250, dict(zip(("expert", "gave"), expert, strict=True))
    broken, _ = violations(rng, scores, wrong, audits, draws, error=0.15, confidence=0.9, **terms)
    assert broken * draws <= binom.ppf(0.9999, draws, 0.1)


def test_the_hardest_case_is_near_what_was_promised():
    # One score for all, and just too many wrong: it passes as often as the test may err.
    rng = np.random.default_rng(1)
    wrong = np.zeros(5000, bool)
    wrong[:520] = True
    broken, _ = violations(rng, np.full(5000, 0.9), wrong, 300, 1000, error=0.1, confidence=0.9)
    assert 0.02 < broken <= 0.12


def test_what_is_sure_is_accepted_and_what_is_not_is_left():
    rng = np.random.default_rng(0)
    scores = np.r_[np.full(700, 0.97), np.full(300, 0.6)]
    wrong = np.r_[rng.random(700) < 0.02, rng.random(300) < 0.5]
    audited = rng.choice(1000, 200, replace=False)
    found = accept_labels(scores, audited, wrong[audited], error=0.1)
    assert found.threshold == 0.97
    assert found.accepted + found.audited == 700
    assert found.wrong == wrong[audited][scores[audited] == 0.97].sum()
    whole = accept_labels(scores, audited, np.zeros(200, bool), error=0.1)
    assert whole.threshold == 0.6
    pooled = accept_labels(scores, audited, wrong[audited], error=0.25, expert=1000)
    assert pooled.threshold == 0.6


def test_who_has_an_expert_for_the_rest_accepts_more():
    rng = np.random.default_rng(2)
    scores, wrong = pool(rng, 2000, 50, 0.9)
    terms = {"error": 0.1, "confidence": 0.9}
    alone, some, all_ = (
        violations(rng, scores, wrong, 200, 60, **terms, expert=expert)[1]
        for expert in (0, 300, 2000)
    )
    assert alone + 0.02 < some < all_ - 0.02


def test_an_expert_who_gave_much_less_than_was_planned_leaves_less():
    rng = np.random.default_rng(3)
    scores, wrong = pool(rng, 2000, 50, 0.9)
    audited = rng.choice(2000, 200, replace=False)

    def found(**terms):
        return accept_labels(scores, audited, wrong[audited], error=0.1, expert=2000, **terms)

    planned = found()
    others = 1800 - planned.accepted
    for gave in (others, round(0.96 * others)):
        assert found(gave=gave, lowest=planned.threshold) == planned
    assert found(gave=100, lowest=planned.threshold).threshold is None
    # What the expert was asked about is not accepted as well, whatever would be borne.
    above = planned.threshold + 0.05
    kept = found(gave=1700, lowest=above)
    assert kept.threshold is None or kept.threshold >= above


def test_audited_labels_do_not_help_to_meet_the_error():
    # 100 of 200 labels are audited and 10 of them wrong: after correction 5 % of all would be
    # wrong, but 10 % of what nobody has looked at.
    wrong = np.zeros(200, bool)
    wrong[::10] = True
    audited = np.arange(100)
    found = accept_labels(np.full(200, 0.9), audited, wrong[audited], error=0.07)
    assert found.threshold is None


def test_too_few_audits_are_named():
    none = accept_labels(np.full(500, 0.9), np.arange(20), np.zeros(20, bool), error=0.05)
    assert none.threshold is None
    assert none.needed == 45
    assert "20 audits are too few" in str(none.why_not)
    nothing = accept_labels(np.full(500, 0.9), np.arange(0), np.zeros(0, bool), error=0.05)
    assert nothing.threshold is None
    bad = accept_labels(np.full(500, 0.9), np.arange(100), np.ones(100, bool), error=0.05)
    assert "too many" in str(bad.why_not)
    assert (bad.accepted, bad.audited, bad.wrong) == (0, 0, 0)


def test_how_many_audits_it_takes():
    assert audits_needed(0.05, 0.9) == 45  # 0.95 ** 45 = 0.0994
    assert audits_needed(0.05, 0.95) == 59
    assert audits_needed(0.05, 0.9, size=30) == 30
    n = usual_audits(0.1, 0.9, wrong=6)
    assert binom.cdf(6, n, 0.1) <= 0.1 < binom.cdf(6, n - 1, 0.1)
    assert GuaranteeConfig(error=0.1).size == n
    assert GuaranteeConfig(error=0.1, audits=7).size == 7
    with pytest.raises(ValueError, match="of: delivered needs rest: escalate"):
        GuaranteeConfig(error=0.1, of="delivered")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=5, max_size=120),
    st.data(),
    st.sampled_from([0.05, 0.2, 0.5]),
    st.sampled_from([0, 10, 1000]),
)
def test_for_any_scores(levels, data, error, expert):
    scores = np.asarray(levels) / 8
    n = data.draw(st.integers(0, len(scores)))
    audited = np.random.default_rng(n).choice(len(scores), n, replace=False)
    wrong = np.asarray(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    found = accept_labels(scores, audited, wrong, error=error, expert=expert)
    sequence = candidates(scores, n, error, 0.9, expert=expert)
    limits = [candidate.threshold for candidate in sequence]
    assert limits == sorted(set(limits), reverse=True)
    if found.threshold is not None:
        assert found.threshold in limits
        assert found.accepted + found.audited == (scores >= found.threshold).sum()
        # Fewer wrong labels can only lower the threshold.
        none = np.zeros(n, bool)
        fewer = accept_labels(scores, audited, none, error=error, expert=expert)
        assert fewer.threshold is not None or not expert
    else:
        assert found.why_not


@pytest.mark.parametrize(
    ("scores", "audited", "wrong", "error"),
    [
        (np.array([0.5, 1.5]), np.array([0]), np.array([True]), 0.1),
        (np.array([0.5, np.nan]), np.array([0]), np.array([True]), 0.1),
        (np.array([0.5, 0.5]), np.array([0, 0]), np.array([True, True]), 0.1),
        (np.array([0.5, 0.5]), np.array([0]), np.array([True, True]), 0.1),
        (np.array([0.5, 0.5]), np.array([0]), np.array([True]), 0.0),
    ],
)
def test_what_makes_no_sense_is_refused(scores, audited, wrong, error):
    with pytest.raises(ValueError, match=r"score|twice|audits|within"):
        accept_labels(scores, audited, wrong, error=error)


@pytest.mark.parametrize("n", [0, 4])
def test_nothing_is_accepted_where_the_audit_looked_at_every_label(n):
    audited, wrong = np.arange(n), np.zeros(n, bool)
    found = accept_labels(np.full(n, 0.9), audited, wrong, error=0.1)
    assert found.threshold is None
    assert found.why_not == "no label was left that the audit did not look at"
