"""Annotators that are broken, bad or redundant, and those that are never dropped."""

import numpy as np
import pytest

from labelwright.agents.ballot import Ballot
from labelwright.agents.membership import (
    better_than_chance,
    find_broken,
    find_dispensable,
    find_readmitted,
)
from labelwright.agents.panel import learn_panel

K = 4
PRICES = {"cheap": 1.0, "middle": 5.0, "strong": 20.0, "person": 0.0}


def answers(truth, accuracy, rng):
    wrong = (truth + rng.integers(1, K, len(truth))) % K
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


def ballot_of(columns):
    votes = np.stack(list(columns.values()), axis=1).astype(np.int64)
    ids = tuple(f"i{row}" for row in range(len(votes)))
    return Ballot(ids, tuple(columns), votes, np.ones_like(votes))


def truth_of(n, seed=0):
    return np.random.default_rng(seed).integers(K, size=n)


def panel_of(n=30, seed=0, **changed):
    truth = truth_of(n, seed)
    rng = np.random.default_rng([seed, 1])
    columns = {name: answers(truth, 0.8, rng) for name in ("cheap", "middle", "strong")}
    return {**columns, **{name: make(truth, columns, rng) for name, make in changed.items()}}


# -- broken --


def broken(columns, keep=()):
    ballot = ballot_of(columns)
    return [m.annotator for m in find_broken(ballot, ballot.annotators, keep)]


def test_one_that_mostly_gives_no_label_is_broken():
    columns = panel_of(cheap=lambda t, c, r: np.where(np.arange(30) < 16, -1, t))
    assert broken(columns) == ["cheap"]
    few = panel_of(cheap=lambda t, c, r: np.where(np.arange(30) < 14, -1, t))
    assert broken(few) == []


def test_one_that_always_says_the_same_is_broken():
    columns = panel_of(middle=lambda t, c, r: np.full(30, 2))
    (member,) = find_broken(ballot_of(columns), tuple(columns), ())
    assert (member.annotator, member.action) == ("middle", "drop")
    assert member.evidence["same"] == 30
    assert "same label" in member.reason


def test_one_that_says_what_is_nearly_always_so_is_not_broken():
    truth = np.zeros(30, np.int64)
    truth[:2] = 1
    columns = {name: truth.copy() for name in ("cheap", "middle")} | {"strong": np.zeros(30, int)}
    assert broken(columns) == []


def test_too_few_answers_prove_nothing():
    columns = panel_of(n=19, middle=lambda t, c, r: np.full(19, 2))
    assert broken(columns) == []


def test_the_last_one_and_those_to_be_kept_stay():
    columns = {name: np.full(40, -1) for name in ("cheap", "middle")}
    assert broken(columns) == ["cheap"]
    assert broken(columns, keep=["cheap"]) == ["middle"]
    assert broken(columns, keep=["cheap", "middle"]) == []


# -- bad or redundant on the audit --


def dispensable(
    columns, truth=None, *, keep=("person",), tolerance=0.02, restricted=None, **prices
):
    n = len(next(iter(columns.values())))
    audit = ballot_of({**columns, "person": truth_of(n) if truth is None else truth})
    panel = learn_panel(
        audit,
        None,
        reference="person",
        gold=("person",),
        classes=K,
        prior_accuracy=0.7,
        prior_strength=10.0,
        strongest_accuracy=0.85,
        student_weight=0.5,
    )
    return find_dispensable(
        audit,
        None,
        panel,
        [{**PRICES, **prices}[name] for name in audit.annotators],
        list(columns),
        keep,
        classes=K,
        tolerance=tolerance,
        restricted=restricted,
    )


def test_one_that_guesses_is_dropped_after_the_first_audits():
    columns = panel_of(n=40, middle=lambda t, c, r: r.integers(K, size=40))
    (member,) = dispensable(columns)
    assert (member.annotator, member.action) == ("middle", "drop")
    assert member.reason.startswith("bad")
    # Nobody's leaving could make it of use.
    assert member.beside is None
    # Even the cheapest: another is surely better, and it is no better than chance.
    columns = panel_of(n=40, cheap=lambda t, c, r: r.integers(K, size=40))
    assert [m.annotator for m in dispensable(columns)] == ["cheap"]


