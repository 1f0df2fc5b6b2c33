"""The annotator ensemble's policy: a cascade, cheap first; everybody only on the audit sample."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import TypedDict

from .ballot import Ballot


class Ask(TypedDict):
    """An order to put items to one annotator; part of the graph's state."""

    annotator: str
    items: list[str]
    purpose: str
    attempt: int


@dataclass(frozen=True)
class Voter:
    """What the policy needs to know of an annotator.

    Attributes:
        person: Is asked through an interrupt, not by a call.
        repeats: Asking again can bring another answer.
    """

    name: str
    tier: int
    trusted: bool
    person: bool
    repeats: bool


def cascade(voters: Sequence[Voter]) -> list[Voter]:
    """Voters in the order in which one item meets them: by tier, then as configured."""
    return sorted(voters, key=lambda voter: voter.tier)


def reference(voters: Sequence[Voter]) -> Voter | None:
    """Whose labels the audit takes as true: the last trusted one, else the strongest tier.

    A single annotator has nobody to be compared with.
    """
    order = cascade(voters)
    trusted = [voter for voter in order if voter.trusted]
    if trusted:
        return trusted[-1]
    return order[-1] if len(order) > 1 and order[-1].tier > order[0].tier else None


def first_asks(
    order: Sequence[Voter],
    batch: Sequence[str],
    audit: Sequence[str],
    *,
    lead: int = 0,
    routed: Mapping[str, str] | None = None,
) -> list[Ask]:
    """Who is asked at the start of a round.

    Args:
        order: The cascade, without those that are asked no more.
        batch: Chosen items: put to one annotator.
        audit: This round's audit sample: put to the whole panel.
        lead: Place among the annotators that are no people of the one that is asked first.
        routed: Annotator by item, for items that are known to need another first.

    Returns:
        Orders without empty ones; questions to people are among them.
    """
    models = [voter for voter in order if not voter.person]
    first = models[min(lead, len(models) - 1)]
    target = reference(order)
    panel = [voter for voter in order if not voter.person or voter == target]
    audited = set(audit)
    to = routed or {}
    asks = [
        ask(
            voter.name,
            [i for i in batch if i not in audited and to.get(i, first.name) == voter.name],
            "label",
        )
        for voter in models
    ]
    asks += [ask(voter.name, audit, "audit") for voter in panel]
    return [order_ for order_ in asks if order_["items"]]


def ask(annotator: str, items: Sequence[str], purpose: str, attempt: int = 0) -> Ask:
    """An order to put items to one annotator."""
    return Ask(annotator=annotator, items=list(items), purpose=purpose, attempt=attempt)


def next_voter(
    order: Sequence[Voter],
    ballot: Ballot,
    row: int,
    *,
    out_of_reach: Collection[str],
    attempts: int,
) -> tuple[Voter, int] | None:
    """Who is to be asked next about an item in the plain order of tiers, and in which attempt.

    The same annotator again, where its answer was no label and asking again may help; otherwise the
    next one of the cascade that the item has not met.

    Args:
        order: The cascade.
        ballot: Votes, with the answers counted.
        row: The item's row in the ballot.
        out_of_reach: Annotators that are not to be asked or that the budget no longer pays for.
        attempts: Most answers that one annotator is asked for on one item.
    """
    again = same_again(order, ballot, row, out_of_reach=out_of_reach, attempts=attempts)
    if again is not None:
        return again
    met = 0
    for position, voter in enumerate(order):
        if ballot.answers[row, ballot.annotators.index(voter.name)]:
            met = position + 1
    for voter in order[met:]:
        column = ballot.annotators.index(voter.name)
        if voter.name not in out_of_reach and not ballot.answers[row, column]:
            return voter, 0
    return None


def same_again(
    order: Sequence[Voter],
    ballot: Ballot,
    row: int,
    *,
    out_of_reach: Collection[str],
    attempts: int,
) -> tuple[Voter, int] | None:
    """The annotator whose answer was no label, if another attempt may bring one.

    Args:
        order: The cascade.
        ballot: Votes, with the answers counted.
        row: The item's row in the ballot.
        out_of_reach: Annotators that are not to be asked or that the budget no longer pays for.
        attempts: Most answers that one annotator is asked for on one item.
    """
    for voter in order:
        column = ballot.annotators.index(voter.name)
        answers = int(ballot.answers[row, column])
        failed = answers and ballot.votes[row, column] < 0
        if failed and voter.repeats and answers < attempts and voter.name not in out_of_reach:
            return voter, answers
    return None


def distinct_voters(ballot: Ballot) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many annotators gave a valid vote on each item, shape (n,)."""
    return np.asarray((ballot.votes >= 0).sum(axis=1), np.int64)
