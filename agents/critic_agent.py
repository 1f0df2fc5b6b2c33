"""The critic agent: a model that reviews the disputed labels of a round and makes proposals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..tools.money import to_usd
from .ballot import Ballot
from .consult import clip, consult, opening_money, task_inputs
from .critic import CriticConfig, Ruling
from .critic_bench import PROPOSALS, Bench, Draft, Following, Proposal, Review
from .desk import Desk
from .ensemble import Voter
from .verdict import Verdict

AGENT, PURPOSE = "critic", "review labels"


@dataclass(frozen=True)
class Reviewed:
    """Rulings after the review.

    Attributes:
        by: ``rule``, ``rule: <why the model did not decide>`` or ``model <name>``.
        proposals: What the model suggests; nothing of it is applied.
        reason: The model's account of the round.
        settled: Items that the model accepted or set apart: nobody else is to be asked about them.
    """

    rulings: list[Ruling]
    by: str
    proposals: list[Proposal] = field(default_factory=list)
    reason: str = ""
    settled: tuple[str, ...] = ()


def review(
    desk: Desk,
    config: CriticConfig,
    rulings: Sequence[Ruling],
    ballot: Ballot,
    verdict: Verdict,
    next_voter: Following,
    *,
    same_voter: Following,
    price: Callable[[Sequence[str]], int | None],
    fixed: NDArray[np.bool_],
    allowed: int,
    round_: int,
    passes: int,
    table: Sequence[Mapping[str, object]],
) -> Reviewed:
    """Let the model, where there is one, look at the disputed labels of a round's first pass.

    Args:
        desk: The run.
        config: Thresholds, the model and how many labels it is shown.
        rulings: The rule policy's, in the ballot's order.
        ballot: Votes on n items.
        verdict: What they add up to.
        next_voter: Whom the cascade would ask next about a row, and in which attempt.
        same_voter: Who would be asked a second time about a row, and in which attempt.
        price: Expected cost of asking the next annotator about items, in nanodollars; ``None``
            where there is nobody.
        fixed: Rows that are not to be changed: gold and synthetic items, shape (n,).
        allowed: Most voted items that may be sent on, the rule's own included.
        round_: The round.
        passes: How often the critic has seen this batch.
        table: What the audits say of each annotator.

    Returns:
        One ruling an item; those that the model does not name are the rule's.

    Raises:
        ConfigError, CallStopped, EndpointError: As `consult`.
    """
    if config.model is None or passes > 0:
        return Reviewed(list(rulings), "rule")
    queue = disputed(rulings, verdict, fixed, config.review_limit)
    if not queue:
        return Reviewed(list(rulings), "rule: no label is disputed")
    money = opening_money(desk.ledger, agent=AGENT, purpose=PURPOSE, round_=round_)
    bench = Bench(
        desk=desk,
        config=config,
        rulings=rulings,
        ballot=ballot,
        verdict=verdict,
        next_voter=next_voter,
        same_voter=same_voter,
        allowed=allowed,
        table=table,
        queue=queue,
        account=money,
    )
    result = consult(
        desk,
        config.model,
        "critic/review",
        {
            **task_inputs(desk.task),
            "round": round_,
            "queue_summary": bench.summary(),
            "limits": {"sent_on": allowed, "proposals": PROPOSALS},
            "money": money,
            "steps_left": config.model.steps,
        },
        [bench.findings, bench.item, bench.neighbours, bench.annotator_table, bench.money],
        Review,
        submit_name="submit_review",
        agent=AGENT,
        purpose=PURPOSE,
        round_=round_,
        validate=bench.fault,
    )
    if result.decision is None:
        return Reviewed(list(rulings), f"rule: {result.failure}")
    drafts = result.decision.proposals
    return Reviewed(
        bench.apply(result.decision.outcomes),
        f"model {config.model.model}",
        [Proposal(**draft.model_dump(), price_usd=_price(draft, price)) for draft in drafts],
        clip(result.decision.reason, 600),
        tuple(o.item_id for o in result.decision.outcomes if o.action in {"accept", "set_apart"}),
    )


def disputed(
    rulings: Sequence[Ruling], verdict: Verdict, fixed: NDArray[np.bool_], limit: int
) -> list[int]:
    """Rows to be reviewed: those in dispute, then the least probable of the accepted.

    Returns:
        At most ``limit`` rows; none where nothing is in dispute. Items that go back to the pool
        have nothing to review.
    """
    order = np.argsort(verdict.p_correct, kind="stable").tolist()
    open_rows = [row for row in order if not fixed[row] and rulings[row].action != "return"]
    doubted = [row for row in open_rows if rulings[row].action != "accept" or rulings[row].flags]
    if not doubted:
        return []
    rest = [row for row in open_rows if row not in set(doubted)]
    return [*doubted, *rest][:limit]


def same_voter(
    order: Sequence[Voter],
    ballot: Ballot,
    row: int,
    *,
    out_of_reach: Collection[str],
    attempts: int,
) -> tuple[Voter, int] | None:
    """Who can be asked about an item a second time: the last of the cascade that it has met.

    Args:
        order: The cascade.
        ballot: Votes, with the answers counted.
        row: The item's row in the ballot.
        out_of_reach: Annotators that the budget no longer pays for.
        attempts: Most answers that one annotator is asked for on one item.

    Returns:
        The annotator and the attempt, or ``None`` where another answer can not be had.
    """
    answers = [int(ballot.answers[row, ballot.annotators.index(v.name)]) for v in order]
    met = [(voter, given) for voter, given in zip(order, answers, strict=True) if given]
    if not met:
        return None
    voter, given = met[-1]
    can = voter.repeats and not voter.person and given < attempts
    return (voter, given) if can and voter.name not in out_of_reach else None


def _price(draft: Draft, price: Callable[[Sequence[str]], int | None]) -> float | None:
    if draft.kind != "relabel_items":
        return None
    nano = price(list(dict.fromkeys(draft.items)))
    return None if nano is None else to_usd(nano)