def test_a_dearer_copy_is_redundant_when_enough_is_audited():
    def copy(truth, columns, rng):
        return columns["cheap"]

    assert dispensable(panel_of(n=30, strong=copy)) == []
    (member,) = dispensable(panel_of(n=200, strong=copy))
    assert (member.annotator, member.evidence["rival"]) == ("strong", "cheap")
    assert member.reason.startswith("redundant")
    assert member.beside == "cheap"
    # The cheaper one of the two stays, whoever that is.
    (member,) = dispensable(panel_of(n=200, strong=copy), cheap=30.0)
    assert member.annotator == "cheap"


def readmitted(dropped):
    return [(m.annotator, m.action) for m in find_readmitted(dropped)]


def test_one_comes_back_when_its_place_is_free_again():
    assert readmitted({"strong": "cheap"}) == []
    assert readmitted({"strong": "cheap", "cheap": None}) == [("strong", "admit")]
    # A third one holds the places of both, until it goes as well.
    chain = {"strong": "middle", "middle": "cheap"}
    assert readmitted(chain) == []
    assert readmitted({**chain, "cheap": None}) == [("middle", "admit")]
    # Who was dropped for what it is stays out.
    assert readmitted({"strong": None, "cheap": None}) == []


def test_a_restriction_is_lifted_when_audits_speak_against_it():
    # Strong is right on the label 0, which the others often take for 1; else all are copies.
    def spoilt(truth, columns, rng):
        return np.where(truth == 0, rng.random(len(truth)) < 0.6, columns["cheap"])

    def copy(truth, columns, rng):
        return np.where(truth == 0, 0, columns["cheap"])

    columns = panel_of(n=400, cheap=spoilt, middle=spoilt, strong=copy)
    before = {"strong": (2, 3)}
    (member,) = [m for m in dispensable(columns, restricted=before) if m.annotator == "strong"]
    assert member.action == "admit"
    assert member.evidence["added"] > 0.02
    # Asked where it is of use it stays restricted, and without a restriction there is none to lift.
    kept = {"strong": (0, 1)}
    assert "admit" not in {m.action for m in dispensable(columns, restricted=kept)}
    assert "admit" not in {m.action for m in dispensable(columns)}
    # With nobody left beside whom it was superfluous it is free.
    alone = {"strong": columns["strong"]}
    assert [m.action for m in dispensable(alone, restricted=before)] == ["admit"]
    assert dispensable(alone) == []


def test_one_that_is_better_stays():
    columns = panel_of(
        n=300,
        cheap=lambda t, c, r: answers(t, 0.6, r),
        strong=lambda t, c, r: answers(t, 0.95, r),
    )
    assert "strong" not in {m.annotator for m in dispensable(columns)}


def test_those_to_be_kept_and_the_last_one_stay():
    columns = panel_of(n=40, middle=lambda t, c, r: r.integers(K, size=40))
    assert dispensable(columns, keep=("person", "middle")) == []
    alone = {"middle": columns["middle"]}
    assert dispensable(alone) == []


def test_nobody_is_judged_without_a_reference():
    columns = panel_of()
    panel = learn_panel(
        ballot_of(columns),
        None,
        reference=None,
        gold=(),
        classes=K,
        prior_accuracy=0.7,
        prior_strength=10.0,
        strongest_accuracy=0.85,
        student_weight=0.5,
    )
    found = find_dispensable(
        ballot_of(columns), None, panel, [1, 2, 3], list(columns), (), classes=K, tolerance=0.02
    )
    assert found == []


@pytest.mark.parametrize("seed", range(3))
def test_a_decision_is_the_same_each_time(seed):
    columns = panel_of(n=60, seed=seed, middle=lambda t, c, r: r.integers(K, size=60))
    truth = truth_of(60, seed)
    assert dispensable(columns, truth) == dispensable(columns, truth)


def test_better_than_chance_is_told_from_the_votes_own_shares():
    truth = np.asarray([0] * 90 + [1] * 10)
    assert not better_than_chance(np.zeros(100, int), truth, 2)
    assert better_than_chance(truth, truth, 2)
    assert not better_than_chance(np.full(100, -1), truth, 2)
