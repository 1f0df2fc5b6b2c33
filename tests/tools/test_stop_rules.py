"""Every stop rule on records that are made for it."""

import numpy as np
import pytest

from labelwright.tools.plateau import StoppingConfig
from labelwright.tools.stop_rules import STOP_RULES, RunRecord, cohens_kappa

USD = 1_000_000_000


def settling(rounds=12, n=400, classes=3, seed=0):
    """Predictions that change less from round to round, and what they come to."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    rows = [rng.integers(0, classes, n)]
    for number in range(1, rounds):
        mended = rng.random(n) < 0.6 / number
        rows.append(np.where(mended, truth, rows[-1]))
    rows += [rows[-1]] * 3
    history = np.stack(rows)
    return history, (history == truth).mean(axis=1)


def last_change():
    """The last round, from 1, in which a prediction changed."""
    history, _ = settling()
    return max(t for t in range(1, len(history)) if (history[t] != history[t - 1]).any()) + 1


def record(**changes):
    history, accuracy = settling()
    rounds = len(history)
    sure = np.linspace(0.4, 0.999, rounds)
    proba = np.stack([np.tile([p, (1 - p) / 2, (1 - p) / 2], (history.shape[1], 1)) for p in sure])
    base = {
        "predictions": history,
        "money": np.arange(1, rounds + 1) * USD,
        "labels": np.arange(1, rounds + 1) * 100,
        "value": 100 * USD,
        "classes": 3,
        "config": StoppingConfig(),
        "proba": proba,
        "audit_accuracy": accuracy,
        "audited": np.full(rounds, 100),
    }
    return RunRecord(**base | changes)


@pytest.mark.parametrize("name", sorted(STOP_RULES))
def test_every_rule_has_a_source_and_stops_in_the_rounds_or_not_at_all(name):
    rule = STOP_RULES[name]
    assert rule.source
    stop = rule(record())
    assert stop is None or 1 <= stop <= 15
    # What it has not seen yet can not have moved it.
    if stop is not None:
        full = record()
        short = record(
            predictions=full.predictions[:stop],
            money=full.money[:stop],
            labels=full.labels[:stop],
            proba=full.proba[:stop],
            audit_accuracy=full.audit_accuracy[:stop],
            audited=full.audited[:stop],
        )
        assert rule(short) == stop


@pytest.mark.parametrize("name", ["cost_plateau", "certificate", "marginal_gain"])
def test_rules_that_know_the_value_go_on_for_more_where_it_is_greater(name):
    rule = STOP_RULES[name]
    config = StoppingConfig(prior_rho=0.15)
    made = [record(value=value * USD, config=config) for value in (5, 500, 50_000)]
    stops = [rule(one) or 99 for one in made]
    assert stops == sorted(stops)
    assert stops[0] < stops[-1]


def test_kappa_by_hand():
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert cohens_kappa(a, b, 2) == pytest.approx((0.75 - 0.5) / 0.5)
    assert cohens_kappa(a, a, 2) == 1
    assert cohens_kappa(np.zeros(4, int), np.zeros(4, int), 2) == 1


def test_stabilising_predictions_wait_for_three_models_that_agree():
    stops = [STOP_RULES["kappa"](record(), threshold=t) for t in (0.9, 0.97, 0.999)]
    assert stops == sorted(stops)
    assert stops[-1] == last_change() + 2


def test_classification_change_stops_when_nothing_moves():
    assert STOP_RULES["classification_change"](record()) == last_change() + 1
    assert STOP_RULES["classification_change"](record(), threshold=0.5) == 2


def test_delta_f_is_that_of_the_old_model_by_the_new():
    history = np.zeros((6, 100), int)
    history[1:, :50] = 1
    small = record(predictions=history, **of_rounds(6))
    assert STOP_RULES["delta_f"](small) == 5


def of_rounds(rounds):
    full = record()
    return {
        "money": full.money[:rounds],
        "labels": full.labels[:rounds],
        "proba": None,
        "audit_accuracy": None,
        "audited": None,
    }


def test_an_accuracy_plateau_is_patience_without_a_new_best():
    accuracy = np.array([0.5, 0.6, 0.602, 0.7, 0.7, 0.7])
    history = np.zeros((6, 50), int)
    seen = record(predictions=history, **of_rounds(6) | {"audit_accuracy": accuracy})
    assert STOP_RULES["accuracy_plateau"](seen) == 6
    assert STOP_RULES["accuracy_plateau"](seen, patience=1) == 3


def test_fixed_budgets():
    assert STOP_RULES["fixed_labels"](record(), labels=450) == 5
    assert STOP_RULES["fixed_budget"](record(), usd=3) == 3
    assert STOP_RULES["fixed_budget"](record(), usd=100) is None
    assert STOP_RULES["to_the_end"](record()) is None


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no parameter 'kappa'"):
        STOP_RULES["kappa"](record(), kappa=1)
    with pytest.raises(ValueError, match="needs an audit"):
        STOP_RULES["marginal_gain"](record(audit_accuracy=None))
    with pytest.raises(ValueError, match="probabilities"):
        STOP_RULES["overall_uncertainty"](record(proba=None))
    assert STOP_RULES["marginal_gain"].lacks(record(audit_accuracy=np.full(15, np.nan)))


@pytest.mark.parametrize("name", sorted(STOP_RULES))
def test_without_a_stop_set_only_rules_that_need_none_can_be_tried(name):
    seen = record()
    empty = record(predictions=seen.predictions[:, :0], proba=seen.proba[:, :0])
    needs = STOP_RULES[name].lacks(empty)
    others = {"accuracy_plateau", "marginal_gain", "fixed_labels", "fixed_budget", "to_the_end"}
    assert (needs is None or "stop set" not in needs) == (name in others)
