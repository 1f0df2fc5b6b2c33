"""The sweep: votes that are worth their price, item by item."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import Ballot
from ..agents.ensemble import Ask, ask
from ..agents.panel import Panel
from ..agents.verdict import Verdict, accuracy_after_vote
from .context import RunContext
from .value import error_cost


def worth_asking(
    ctx: RunContext, ballot: Ballot, verdict: Verdict, panel: Panel, out_of_reach: set[str]
) -> list[Ask]:
    """For each item the vote with the greatest net value, while the money lasts."""
    n = len(ballot.item_ids)
    if not n:
        return []
    texts = ctx.pool.texts(ballot.item_ids)
    worth = error_cost(ctx)
    best_net, best_cost = np.zeros(n), np.zeros(n, np.int64)
    best: NDArray[np.int64] = np.full(n, -1, np.int64)
    now = verdict.posterior.max(axis=1)
    for column, voter in enumerate(ctx.voters):
        if voter.person or voter.name in out_of_reach:
            continue
        after = accuracy_after_vote(
            verdict.posterior,
            float(panel.reliability[column]),
            trusted=voter.trusted,
        )
        cost = ctx.annotators[voter.name].expect(texts)
        net = (after - now) * worth - cost
        # A free vote on an item that nobody has looked at is taken as it comes.
        unseen = (cost == 0) & ~(ballot.answers > 0).any(axis=1) & (best < 0)
        better = ((net > best_net) | unseen) & (ballot.answers[:, column] == 0)
        best_net[better], best_cost[better], best[better] = net[better], cost[better], column
    return _within(ctx, ballot, best, best_cost, best_net)


def _within(
    ctx: RunContext,
    ballot: Ballot,
    best: NDArray[np.int64],
    cost: NDArray[np.int64],
    net: NDArray[np.float64],
) -> list[Ask]:
    left = ctx.ledger.left()
    order = np.lexsort((np.arange(len(best)), -net / np.maximum(cost, 1)))
    grouped: dict[int, list[str]] = defaultdict(list)
    for row in order.tolist():
        if best[row] < 0:
            continue
        if left is not None:
            if cost[row] > left:
                continue
            left -= int(cost[row])
        grouped[int(best[row])].append(ballot.item_ids[row])
    return [
        ask(ctx.voters[column].name, items, "sweep") for column, items in sorted(grouped.items())
    ]
