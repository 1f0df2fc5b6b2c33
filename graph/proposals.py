"""Proposals of a run: made by rules each round, decided by a person or a policy, then taken up.

Everything is in the ledger's log. ``proposals``: what was suggested, numbered in order from 1.
Directives ``accept_proposal`` and ``dismiss_proposal`` {number} are a person's word, of which the
first one counts; a decision ``accepted`` {number} is the policy's. ``applied`` {number, what} says
what became of it; ``membership`` is read by the roster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from ..agents.critic import ProposalKind
from ..agents.critic_bench import Proposal
from ..agents.ensemble import reference
from ..tools.ledger import Decision, Ledger
from .context import RunContext
from .roster import roster
from .state import Order, RunState

ACCEPT, DISMISS = "accept_proposal", "dismiss_proposal"
RUN_KINDS: frozenset[str] = frozenset(get_args(ProposalKind))


@dataclass(frozen=True)
class Listed:
    """One proposal with its number and what became of it."""

    number: int
    round: int
    by: str
    proposal: Proposal
    accepted: str | None
    applied: str | None
    dismissed: bool = False


def listed(ledger: Ledger, before: int | None = None) -> list[Listed]:
    """All proposals of a run in their order.

    Args:
        ledger: The run's.
        before: Leave out what this step and later ones did, so that a step that runs again after a
            crash finds what it found the first time.
    """
    log = ledger.log
    said = _said(ledger)
    person = {number: "person" for number, kind in said.items() if kind == ACCEPT}
    policy = {d.decision["number"]: "policy" for d in _until(log.decisions("accepted"), before)}
    accepted = policy | person
    applied = {
        d.decision["number"]: d.decision["what"] for d in _until(log.decisions("applied"), before)
    }
    found: list[Listed] = []
    for made in log.decisions("proposals"):
        for written in made.decision["proposals"]:
            number = len(found) + 1
            proposal = Proposal.model_validate(written)
            found.append(
                Listed(
                    number,
                    made.round,
                    str(made.evidence["by"]),
                    proposal,
                    accepted.get(number),
                    applied.get(number),
                    number not in accepted and said.get(number) == DISMISS,
                )
            )
    return found


def _said(ledger: Ledger) -> dict[int, str]:
    """What a person has said of proposals, by number; the first word counts."""
    said: dict[int, str] = {}
    for order in ledger.log.directives():
        number = order.payload.get("number") if isinstance(order.payload, dict) else None
        if order.kind in {ACCEPT, DISMISS} and isinstance(number, int):
            said.setdefault(number, order.kind)
    return said


def awaiting(ledger: Ledger, before: int | None = None) -> list[Listed]:
    """Accepted proposals that the run itself can put into effect and has not yet."""
    return [
        entry
        for entry in listed(ledger, before)
        if entry.accepted and entry.applied is None and entry.proposal.kind in RUN_KINDS
    ]


def propose(
    ctx: RunContext, state: RunState, proposals: list[Proposal], by: str, reason: str
) -> None:
    """Write new proposals down, and accept those that the policy accepts."""
    agent = "critic" if by != "rule" else "rule"
    earlier = [entry.proposal for entry in listed(ctx.ledger) if entry.round < state["round"]]
    fresh = [
        new for new in proposals if by != "rule" or not any(_same(new, old) for old in earlier)
    ]
    if not fresh:
        return
    written = [proposal.model_dump() for proposal in fresh]
    ctx.ledger.log.decide(
        Decision(
            state["step"],
            state["round"],
            agent,
            "proposals",
            {"proposals": written},
            {"by": by, "reason": reason},
        )
    )
    ctx.notify({"event": "proposals", "round": state["round"], "proposals": written})
    _accept_by_policy(ctx, state)


def take_up(ctx: RunContext, state: RunState) -> list[str]:
    """Put accepted proposals into effect at a safe point.

    Returns:
        Items whose labels are to be put to the next annotator.
    """
    items: list[str] = []
    gone: set[str] = set()
    _turn_away(ctx.ledger)
    for entry in awaiting(ctx.ledger, state["step"]):
        proposal = entry.proposal
        if proposal.kind == "relabel_items":
            known = [item for item in proposal.items if item in ctx.pool]
            items += known
            _applied(ctx, state, entry, f"{len(known)} labels are put to the next annotator")
        elif proposal.kind == "drop_annotator" and (why := _needed(ctx, proposal.target, gone)):
            _applied(ctx, state, entry, f"{proposal.target} is not dropped: {why}")
        elif proposal.kind == "drop_annotator":
            gone.add(proposal.target)
            out = {"annotator": proposal.target, "action": "drop", "labels": []}
            members = [{**out, "reason": f"proposal {entry.number}: {proposal.evidence}"}]
            _decide(ctx, state, entry, "membership", {"members": members})
            _applied(ctx, state, entry, f"{proposal.target} is asked no more")
    return list(dict.fromkeys(items))


def _turn_away(ledger: Ledger) -> None:
    """Answer orders to accept what was dismissed before, or was never proposed."""
    entries = listed(ledger)
    for order in ledger.log.directives(ACCEPT, pending=True):
        number = order.payload.get("number") if isinstance(order.payload, dict) else None
        if not isinstance(number, int) or not 1 <= number <= len(entries):
            ledger.log.acknowledge(order.seq, f"refused: there is no proposal {number}")
        elif entries[number - 1].dismissed:
            ledger.log.acknowledge(order.seq, f"refused: proposal {number} was dismissed before")


def _needed(ctx: RunContext, name: str, gone: set[str]) -> str | None:
    """Why a run can not go on without an annotator; ``None`` where it can.

    Args:
        ctx: The run.
        name: The annotator's.
        gone: Those that are dropped in this very step.
    """
    voter = next((voter for voter in ctx.voters if voter.name == name), None)
    if voter is None:
        return "there is no annotator of this name"
    if voter.trusted or voter == reference(ctx.voters):
        return "the audits rest on it"
    models = [one.name for one in roster(ctx).voters if not one.person and one.name not in gone]
    return "it is the last one that can be asked" if models == [name] else None


def order_of_proposals(
    ctx: RunContext, state: RunState, hard: dict[str, str] | None
) -> tuple[bool, Order | None]:
    """What accepted proposals ask of the next round.

    Args:
        ctx: The run.
        state: Its state.
        hard: Why the run must stop, if it must. Under a cap they wait, for it can be raised.

    Returns:
        Whether there is one to be put into effect, so that the run goes on for it, and the order.
    """
    waiting = awaiting(ctx.ledger, state["step"])
    again = any(entry.proposal.kind == "relabel_items" for entry in waiting)
    if hard is not None and hard["reason"] == "pool_exhausted" and again:
        # There is nothing new to choose, and old labels can still be put to somebody else.
        return True, None
    if hard is not None:
        for entry in waiting if hard["reason"] != "cap" else ():
            _applied(ctx, state, entry, f"not carried out, the run is over: {hard['detail']}")
        return False, None
    wanted = [entry for entry in waiting if entry.proposal.kind == "generate_for_class"]
    known = [entry for entry in wanted if entry.proposal.target in ctx.labels]
    able = ctx.config.generation.enabled and ctx.config.generation.model is not None
    action = "generate" if able else "search"
    for entry in wanted:
        what = f"the next round is to {action} for it" if entry in known else "no such label"
        _applied(ctx, state, entry, what)
    classes = sorted({ctx.labels.index(entry.proposal.target) for entry in known})
    order = Order(action=action, classes=classes) if classes else None  # type: ignore[typeddict-item]
    return bool(waiting), order


def _until(decisions: list[Decision], before: int | None) -> list[Decision]:
    return [made for made in decisions if before is None or made.step < before]


def _same(new: Proposal, old: Proposal) -> bool:
    shared = len(set(new.items) & set(old.items))
    return new.kind == old.kind and (new.target == old.target or 2 * shared >= len(new.items) > 0)


def _accept_by_policy(ctx: RunContext, state: RunState) -> None:
    critic = ctx.config.critic
    # As it was before this step, so that running it again spends the same allowance.
    spent = sum(
        entry.proposal.price_usd or 0.0
        for entry in listed(ctx.ledger, state["step"])
        if entry.accepted == "policy"
    )
    for entry in listed(ctx.ledger, state["step"]):
        price = entry.proposal.price_usd
        if (
            entry.round != state["round"]
            or entry.accepted
            or entry.dismissed
            or entry.proposal.kind not in critic.apply
        ):
            continue
        if price is not None and spent + price <= critic.apply_usd:
            spent += price
            _decide(ctx, state, entry, "accepted", {"number": entry.number})


def _applied(ctx: RunContext, state: RunState, entry: Listed, what: str) -> None:
    record = {"number": entry.number, "by": entry.accepted, "what": what}
    _decide(ctx, state, entry, "applied", record)
    for order in ctx.ledger.log.directives(pending=True):
        if order.kind == ACCEPT and order.payload == {"number": entry.number}:
            ctx.ledger.log.acknowledge(order.seq, what)


def _decide(
    ctx: RunContext, state: RunState, entry: Listed, kind: str, record: dict[str, Any]
) -> None:
    # One step may decide on several; a decision is kept once for each step, agent and kind.
    agent = f"proposal {entry.number}"
    evidence = {"proposal": entry.proposal.model_dump()}
    ctx.ledger.log.decide(Decision(state["step"], state["round"], agent, kind, record, evidence))
