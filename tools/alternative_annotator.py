"""The alternative annotator test: may a model take the place of people on this task?

Calderon, Reichart and Dror (ACL 2025, arXiv 2501.10970): each person in turn is left out and held
to the others, and so is the model. Where the model agrees with the others as well as the person
does, but for an advantage eps that people get for being who is meant to be replaced, it wins
against that person. It may replace people if it wins against half of them or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.integer[Any]]

NO_VOTE = -1
FEWEST_PEOPLE = 3
FEWEST_ITEMS = 30
EPSILON = {"expert": 0.2, "skilled": 0.15, "crowd": 0.1}
"""Advantage by who the people are: the dearer they are, the more a model may be forgiven."""


@dataclass(frozen=True)
class HeldTo:
    """The comparison with one person.

    Attributes:
        person: Who was left out.
        n: Items on which the person, the model and at least one other have voted.
        model_advantage: Share of them on which the model agrees with the others at least as well.
        person_advantage: Share of them on which the person does.
        p_value: One-sided, of the hypothesis that the model is worse by eps or more.
        won: Whether it is rejected, at the false discovery rate over all people.
    """

    person: str
    n: int
    model_advantage: float
    person_advantage: float
    p_value: float
    won: bool


@dataclass(frozen=True)
class AltTest:
    """What the test says of one model.

    Attributes:
        winning_rate: omega, share of the people against whom the model wins; None where the test
            can not be done.
        advantage: rho, mean probability that the model is at least as good as a random person.
        replaces: Whether omega is 0.5 or more.
        people: One comparison each.
        why_not: Why the test can not be done.
    """

    winning_rate: float | None
    advantage: float | None
    replaces: bool
    people: tuple[HeldTo, ...]
    why_not: str | None = None


def alternative_annotator_test(
    model: Ints,
    people: Ints,
    names: Sequence[str],
    *,
    epsilon: float = EPSILON["skilled"],
    q: float = 0.05,
    fewest_items: int = FEWEST_ITEMS,
) -> AltTest:
    """Hold a model and each person to the other people.

    On an item, S is the share of the other people that agree; the model's indicator is 1 where its
    S is at least the person's, and the other way round. Per person a paired one-sided t-test of
    ``mean(person - model) >= eps``, and the procedure of Benjamini and Yekutieli (2001) over the
    people, whose tests depend on each other.

    Args:
        model: (n,) class numbers, -1 where the model gave none: it agrees with nobody.
        people: (n, h) class numbers, -1 where a person has not voted.
        names: Length h.
        epsilon: Advantage of people in [0, 1), see `EPSILON`.
        q: False discovery rate.
        fewest_items: Items that each person must have in common with others.

    Returns:
        The result, with the reason where there are too few people or items.

    Raises:
        ValueError: If shapes differ.
    """
    if people.ndim != 2 or model.shape != people.shape[:1] or len(names) != people.shape[1]:
        raise ValueError(f"{model.shape} of the model, {people.shape} of {len(names)} people")
    if len(names) < FEWEST_PEOPLE:
        return _unanswered(f"{len(names)} people have voted; it takes {FEWEST_PEOPLE} or more")
    compared = [
        _advantages(model, people[:, j], np.delete(people, j, axis=1)) for j in range(len(names))
    ]
    few = [
        f"{name} ({len(mine)})"
        for name, (_, mine) in zip(names, compared, strict=True)
        if len(mine) < fewest_items
    ]
    if few:
        return _unanswered(
            f"each person needs {fewest_items} texts that another person has labelled, too; too "
            f"few have {', '.join(few)}"
        )
    p_values = [_p_value(mine - models, epsilon) for models, mine in compared]
    won = benjamini_yekutieli(p_values, q)
    held = tuple(
        HeldTo(name, len(mine), float(models.mean()), float(mine.mean()), p, wins)
        for name, (models, mine), p, wins in zip(names, compared, p_values, won, strict=True)
    )
    rate = sum(won) / len(won)
    advantage = float(np.mean([one.model_advantage for one in held]))
    return AltTest(rate, advantage, rate >= 0.5, held)


def benjamini_yekutieli(p_values: Sequence[float], q: float) -> list[bool]:
    """Which hypotheses are rejected at false discovery rate q under any dependence (2001).

    Args:
        p_values: One a hypothesis.
        q: False discovery rate.
    """
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    harmonic = sum(1 / k for k in range(1, m + 1))
    last = max(
        (k for k, i in enumerate(order, 1) if p_values[i] <= k * q / (m * harmonic)), default=0
    )
    rejected = set(order[:last])
    return [i in rejected for i in range(m)]


def _advantages(
    model: Ints, person: Ints, others: Ints
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Indicators (model at least as good, person at least as good), each of shape (items,)."""
    given = others != NO_VOTE
    usable = (person != NO_VOTE) & given.any(axis=1)
    given, others = given[usable], others[usable]
    count = given.sum(axis=1)

    def agreement(votes: Ints) -> NDArray[np.float64]:
        same = (others == votes[usable][:, None]) & given
        return np.asarray(same.sum(axis=1) / count, np.float64)

    models, mine = agreement(model), agreement(person)
    return (models >= mine).astype(np.float64), (mine >= models).astype(np.float64)


def _p_value(difference: NDArray[np.float64], epsilon: float) -> float:
    """Of a paired one-sided t-test of the mean difference against eps."""
    from scipy.stats import t

    n = len(difference)
    gap, spread = float(difference.mean()) - epsilon, float(difference.std(ddof=1))
    if spread == 0:
        # Always the same: the difference is what it is, there is nothing to test.
        return 0.0 if gap < 0 else 1.0
    return float(t.cdf(gap / (spread / sqrt(n)), n - 1))


def _unanswered(why: str) -> AltTest:
    return AltTest(None, None, False, (), why)
