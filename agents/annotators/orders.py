"""How a question is put: in which order the labels are shown, and in which words it is asked.

An attempt below ``CHECK_ATTEMPTS`` is a question whose answer counts as a vote. From there on it is
one of the critic's checks: the same question under another order of the labels, in other words,
word for word once more, or after an objection to the first answer. A check is a measurement; its
answer is no vote. The number says all that is needed to ask it again: which order, which objection.
"""

from __future__ import annotations

from math import gcd
from typing import Literal

from ...tools.ledger import CHECK_ATTEMPTS

CheckPurpose = Literal["check_order", "check_template", "check_retest", "check_counter"]
FIRST_ATTEMPT: dict[CheckPurpose, int] = {
    "check_order": CHECK_ATTEMPTS,
    "check_template": 2 * CHECK_ATTEMPTS,
    "check_retest": 3 * CHECK_ATTEMPTS,
    "check_counter": 4 * CHECK_ATTEMPTS,
}
"""Attempts of one check lie between its own number and the next one's."""
SIDE_BY_SIDE = 1000 * CHECK_ATTEMPTS
"""From here on the check of the order shows two labels next to each other; see `turned_pair`."""
REWORDED_FROM = 2
"""Re-asks before this one differ in the order of the labels, later ones in the words as well."""
_SHIFTS = 4


def check_of(attempt: int) -> CheckPurpose | None:
    """Which check an attempt belongs to; ``None`` for a question whose answer is a vote."""
    if attempt >= SIDE_BY_SIDE:
        return "check_order"
    passed = [purpose for purpose, first in FIRST_ATTEMPT.items() if attempt >= first]
    return passed[-1] if passed else None


def reworded(attempt: int) -> bool:
    """Whether an attempt is asked with the paraphrased template."""
    check = check_of(attempt)
    return check == "check_template" or (check is None and attempt >= REWORDED_FROM)


def objection_to(label: int) -> int:
    """The attempt that asks again after the objection that a class is not the right one."""
    return FIRST_ATTEMPT["check_counter"] + label


def denied(attempt: int) -> int | None:
    """The class number that an attempt objects to; ``None`` where it objects to none."""
    if check_of(attempt) != "check_counter":
        return None
    return attempt - FIRST_ATTEMPT["check_counter"]


def turned_pair(labels: int, one: int, other: int) -> int:
    """The attempt that shows two labels side by side, turned round against the first question.

    Effects of the order arise where the two most probable labels are close, most of all where they
    stand first and last, and least where they are adjacent (Pezeshkpour and Hruschka,
    arXiv 2308.11483): an answer that changes all the same is in doubt. One of the two orders is
    enough, the one that puts first what came second when the label was given.

    Args:
        labels: K, at least 2.
        one: A class number.
        other: Another one.
    """
    return SIDE_BY_SIDE + max(one, other) * labels + min(one, other)


def label_order(labels: int, attempt: int) -> list[int]:
    """Class numbers in the order in which an attempt shows them, a permutation of range(K).

    A re-ask turns the list, so that it does not repeat a slip of position; a step without a divisor
    in common with K meets every turn before it repeats. The check of the order takes the list
    backwards or turned by one of four shifts, close to all permutations at a fraction of their
    price (PA-GRPO, arXiv 2603.21016), or puts two labels side by side (`turned_pair`). A check of
    another kind shows the usual order.

    Args:
        labels: K.
        attempt: As in `Question`.
    """
    usual = list(range(labels))
    check = check_of(attempt)
    if check is None:
        step = next(s for s in range(-(-labels // 2), labels + 1) if gcd(s, labels) == 1)
        turn = attempt * step % labels
        return usual[turn:] + usual[:turn]
    if attempt >= SIDE_BY_SIDE:
        return _side_by_side(labels, *divmod(attempt - SIDE_BY_SIDE, labels))
    if check == "check_order":
        return other_orders(labels)[attempt - FIRST_ATTEMPT[check]]
    return usual


def other_orders(labels: int) -> list[list[int]]:
    """The orders that a check may show: backwards, then cyclic shifts; without repetitions."""
    usual = list(range(labels))
    shifts = (round(labels * number / (_SHIFTS + 1)) for number in range(1, _SHIFTS + 1))
    found = [usual[::-1], *(usual[shift:] + usual[:shift] for shift in shifts)]
    return [order for at, order in enumerate(found) if order not in [usual, *found[:at]]]


def _side_by_side(labels: int, first: int, second: int) -> list[int]:
    """Two labels in the middle of the list, where neither has the pull of an end."""
    rest = [label for label in reversed(range(labels)) if label not in (first, second)]
    half = len(rest) // 2
    return [*rest[:half], first, second, *rest[half:]]
