"""Where the cost-plateau rule would have stopped a recorded run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .audit import macro_weights
from .plateau import Check, StoppingConfig, check

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]


def checks_of(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    *,
    labels: Sequence[int] | None = None,
    proba: Sequence[Floats | None] | None = None,
    classes: int | None = None,
) -> Iterator[Check]:
    """The check after each round of a recorded run, each with the streak of the one before.

    Args:
        history: predictions of every round on the stop set.
        money: cumulative nanodollars of every round.
        value: A in nanodollars.
        config: the rule's parameters.
        labels: labels by each round.
        proba: probabilities of each round's student on the stop set.
        classes: number K of labels; only for the target macro_f1.

    Raises:
        ValueError: as `check`.
    """
    streak = 0
    for end in range(1, len(history) + 1):
        found = check(
            history[:end],
            money[:end],
            value,
            config,
            streak,
            proba=proba[end - 1] if proba else None,
            labels=labels[:end] if labels else None,
            class_weights=class_weights(config, history[end - 1], classes),
        )
        streak = found.streak
        yield found


def simulate(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    **known: Any,
) -> int | None:
    """The first round (from 1) at which the rule would have stopped, gates aside, or None.

    Arguments as `checks_of`.
    """
    checks = checks_of(history, money, value, config, **known)
    return next((found.round for found in checks if found.verdict != "continue"), None)


def class_weights(
    config: StoppingConfig, predictions: Ints, classes: int | None
) -> NDArray[np.float64] | None:
    """Weights of the classes for the configured target; None for plain accuracy."""
    if config.target == "accuracy" or classes is None or not len(predictions):
        return None
    return macro_weights(predictions, classes)


def sensitivity(checks: Iterable[Check], config: StoppingConfig) -> dict[str, int | None]:
    """Stop rounds if accuracy were worth a third, as much, three times as much; gates aside.

    Everything scales with A, and A is the number people know least. Gains are proportional to it,
    so the checks that were made say what they would have come to.

    Args:
        checks: one for each round, in order.
        config: patience and the cap on rounds.

    Returns:
        Stop round (None: goes on) under the keys "A/3", "A" and "3A".
    """
    kept = list(checks)
    factors = {"A/3": 1 / 3, "A": 1.0, "3A": 3.0}
    return {name: _stop_if(kept, factor, config) for name, factor in factors.items()}


def _stop_if(checks: Sequence[Check], factor: float, config: StoppingConfig) -> int | None:
    streak = 0
    for one in checks:
        if one.round >= config.max_rounds:
            return one.round
        if one.next_gain is None or one.certificate_gain is None:
            streak = 0
            continue
        if one.money_next == 0:
            rule = one.rule
        elif factor * one.certificate_gain < one.money_window:
            return one.round
        else:
            rule = factor * one.next_gain < one.money_next
        streak = streak + 1 if rule else 0
        if streak >= config.patience:
            return one.round
    return None
