"""The rule policy: what becomes of each label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig, rule_on_labels
from labelwright.agents.ensemble import Voter
from labelwright.agents.panel import ENOUGH
from labelwright.agents.verdict import Verdict

LABELS = ("spam", "ham")
CHEAP = Voter("cheap", 1, False, False, True)
STRONG = Voter("strong", 2, False, False, True)
ANN = Voter("ann", 9, True, True, False)
CONFIG = CriticConfig(accept_at=0.8, set_apart_below=0.5)


def rule(
    p, *, votes=None, answers=None, flags=None, following=None, allowed=99, gold=(), declined=()
):
    """Rulings on items of probability ``p``; ``following`` is asked next about each row."""
    n = len(p)
    matrix = np.zeros((n, 1), np.int64) if votes is None else np.asarray(votes).reshape(n, 1)
    counted = (matrix >= 0).astype(np.int64) if answers is None else np.asarray(answers)[:, None]
    ids = tuple(f"i{row}" for row in range(n))
    verdict = Verdict(
        np.zeros(n, np.int64),
        np.asarray(p, float),
        np.zeros(n, bool),
        np.full((n, 2), 0.5),
    )
    rulings = rule_on_labels(
        CONFIG,
        Ballot(ids, ("cheap",), matrix, counted),
        verdict,
        flags or {},
        lambda row: following[row] if isinstance(following, list) else following,
        allowed=allowed,
        gold=np.isin(np.arange(n), gold),
        declined=np.isin(np.arange(n), declined),
        labels=LABELS,
    )
    assert [ruling.item_id for ruling in rulings] == list(ids)
    return rulings


def actions(*args, **kwargs):
    return [ruling.action for ruling in rule(*args, **kwargs)]


def test_probable_labels_are_accepted():
    assert actions([0.8, 0.9, 1.0], following=(STRONG, 0)) == ["accept"] * 3


@pytest.mark.parametrize(
    ("following", "action"),
    [((STRONG, 0), "escalate"), ((CHEAP, 1), "re_ask"), ((ANN, 0), "ask_person")],
)
def test_a_doubtful_label_is_sent_on(following, action):
    (ruling,) = rule([0.79], following=following)
    assert (ruling.action, ruling.annotator, ruling.attempt) == (
        action, following[0].name, following[1],
    )  # fmt: skip
    assert ruling.reason == "p_correct 0.790 too low"


def test_with_nobody_to_ask_it_is_kept_or_set_apart():
    kept, apart = rule([0.5, 0.499])
    assert kept.action == "accept"
    assert kept.reason.endswith("nobody left who is worth asking")
    assert apart.action == "set_apart"
    assert apart.reason == "best label 'spam' has p_correct 0.499 < 0.5"


def test_a_flag_sends_on_what_would_be_accepted():
    sent, kept = rule([0.95, 0.95], flags={"i0": ["neighbours disagree"]}, following=(STRONG, 0))
    assert (sent.action, sent.flags) == ("escalate", ("neighbours disagree",))
    assert sent.reason == "failed neighbours disagree"
    assert (kept.action, kept.flags) == ("accept", ())


def test_a_flag_that_nobody_can_look_into_stays_on_the_record():
    (ruling,) = rule([0.95], flags={"i0": ["confident learning"]})
    assert (ruling.action, ruling.flags) == ("accept", ("confident learning",))


def test_the_least_probable_are_sent_on_first():
    p = [0.7, 0.3, 0.6, 0.9]
    ruled = rule(p, following=(STRONG, 0), allowed=2)
    assert [r.action for r in ruled] == ["accept", "escalate", "escalate", "accept"]
    assert ruled[0].reason.endswith("no more may be sent on")  # not: nobody left


def test_an_improbable_label_that_can_still_be_sent_on_waits_for_a_later_round():
    p = [0.3, 0.2, 0.45, 0.5, 0.49]
    following = [(STRONG, 0), (STRONG, 0), (STRONG, 0), (STRONG, 0), None]
    ruled = rule(p, following=following, allowed=1, flags={"i0": ["confident learning"]})
    # It is neither kept nor given up: only the least probable one fits into this round's share.
    assert [r.action for r in ruled] == ["return", "escalate", "return", "accept", "set_apart"]
    assert ruled[0].annotator is None
    assert "this round may send no more" in ruled[0].reason
    assert ruled[0].flags == ("confident learning",)


def test_where_a_trusted_annotator_finds_no_label_the_item_is_set_apart_for_good():
    (ruling,) = rule([0.99], declined=[0], following=(STRONG, 0))
    assert (ruling.action, ruling.final) == ("set_apart", True)


def test_a_trusted_label_is_never_doubted():
    (ruling,) = rule([0.1], flags={"i0": ["x"]}, following=(STRONG, 0), gold=[0])
    assert ruling.action == "accept"
    assert "trusted" in ruling.reason


def test_an_answer_that_was_no_label_does_not_count_against_what_is_allowed():
    ruled = rule(
        [0.5, 0.5, 0.6], votes=[-1, -1, 0], answers=[1, 0, 1],
        following=[(CHEAP, 1), (CHEAP, 0), (STRONG, 0)], allowed=1,
    )  # fmt: skip
    assert [r.action for r in ruled] == ["re_ask", "escalate", "escalate"]


def test_invalid_answers_of_everybody_set_an_item_apart():
    (ruling,) = rule([0.5], votes=[-1], answers=[2])
    assert ruling.action == "set_apart"
    assert "invalid" in ruling.reason


def test_an_item_that_nobody_could_be_asked_about_goes_back():
    (ruling,) = rule([0.99], votes=[-1], answers=[0])
    assert ruling.action == "return"  # however sure the student is
    assert "caps" in ruling.reason


def test_no_items_no_rulings():
    assert rule([]) == []


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([-1, 0]), st.booleans(), st.booleans()),
        max_size=12,
    ),
    st.integers(0, 5),
    st.sampled_from([None, (STRONG, 0), (CHEAP, 1), (ANN, 0)]),
)
def test_every_item_has_one_ruling_that_can_be_carried_out(items, allowed, following):
    p = [item[0] for item in items]
    flags = {f"i{row}": ["check"] for row, item in enumerate(items) if item[2]}
    gold = [row for row, item in enumerate(items) if item[3] and item[1] == 0]
    ruled = rule(
        p, votes=[item[1] for item in items] or None, flags=flags, following=following,
        allowed=allowed, gold=gold,
    )  # fmt: skip
    sent = [r for r in ruled if r.action in {"re_ask", "escalate", "ask_person"}]
    assert all((r.annotator is not None) == (r in sent) for r in ruled)
    assert all(r.reason for r in ruled)
    voted = [r for r, item in zip(ruled, items, strict=True) if item[1] == 0]
    assert sum(r in sent for r in voted) <= allowed
    for ruling, (p_correct, vote, flagged, _) in zip(ruled, items, strict=True):
        if vote == 0 and p_correct >= 0.8 and not flagged:
            assert ruling.action == "accept"
        if ruling.action == "return" and vote < 0:
            assert following is None
        elif ruling.action == "return":
            assert p_correct < 0.5
            assert following is not None
            assert sum(r in sent for r in voted) == allowed
        if ruling.action == "set_apart":
            assert following is None


def test_the_thresholds_are_in_order():
    assert CriticConfig(accept_at=0.6, set_apart_below=0.6).accept_at == 0.6
    with pytest.raises(
        ValidationError, match=r"accept_at \(0.4\) is below set_apart_below \(0.5\)"
    ):
        CriticConfig(accept_at=0.4)


def test_the_first_audit_is_large_enough_to_fit_the_students_weight():
    assert CriticConfig().audit_first == ENOUGH == 30
