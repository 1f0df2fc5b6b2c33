"""The critic's settings and its rule policy: what is to become of each label.

Checks in order of cost: validity of the answer, disagreement with the labelled neighbours,
out-of-sample confident learning, the consensus of votes and student, and whether an answer holds
under another order of the labels, in other words, and once more. What fails a check is asked again,
sent to the next annotator of the cascade, put to a person, or set apart. Where nobody is left to
ask, a label that is not sure is kept soft: with its probability as the weight of a training row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .ballot import Ballot
from .checks import CheckShares
from .ensemble import Voter
from .model import AgentModelConfig
from .verdict import Verdict

ProposalKind = Literal["relabel_items", "generate_for_class", "drop_annotator"]
"""Kinds that a run can put into effect itself; a change of the task needs a new run."""

Action = Literal["accept", "re_ask", "escalate", "ask_person", "set_apart", "return"]
"""What becomes of a label. ``return``: somebody else would have to be asked and can not be in this
round; the item goes back to the pool."""


class CriticConfig(BaseModel):
    """When a label is good enough, and how labels are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accept_at: float = Field(
        0.8, gt=0, le=1, description="A label this probable is accepted without another vote."
    )
    set_apart_below: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="A label less probable than this, with nobody left to ask, is set apart.",
    )
    escalate_share: float = Field(
        1.0, ge=0, le=1, description="Most of a batch that may be sent past the first annotator."
    )
    attempts: int = Field(
        2, ge=1, le=5, description="Most answers asked of one annotator on one item."
    )
    audit_share: float = Field(
        0.1, ge=0, le=1, description="Random audit sample, as a share of the batch."
    )
    audit_first: int = Field(30, ge=0, description="Size of the first round's audit sample.")
    recheck_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Accepted labels that are sent on when a check flags them, share of a batch.",
    )
    checks_from: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Out-of-sample agreement of the student from which its checks are heeded.",
    )
    neighbours: int = Field(10, ge=1, le=100, description="Neighbours that a label is held to.")
    neighbours_disagree: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of the neighbours with another label that flags a label.",
    )
    neighbour_agreement: bool = Field(
        False,
        description="Probabilities heed the neighbours' labels as far as audits show. Slower; on "
        "the sets measured the student's word says as much.",
    )
    checks: CheckShares = Field(
        CheckShares(),
        description="Paid checks: how much is asked again to see whether answers are stable.",
    )
    apply: list[ProposalKind] = Field(
        default_factory=list,
        description="Kinds of proposals that take effect without a person's word.",
    )
    apply_usd: float = Field(
        0.0, ge=0, description="Most that such proposals may be expected to cost in all, in USD."
    )
    prior_accuracy: float = Field(
        0.7, gt=0, lt=1, description="What an annotator is believed to be before any audit."
    )
    prior_strength: float = Field(
        10.0, gt=0, description="How many audited items that belief is worth."
    )
    strongest_accuracy: float = Field(
        0.85,
        gt=0.5,
        lt=1,
        description="What the highest tier is believed to be where no annotator is trusted.",
    )
    student_weight: float = Field(
        0.5, gt=0, le=1, description="Weight of the student's word until audits can tell it."
    )
    model: AgentModelConfig | None = Field(
        None, description="Chat model that reviews disputed labels; absent, the rules decide."
    )
    review_limit: int = Field(
        20, ge=1, le=200, description="Disputed labels put before the model in a round."
    )

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Self:
        if self.accept_at < self.set_apart_below:
            raise ValueError(
                f"accept_at ({self.accept_at:g}) is below set_apart_below "
                f"({self.set_apart_below:g}): no label could be kept in between"
            )
        return self


