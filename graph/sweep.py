"""The sweep: votes that are worth their price, item by item."""

from __future__ import annotations

from collections import defaultdict

from ..agents.ballot import Ballot
from ..agents.ensemble import Ask, ask
from ..agents.panel import Panel
from ..agents.verdict import Verdict
from .context import RunContext
from .guarantee import money_kept
from .rounds import RoundFit
from .whom import worth_buying


def worth_asking(
    ctx: RunContext,
    ballot: Ballot,
    verdict: Verdict,
    panel: Panel,
    out_of_reach: set[str],
    *,
    audited: int,
    fit: RoundFit | None,
) -> list[Ask]:
    """For each item the vote with the greatest net value, while the money lasts.

    People are not asked: the loop, where they can be, is over.
    """
    if not ballot.item_ids:
        return []
    left = ctx.ledger.left()
    if left is not None:
        left -= money_kept(ctx)
    chosen = worth_buying(
        ctx,
        ballot,
        verdict,
        panel,
        audited=audited,
        fit=fit,
        out_of_reach=out_of_reach,
        left=left,
    )
    grouped: dict[int, list[str]] = defaultdict(list)
    for row, column in enumerate(chosen.tolist()):
        if column >= 0:
            grouped[column].append(ballot.item_ids[row])
    return [
        ask(ctx.voters[column].name, items, "sweep") for column, items in sorted(grouped.items())
    ]
