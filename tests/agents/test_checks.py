"""Which questions are asked again, in which form, and which labels did not hold."""

from collections import Counter

import numpy as np
import pytest

from labelwright.agents.annotators.orders import (
    FIRST_ATTEMPT,
    check_of,
    denied,
    label_order,
    objection_to,
    other_orders,
    reworded,
    turned_pair,
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


def choose(votes, doubtful=(), shares=SHARES, voters=(MODEL,), seed=0, disputed=()):
    rng = np.random.default_rng(seed)
    pairs = dict.fromkeys(doubtful, (3, 1))
    return choose_checks(voters, votes, pairs, list(disputed), shares, LABELS, rng)


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


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 77])
def test_two_labels_stand_side_by_side_and_turned_round(classes):
    usual = list(range(classes))
    seen = set()
    for one in usual:
        for other in usual[:one]:
            attempt = turned_pair(classes, one, other)
            assert attempt == turned_pair(classes, other, one)
            assert check_of(attempt) == "check_order"
            assert not reworded(attempt)
            order = label_order(classes, attempt)
            assert sorted(order) == usual
            # The one that came second in the first question comes right before the other.
            assert order.index(one) + 1 == order.index(other)
            if classes > 3:
                assert {one, other}.isdisjoint({order[0], order[-1]})
            seen.add(attempt)
    assert len(seen) == classes * (classes - 1) // 2


def test_an_objection_names_the_label_it_objects_to():
    attempts = [objection_to(label) for label in (0, 4, 150)]
    assert [check_of(attempt) for attempt in attempts] == ["check_counter"] * 3
    assert [denied(attempt) for attempt in attempts] == [0, 4, 150]
    others = (0, 1, *FIRST_ATTEMPT.values(), turned_pair(5, 1, 2))
    assert [denied(attempt) for attempt in others if attempt not in attempts] == [None] * 6
    assert label_order(5, attempts[1]) == [0, 1, 2, 3, 4]


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


def test_a_doubtful_label_is_asked_with_its_two_best_side_by_side():
    votes = answered(100)
    chosen = choose(votes, [f"i{number:03}" for number in range(50)])
    asked = {
        item: ask["attempt"]
        for ask in chosen.asks
        if ask["purpose"] == "check_order"
        for item in ask["items"]
    }
    queued, random = chosen.queued["m"]["check_order"], chosen.random["m"]["check_order"]
    assert {asked[item] for item in queued} == {turned_pair(len(LABELS), 1, 3)}
    # What is drawn at random meets orders that have nothing to do with its answers.
    cyclic = range(FIRST_ATTEMPT["check_order"], FIRST_ATTEMPT["check_order"] + 5)
    assert all(asked[item] in cyclic for item in random)
    assert sorted(asked) == sorted([*queued, *random])


def test_only_disputed_labels_are_objected_to_and_only_where_it_is_wanted():
    votes = [vote("i0", "b"), vote("i1", None), *answered(100)[2:], vote("j", "c", annotator="x")]
    disputed = ["j", "i1", "i0", "i050", "i051", "i052"]
    assert choose(votes, disputed=disputed, shares=CheckShares()).random["m"].keys() == {
        "check_order",
        "check_template",
    }
    shares = CheckShares(order=0, template=0, retest=0, counter=0.02)
    chosen = choose(votes, doubtful=["i060"], disputed=disputed, shares=shares)
    # The objection is to what the annotator itself has said; where it said nothing there is none.
    assert [(a["purpose"], a["attempt"], a["items"]) for a in chosen.asks] == [
        ("check_counter", objection_to(0), ["i050"]),
        ("check_counter", objection_to(1), ["i0"]),
    ]
    assert (chosen.random["m"], chosen.queued["m"]) == (
        {"check_counter": []},
        {"check_counter": ["i0", "i050"]},
    )
    assert choose([*votes, *given_to(chosen.asks)], disputed=disputed, shares=shares).asks == []
    assert choose(votes, doubtful=["i060"], shares=shares).asks == []


def test_an_objection_is_to_the_vote_that_stands():
    shares = CheckShares(order=0, template=0, retest=0, counter=0.5)
    votes = [
        *(vote("i", None), vote("i", "c", attempt=1)),
        *(vote("j", "b"), vote("j", "d", attempt=1), vote("j", None, attempt=2)),
        *(vote("k", "a"), vote("k", "e", attempt=FIRST_ATTEMPT["check_order"])),
        vote("l", None),
    ]
    asks = choose(votes, disputed=["i", "j", "l"], shares=shares).asks
    assert {item: ask["attempt"] for ask in asks for item in ask["items"]} == {
        "i": objection_to(2),
        "j": objection_to(3),
    }
    (ask,) = choose(votes, disputed=["k"], shares=shares).asks
    assert ask["attempt"] == objection_to(0), "the answer to a check is no vote"
    # What came back is compared with the answer that was objected to.
    votes += [vote("i", "c", objection_to(2)), vote("j", "b", objection_to(3))]
    answers = checked_answers(votes, "m", LABELS)["check_counter"]
    assert (answers.items, answers.first.tolist()) == (["i", "j"], [2, 3])
    assert answers.again.tolist() == [[2], [1]]


def test_the_same_run_asks_the_same_again():
    assert choose(answered(100), seed=3) == choose(answered(100), seed=3)
    assert choose(answered(100), seed=3) != choose(answered(100), seed=4)


def test_answers_stand_beside_the_first_ones():
    order, template, retest, counter = FIRST_ATTEMPT.values()
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
        vote("v", "b"),
        vote("v", "c", attempt=turned_pair(5, 1, 2)),
        vote("v", "d", attempt=counter + 1),
    ]
    checked = checked_answers(votes, "m", LABELS)
    found = {
        purpose: (c.items, c.first.tolist(), c.again.tolist()) for purpose, c in checked.items()
    }
    assert found == {
        "check_order": (["v", "x"], [1, 0], [[2], [2]]),
        "check_template": (["y"], [1], [[-1]]),
        # One of two repetitions is no test.
        "check_retest": (["z"], [3], [[3, 4]]),
        "check_counter": (["v"], [1], [[3]]),
    }
    usual, again = checked["check_order"].places(5)
    assert usual.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert [again[1].tolist().index(place) for place in range(5)] == other_orders(5)[2]
    assert [again[0].tolist().index(place) for place in range(5)] == [4, 2, 1, 3, 0]


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
    # Who gives in to an objection may have been right.
    gave_in = [vote("x", "a"), vote("x", "b", attempt=objection_to(0))]
    assert unstable({"m": checked_answers(gave_in, "m", LABELS)}, {"x": ["m"]}) == {}
