"""Faults of a label set: planted ones are found, and a sound set is left alone."""

import numpy as np
import pytest

from labelwright.tools.codebook import (
    indistinct_labels,
    label_set_faults,
    missing_labels,
    refusals,
    unneeded_labels,
)

CLASSES, EACH = 5, 20


@pytest.fixture
def made():
    """Texts of six kinds in clusters; the label set has five. Three annotators, 85 % right."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(CLASSES + 1), EACH)
    vectors = np.eye(16)[truth] + rng.normal(0, 0.1, (len(truth), 16))
    votes = np.where(
        rng.random((len(truth), 3)) < 0.85,
        truth[:, None],
        rng.integers(CLASSES, size=(len(truth), 3)),
    )
    votes[truth == CLASSES] = -1
    return vectors, votes, truth


def test_texts_on_which_no_label_fits_are_found_without_anybodys_word(made):
    vectors, votes, truth = made
    invalid = (votes < 0).mean(axis=1)
    (fault,) = missing_labels(vectors, invalid, {}, CLASSES)
    assert (fault.kind, fault.words) == ("add_label", None)
    assert set(fault.rows) == set(np.flatnonzero(truth == CLASSES).tolist())


def test_a_label_that_people_name_is_found_where_annotators_agree_on_a_wrong_one(made):
    vectors, votes, truth = made
    votes[truth == CLASSES] = 0
    audited = {
        row: int(truth[row]) if truth[row] < CLASSES else "Refund" for row in range(0, 120, 7)
    }
    assert missing_labels(vectors, np.zeros(120), {}, CLASSES) == []
    (fault,) = missing_labels(vectors, np.zeros(120), audited, CLASSES)
    assert fault.words == "Refund"
    share, low, high = fault.share
    assert low < 1 / 6 < high
    assert share == pytest.approx(len(fault.rows) / len(audited))


def test_one_mention_among_many_audits_is_not_enough():
    vectors = np.eye(30)
    audited = dict.fromkeys(range(29), 0) | {29: "odd"}
    assert missing_labels(vectors, np.zeros(30), audited, 2) == []
    assert len(missing_labels(vectors, np.zeros(30), {0: 0, 29: "odd"}, 2)) == 1


def test_a_cluster_that_people_have_placed_is_no_gap(made):
    vectors, votes, truth = made
    gap = np.flatnonzero(truth == CLASSES)
    invalid = (votes < 0).mean(axis=1)
    placed = {int(row): 0 for row in gap[:18]}
    assert missing_labels(vectors, invalid, placed, CLASSES) == []


def test_where_people_only_say_that_none_fits_their_items_come_together(made):
    vectors, _, truth = made
    gap = np.flatnonzero(truth == CLASSES)[:2].tolist()
    (fault,) = missing_labels(vectors, np.zeros(120), dict.fromkeys(gap), CLASSES)
    assert fault.words is None
    assert sorted(fault.rows) == gap


def test_a_label_that_nobody_needs_is_found():
    votes = np.tile(np.arange(4), (10, 3)).reshape(-1, 3)
    (fault,) = unneeded_labels(votes, votes[:, 0], {}, 5)
    assert (fault.kind, fault.labels) == ("remove_label", (4,))
    # With few items a rare label may not have come up.
    assert unneeded_labels(votes[:5], votes[:5, 0], {}, 5) == []
    # Chosen, and each time wrongly.
    label = np.asarray([0, 1, 1, 1, 1])
    audited = dict.fromkeys(range(5), 0)
    faults = unneeded_labels(label[:, None], label, audited, 2)
    assert [fault.labels for fault in faults] == [(1,)]
    assert unneeded_labels(label[:, None], label, audited | {4: 1}, 2) == []


def test_two_names_for_one_label_are_found_and_confusable_ones_are_not(made):
    _, votes, _ = made
    rng = np.random.default_rng(1)
    assert indistinct_labels(votes, CLASSES) == []
    double = np.where((votes == 3) & (rng.random(votes.shape) < 0.5), 5, votes)
    (fault,) = indistinct_labels(double, CLASSES + 1)
    assert (fault.kind, fault.labels) == ("merge_labels", (3, 5))
    assert len(fault.rows) > 5


def test_a_sound_label_set_is_left_alone(made):
    vectors, votes, truth = made
    kept = truth < CLASSES
    audited = {row: int(truth[row]) for row in range(0, 100, 5)}
    faults = label_set_faults(
        vectors[kept], votes[kept], truth[kept], np.zeros(100), audited, classes=CLASSES
    )
    assert faults == []


def test_without_a_witness_nothing_is_refused():
    nobody = np.zeros((3, 0), bool)
    assert refusals(nobody, nobody).tolist() == [0, 0, 0]
