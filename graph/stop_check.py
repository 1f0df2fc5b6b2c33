"""The check of the cost-plateau rule after a round of a run: where its numbers come from."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tools.guarantee import LAST_AUDIT, REST
from ..tools.hindsight import class_weights
from ..tools.plateau import Check, check, expected_rho, window_of
from .change_audits import AUDIT_CHANGE, with_audits
from .context import RunContext
from .value import value

Rounds = list[tuple[int, Any, NDArray[np.int32]]]


def check_round(ctx: RunContext, rounds: Rounds, streak: int) -> Check:
    """Evaluate the rule on all closed rounds.

    Args:
        ctx: The run.
        rounds: As `loop_rounds` gives them, at least one.
        streak: Of the check before.
    """
    stopping = ctx.config.stopping
    history = [predictions for _, _, predictions in rounds]
    weights = class_weights(stopping, history[-1], len(ctx.labels))
    proba = stop_set_proba(ctx, rounds[-1][0])
    rho = None
    if len(history) > 1 and len(history[-1]) > 1:
        start = history[-1 - window_of(history, stopping)]
        rho = with_audits(ctx, history, expected_rho(stopping, start, history[-1], proba, weights))
    return check(
        history,
        [metrics["spent"] for _, metrics, _ in rounds],
        value(ctx).nano,
        stopping,
        streak,
        rho=rho,
        proba=proba,
        labels=[metrics["labels"] for _, metrics, _ in rounds],
        next_cost=next_cost(ctx, rounds),
        class_weights=weights,
    )


def loop_rounds(ctx: RunContext) -> Rounds:
    """The closed rounds of the loop, as `RunLog.rounds` gives them.

    The training after a sweep is none: its student has learned from the stop set. What a sweep and
    the last audit have cost is left out of the money of a run that was taken up again after them.
    """
    batches = {made.round for made in ctx.ledger.log.decisions("batch")}
    late: dict[int, int] = defaultdict(int)
    for vote in ctx.ledger.votes.all() if ctx.ledger.log.decisions(LAST_AUDIT) else ():
        # They are put after the training of their round, and so are money of what follows.
        if vote.purpose in {LAST_AUDIT, REST}:
            late[vote.round] += vote.cost
    found: Rounds = []
    before = spent = 0
    for number, metrics, predictions in ctx.ledger.log.rounds():
        cost, before = metrics["spent"] - before, metrics["spent"]
        cost -= sum(late.pop(round_) for round_ in list(late) if round_ < number)
        if number in batches:
            spent += cost
            found.append((number, {**metrics, "spent": spent}, predictions))
    return found


def stop_set_proba(ctx: RunContext, round_: int) -> NDArray[np.float32]:
    """Probabilities of a round's student on the stop set, (n, K)."""
    student, rows = ctx.round_fit(round_).student, ctx.splits.stop_set
    texts = ctx.pool.texts(ctx.ids(rows)) if student.tfidf is not None else None
    return student.predict_proba(ctx.pool.vectors()[rows], texts)


def next_cost(ctx: RunContext, rounds: Rounds) -> int:
    """Price of the next batch, in nanodollars: what the last ordinary rounds cost on average.

    The first round has the first audits in it, rounds that only relabel are no batches, and audits
    of changed predictions are bought once; none of them says what a batch costs.
    """
    batches = {d.round for d in ctx.ledger.log.decisions("batch") if d.decision["batch"]}
    extra: dict[int, int] = defaultdict(int)
    for vote in ctx.ledger.votes.all() if ctx.ledger.log.decisions(AUDIT_CHANGE) else ():
        # They are put after a round's training, and so are money of the round that follows.
        if vote.purpose == AUDIT_CHANGE:
            extra[vote.round + 1] += vote.cost
    costs: list[int] = [
        now["spent"] - before["spent"] - extra[number]
        for (_, before, _), (number, now, _) in pairwise(rounds)
        if number in batches
    ]
    if not costs:
        return int(rounds[-1][1]["spent"])
    last = costs[-ctx.config.stopping.window :]
    return max(0, round(sum(last) / len(last)))
