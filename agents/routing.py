"""Whom to ask next about an item, and whether any answer is worth its price.

The cascade is a problem of optimal stopping: the state of an item is who has voted and how probable
its label is then, the actions are to keep the label or to ask one more annotator. It is solved
backwards over the sets of annotators, the value of going on being a regression on the probability
of the label over audited items (Longstaff and Schwartz, 2001, least squares replaced by a kernel).
So overlap counts (a copy of who has voted changes no label), and so does what may follow: a cheap
vote that mostly saves a dear one is worth more than it tells, and two votes may pay where one does
not. Money per error is stated, as in FrugalGPT (Chen, Zaharia and Zou, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .experience import Experience

WIDTH = 0.08
"""Width of the kernel over the probability of the label."""
SAME_LABEL = 2.0
"""How much more an item with the same label says than one with another."""
LOOKAHEAD = 3
"""Votes on an item that are thought of at once, where more than `ALL_SETS` may be asked."""
ALL_SETS = 6
_BLOCK = 4096
_HALVINGS = 6
_Place: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], int]
_End: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Routes:
    """What is best done about n items.

    Attributes:
        annotator: Column of whom to ask, -1 where no answer is worth its price, shape (n,).
        net: Expected net value of asking, in nanodollars, shape (n,).
        total: Expected money, with what may follow, in nanodollars, shape (n,).
    """

    annotator: NDArray[np.int64]
    net: NDArray[np.float64]
    total: NDArray[np.float64]


@dataclass(frozen=True)
class Option:
    """What came of one action on the items of the experience, where it was chosen well from there.

    Attributes:
        gain: Worth after it less worth before, shape (a,).
        later: Money that followed the vote itself, shape (a,).
        weight: How much each item counts, shape (a,).
    """

    gain: NDArray[np.float64]
    later: NDArray[np.float64]
    weight: NDArray[np.float64]


@dataclass
class Plan:
    """The stopping problem at one cost of an error and one price of each annotator.

    Attributes:
        experience: What is known of every set of annotators.
        prices: Price of a usual vote of each annotator in nanodollars, shape (m,).
        error_cost: What a wrong label costs, in nanodollars.
    """

    experience: Experience
    prices: NDArray[np.float64]
    error_cost: float
    _solved: dict[_Place, _End] = field(default_factory=dict)

    def options(
        self, voted: tuple[int, ...], others: tuple[int, ...], ahead: int
    ) -> dict[int, Option]:
        """What asking each of ``others`` has come to, when ``voted`` have voted.

        Args:
            voted: Columns.
            others: Columns of those that may be asked.
            ahead: Most votes that may follow, this one among them.
        """
        before = self.experience.after(voted).worth
        answered = self.experience.ballot.answers > 0
        base = self.experience.weight * answered[:, list(voted)].all(axis=1)
        found = {}
        for column in others:
            rest = tuple(other for other in others if other != column)
            after, spent = self._best(tuple(sorted((*voted, column))), rest, ahead - 1)
            found[column] = Option(after - before, spent, base * answered[:, column])
        return found

    def _best(self, voted: tuple[int, ...], others: tuple[int, ...], ahead: int) -> _End:
        """Worth at the end and money spent, if the best is done after ``voted``, each (a,)."""
        place = (voted, others, ahead)
        if place not in self._solved:
            self._solved[place] = self._solve(*place)
        return self._solved[place]

    def _solve(self, voted: tuple[int, ...], others: tuple[int, ...], ahead: int) -> _End:
        standing = self.experience.after(voted)
        worth, spent = standing.worth.copy(), np.zeros(len(standing.worth))
        if not others or not ahead:
            return worth, spent
        near = _nearness(standing.p_correct, standing.label, standing.p_correct, standing.label)
        # What came of an item itself must not decide what is done about it.
        np.fill_diagonal(near, 0.0)
        best = np.zeros(len(worth))
        for column, option in self.options(voted, others, ahead).items():
            gain, later = _smooth(near, option)
            gain = np.minimum(gain, self.experience.panel.ceiling - standing.p_correct)
            net = self.error_cost * gain - self.prices[column] - later
            better = net > best
            best = np.where(better, net, best)
            worth = np.where(better, standing.worth + option.gain, worth)
            spent = np.where(better, self.prices[column] + option.later, spent)
        return worth, spent


def route(
    experience: Experience,
    voted: NDArray[np.bool_],
    p_correct: NDArray[np.float64],
    label: NDArray[np.int64],
    prices: NDArray[np.float64],
    open_to: NDArray[np.bool_],
    *,
    error_cost: float,
) -> Routes:
    """For each item the annotator whose vote, with what may follow, is worth most.

    Args:
        experience: What is known of every set of annotators.
        voted: Who has given a valid vote, shape (n, m).
        p_correct: Probability of the label that the item has now, shape (n,).
        label: That label, shape (n,).
        prices: Price of a vote in nanodollars, shape (n, m).
        open_to: Who may be asked, shape (n, m).
        error_cost: What a wrong label costs, in nanodollars.
    """
    n, m = voted.shape
    routes = Routes(np.full(n, -1, np.int64), np.full(n, -np.inf), np.zeros(n))
    if not n:
        return routes
    usual = prices.mean(axis=0)
    plan = Plan(experience, usual, error_cost)
    # Longer texts cost more with everybody, about alike.
    scale = prices / np.where(usual > 0, usual, 1.0)
    kinds, members = np.unique(
        np.concatenate([voted, open_to], axis=1), axis=0, return_inverse=True
    )
    for number, kind in enumerate(kinds):
        rows = np.flatnonzero(members.reshape(-1) == number)
        seen = tuple(np.flatnonzero(kind[:m]).tolist())
        others = tuple(column for column in np.flatnonzero(kind[m:]).tolist() if column not in seen)
        if others:
            for start in range(0, len(rows), _BLOCK):
                block = rows[start : start + _BLOCK]
                _fill(routes, plan, block, seen, others, p_correct, label, scale)
    return routes


def first_voters(
    experience: Experience,
    p_correct: NDArray[np.float64],
    label: NDArray[np.int64],
    prices: NDArray[np.float64],
    order: Sequence[int],
    *,
    accept_at: float,
) -> NDArray[np.int64]:
    """Whom to ask first about items without votes: the cheapest that may save the next one.

    An annotator is passed over where, on audited items like it (as probable a label by the
    student's word, and rather the same), its vote alone so seldom makes a label probable enough
    that the money it saves, the next one's price, is less than its own price.

    Args:
        experience: What is known of every set of annotators.
        p_correct: Probability of the student's label, shape (n,).
        label: The student's label, shape (n,).
        prices: Price of a vote in nanodollars, shape (n, m).
        order: Columns of who may be asked, cheap first.
        accept_at: How probable is enough.

    Returns:
        Column by item, shape (n,).
    """
    chosen = np.full(len(label), order[-1], np.int64)
    undecided = np.ones(len(label), bool)
    standing = experience.after(())
    near = _nearness(p_correct, label, standing.p_correct, standing.label)
    for column, following in pairwise(order):
        enough = (experience.after((column,)).p_correct >= accept_at).astype(np.float64)
        weight = experience.weight * (experience.ballot.answers[:, column] > 0)
        suffices, _ = _smooth(near, Option(enough, np.zeros(len(enough)), weight))
        pays = undecided & (suffices * prices[:, following] >= prices[:, column])
        chosen[pays] = column
        undecided &= ~pays
    return chosen


def _fill(
    routes: Routes,
    plan: Plan,
    rows: NDArray[np.int64],
    voted: tuple[int, ...],
    others: tuple[int, ...],
    p_correct: NDArray[np.float64],
    label: NDArray[np.int64],
    scale: NDArray[np.float64],
) -> None:
    standing = plan.experience.after(voted)
    near = _nearness(p_correct[rows], label[rows], standing.p_correct, standing.label)
    room = np.maximum(plan.experience.panel.ceiling - p_correct[rows], 0.0)
    ahead = len(others) if len(others) <= ALL_SETS else LOOKAHEAD
    for column, option in plan.options(voted, others, ahead).items():
        gain, later = _smooth(near, option)
        price = scale[rows, column] * (plan.prices[column] + later)
        net = plan.error_cost * np.minimum(gain, room) - price
        better = net > routes.net[rows]
        routes.net[rows[better]] = net[better]
        routes.total[rows[better]] = price[better]
        routes.annotator[rows[better]] = column


def _nearness(
    p: NDArray[np.float64],
    label: NDArray[np.int64],
    others_p: NDArray[np.float64],
    others_label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How much each item of the experience says about each item, shape (n, a)."""
    away = (p[:, None] - others_p) / WIDTH
    near = np.exp(-0.5 * away * away) + 1e-6
    near *= np.where(label[:, None] == others_label, SAME_LABEL, 1.0)
    return np.asarray(near, np.float64)


def _smooth(
    near: NDArray[np.float64], option: Option
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain and later money of one option at each item (Nadaraya and Watson, 1964)."""
    weight = option.weight
    columns = np.stack([weight, weight * option.gain, weight * option.later], axis=1)
    mass, gain, later = (near @ columns).T
    mass = np.maximum(mass, 1e-12)
    return gain / mass, later / mass


def buy(
    experience: Experience,
    voted: NDArray[np.bool_],
    p_correct: NDArray[np.float64],
    label: NDArray[np.int64],
    prices: NDArray[np.float64],
    open_to: NDArray[np.bool_],
    *,
    error_cost: float,
    left: float | None,
) -> NDArray[np.int64]:
    """Votes that are worth their price, the best value for the money where it does not reach.

    Where the money left does not pay for all that is worth its price, money itself has a price:
    the cost of an error is divided by the least factor at which what is wanted, with all that is
    expected to follow, can be paid. So a cap buys many cheap votes rather than a few dear ones.

    Args:
        experience: As in `route`, like those that follow.
        voted: Shape (n, m).
        p_correct: Shape (n,).
        label: Shape (n,).
        prices: Shape (n, m).
        open_to: Shape (n, m).
        error_cost: What a wrong label costs, in nanodollars.
        left: Money left in nanodollars; ``None`` without a cap.

    Returns:
        Column of whom to ask about each item, -1 for nobody, shape (n,).
    """

    def routes_at(cost: float) -> Routes:
        # A vote that alone costs more than is left is out of reach, whatever it is worth.
        within = open_to if left is None else open_to & (prices <= left)
        given = (voted, p_correct, label, prices, within)
        return route(experience, *given, error_cost=cost)

    def wanted(routes: Routes) -> NDArray[np.bool_]:
        return np.asarray((routes.annotator >= 0) & (routes.net > 0), np.bool_)

    routes = routes_at(error_cost)
    if left is None or routes.total[wanted(routes)].sum() <= left:
        return np.where(wanted(routes), routes.annotator, -1)
    low, high = 0.0, 12.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = routes_at(error_cost / 2**middle)
        if found.total[wanted(found)].sum() > left:
            low = middle
        else:
            high, routes = middle, found
    chosen = _pay(routes, wanted(routes), prices, left)
    if (chosen >= 0).any():
        return chosen
    # Not even the best of it: then whatever is worth its price and can be paid.
    routes = routes_at(error_cost)
    return _pay(routes, wanted(routes), prices, left)


def _pay(
    routes: Routes, wanted: NDArray[np.bool_], prices: NDArray[np.float64], left: float
) -> NDArray[np.int64]:
    """The wanted votes while the money lasts, the greatest net value for a dollar first."""
    chosen = np.full(len(wanted), -1, np.int64)
    rows = np.flatnonzero(wanted)
    value = routes.net[rows] / np.maximum(routes.total[rows], 1.0)
    for row in rows[np.lexsort((rows, -value))].tolist():
        price = prices[row, routes.annotator[row]]
        if price <= left:
            left -= price
            chosen[row] = routes.annotator[row]
    return chosen
