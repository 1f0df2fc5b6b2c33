"""Questions that are asked again to see how stable an annotator is: which ones, and what came back.

The labels in another order, the question in other words, the same call once more and, where it is
wanted, the question after an objection to the answer. What comes back is no vote (an annotator's
reliability is learned from its first answers, and the best of several would be another annotator);
a label whose answer changed is flagged and sent on, but not for giving in to an objection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ..tools.ledger import Vote
from .annotators.orders import (
    FIRST_ATTEMPT,
    CheckPurpose,
    check_of,
    label_order,
    objection_to,
    other_orders,
    turned_pair,
)
from .ballot import NO_ANSWER
from .ensemble import Ask, Voter, ask

RETESTS = 2
"""Repetitions of a call in a test-retest; with the first answer they make N = 3."""


class CheckShares(BaseModel):
    """How much is asked again, as a share of the answers that an annotator has given so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: float = Field(
        0.02, ge=0, le=1, description="Asked again with the labels in another order; 0 is never."
    )
    template: float = Field(0.02, ge=0, le=1, description="Asked again in other words; 0 is never.")
    retest: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Calls repeated word for word (two for each item chosen); 0 is never.",
    )
    counter: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Disputed labels asked about again after the objection that the answer is "
        "wrong, to see how often the annotator gives in; 0 is never.",
    )

    def of(self, purpose: CheckPurpose) -> float:
        """The share of one check."""
        shares = {
            "check_order": self.order,
            "check_template": self.template,
            "check_retest": self.retest,
            "check_counter": self.counter,
        }
        return shares[purpose]


