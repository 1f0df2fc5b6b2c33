"""What the rules propose at the end of a round, from all votes and audits so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import NO_LABEL_FITS
from ..agents.critic_bench import Proposal
from ..agents.panel import Panel
from ..agents.proposals import of_annotators, of_classes, of_confusions, of_label_set, of_suspects
from ..agents.suspects import Suspects
from ..tools.aggregation import NO_VOTE
from ..tools.codebook import label_set_faults, refusals
from ..tools.ledger import CHECK_ATTEMPTS, Vote
from ..tools.money import to_usd
from .checks import flagged_labels
from .context import RunContext
from .doubt import doubt, was_audited
from .rounds import RoundFit

NO_LABEL = frozenset((NO_LABEL_FITS, "not_in_label_set"))
"""Invalid answers that say something of the label set; the others are slips of form."""
OUTSIDE = "not_in_label_set"
_PRICED = 200
_RELABELLED = 20
_SURELY = 0.5


@dataclass(frozen=True)
class Seen:
    """Votes on the items seen so far, as the rules look at them.

    Attributes:
        ids: Length n.
        labels: What they are labelled without the trusted annotators, ``NO_VOTE`` for none, (n,).
        drawn: Whether an item is of the audit sample, shape (n,).
        invalid: Share of the answers on an item that say that no label fits, shape (n,).
        audited: By row the true class, or words for a label that is not there, or ``None``.
    """

    ids: list[str]
    judged: Suspects
    labels: NDArray[np.int64]
    drawn: NDArray[np.bool_]
    invalid: NDArray[np.float64]
    audited: dict[int, int | str | None]


def proposals_by_rule(
    ctx: RunContext,
    fit: RoundFit | None,
    panel: Panel,
    price: Callable[[Sequence[str]], int | None],
) -> list[Proposal]:
    """All that the rules have to propose now.

    Args:
        ctx: The run.
        fit: The last student.
        panel: What the audits say of the annotators.
        price: Expected cost of the next votes on items, in nanodollars.
    """
    seen = look(ctx, fit)
    if not seen.ids:
        return []
    vectors = ctx.pool.vectors()[ctx.row_numbers(seen.ids)]
    votes, given, truth = seen.judged.ballot.votes, seen.labels, seen.judged.truth
    faults = label_set_faults(
        vectors, votes, given, seen.invalid, seen.audited, classes=len(ctx.labels)
    )
    texts = ctx.pool.texts(seen.ids)
    real = int((~ctx.pool.origins()).sum())
    rows = np.flatnonzero(seen.drawn & (truth != NO_VOTE) & (given != NO_VOTE))
    made = of_label_set(faults, ctx.labels, seen.ids, texts, _vote_usd(ctx), real)
    made += of_confusions(given[rows], truth[rows], ctx.labels, [seen.ids[row] for row in rows])
    made += _annotators(ctx, panel, seen)
    made += _suspects(ctx, fit, price)
    return [*made, *_classes(ctx)]


def look(ctx: RunContext, fit: RoundFit | None) -> Seen:
    """Collect votes and audits."""
    synthetic = ctx.pool.origins()
    votes: dict[str, list[Vote]] = {}
    for vote in ctx.ledger.votes.all():
        if vote.attempt < CHECK_ATTEMPTS and not synthetic[ctx.pool.index(vote.item_id)]:
            votes.setdefault(vote.item_id, []).append(vote)
    ids = sorted(votes, key=ctx.pool.index)
    judged = doubt(ctx, ids, fit)
    trusted = {voter.name for voter in ctx.voters if voter.trusted}
    names = [voter.name for voter in ctx.voters if not voter.trusted]
    answered = np.zeros((len(ids), len(names)), bool)
    refused = np.zeros_like(answered)
    audited: dict[int, int | str | None] = {}
    drawn = was_audited(ctx, ids)
    for row, item in enumerate(ids):
        for vote in votes[item]:
            if vote.annotator in names:
                column = names.index(vote.annotator)
                answered[row, column] = True
                # Of several answers the last one counts.
                refused[row, column] = vote.invalid in NO_LABEL
        if not drawn[row]:
            continue
        if judged.truth[row] != NO_VOTE:
            audited[row] = int(judged.truth[row])
            continue
        for vote in votes[item]:
            if vote.annotator in trusted and vote.invalid in NO_LABEL:
                audited[row] = vote.reason if vote.invalid == OUTSIDE else None
    voted = (judged.ballot.votes != NO_VOTE).any(axis=1)
    return Seen(
        ids,
        judged,
        np.where(voted, judged.labels, NO_VOTE),
        drawn,
        refusals(refused, answered),
        audited,
    )


def _vote_usd(ctx: RunContext) -> float | None:
    """What a vote costs at the annotator that is asked first."""
    models = [voter.name for voter in ctx.voters if not voter.person]
    if not models:
        return None
    sample = ctx.pool.texts(ctx.pool.ids[:_PRICED])
    return float(ctx.annotators[models[0]].expect(sample).mean()) / 1e9


def _annotators(ctx: RunContext, panel: Panel, seen: Seen) -> list[Proposal]:
    sample = ctx.pool.texts(ctx.pool.ids[:_PRICED])
    table: list[dict[str, object]] = []
    right: dict[str, int] = {}
    for column, voter in enumerate(ctx.voters):
        if voter.person or voter.trusted or voter.name == panel.reference:
            continue
        votes, truth = seen.judged.ballot.votes[:, column], seen.judged.truth
        asked = seen.drawn & (truth != NO_VOTE) & (votes != NO_VOTE)
        right[voter.name] = int((votes == truth)[asked].sum())
        price = int(ctx.annotators[voter.name].expect(sample).mean())
        table.append({"annotator": voter.name, "audited": int(asked.sum()), "price": price})
    return of_annotators(table, right)


def _suspects(
    ctx: RunContext, fit: RoundFit | None, price: Callable[[Sequence[str]], int | None]
) -> list[Proposal]:
    """Accepted labels that are rather wrong than right and can be put to somebody else."""
    if fit is None:
        return []
    flagged = flagged_labels(ctx, fit)
    judged = doubt(ctx, list(fit.ids), fit, fit.labels)
    p_wrong = dict(zip(fit.ids, judged.suspicion.p_wrong.tolist(), strict=True))
    likely = (item for item in flagged if p_wrong[item] >= _SURELY)
    open_ones = list(islice((i for i in likely if price([i]) is not None), _RELABELLED))
    cost = price(open_ones) if open_ones else None
    return of_suspects(
        open_ones, [p_wrong[item] for item in open_ones], None if cost is None else to_usd(cost)
    )


def _classes(ctx: RunContext) -> list[Proposal]:
    generation = ctx.config.generation
    rounds = ctx.ledger.log.rounds()
    if generation.model is None or len(rounds) < ctx.config.stopping.min_rounds:
        return []
    return of_classes(
        rounds[-1][1]["classes"],
        ctx.config.stopping.class_min_labels,
        generation.model.usd_per_decision,
    )
