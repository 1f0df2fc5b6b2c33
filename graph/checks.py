"""The critic's checks on labels: neighbours, confident learning, suspicion, and stability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import Ballot
from ..agents.checks import checked_answers, unstable
from ..tools.consistency import confident_learning, neighbour_disagreement
from .context import RunContext
from .doubt import doubt
from .labelled import training_set
from .rounds import RoundFit

NEIGHBOURS = "neighbours disagree"
LEARNING = "confident learning"
SUSPECT = "votes, student and descriptions"


def flagged_labels(ctx: RunContext, fit: RoundFit) -> dict[str, list[str]]:
    """Accepted labels that fail a check, the most suspect first.

    Labels of a trusted annotator and of written items are not doubted. Beside what neighbours and
    confident learning flag stand the most suspect labels, as many as are expected to be wrong.

    Returns:
        Names of the failed checks by item id.
    """
    if not usable(ctx, fit):
        return {}
    accepted = ctx.ledger.votes.concluded(ctx.step)
    synthetic = ctx.pool.origins()[ctx.row_numbers(fit.ids)]
    keep = [
        position
        for position, item in enumerate(fit.ids)
        if not synthetic[position] and not accepted[item].evidence["gold"]
    ]
    if len(fit.ids) < 2 * len(ctx.labels) or not keep:
        return {}
    learned = confident_learning(fit.labels, fit.out_of_sample)
    doubts = doubt(ctx, list(fit.ids), fit, fit.labels)
    suspects, score = doubts.suspicion.suspects(), doubts.suspicion.score
    near = _lonely(ctx, ctx.row_numbers(fit.ids), fit.labels)
    failed = {NEIGHBOURS: near, LEARNING: learned.flags, SUSPECT: suspects}
    doubtful = sorted(
        (position for position in keep if any(flags[position] for flags in failed.values())),
        key=lambda position: (-float(score[position]), fit.ids[position]),
    )
    return {
        fit.ids[position]: [name for name, flags in failed.items() if flags[position]]
        for position in doubtful
    }


def usable(ctx: RunContext, fit: RoundFit | None) -> bool:
    """Whether position in the pool says enough about labels for a check to rest on it.

    Where the student, out of sample, seldom agrees with accepted labels, most flags are false.
    Written texts are easy and prove nothing.
    """
    if fit is None:
        return False
    real = ~ctx.pool.origins()[ctx.row_numbers(fit.ids)]
    right = fit.out_of_sample[real].argmax(axis=1) == fit.labels[real]
    return bool(len(right)) and float(right.mean()) >= ctx.config.critic.checks_from


def flags_of_new(
    ctx: RunContext, ids: list[str], labels: NDArray[np.int64], fit: RoundFit | None
) -> dict[str, list[str]]:
    """Checks that new labels fail when they are held to the labelled items around them.

    Args:
        ctx: The run.
        ids: Items, length n.
        labels: The classes that they are about to get, shape (n,).
        fit: The last student, which tells whether the check is of use.
    """
    if not usable(ctx, fit):
        return {}
    known = training_set(ctx)
    others = ~np.isin(known.rows, ctx.row_numbers(ids))
    rows = np.concatenate([ctx.row_numbers(ids), known.rows[others]])
    classes = np.concatenate([labels, known.labels[others]])
    near = _lonely(ctx, rows, classes)[: len(ids)]
    return {item: [NEIGHBOURS] for item, alone in zip(ids, near, strict=True) if alone}


def unstable_labels(
    ctx: RunContext, ballot: Ballot, labels: NDArray[np.int64]
) -> dict[str, list[str]]:
    """Labels whose supporters all answered otherwise when they were asked again.

    Args:
        ctx: The run.
        ballot: Votes on n items.
        labels: The classes that they are about to get, shape (n,).
    """
    votes = [
        vote for given in ctx.ledger.votes.of_items(ballot.item_ids).values() for vote in given
    ]
    checked = {
        voter.name: checked_answers(votes, voter.name, ctx.labels)
        for voter in ctx.voters
        if voter.repeats
    }
    supporters = {
        item: [name for name, vote in zip(ballot.annotators, row, strict=True) if vote == label]
        for item, row, label in zip(
            ballot.item_ids, ballot.votes.tolist(), labels.tolist(), strict=True
        )
    }
    return unstable(checked, supporters)


def _lonely(
    ctx: RunContext, rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    k = ctx.config.critic.neighbours
    real = ~ctx.pool.origins()[rows]
    if int(real.sum()) <= k:
        return np.zeros(len(rows), bool)
    share = neighbour_disagreement(ctx.pool.vectors()[rows], labels, k=k, exclude=~real)
    # A class with fewer labels than neighbours can not agree with itself.
    common = np.bincount(labels[real], minlength=len(ctx.labels))[labels] > k
    return np.asarray((share >= ctx.config.critic.neighbours_disagree) & common, np.bool_)
