import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.tools.gates import (
    blocking,
    coverage,
    fit_power_law,
    gates,
    gold,
    label_noise,
    monoculture,
)
from labelwright.tools.plateau import StoppingConfig

USD = 1_000_000_000
CONFIG = StoppingConfig()
NAMES = ["sport", "war", "art"]


def evidence(**changes):
    """A run that passes every gate, with changes."""
    counts = np.array([80, 60, 40])
    base = {
        "rounds": 9,
        "label_counts": counts,
        "stop_set_predictions": np.repeat(np.arange(3), [500, 300, 200]),
        "label_names": NAMES,
        "audit_errors": 2,
        "audited": 100,
        "strategies": ["margin"] * 8 + ["typiclust"],
        "streak": 2,
    }
    return base | changes


def test_a_run_that_is_really_done_is_not_held_back():
    results = gates(CONFIG, **evidence())
    assert [gate.name for gate in results] == [
        "rounds",
        "labels",
        "classes",
        "label_noise",
        "monoculture",
    ]
    assert blocking(results) == []
    assert all(gate.action is None for gate in results)
    assert json.loads(json.dumps([gate.to_dict() for gate in results]))[0]["passed"] is True


@pytest.mark.parametrize(
    ("changes", "name", "action"),
    [
        ({"rounds": 1}, "rounds", None),
        ({"label_counts": np.array([30, 30, 30])}, "labels", None),
        ({"label_counts": np.array([150, 60, 4])}, "classes", "search"),
        ({"label_counts": np.array([150, 60, 4]), "tried": ["search"]}, "classes", "generate"),
        ({"audit_errors": 14}, "label_noise", "relabel"),
        ({"audit_errors": 14, "tried": ["relabel"]}, "label_noise", "escalate"),
        ({"audit_errors": 40}, "label_noise", "escalate"),
        ({"strategies": ["margin"] * 9}, "monoculture", "other_strategy"),
        ({"strategies": ["search"], "streak": 1}, "monoculture", "other_strategy"),
    ],
)
def test_one_thing_missing_holds_the_stop_back_and_names_the_action(changes, name, action):
    (gate,) = blocking(gates(CONFIG, **evidence(**changes)))
    assert (gate.name, gate.action) == (name, action)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"label_counts": np.array([150, 60, 0])}, "classes"),
        ({"audit_errors": 40}, "label_noise"),
        ({"strategies": ["margin"] * 9}, "monoculture"),
    ],
)
def test_a_gate_that_no_action_could_open_is_reported_but_lets_go(changes, name):
    tried = ["search", "generate", "relabel", "escalate", "other_strategy"]
    results = gates(CONFIG, **evidence(**changes, tried=tried))
    (gate,) = [gate for gate in results if not gate.passed]
    assert gate.name == name
    assert gate.waived
    assert "every action was tried" in gate.detail
    assert blocking(results) == []


def classes_gate(counts, predictions):
    return coverage(CONFIG, 9, np.array(counts), np.array(predictions), NAMES)[2]


def test_a_rare_class_needs_no_more_labels_but_one_never_seen_does():
    mostly_sport = np.repeat([0, 1, 2], [700, 295, 5])
    assert classes_gate([100, 60, 4], mostly_sport).passed
    unseen = classes_gate([100, 60, 0], np.repeat([0, 1], [700, 300]))
    assert not unseen.passed
    assert unseen.classes == (2,)
    assert "'art' 0 (predicted share 0.0%)" in unseen.detail


def test_many_labels_need_two_for_each():
    names = [str(k) for k in range(80)]
    results = coverage(CONFIG, 9, np.full(80, 1), np.zeros(10, dtype=int), names)
    assert results[1].detail == "80 labels, at least 160 wanted"


def test_without_audit_the_noise_gate_passes_and_says_uncalibrated():
    gate = label_noise(CONFIG, 0, 0)
    assert gate.passed
    assert "uncalibrated" in gate.detail


def test_a_small_audit_says_how_many_would_do():
    gate = label_noise(CONFIG, 0, 10)
    assert not gate.passed
    assert "without an error 19 would do" in gate.detail
    assert label_noise(CONFIG, 0, 19).passed
    assert not label_noise(CONFIG, 0, 18).passed


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_noise_gate_is_monotone_in_errors(errors, more, audited):
    if errors + more <= audited and label_noise(CONFIG, errors + more, audited).passed:
        assert label_noise(CONFIG, errors, audited).passed


def test_what_follows_the_student_is_confirmed_by_what_does_not():
    assert not monoculture(["typiclust", "margin", "margin"], 2).passed
    assert monoculture(["margin", "random"], 1).passed
    assert monoculture(["random"] * 9, 3).passed
    assert monoculture(["margin", "entropy"], 2).passed
    assert monoculture(["margin", "margin", "typiclust"], 2).passed
    assert not monoculture([], 0).passed


def test_a_power_law_is_found_again():
    n = np.arange(50, 1050, 50)
    curve = fit_power_law(n.tolist(), 0.92 - 1.5 * n**-0.6)
    assert curve == pytest.approx((0.92, 1.5, 0.6), rel=1e-3)
    assert curve.slope(1000) == pytest.approx(1.5 * 0.6 * 1000**-1.6, rel=1e-3)
    flat = fit_power_law([1, 2, 3, 4], np.array([0.8, 0.7, 0.6, 0.5]))
    assert flat.slope(10) == 0
    assert fit_power_law([10, 20, 30, 40], np.array([0.7, 0.9, 0.99, 1.0])).a <= 1
    with pytest.raises(ValueError, match="four or more"):
        fit_power_law([1, 2, 3], np.zeros(3))


def test_the_gold_gate_holds_back_while_a_label_pays():
    n = np.arange(50, 1050, 50)
    accuracy = 0.92 - 1.5 * n**-0.6
    pays = 1.5 * 0.6 * 1000**-1.6 * 1000 * USD
    holds = gold(n.tolist(), accuracy, 300, 1000 * USD, round(pays * 0.9))
    assert blocking([holds]) == [holds]
    assert holds.action is None
    had = gold(n.tolist(), accuracy, 300, 1000 * USD, round(pays * 0.9), held=True)
    assert blocking([had]) == []
    assert "had its round" in had.detail
    assert gold(n.tolist(), accuracy, 300, 1000 * USD, round(pays * 1.1)).passed
    assert "not judged" in gold(n.tolist(), accuracy, 299, 1000 * USD, 1).detail
    assert "cost nothing" in gold(n.tolist(), accuracy, 300, 1000 * USD, 0).detail
