"""The run's side of routing: from ledger, prices and roster to whom to ask about each item."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from ..agents.ballot import Ballot
from ..agents.ensemble import Voter, same_again
from ..agents.experience import Experience, gather
from ..agents.panel import ENOUGH, Panel
from ..agents.routing import Routes, buy, first_voters, route
from ..agents.verdict import Verdict, weigh
from ..tools.aggregation import NO_VOTE
from .context import RunContext
from .roster import Roster, judge_members, roster, spare, vote_prices
from .rounds import RoundFit
from .state import RunState
from .value import error_cost

Following = Callable[[int], tuple[Voter, int] | None]
BACKGROUND = 200
"""Items of the pool whose student's probabilities stand for all."""


def experience_of(ctx: RunContext, audited: int, fit: RoundFit | None, panel: Panel) -> Experience:
    """What the audits show of every set of annotators."""
    ids = ctx.audit_ids(audited)
    rows = ctx.splits.audit_order[:BACKGROUND]
    return gather(
        ctx.ballot(ids),
        ctx.student_view(ids, fit) if ids else None,
        panel,
        len(ctx.labels),
        background=ctx.student_view(ctx.ids(rows), fit),
        rng=ctx.rng(0, "routing"),
    )


def may_ask(
    ctx: RunContext,
    ballot: Ballot,
    label: NDArray[np.int64],
    members: Roster | None,
    out_of_reach: Collection[str],
    *,
    people: bool,
) -> NDArray[np.bool_]:
    """Who can be asked about each item: in reach, on the roster and not asked yet, (n, m)."""
    open_to: NDArray[np.bool_] = ballot.answers == 0
    for column, voter in enumerate(ctx.voters):
        if voter.name in out_of_reach or (voter.person and not people):
            open_to[:, column] = False
    if members is not None:
        open_to &= members.open_to(ballot.annotators, label)
    return open_to


def following_of(
    ctx: RunContext,
    state: RunState,
    ballot: Ballot,
    verdict: Verdict,
    panel: Panel,
    fit: RoundFit | None,
    *,
    doubted: Collection[str],
    closed: NDArray[np.bool_],
    out_of_reach: Collection[str],
) -> tuple[Following, list[str]]:
    """Whom the critic would ask next about each item of a round.

    The same annotator again after an answer that was no label; otherwise the one whose vote is
    worth most, if it is worth its price. An item without any vote needs one whatever it is worth.
    Who is broken, bad or redundant is found here, and asked no more.

    Args:
        ctx: The run.
        state: Of the round.
        ballot: Votes on n items.
        verdict: What they add up to.
        panel: What is known of the annotators.
        fit: The last student.
        doubted: Items whose label failed a check: it is taken to be no better than a coin.
        closed: Items about which nobody is to be asked, shape (n,).
        out_of_reach: Annotators that the budget no longer pays for.

    Returns:
        A function from a row of the ballot to the annotator and the attempt, and the names of all
        that are out of reach or dropped.
    """
    step, round_, audited = state["step"], state["round"], state["audited"]
    fresh = [] if state["passes"] else judge_members(ctx, step, round_, audited, fit, panel)
    members = roster(ctx, fresh)
    names = set(doubted)
    suspect = np.asarray([item in names for item in ballot.item_ids], bool)
    p_correct = np.where(suspect, np.minimum(verdict.p_correct, 0.5), verdict.p_correct)
    prices = vote_prices(ctx, ballot.item_ids)
    experience = experience_of(ctx, audited, fit, panel)
    voted = ballot.votes != NO_VOTE
    needed = ~voted.any(axis=1)
    worth = float(error_cost(ctx))

    def columns(on: Roster | None) -> NDArray[np.int64]:
        open_to = may_ask(ctx, ballot, verdict.label, on, out_of_reach, people=True)
        routes = route(
            experience, voted, p_correct, verdict.label, prices, open_to, error_cost=worth
        )
        routes = _with_people(ctx, routes, p_correct, prices, open_to, worth)
        return np.where((routes.net > 0) | needed, routes.annotator, -1)

    chosen = columns(members)
    if members.dropped:
        due = ~closed & (suspect | needed | (verdict.p_correct < ctx.config.critic.accept_at))
        _note_spared(ctx, state, ballot, np.where(due, columns(None), -1), members)
    never = sorted({*out_of_reach, *members.dropped})
    attempts = ctx.config.critic.attempts

    def following(row: int) -> tuple[Voter, int] | None:
        if closed[row]:
            return None
        again = same_again(ctx.voters, ballot, row, out_of_reach=never, attempts=attempts)
        if again is not None or chosen[row] < 0:
            return again
        return ctx.voters[int(chosen[row])], 0

    return following, never


