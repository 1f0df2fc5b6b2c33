"""Which questions are asked again, in which form, and which labels did not hold."""

from collections import Counter

import numpy as np
import pytest

from labelwright.agents.annotators.orders import (
    FIRST_ATTEMPT,
    check_of,
    label_order,
    other_orders,
    reworded,
)
from labelwright.agents.checks import (
    FLAGS,
    RETESTS,
    CheckShares,
    checked_answers,
    choose_checks,
    unstable,
)
from labelwright.agents.ensemble import Voter
from labelwright.tools.ledger import Vote

LABELS = ["a", "b", "c", "d", "e"]
MODEL = Voter("m", 1, trusted=False, person=False, repeats=True)
SHARES = CheckShares(order=0.1, template=0.05, retest=0.1)


def vote(item, label="a", attempt=0, annotator="m"):
    invalid = None if label else "empty"
    return Vote(item, annotator, label, invalid, "h", attempt, "p", 1)


def answered(n, annotator="m"):
    return [vote(f"i{number:03}", annotator=annotator) for number in range(n)]


def choose(votes, doubtful=(), shares=SHARES, voters=(MODEL,), seed=0):
    rng = np.random.default_rng(seed)
    return choose_checks(voters, votes, list(doubtful), shares, len(LABELS), rng)


def given_to(asks):
    """The answers that would come of orders, all of them stable."""
    return [vote(item, attempt=ask["attempt"]) for ask in asks for item in ask["items"]]


@pytest.mark.parametrize("classes", [2, 3, 5, 77])
def test_a_check_of_the_order_shows_every_label_in_another_order(classes):
    orders = other_orders(classes)
    assert 1 <= len(orders) <= 5
    assert len({tuple(order) for order in orders}) == len(orders)
    usual = list(range(classes))
    for variant, order in enumerate(orders):
        assert sorted(order) == usual
        assert order != usual
        assert label_order(classes, FIRST_ATTEMPT["check_order"] + variant) == order
    for purpose in ("check_template", "check_retest"):
        assert label_order(classes, FIRST_ATTEMPT[purpose]) == usual


def test_an_attempt_says_what_it_is():
    assert [check_of(attempt) for attempt in (0, 999, 1000, 1004, 2000, 3001)] == [
        None,
        None,
        "check_order",
        "check_order",
        "check_template",
        "check_retest",
    ]
    assert [reworded(attempt) for attempt in (0, 1, 2, 1000, 2000, 3000)] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]


def test_each_check_keeps_to_its_share_of_the_answers():
    votes = answered(100)
    doubtful = [f"i{number:03}" for number in range(50)]
    chosen = choose(votes, doubtful)
    asked = Counter()
    for ask in chosen.asks:
        asked[ask["purpose"]] += len(ask["items"])
    assert asked == {"check_order": 10, "check_template": 5, "check_retest": 10}
    assert len(chosen.random["m"]["check_order"]) == len(chosen.queued["m"]["check_order"]) == 5
    assert set(chosen.queued["m"]["check_order"]) <= set(doubtful[:10])
    assert chosen.queued["m"]["check_retest"] == []
    retests = [ask["items"] for ask in chosen.asks if ask["purpose"] == "check_retest"]
    assert len(retests) == RETESTS
    assert retests[0] == retests[1]
    # What was asked again is not asked again, and the next share comes with the next answers.
    again = choose([*votes, *given_to(chosen.asks)], doubtful)
    assert again.asks == []
    more = choose([*answered(200), *given_to(chosen.asks)], doubtful)
    before = {(ask["purpose"], item) for ask in chosen.asks for item in ask["items"]}
    after = {(ask["purpose"], item) for ask in more.asks for item in ask["items"]}
    assert not before & after
    assert len(after) == len(before)


def test_what_a_small_round_leaves_over_is_carried_on():
    shares = CheckShares(order=0.02, template=0, retest=0)
    assert choose(answered(49), shares=shares).asks == []
    assert sum(len(ask["items"]) for ask in choose(answered(50), shares=shares).asks) == 1


def test_nobody_is_asked_again_who_can_not_answer_otherwise():
    recorded = Voter("m", 1, trusted=False, person=False, repeats=False)
    person = Voter("m", 1, trusted=True, person=True, repeats=True)
    votes = answered(100)
    assert choose(votes, voters=[recorded, person]).asks == []
    none = CheckShares(order=0, template=0, retest=0)
    assert choose(votes, shares=none).asks == []


def test_the_same_run_asks_the_same_again():
    assert choose(answered(100), seed=3) == choose(answered(100), seed=3)
    assert choose(answered(100), seed=3) != choose(answered(100), seed=4)


def test_answers_stand_beside_the_first_ones():
    order, template, retest = FIRST_ATTEMPT.values()
    votes = [
        vote("x", "a"),
        vote("x", "b", attempt=1),
        vote("x", "c", attempt=order + 2),
        vote("y", "b"),
        vote("y", None, attempt=template),
        vote("z", "d"),
        vote("z", "d", attempt=retest),
        vote("z", "e", attempt=retest + 1),
        vote("w", "a"),
        vote("w", "a", attempt=retest),
        vote("x", "e", attempt=order, annotator="other"),
    ]
    checked = checked_answers(votes, "m", LABELS)
    found = {
        purpose: (c.items, c.first.tolist(), c.again.tolist()) for purpose, c in checked.items()
    }
    assert found == {
        "check_order": (["x"], [0], [[2]]),
        "check_template": (["y"], [1], [[-1]]),
        # One of two repetitions is no test.
        "check_retest": (["z"], [3], [[3, 4]]),
    }
    usual, again = checked["check_order"].places(5)
    assert usual.tolist() == [[0, 1, 2, 3, 4]]
    assert [again[0].tolist().index(place) for place in range(5)] == other_orders(5)[2]


def test_a_label_falls_with_the_last_of_its_supporters():
    order = FIRST_ATTEMPT["check_order"]
    votes = [vote("x", "a"), vote("x", "b", attempt=order), vote("y", "a"), vote("y", "a", order)]
    checked = {"m": checked_answers(votes, "m", LABELS)}
    flag = FLAGS["check_order"]
    assert unstable(checked, {"x": ["m"], "y": ["m"]}) == {"x": [flag]}
    # Somebody else says so too, and has not been shaken.
    assert unstable(checked, {"x": ["m", "other"]}) == {}
    # The annotator that changed its mind was outvoted anyway.
    assert unstable(checked, {"x": ["other"]}) == {}