@dataclass(frozen=True)
class Ruling:
    """What is to become of one item.

    Attributes:
        annotator: Who is asked next, for re_ask, escalate and ask_person.
        attempt: In which attempt.
        flags: Checks that the label failed.
        final: Set apart for good: somebody who may say so has found that no label is right.
        soft: Accepted below ``accept_at``: the student learns it with its p_correct as weight.
    """

    item_id: str
    action: Action
    reason: str
    annotator: str | None = None
    attempt: int = 0
    flags: tuple[str, ...] = ()
    final: bool = False
    soft: bool = False


def rule_on_labels(
    config: CriticConfig,
    ballot: Ballot,
    verdict: Verdict,
    flags: Mapping[str, Sequence[str]],
    next_voter: Callable[[int], tuple[Voter, int] | None],
    *,
    allowed: int,
    gold: NDArray[np.bool_],
    declined: NDArray[np.bool_],
    labels: Sequence[str],
) -> list[Ruling]:
    """Rule on every item of a ballot, by arithmetic alone.

    Args:
        config: Thresholds.
        ballot: Votes on n items.
        verdict: What they add up to.
        flags: Failed checks by item id.
        next_voter: Whom the cascade would ask next about a row, and in which attempt.
        allowed: Most items that may be sent past the annotators they have met; the least probable
            labels go first. Answers that were no label do not count against it.
        gold: Items with a trusted vote, shape (n,).
        declined: Items of which a trusted annotator says that no label fits, shape (n,).
        labels: The label set.

    Returns:
        One ruling an item, in the ballot's order.
    """
    n = len(ballot.item_ids)
    rulings: list[Ruling | None] = [None] * n
    for row in np.argsort(verdict.p_correct, kind="stable").tolist():
        item = ballot.item_ids[row]
        failed = tuple(flags.get(item, ()))
        p = float(verdict.p_correct[row])
        voted = bool((ballot.votes[row] >= 0).any())
        following = next_voter(row)
        if gold[row]:
            rulings[row] = Ruling(item, "accept", "a trusted annotator's label", flags=failed)
        elif declined[row]:
            reason = "a trusted annotator finds that no label fits"
            rulings[row] = Ruling(item, "set_apart", reason, flags=failed, final=True)
        elif not voted:
            rulings[row] = _without_label(item, ballot, row, following)
        elif p >= config.accept_at and not failed:
            reason = f"p_correct {p:.3f} reaches {config.accept_at:g}"
            rulings[row] = Ruling(item, "accept", reason)
        elif following is not None and allowed > 0:
            allowed -= 1
            why = f"failed {', '.join(failed)}" if failed else f"p_correct {p:.3f} too low"
            rulings[row] = _send_on(item, following, why, failed)
        elif following is not None and p < config.set_apart_below:
            reason = "too improbable, and this round may send no more labels on"
            rulings[row] = Ruling(item, "return", reason, flags=failed)
        elif p >= config.set_apart_below:
            nobody = "nobody left who is worth asking"
            why = nobody if following is None else "no more may be sent on"
            reason = f"p_correct {p:.3f}, kept with that weight: {why}"
            rulings[row] = Ruling(item, "accept", reason, flags=failed, soft=p < config.accept_at)
        else:
            best = labels[int(verdict.label[row])]
            reason = f"best label {best!r} has p_correct {p:.3f} < {config.set_apart_below:g}"
            rulings[row] = Ruling(item, "set_apart", reason, flags=failed)
    return [ruling for ruling in rulings if ruling is not None]


def _send_on(
    item: str, following: tuple[Voter, int], why: str, flags: tuple[str, ...] = ()
) -> Ruling:
    voter, attempt = following
    action: Action = "re_ask" if attempt else "ask_person" if voter.person else "escalate"
    return Ruling(item, action, why, voter.name, attempt, flags)


def _without_label(
    item: str, ballot: Ballot, row: int, following: tuple[Voter, int] | None
) -> Ruling:
    if following is not None:
        return _send_on(item, following, "no valid answer so far")
    if ballot.answers[row].any():
        return Ruling(item, "set_apart", "every annotator in reach gave an invalid answer")
    return Ruling(item, "return", "nobody could be asked within the caps")