def _note_spared(
    ctx: RunContext, state: RunState, ballot: Ballot, wanted: NDArray[np.int64], members: Roster
) -> None:
    spared = {
        voter.name: [ballot.item_ids[row] for row in np.flatnonzero(wanted == column).tolist()]
        for column, voter in enumerate(ctx.voters)
        if voter.name in members.dropped
    }
    spare(ctx, state["step"], state["round"], spared)


def first_of(
    ctx: RunContext,
    items: list[str],
    members: Roster,
    *,
    audited: int,
    fit: RoundFit | None,
    lead: int,
) -> dict[str, str]:
    """Annotator that is asked first about each item, where the usual first one would not help.

    Until a student and enough audits tell items apart all go to the same one.
    """
    models = [voter for voter in members.voters if not voter.person]
    order = [ctx.voters.index(voter) for voter in models[min(lead, len(models) - 1) :]]
    view = ctx.student_view(items, fit) if items else None
    if view is None or len(order) < 2:
        return {}
    panel = ctx.panel(audited, fit)
    if panel.reference is None or int(panel.audited.max()) < ENOUGH:
        return {}
    ballot = ctx.ballot(items)
    unseen = ballot.shown(np.zeros(len(ballot.annotators), bool))
    verdict = weigh(unseen, panel, view, classes=len(ctx.labels))
    chosen = first_voters(
        experience_of(ctx, audited, fit, panel),
        verdict.p_correct,
        verdict.label,
        vote_prices(ctx, items),
        order,
        accept_at=ctx.config.critic.accept_at,
    )
    return {
        item: ctx.voters[column].name
        for item, column in zip(items, chosen.tolist(), strict=True)
        if column != order[0]
    }


def _with_people(
    ctx: RunContext,
    routes: Routes,
    p_correct: NDArray[np.float64],
    prices: NDArray[np.float64],
    open_to: NDArray[np.bool_],
    worth: float,
) -> Routes:
    """Send what would be set apart to a trusted person: no label is worth as little as a wrong one.

    So the person's answer gains the whole cost of an error there, and is asked for when it costs no
    more than that.
    """
    annotator, net, total = routes.annotator.copy(), routes.net.copy(), routes.total.copy()
    hopeless = (p_correct < ctx.config.critic.set_apart_below) & (net <= 0)
    for column, voter in enumerate(ctx.voters):
        if voter.person and voter.trusted:
            rows = hopeless & open_to[:, column] & (prices[:, column] <= worth)
            annotator[rows], total[rows] = column, prices[rows, column]
            # The least that counts as paying, where gain and price are the same.
            net[rows] = np.maximum(worth - prices[rows, column], 1.0)
            hopeless &= ~rows
    return Routes(annotator, net, total)


def worth_buying(
    ctx: RunContext,
    ballot: Ballot,
    verdict: Verdict,
    panel: Panel,
    *,
    audited: int,
    fit: RoundFit | None,
    out_of_reach: Collection[str],
    left: float | None,
) -> NDArray[np.int64]:
    """Columns of the votes that are worth their price, within the money left; -1 for none."""
    open_to = may_ask(ctx, ballot, verdict.label, roster(ctx), out_of_reach, people=False)
    prices = vote_prices(ctx, ballot.item_ids)
    chosen = buy(
        experience_of(ctx, audited, fit, panel),
        ballot.votes != NO_VOTE,
        verdict.p_correct,
        verdict.label,
        prices,
        open_to,
        error_cost=float(error_cost(ctx)),
        left=left,
    )
    # A free vote on an item that nobody has looked at is taken as it comes.
    unseen = (chosen < 0) & ~(ballot.answers > 0).any(axis=1)
    for column in range(len(ctx.voters)):
        free = unseen & open_to[:, column] & (prices[:, column] == 0)
        chosen[free] = column
        unseen &= ~free
    return chosen
