"""Votes as a matrix."""

import numpy as np
import pytest

from labelwright.agents.ballot import by_pattern, count_votes
from labelwright.tools.ledger import CHECK_ATTEMPTS, Vote

LABELS = ("a", "b", "c")


def vote(annotator, label, attempt=0, purpose="label"):
    invalid = None if label else "truncated"
    return Vote("i", annotator, label, invalid, "h", attempt, purpose, 1)


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
    assert counted.annotators == ("cheap", "strong")
    assert counted.votes.tolist() == [[1, -1], [-1, -1], [-1, -1]]
    assert counted.answers.tolist() == [[3, 0], [1, 0], [0, 0]]


def test_only_an_answer_that_came_back_without_a_label_is_blank():
    def unanswered(reason, attempt=0):
        return Vote("i", "cheap", None, reason, "h", attempt, "label", 1)

    counted = count_votes(
        {
            "refused": [unanswered("refusal")],
            "down": [unanswered("no_answer")],
            "unknown": [unanswered("not_recorded")],
            "at last": [unanswered("truncated"), vote("cheap", "a", 1)],
            "check": [vote("strong", "a"), unanswered("truncated", CHECK_ATTEMPTS)],
        },
        ["cheap", "strong"],
        LABELS,
    )
    assert counted.blank.tolist() == [[True, False], *[[False, False]] * 4]
    assert counted.answers.tolist() == [[1, 0], [1, 0], [1, 0], [2, 0], [0, 1]]
    assert counted.answered.tolist() == [
        [True, False], [False, False], [False, False], [True, False], [False, True]
    ]  # fmt: skip
    assert not counted.shown(np.asarray([False, True])).blank.any()
    assert counted.take(np.asarray([0])).blank.tolist() == [[True, False]]


def test_a_column_is_one_annotators_votes():
    counted = count_votes(
        {"x": [vote("strong", "c"), vote("cheap", "a")], "y": [vote("strong", "b")]},
        ["cheap", "strong"],
        LABELS,
    )
    assert counted.column("cheap").tolist() == [0, -1]
    assert counted.column("strong").tolist() == [2, 1]


def test_a_label_that_left_the_label_set_is_no_vote():
    counted = count_votes({"x": [vote("cheap", "gone")]}, ["cheap"], LABELS)
    assert counted.votes.tolist() == [[-1]]
    assert counted.answers.tolist() == [[1]]


def test_other_answers_of_an_annotator_tell_how_far_it_repeats_itself():
    check = CHECK_ATTEMPTS
    counted = count_votes(
        {
            "x": [vote("cheap", "a"), vote("cheap", "b", check), vote("cheap", "a", check + 1)],
            "y": [vote("cheap", "c"), vote("cheap", None, check), vote("strong", "b")],
            "z": [vote("cheap", None), vote("cheap", "a", check)],
            "objected": [vote("cheap", "a"), vote("cheap", "b", 4 * check, "check_counter")],
        },
        ["cheap", "strong"],
        LABELS,
    )
    assert counted.votes.tolist() == [[0, -1], [2, 1], [-1, -1], [0, -1]]
    # Answers that were no label say nothing, and a check is no vote.
    expected = np.asarray([[0.5, np.nan], *[[np.nan, np.nan]] * 3])
    assert np.array_equal(counted.repeated, expected, equal_nan=True)
    assert np.array_equal(counted.take(np.asarray([1, 0])).repeated[1], expected[0], equal_nan=True)


@pytest.mark.parametrize("annotators", [1, 6, 40, 90])
def test_patterns_are_the_distinct_rows_of_any_number_of_annotators(annotators):
    rng = np.random.default_rng(annotators)
    few = rng.random((7, annotators)) < 0.5
    # Twins that differ in the first and the last column alone: none may be taken for another.
    few = np.concatenate([few, few ^ (np.arange(annotators) == 0), few[:, ::-1]])
    who = few[rng.integers(len(few), size=300)]
    patterns, members = np.unique(who, axis=0, return_inverse=True)
    found = by_pattern(who)
    assert [pattern.tolist() for pattern, _ in found] == patterns.tolist()
    for number, (_, rows) in enumerate(found):
        assert rows.tolist() == np.flatnonzero(members.reshape(-1) == number).tolist()


def test_no_rows_have_no_pattern():
    assert by_pattern(np.empty((0, 3), bool)) == []
