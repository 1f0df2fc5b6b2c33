"""Who may still be asked in a run, by the decisions in its log, and what they have saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..agents.ensemble import Voter, reference
from ..agents.membership import Membership, find_broken, find_dispensable, find_readmitted
from ..agents.panel import Panel
from ..tools.ledger import Decision
from .context import RunContext
from .rounds import RoundFit

KIND, SPARED = "membership", "spared"


@dataclass(frozen=True)
class Roster:
    """Who may be asked, and about what.

    Attributes:
        voters: The cascade without those that are dropped.
        beside: By the name of each that is dropped, whom it was dropped for; see `Membership`.
        classes: Class numbers that an annotator may be asked about, where that is restricted.
    """

    voters: tuple[Voter, ...]
    beside: Mapping[str, str | None]
    classes: Mapping[str, frozenset[int]]

    @property
    def dropped(self) -> frozenset[str]:
        """Names of those that are dropped."""
        return frozenset(self.beside)

    def open_to(self, names: Sequence[str], label: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each annotator may be asked about items with these labels so far, (n, m)."""
        open_ = np.ones((len(label), len(names)), bool)
        for column, name in enumerate(names):
            if name in self.beside:
                open_[:, column] = False
            elif name in self.classes:
                open_[:, column] = np.isin(label, sorted(self.classes[name]))
        return open_


def roster(ctx: RunContext, fresh: Sequence[Membership] = ()) -> Roster:
    """Who may be asked, by the decisions that were taken before the present step.

    Args:
        ctx: The run.
        fresh: Decisions of the present step.
    """
    number = {label: position for position, label in enumerate(ctx.labels)}
    earlier = [
        Membership(
            member["annotator"],
            member["action"],
            member["reason"],
            {},
            tuple(number[name] for name in member["labels"]),
            member.get("beside"),
        )
        for decision in _earlier(ctx, KIND)
        for member in decision.decision["members"]
    ]
    beside: dict[str, str | None] = {}
    classes: dict[str, frozenset[int]] = {}
    for member in [*earlier, *fresh]:
        if member.action == "drop":
            beside[member.annotator] = member.beside
        elif member.action == "restrict":
            classes[member.annotator] = frozenset(member.classes)
        else:
            beside.pop(member.annotator, None)
            classes.pop(member.annotator, None)
    voters = tuple(voter for voter in ctx.voters if voter.name not in beside)
    return Roster(voters, beside, classes)


def judge_members(
    ctx: RunContext, step: int, round_: int, audited: int, fit: RoundFit | None, panel: Panel
) -> list[Membership]:
    """Decide who is asked no more, and who is asked again, and write it down once.

    Broken annotators are looked for among all answers of the audit sample and of the round; the
    others are judged when enough is audited. Who comes back is judged with the others from the next
    round on.
    """
    settings = ctx.config.ensemble
    if not settings.membership:
        return []
    now = roster(ctx)
    target = reference(ctx.voters)
    keep = {voter.name for voter in ctx.voters if voter.trusted or voter.person or voter == target}
    ids = ctx.audit_ids(audited)
    active = [voter.name for voter in now.voters if not voter.person]
    found = find_broken(ctx.ballot([*ids, *_batch(ctx, round_, ids)]), active, keep)
    out = {member.annotator for member in found}
    active = [name for name in active if name not in out]
    if len(ids) >= settings.membership_audits:
        found += find_dispensable(
            ctx.ballot(ids),
            ctx.student_view(ids, fit),
            panel,
            usual_prices(ctx, ids).tolist(),
            active,
            keep,
            classes=len(ctx.labels),
            tolerance=settings.tolerance,
            restricted=now.classes,
        )
    found += find_readmitted(roster(ctx, found).beside)
    fresh = [member for member in found if not _known(now, member)]
    if fresh:
        _write_down(ctx, step, round_, fresh)
    return fresh


def _known(now: Roster, member: Membership) -> bool:
    return member.action == "restrict" and now.classes.get(member.annotator) == frozenset(
        member.classes
    )


def _batch(ctx: RunContext, round_: int, audits: Sequence[str]) -> list[str]:
    batches = [d for d in ctx.ledger.log.decisions("batch") if d.round == round_]
    known = set(audits)
    return [item for item in batches[-1].decision["batch"] if item not in known] if batches else []


def _write_down(ctx: RunContext, step: int, round_: int, found: Sequence[Membership]) -> None:
    members = [
        {
            "annotator": member.annotator,
            "action": member.action,
            "labels": [ctx.labels[label] for label in member.classes],
            "reason": member.reason,
            **({"beside": member.beside} if member.beside else {}),
        }
        for member in found
    ]
    evidence = {member.annotator: member.evidence for member in found}
    ctx.ledger.log.decide(Decision(step, round_, "critic", KIND, {"members": members}, evidence))
    ctx.notify({"event": KIND, "round": round_, "members": members})


def usual_prices(ctx: RunContext, ids: Sequence[str]) -> NDArray[np.float64]:
    """Mean price of a vote of each voter on some items, in nanodollars, shape (m,)."""
    prices = vote_prices(ctx, ids)
    return prices.mean(axis=0) if len(prices) else np.zeros(len(ctx.voters))


def vote_prices(ctx: RunContext, ids: Sequence[str]) -> NDArray[np.float64]:
    """Expected price of a vote in nanodollars, shape (n, m)."""
    texts = ctx.pool.texts(list(ids))
    prices = np.empty((len(texts), len(ctx.voters)))
    for column, voter in enumerate(ctx.voters):
        who = ctx.people[voter.name] if voter.person else ctx.annotators[voter.name]
        prices[:, column] = who.expect(texts)
    return prices


def spare(ctx: RunContext, step: int, round_: int, items: Mapping[str, Sequence[str]]) -> None:
    """Write down about which items a dropped annotator would have been asked."""
    before = _spared_items(ctx)
    fresh = {name: sorted(set(wanted) - before.get(name, set())) for name, wanted in items.items()}
    fresh = {name: wanted for name, wanted in sorted(fresh.items()) if wanted}
    if fresh:
        ctx.ledger.log.decide(Decision(step, round_, "critic", SPARED, fresh, None))


def _spared_items(ctx: RunContext) -> dict[str, set[str]]:
    spared: dict[str, set[str]] = {}
    for decision in _earlier(ctx, SPARED):
        for name, items in decision.decision.items():
            spared.setdefault(name, set()).update(items)
    return spared


def money_saved(ctx: RunContext) -> dict[str, dict[str, int]]:
    """Votes that dropped annotators would have been asked for and were not.

    Returns:
        By annotator: ``votes``, and ``nano``, what they would have cost in nanodollars.
    """
    saved = {}
    for name, items in sorted(_spared_items(ctx).items()):
        prices = ctx.annotators[name].expect(ctx.pool.texts(sorted(items)))
        saved[name] = {"votes": len(items), "nano": int(prices.sum())}
    return saved


def _earlier(ctx: RunContext, kind: str) -> list[Decision]:
    """Decisions before the present step: a node that runs again must not see its own."""
    found = ctx.ledger.log.decisions(kind)
    return [decision for decision in found if ctx.step is None or decision.step < ctx.step]
