"""A look of the stop rule in plain words: whether the run goes on, and what decided it.

It is read out of what the ledger holds of the look, so it says the same of runs of earlier versions
as far as they have written the figures down.
"""

from __future__ import annotations

import re
from typing import Any

from ..money import show

_LIMITS = frozenset(("cap", "max_rounds"))
_GATES = {
    "rounds": "it has learned in too few rounds to be sure",
    "labels": "there are too few labels to be sure",
    "classes": "some labels have too few examples",
    "label_noise": "too many of the labels may be wrong",
    "monoculture": "the texts were lately all chosen in the same way, which may miss some",
    "gold": "by the trusted audits another label is still worth its price",
}
"""What a gate that holds a stop back has found, by its name."""
_ACTIONS = {
    "generate": "texts for these labels are written",
    "search": "the next batch searches for texts of these labels",
    "relabel": "doubtful labels are asked about again",
    "escalate": "doubtful labels are put to a stronger annotator",
    "other_strategy": "the next batch is chosen in another way",
}
"""What the next round does about it, by the action's name."""
_ACCEPTED = {
    **_ACTIONS,
    "generate": "texts are written",
    "search": "the next batch searches for it",
}


def in_plain_words(decision: dict[str, Any], evidence: dict[str, Any]) -> str:
    """One to three sentences on a look of the stop rule, before its arithmetic.

    Args:
        decision: Of a ``stop_check``: why the run stops, or what the next round is ordered to do.
        evidence: Of the same: the check, and the gates.
    """
    check = evidence.get("check") or {}
    stop, order = decision.get("stop"), decision.get("order")
    if stop:
        return _stops(stop, check)
    if check.get("verdict") in {"propose_stop", "stop"}:
        return f"It would stop: {_reason(check)}. {_held_back(order, evidence)}"
    if order:
        wanted = _ACCEPTED.get(order["action"], _plain(order["action"]))
        return f"It goes on with what an accepted proposal asks for: {wanted}."
    return _goes_on(check)


def _stops(stop: dict[str, Any], check: dict[str, Any]) -> str:
    reason, detail = str(stop.get("reason")), str(stop.get("detail"))
    # The rule has a limit on rounds of its own.
    if reason in _LIMITS or (reason == "cost_plateau" and _at_limit(check)):
        return f"It stops at a limit that was set: {detail}.{_unlimited(check)}"
    if reason == "operator":
        return f"It stops because it was told to.{_unlimited(check)}"
    if reason == "pool_exhausted":
        return "It stops: there is no text left to ask about."
    if reason in {"certificate", "cost_plateau"}:
        return f"It stops: {_reason(check)}."
    if reason == "spend_less":
        rule = f" By the rule alone it would go on: {words}." if (words := _weighed(check)) else ""
        return f"It stops: a model that looked at the figures chose to spend no more.{rule}"
    return f"It stops: {detail}."


def _goes_on(check: dict[str, Any]) -> str:
    if not check:
        return "It goes on: there is nothing to weigh before the first training."
    if check.get("churn") is None:
        if int(check.get("stop_set") or 0) < 2:
            return "It goes on: with so few texts nothing can be measured, so only limits end it."
        return "It goes on: it takes two rounds to see whether labels still change anything."
    if check.get("rule"):
        counted = re.search(r"(\d+) of (\d+) checks in a row", str(check.get("why")))
        wanted = f"{counted[2]} checks in a row" if counted else "several checks in a row"
        so_far = f" ({counted[1]} so far)" if counted else ""
        return (
            f"It goes on for now: {_reason(check)}. It stops once that is so in {wanted}{so_far}."
        )
    if _free(check):
        moved = "" if check.get("weighted") else f" about {check['churn']:.1%} of the stop set"
        return f"It goes on: the next batch is free, and the student still changes its mind{moved}."
    return f"It goes on: {_reason(check)}."


def _held_back(order: dict[str, Any] | None, evidence: dict[str, Any]) -> str:
    """Why a stop that the rule proposes does not come, and what happens instead."""
    failed = [
        gate
        for gate in evidence.get("gates") or []
        if not gate.get("passed") and not gate.get("waived")
    ]
    action = order["action"] if order else None
    acting = [gate for gate in failed if action and gate.get("action") == action]
    if not failed:
        wanted = f": {_ACCEPTED.get(action, _plain(action))}" if action else ""
        return f"But a proposal that was accepted comes first{wanted}."
    name = str((acting or failed)[0].get("name"))
    found = _GATES.get(name, f"the gate {_plain(name)} does not pass")
    does = _ACTIONS.get(action, _plain(action)) if action else "there is another round first"
    return f"But {found}, so {does}."


def _reason(check: dict[str, Any]) -> str:
    """What the rule goes by, as the rest of a sentence."""
    if _at_limit(check):
        return str(check.get("why"))
    most, spent = check.get("certificate_gain"), check.get("money_window")
    if check.get("certificate") and most is not None and spent is not None:
        window = int(check.get("window") or 1)
        rounds = "round" if window == 1 else f"{window} rounds"
        return f"the last {rounds} cost {show(spent)} and brought {show(most)} at the very most"
    if check.get("rule") and _free(check):
        return (
            "the next batch is free, so money does not decide, but the student hardly changes "
            "its mind any more"
        )
    return _weighed(check) or str(check.get("why") or "nothing was checked")


def _weighed(check: dict[str, Any]) -> str:
    """The next batch: its price beside what it should bring; empty where that is not known."""
    gain, price = check.get("next_gain"), check.get("money_next")
    if gain is None or not price:
        return ""
    head = f"the next batch costs about {show(price)} and"
    if gain <= 0:
        return f"{head} is not expected to make the labels any better"
    if show(gain) == show(price):
        return f"{head} is expected to be worth {'about as much' if gain >= price else 'just less'}"
    if gain > price:
        return f"{head} should make the labels better by about {show(gain)}"
    return f"{head} is expected to be worth only {show(gain)}"


def _unlimited(check: dict[str, Any]) -> str:
    """What the limit has kept it from, for those who may want to raise it."""
    gain, price = check.get("next_gain"), check.get("money_next")
    if gain is None or not price:
        return ""
    return (
        f" Another batch would have cost about {show(price)}, and was expected to be worth "
        f"{show(max(gain, 0))}."
    )


def _at_limit(check: dict[str, Any]) -> bool:
    return str(check.get("why") or "").startswith("the cap of ")


def _free(check: dict[str, Any]) -> bool:
    return check.get("next_gain") is not None and not check.get("money_next")


def _plain(name: str | None) -> str:
    return str(name).replace("_", " ")
