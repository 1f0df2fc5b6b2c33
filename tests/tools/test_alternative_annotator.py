"""The alternative annotator test against an example worked by hand."""

import numpy as np
import pytest

from labelwright.tools.alternative_annotator import (
    alternative_annotator_test,
    benjamini_yekutieli,
)

NAMES = ("ann", "bob", "cas")


def votes(rows):
    """Each row repeated as often as its last number says."""
    return np.asarray([row[:-1] for row in rows for _ in range(row[-1])])


def test_an_example_worked_by_hand():
    # model, ann, bob, cas: 20 texts all alike, 6 on which cas is alone, 4 on which the model is.
    table = votes([(0, 0, 0, 0, 20), (0, 0, 0, 1, 6), (1, 0, 0, 0, 4)])
    found = alternative_annotator_test(table[:, 0], table[:, 1:], NAMES, epsilon=0.2)
    ann, bob, cas = found.people
    # Without ann: on the 6 both agree with bob alone (1/2 = 1/2), on the 4 only ann agrees.
    assert (ann.model_advantage, ann.person_advantage) == (26 / 30, 1.0)
    assert ann.model_advantage == bob.model_advantage
    # Without cas: on the 6 the model agrees with both others and cas with none.
    assert (cas.model_advantage, cas.person_advantage) == (26 / 30, 24 / 30)
    # ann: differences 4 x 1 and 26 x 0; mean 4/30, sd 0.34575, t = (0.13333 - 0.2) / 0.063124.
    assert ann.p_value == pytest.approx(0.14980, abs=1e-4)
    # cas: 4 x 1, 6 x -1, 20 x 0; mean -2/30, sd 0.58329, t = (-0.06667 - 0.2) / 0.106493.
    assert cas.p_value == pytest.approx(0.009092, abs=1e-4)
    # Benjamini-Yekutieli: 1/3 * 0.05 / (1 + 1/2 + 1/3) = 0.00909 for the smallest of the three.
    assert [person.won for person in found.people] == [False, False, cas.p_value <= 0.05 / 5.5]
    assert found.advantage == pytest.approx(26 / 30)


def test_a_model_as_good_as_people_replaces_them_and_a_bad_one_does_not():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=120)

    def voter(accuracy):
        return np.where(rng.random(120) < accuracy, truth, (truth + 1) % 3)

    people = np.column_stack([voter(0.85) for _ in NAMES])
    good = alternative_annotator_test(voter(0.97), people, NAMES, epsilon=0.15)
    assert good.replaces
    assert good.winning_rate == 1.0
    bad = alternative_annotator_test(voter(0.4), people, NAMES, epsilon=0.15)
    assert not bad.replaces
    assert bad.winning_rate == 0.0
    assert bad.advantage < good.advantage


def test_people_who_never_differ_from_the_model():
    same = np.zeros(40, int)
    found = alternative_annotator_test(same, np.zeros((40, 3), int), NAMES, epsilon=0.1)
    assert found.replaces
    assert [person.p_value for person in found.people] == [0.0, 0.0, 0.0]


def test_votes_that_are_missing_are_left_out():
    people = np.zeros((70, 3), int)
    people[:35, 2] = -1  # cas has seen half of them
    people[60:, :2] = -1  # and ten alone
    found = alternative_annotator_test(np.zeros(70, int), people, NAMES)
    assert [person.n for person in found.people] == [60, 60, 25] or found.why_not
    assert "cas (25)" in str(found.why_not)


def test_what_it_takes_to_be_answered():
    two = alternative_annotator_test(np.zeros(50, int), np.zeros((50, 2), int), NAMES[:2])
    assert two.winning_rate is None
    assert "takes 3" in str(two.why_not)
    few = alternative_annotator_test(np.zeros(29, int), np.zeros((29, 3), int), NAMES)
    assert "needs 30 texts" in str(few.why_not)
    with pytest.raises(ValueError, match="people"):
        alternative_annotator_test(np.zeros(5, int), np.zeros((4, 3), int), NAMES)


def test_false_discoveries_under_dependence():
    assert benjamini_yekutieli([0.001, 0.02, 0.9], 0.05) == [True, False, False]
    # 0.03 is above its own bound 2/3 * 0.05 / 1.833 = 0.018, and nothing larger pulls it up.
    assert benjamini_yekutieli([0.03, 0.001, 0.027], 0.05) == [False, True, False]
    # The largest p that is under its bound takes all smaller ones with it.
    assert benjamini_yekutieli([0.0095, 0.012, 0.027], 0.05) == [True, True, True]
