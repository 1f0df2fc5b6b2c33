"""Which way of adding votes up is chosen by the audit, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from labelwright.agents.ballot import Ballot
from labelwright.agents.contest import choose, single_right
from labelwright.agents.panel import learn_panel, posterior_of
from labelwright.agents.verdict import weigh

NAMES = ("one", "two", "three", "gold")


def ballot(votes):
    ids = tuple(f"i{n}" for n in range(len(votes)))
    return Ballot(ids, NAMES, np.asarray(votes, np.int64), (votes >= 0).astype(np.int64))


def learn(audit, classes, **more):
    return learn_panel(
        audit, None, reference="gold", gold=["gold"], classes=classes, prior_accuracy=0.7,
        prior_strength=10.0, strongest_accuracy=0.85, student_weight=0.5, **more,
    )  # fmt: skip


def made(n, seed=0, accuracies=(0.6, 0.65, 0.8), classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    wrong = (truth[:, None] + rng.integers(1, classes, (n, 3))) % classes
    votes = np.where(rng.random((n, 3)) < accuracies, truth[:, None], wrong)
    return np.column_stack([votes, truth]), truth


def swapped(n, seed=0, classes=12):
    """One annotator calls every label by the name of the next: only a confusion matrix helps."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    wrong = rng.integers(0, classes, (n, 3))
    kept = rng.random((n, 3)) < (0.55, 0.55, 0.97)
    said = np.column_stack([truth, truth, (truth + 1) % classes])
    return np.column_stack([np.where(kept, said, wrong), truth]), truth


def test_the_lead_must_be_beyond_two_standard_errors():
    rng = np.random.default_rng(0)
    weighted = rng.random(200) < 0.7
    slightly = weighted | (rng.random(200) < 0.02)
    surely = weighted | (rng.random(200) < 0.3)
    kept = choose({"weighted": weighted, "one_coin": slightly, "single": slightly}, 1)
    assert (kept.method, kept.annotator) == ("weighted", None)
    taken = choose({"weighted": weighted, "one_coin": slightly, "single": surely}, 1)
    assert (taken.method, taken.annotator) == ("single", 1)
    assert taken.lead == pytest.approx(surely.mean() - weighted.mean())
    assert taken.lead > 2 * taken.standard_error > 0
    few = {"weighted": weighted[:40], "single": surely[:40]}
    assert choose(few, 1).method == "weighted"


def test_a_lead_on_one_item_alone_is_none():
    weighted = np.ones(60, bool)
    weighted[0] = False
    assert choose({"weighted": weighted, "single": np.ones(60, bool)}, 0).method == "weighted"


def test_the_best_annotator_is_chosen_without_the_item_it_is_held_to():
    """Coins: chosen with the item in sight, the luckiest would seem better than a coin."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 4000)
    votes = rng.integers(0, 2, (4000, 5))
    votes[:5] = -1
    found = single_right(votes, truth, 5)
    assert not found[:5].any()
    assert found.mean() == pytest.approx(0.5, abs=0.03)


def test_among_ordinary_annotators_weights_are_kept():
    votes, _ = made(200)
    panel = learn(ballot(votes), 4)
    assert panel.choice is not None
    assert panel.choice.method == "weighted"
    assert set(panel.choice.accuracy) == {"weighted", "one_coin", "dawid_skene", "single"}
    assert panel.chosen is None
    as_asked = learn(ballot(votes), 4, aggregation="weighted")
    assert as_asked.choice is None
    unseen, _ = made(100, seed=1)
    unseen[:, 3] = -1
    np.testing.assert_array_equal(
        posterior_of(unseen, panel, 4, None), posterior_of(unseen, as_asked, 4, None)
    )


@pytest.mark.parametrize("audits", [0, 49])
def test_without_audits_enough_nothing_is_compared(audits):
    votes, _ = swapped(audits) if audits else (np.empty((0, 4), np.int64), None)
    assert learn(ballot(votes), 12).choice is None


def test_where_confusions_tell_more_than_weights_dawid_skene_is_taken():
    votes, _ = swapped(200)
    many, truth = swapped(2000, seed=1)
    many[:, 3] = -1
    panel = learn(ballot(votes), 12, cast=many)
    assert panel.choice.method == "dawid_skene"
    assert panel.choice.accuracy["dawid_skene"] > panel.choice.accuracy["weighted"] + 0.1
    found = weigh(ballot(many), panel, None, classes=12)
    as_weighted = weigh(
        ballot(many), learn(ballot(votes), 12, aggregation="weighted"), None, classes=12
    )
    assert (found.label == truth).mean() > (as_weighted.label == truth).mean() + 0.1
    assert found.calibrated.all()


def test_with_fewer_votes_than_were_compared_weights_decide():
    votes, _ = swapped(200)
    many, _ = swapped(2000, seed=1)
    many[:, 3] = -1
    panel = learn(ballot(votes), 12, cast=many)
    as_weighted = learn(ballot(votes), 12, aggregation="weighted")
    assert panel.chosen is not None
    fewer = many[:50].copy()
    fewer[:, 0] = -1
    for cast in (fewer, np.full((1, 4), -1)):
        np.testing.assert_array_equal(
            posterior_of(cast, panel, 12, None), posterior_of(cast, as_weighted, 12, None)
        )


def test_the_choice_is_written_down_in_words_and_figures():
    votes, _ = made(200)
    choice = replace(learn(ballot(votes), 4).choice, method="single", annotator=2)
    written = choice.evidence(NAMES)
    assert (written["method"], written["annotator"], written["audited"]) == ("single", "three", 200)
    assert written["accuracy"]["single"] == pytest.approx(choice.accuracy["single"], abs=1e-4)
