"""The plain sentence on each look of the stop rule, for every reason that the rule can give."""

import re
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.tools.gates import Action, gates, gold
from labelwright.tools.plateau import StoppingConfig, check
from labelwright.tools.watch import stop_words
from labelwright.tools.watch.stop_words import in_plain_words

USD = 10**9
PAYS = {"verdict": "continue", "why": "w", "churn": 0.1, "stop_set": 90, "rule": False,
        "next_gain": 11 * USD // 10, "money_next": 4 * USD // 10}  # fmt: skip
NOT = {**PAYS, "verdict": "propose_stop", "rule": True, "next_gain": 35 * USD // 100}
FREE = {**NOT, "money_next": 0, "next_gain": 0}
PROVEN = {**NOT, "verdict": "stop", "certificate": True, "window": 3,
          "money_window": 12 * USD // 10, "certificate_gain": 9 * USD // 10}  # fmt: skip
COSTS = "the next batch costs about $0.40 and is expected to be worth only $0.35"


def words(check, stop=None, order=None, failed=(), detail="because"):
    stop = stop and {"reason": stop, "detail": detail}
    order = order and {"action": order, "classes": []}
    found = [{"passed": False, "waived": False, **gate} for gate in failed]
    return in_plain_words({"stop": stop, "order": order}, {"check": check, "gates": found})


def gate(name, action=None, **more):
    return {"name": name, "action": action, "detail": "d", **more}


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (PAYS, "It goes on: the next batch costs about $0.40 and should make the labels better by "
               "about $1.10."),
        ({**PAYS, "next_gain": PAYS["money_next"] + 1},
         "It goes on: the next batch costs about $0.40 and is expected to be worth about as much."),
        (None, "It goes on: there is nothing to weigh before the first training."),
        ({**PAYS, "churn": None}, "It goes on: it takes two rounds to see"),
        ({**PAYS, "churn": None, "stop_set": 1}, "It goes on: with so few texts"),
        ({**PAYS, "money_next": 0}, "the next batch is free, and the student still changes its "
                                    "mind about 10.0% of the stop set."),
        ({**NOT, "verdict": "continue", "why": "costs more, 1 of 2 checks in a row"},
         f"It goes on for now: {COSTS}. It stops once that is so in 2 checks in a row (1 so far)."),
        # A check that an earlier version has written.
        ({"verdict": "continue", "why": "the window has paid", "churn": 0.1},
         "It goes on: the window has paid."),
    ],
)  # fmt: skip
def test_it_goes_on(check, told):
    assert told in words(check)


@pytest.mark.parametrize(
    ("check", "reason", "told"),
    [
        (NOT, "cost_plateau", f"It stops: {COSTS}."),
        ({**NOT, "next_gain": NOT["money_next"] - 1}, "cost_plateau", "expected to be worth just "
                                                                      "less."),
        ({**NOT, "next_gain": -5}, "cost_plateau", "not expected to make the labels any better."),
        (FREE, "cost_plateau", "It stops: the next batch is free, so money does not decide"),
        (PROVEN, "certificate", "It stops: the last 3 rounds cost $1.20 and brought $0.90 at the "
                                "very most."),
        ({**NOT, "why": "the cap of 4 rounds is reached"}, "cost_plateau", "It stops at a limit"),
        (PAYS, "cap", "It stops at a limit that was set: because. Another batch would have cost "
                      "about $0.40, and was expected to be worth $1.10."),
        (None, "cap", "It stops at a limit that was set: because."),
        (PAYS, "max_rounds", "It stops at a limit that was set: because. Another batch"),
        (PAYS, "operator", "It stops because it was told to. Another batch"),
        (PAYS, "pool_exhausted", "It stops: there is no text left to ask about."),
        (PAYS, "spend_less", "chose to spend no more. By the rule alone it would go on: the next "
                             "batch costs about $0.40 and should"),
        (PAYS, "something new", "It stops: because."),
    ],
)  # fmt: skip
def test_it_stops(check, reason, told):
    assert told in words(check, reason)


@pytest.mark.parametrize(
    ("check", "order", "failed", "told"),
    [
        (NOT, None, [gate("rounds")], f"It would stop: {COSTS}. But it has learned in too few "
                                      "rounds to be sure, so there is another round first."),
        (NOT, None, [gate("labels")], "there are too few labels to be sure, so there is another"),
        (NOT, "search", [gate("classes", "search")], "But some labels have too few examples, so "
                                                     "the next batch searches for texts of these"),
        (NOT, "generate", [gate("classes", "generate")], "so texts for these labels are written."),
        (NOT, "relabel", [gate("label_noise", "relabel")], "But too many of the labels may be "
                                                           "wrong, so doubtful labels are asked"),
        (NOT, "escalate", [gate("label_noise", "escalate")], "put to a stronger annotator."),
        (PROVEN, "other_strategy", [gate("monoculture", "other_strategy")],
         "It would stop: the last 3 rounds cost $1.20"),
        (NOT, None, [gate("gold")], "another label is still worth its price, so there is another"),
        # The first one that can act decides, not the first one that fails.
        (NOT, "relabel", [gate("rounds"), gate("label_noise", "relabel")], "But too many of"),
        (NOT, None, [gate("labels", waived=True)], "But a proposal that was accepted comes first."),
        (NOT, "generate", [], "accepted comes first: texts are written."),
        (PAYS, "generate", [gate("classes", "search")],
         "It goes on with what an accepted proposal asks for: texts are written."),
        (NOT, "new_action", [gate("new_gate", "new_action")],
         "But the gate new gate does not pass, so new action."),
    ],
)  # fmt: skip
def test_something_holds_a_stop_back(check, order, failed, told):
    assert told in words(check, order=order, failed=failed)


def test_every_gate_and_every_action_has_its_words():
    assert set(stop_words._ACTIONS) == set(get_args(Action))
    shown = gates(
        StoppingConfig(), rounds=1, label_counts=np.asarray([1, 1]), label_names=["a", "b"],
        stop_set_predictions=np.asarray([0, 1]), audit_errors=0, audited=0, strategies=[], streak=0,
    )  # fmt: skip
    shown.append(gold([], np.zeros(0), 0, 1, 1))
    assert {one.name for one in shown} == set(stop_words._GATES)


@settings(max_examples=60, deadline=None)
@given(
    moved=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    price=st.sampled_from([0, 1_000, USD]),
    patience=st.integers(1, 2),
    most=st.integers(2, 6),
    value=st.sampled_from([0, USD, 500 * USD]),
)
def test_whatever_the_rule_finds_is_said_in_whole_sentences(moved, price, patience, most, value):
    history = [np.zeros(60, int)]
    for n in moved:
        history.append(np.where(np.arange(60) < n, 1 - history[-1], history[-1]))
    config = StoppingConfig(patience=patience, max_rounds=most)
    money = [price * (n + 1) for n in range(len(history))]
    found = check(history, money, value, config, labels=[20 * (n + 1) for n in range(len(history))])
    told = words(found.to_dict())
    assert told.startswith("It goes on" if found.verdict == "continue" else "It would stop")
    assert re.fullmatch(r"[A-Z].*\.", told)
    assert not re.search(r"None|nan|_|  |\.\.", told)