@dataclass
class Checked:
    """Answers of one annotator to one check, beside its first answers; -1 is no label.

    Attributes:
        items: Length n.
        first: (n,) answers to the first question; where one was objected to, that one.
        again: (n, r) answers to the repetitions.
        attempts: (n,) attempt of the first repetition.
    """

    items: list[str] = field(default_factory=list)
    first: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    again: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 1), np.int64))
    attempts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def only(self, items: Collection[str]) -> Checked:
        """The part about some items."""
        keep = np.asarray([item in items for item in self.items], bool)
        kept = [item for item in self.items if item in items]
        return Checked(kept, self.first[keep], self.again[keep], self.attempts[keep])

    def places(self, labels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Place of each label in the list of the first question and of the repetition, (n, K)."""
        usual = np.tile(np.arange(labels), (len(self.items), 1))
        orders = [np.argsort(label_order(labels, int(attempt))) for attempt in self.attempts]
        return usual, np.asarray(orders, np.int64).reshape(len(self.items), labels)


@dataclass(frozen=True)
class Chosen:
    """What is to be asked again.

    Attributes:
        asks: Orders for the annotators.
        random: Items drawn at random, by annotator and check: only these are a fair sample.
        queued: Doubtful items that were added, and disputed ones.
    """

    asks: list[Ask]
    random: dict[str, dict[str, list[str]]]
    queued: dict[str, dict[str, list[str]]]


def choose_checks(
    voters: Sequence[Voter],
    votes: Iterable[Vote],
    doubtful: Mapping[str, tuple[int, int]],
    disputed: Sequence[str],
    shares: CheckShares,
    labels: Sequence[str],
    rng: np.random.Generator,
) -> Chosen:
    """Choose what to ask again within each check's share of the answers so far.

    What a small round leaves over is carried to the next. Half is drawn at random from all that
    the annotator has answered in whatever round (so that an exchanged model shows), the rest are
    the most doubtful labels at hand; a test-retest is random throughout. In the check of the order
    a random item meets an order that has nothing to do with its answers, as the test of positions
    needs it; a doubtful one has its two most probable labels side by side. Only disputed labels are
    objected to: there a second answer is wanted anyway, and what it is worth is the question. The
    objection is to the vote that stands, the last valid one.

    Args:
        voters: Who may be asked; those that can not answer differently are passed over.
        votes: All votes of the run in the order of attempts, answers to checks included.
        doubtful: Items of the round whose label is kept, the most doubtful first, with their two
            most probable classes.
        disputed: Items of the round whose label is not, the most doubtful first.
        shares: Budget of each check.
        labels: The label set; index = class number.
        rng: Draws items and orders.
    """
    number = {label: position for position, label in enumerate(labels)}
    answered: dict[str, dict[str, int]] = {}
    stands: dict[str, dict[str, int]] = {}
    checked: dict[tuple[str, str], list[str]] = {}
    for vote in votes:
        purpose = check_of(vote.attempt)
        if purpose:
            checked.setdefault((vote.annotator, purpose), []).append(vote.item_id)
            continue
        said = number.get(vote.label or "", -1)
        if vote.attempt == 0:
            answered.setdefault(vote.annotator, {})[vote.item_id] = said
        if said >= 0:
            stands.setdefault(vote.annotator, {})[vote.item_id] = said
    chosen = Chosen([], {}, {})
    for voter in voters:
        if voter.person or not voter.repeats:
            continue
        given = answered.get(voter.name, {})
        for purpose in FIRST_ATTEMPT:
            calls = RETESTS if purpose == "check_retest" else 1
            before = checked.get((voter.name, purpose), [])
            # A hair more than the product of two decimal fractions, which may fall short of it.
            n = int((shares.of(purpose) * len(given) - len(before)) / calls + 1e-9)
            if n <= 0:
                continue
            random: list[str] = []
            if purpose == "check_counter":
                voted = stands.get(voter.name, {})
                queued = [i for i in disputed if i in voted and i not in before][:n]
                attempts = [objection_to(voted[item]) for item in queued]
            else:
                still = sorted(given.keys() - set(before))
                drawn = n if calls > 1 else n - n // 2
                random = [still[at] for at in rng.permutation(len(still))[:drawn].tolist()]
                queued = [i for i in doubtful if i in given and i not in {*before, *random}]
                queued = queued[: n - drawn]
                attempts = _attempts(purpose, random, queued, doubtful, len(labels), rng)
            if not random and not queued:
                continue
            chosen.random.setdefault(voter.name, {})[purpose] = sorted(random)
            chosen.queued.setdefault(voter.name, {})[purpose] = sorted(queued)
            chosen.asks.extend(_asks(voter.name, purpose, [*random, *queued], attempts, calls))
    return chosen


def _attempts(
    purpose: CheckPurpose,
    random: Sequence[str],
    queued: Sequence[str],
    pairs: Mapping[str, tuple[int, int]],
    labels: int,
    rng: np.random.Generator,
) -> list[int]:
    """In which attempt each item is asked again; the first one of several."""
    first = FIRST_ATTEMPT[purpose]
    if purpose != "check_order":
        return [first] * (len(random) + len(queued))
    drawn = rng.integers(len(other_orders(labels)), size=len(random))
    return [*(first + drawn).tolist(), *(turned_pair(labels, *pairs[item]) for item in queued)]


def _asks(
    name: str, purpose: CheckPurpose, items: list[str], attempts: list[int], calls: int
) -> list[Ask]:
    return [
        ask(
            name,
            sorted(i for i, wanted in zip(items, attempts, strict=True) if wanted == attempt),
            purpose,
            attempt + call,
        )
        for attempt in sorted(set(attempts))
        for call in range(calls)
    ]


def checked_answers(
    votes: Iterable[Vote], annotator: str, labels: Sequence[str]
) -> dict[CheckPurpose, Checked]:
    """What one annotator answered to the checks, beside its first answers.

    Args:
        votes: Votes, answers to checks included, in the order of attempts.
        annotator: Whose.
        labels: The label set; index = class number.
    """
    number = {label: position for position, label in enumerate(labels)}
    first: dict[str, int] = {}
    again: dict[CheckPurpose, dict[str, list[tuple[int, int]]]] = {p: {} for p in FIRST_ATTEMPT}
    for vote in votes:
        # A question that the server refused has no answer to be compared.
        if vote.annotator != annotator or vote.invalid == NO_ANSWER:
            continue
        answer = number.get(vote.label or "", -1)
        purpose = check_of(vote.attempt)
        if purpose:
            again[purpose].setdefault(vote.item_id, []).append((vote.attempt, answer))
        elif vote.attempt == 0:
            first[vote.item_id] = answer
    found = {}
    for purpose, by_item in again.items():
        repeats = RETESTS if purpose == "check_retest" else 1
        # A repetition that a cap cut off leaves nothing to compare.
        before = first
        if purpose == "check_counter":
            before = {i: given[0][0] - FIRST_ATTEMPT[purpose] for i, given in by_item.items()}
        items = sorted(i for i, given in by_item.items() if i in before and len(given) >= repeats)
        found[purpose] = Checked(
            items,
            np.asarray([before[item] for item in items], np.int64),
            np.asarray([[a for _, a in by_item[i][:repeats]] for i in items], np.int64).reshape(
                len(items), repeats
            ),
            np.asarray([by_item[item][0][0] for item in items], np.int64),
        )
    return found


FLAGS: Mapping[CheckPurpose, str] = {
    "check_order": "changes with the order of labels",
    "check_template": "changes with the wording",
    "check_retest": "changes when asked again",
}
"""How a label is flagged whose answer a check has changed.

Who gives in to an objection says little of the label: models give in where they were right.
"""


def unstable(
    checked: Mapping[str, Mapping[CheckPurpose, Checked]],
    supporters: Mapping[str, Collection[str]],
) -> dict[str, list[str]]:
    """Flags of labels that rest on nobody whose answer was stable.

    Args:
        checked: By annotator and check.
        supporters: Annotators that voted for an item's label, by item.

    Returns:
        Names of failed checks by item.
    """
    changed: dict[str, dict[str, list[str]]] = {}
    for annotator, by_purpose in checked.items():
        for purpose, answers in by_purpose.items():
            if purpose not in FLAGS:
                continue
            differs = (answers.again != answers.first[:, None]).any(axis=1)
            for item in np.asarray(answers.items, object)[differs].tolist():
                changed.setdefault(item, {}).setdefault(annotator, []).append(FLAGS[purpose])
    return {
        item: sorted({flag for name in supporters[item] for flag in by_whom[name]})
        for item, by_whom in changed.items()
        if supporters.get(item) and all(name in by_whom for name in supporters[item])
    }
