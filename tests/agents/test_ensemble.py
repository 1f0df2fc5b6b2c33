"""The cascade: who is asked first, who is asked next, and nobody twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelwright.agents.ballot import Ballot
from labelwright.agents.ensemble import (
    Voter,
    ask,
    cascade,
    distinct_voters,
    first_asks,
    next_voter,
    reference,
)

CHEAP = Voter("cheap", 1, False, False, True)
OTHER = Voter("other", 1, False, False, False)
STRONG = Voter("strong", 3, False, False, True)
PERSON = Voter("ann", 9, True, True, False)
INTERN = Voter("intern", 2, False, True, False)
ALL = [CHEAP, OTHER, INTERN, STRONG, PERSON]


def ballot(votes, answers=None, order=ALL):
    matrix = np.asarray([votes], np.int64)
    counted = (matrix >= 0).astype(np.int64) if answers is None else np.asarray([answers])
    return Ballot(("i",), tuple(v.name for v in order), matrix, counted)


def test_the_cascade_goes_by_tier_then_as_configured():
    assert cascade([PERSON, STRONG, OTHER, CHEAP]) == [OTHER, CHEAP, STRONG, PERSON]


@pytest.mark.parametrize(
    ("voters", "expected"),
    [
        ([CHEAP], None),
        ([CHEAP, OTHER], None),  # one tier: nobody is stronger than another
        ([STRONG, CHEAP], STRONG),
        ([CHEAP, PERSON, STRONG], PERSON),
        ([PERSON], PERSON),
        ([Voter("gold", 1, True, False, False), STRONG], Voter("gold", 1, True, False, False)),
        ([Voter("gold", 1, True, False, False), PERSON], PERSON),
    ],
)
def test_the_reference_is_the_last_trusted_one_else_the_strongest(voters, expected):
    assert reference(voters) == expected


@given(st.lists(st.integers(0, 30), unique=True), st.lists(st.integers(0, 30), unique=True))
def test_nobody_is_asked_about_an_item_twice(batch, audit):
    orders = first_asks(ALL, [str(i) for i in batch], [str(i) for i in audit])
    asked = [(order["annotator"], item) for order in orders for item in order["items"]]
    assert len(asked) == len(set(asked))
    assert {item for _, item in asked} == {str(i) for i in {*batch, *audit}}
    assert all(order["items"] and order["attempt"] == 0 for order in orders)


def test_audits_go_to_the_panel_and_the_batch_to_the_first():
    orders = first_asks(ALL, ["b1", "x", "b2"], ["x", "y"])
    assert orders == [
        ask("cheap", ["b1", "b2"], "label"),
        ask("cheap", ["x", "y"], "audit"),
        ask("other", ["x", "y"], "audit"),
        ask("strong", ["x", "y"], "audit"),
        ask("ann", ["x", "y"], "audit"),
    ]  # a person who is not the reference is not asked


@pytest.mark.parametrize(
    ("lead", "first"), [(0, "cheap"), (1, "other"), (2, "strong"), (9, "strong")]
)
def test_the_lead_moves_up_the_cascade_but_never_to_a_person(lead, first):
    assert first_asks(ALL, ["b"], [], lead=lead) == [ask(first, ["b"], "label")]


def following(votes, answers=None, *, out_of_reach=(), attempts=2):
    found = next_voter(ALL, ballot(votes, answers), 0, out_of_reach=out_of_reach, attempts=attempts)
    return (found[0].name, found[1]) if found else None


def test_an_item_walks_down_the_cascade_once():
    votes, met = [-1] * 5, []
    while found := following(votes):
        met.append(found)
        votes[[v.name for v in ALL].index(found[0])] = 0
    assert met == [(voter.name, 0) for voter in ALL]


def test_an_invalid_answer_is_asked_again_before_the_next_tier():
    assert following([-1] * 5, [1, 0, 0, 0, 0]) == ("cheap", 1)
    assert following([-1] * 5, [2, 0, 0, 0, 0]) == ("other", 0)
    assert following([-1] * 5, [2, 0, 0, 0, 0], attempts=3) == ("cheap", 2)
    assert following([-1] * 5, [1, 0, 0, 0, 0], attempts=1) == ("other", 0)


def test_asking_again_is_for_those_who_may_answer_otherwise():
    assert following([0, -1, -1, -1, -1], [1, 1, 0, 0, 0]) == ("intern", 0)


def test_a_valid_answer_ends_the_asking_again():
    assert following([0, -1, -1, -1, -1], [2, 0, 0, 0, 0], attempts=5) == ("other", 0)


def test_who_is_out_of_reach_is_passed_over():
    assert following([-1] * 5, [1, 0, 0, 0, 0], out_of_reach=["cheap"]) == ("other", 0)
    assert following([0, -1, -1, -1, -1], out_of_reach=["other", "intern"]) == ("strong", 0)
    everybody = [voter.name for voter in ALL]
    assert following([-1] * 5, out_of_reach=everybody) is None


def test_weaker_annotators_are_not_asked_after_stronger_ones():
    assert following([-1, -1, -1, 0, -1]) == ("ann", 0)
    assert following([-1, -1, -1, -1, 0]) is None


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 4)), min_size=5, max_size=5))
def test_it_ends_and_never_passes_the_number_of_attempts(cells):
    answers = [count for _, count in cells]
    votes = [label if count else -1 for label, count in cells]
    for _ in range(5 * 3 + 1):
        found = following(votes, answers, attempts=3)
        if found is None:
            return
        place = [v.name for v in ALL].index(found[0])
        assert found[1] == answers[place] < 3
        assert votes[place] < 0
        answers[place] += 1  # another answer that is no label
    pytest.fail("it never ends")


def test_distinct_voters_are_those_with_a_label():
    assert distinct_voters(ballot([0, -1, 1, -1, -1], [3, 2, 1, 0, 0])).tolist() == [2]
