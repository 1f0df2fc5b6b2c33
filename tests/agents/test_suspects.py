"""Suspect labels, judged as a run judges them."""

import numpy as np
import pytest

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.panel import learn_panel
from labelwright.agents.suspects import suspect_labels

N, CLASSES = 300, 6


@pytest.fixture
def made():
    """Two annotators, 75 % right, a person on the first 60 items, a student and descriptions."""
    rng = np.random.default_rng(0)
    truth = rng.integers(CLASSES, size=N)
    votes = np.where(rng.random((N, 2)) < 0.75, truth[:, None], rng.integers(CLASSES, size=(N, 2)))
    person = np.where(np.arange(N) < 60, truth, -1)
    table = np.column_stack([votes, person])
    student = rng.dirichlet(np.ones(CLASSES), N) + 0.5 * np.eye(CLASSES)[truth]
    student /= student.sum(axis=1, keepdims=True)
    similarity = (rng.normal(size=(N, CLASSES)) + 2 * np.eye(CLASSES)[truth]).astype(np.float32)
    return truth, table, student, similarity


def judge(table, student, similarity, held=None, declined=None):
    ballot = Ballot(
        tuple(f"i{n}" for n in range(N)),
        ("m", "n", "person"),
        table,
        (table >= 0).astype(np.int64),
        declined,
    )
    config = CriticConfig()
    audit = Ballot(ballot.item_ids[:60], ballot.annotators, table[:60], ballot.answers[:60])
    panel = learn_panel(
        audit,
        student[:60],
        reference="person",
        gold=["person"],
        classes=CLASSES,
        prior_accuracy=config.prior_accuracy,
        prior_strength=config.prior_strength,
        strongest_accuracy=config.strongest_accuracy,
        student_weight=config.student_weight,
    )
    drawn = np.arange(N) < 60
    return suspect_labels(
        ballot, panel, student, similarity, audited=drawn, classes=CLASSES, held=held
    )


def test_wrong_labels_are_the_suspect_ones(made):
    truth, table, student, similarity = made
    judged = judge(table, student, similarity, held=table[:, 0])
    assert judged.suspicion.fitted
    fresh = np.arange(N) >= 60
    wrong = judged.labels != truth
    score = judged.suspicion.score
    assert np.median(score[fresh & wrong]) > np.quantile(score[fresh & ~wrong], 0.8)
    np.testing.assert_array_equal(judged.labels[fresh], table[fresh, 0])
    # The trusted votes are what the labels are held to; they are not among the evidence.
    assert (judged.ballot.votes[:, 2] == -1).all()
    np.testing.assert_array_equal(judged.truth[:60], truth[:60])


def test_a_person_who_finds_that_no_label_fits_has_found_an_error(made):
    _, table, student, similarity = made
    table = table.copy()
    table[:20, 2] = -1
    declined = np.zeros(table.shape, bool)
    silent = judge(table, student, similarity)
    declined[:20, 2] = True
    spoken = judge(table, student, similarity, declined=declined)
    assert spoken.suspicion.p_wrong.sum() > silent.suspicion.p_wrong.sum()
