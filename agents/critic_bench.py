"""What the critic's model sees of a round, and what it may submit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..tools.aggregation import NO_VOTE
from ..tools.ledger import Consensus
from .ballot import Ballot
from .consult import clip
from .critic import CriticConfig, Ruling
from .desk import Desk
from .ensemble import Voter
from .verdict import Verdict

SENT_ON = frozenset(("re_ask", "escalate", "ask_person"))
PROPOSALS = 3
_IN_LIST, _IN_FULL = 160, 1500
"""Most characters of a text, where many are listed and where one is looked at."""

Following = Callable[[int], "tuple[Voter, int] | None"]


class Outcome(BaseModel):
    """What is to become of one label."""

    model_config = ConfigDict(extra="forbid")

    item_id: str
    action: Literal["accept", "re_ask", "escalate", "set_apart"]
    reason: str = Field(min_length=1, description="At most 25 words.")


class Draft(BaseModel):
    """A proposal as the model writes it."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal[
        "edit_guideline",
        "add_label",
        "remove_label",
        "merge_labels",
        "split_label",
        "relabel_items",
        "generate_for_class",
        "drop_annotator",
        "ask_person",
    ]
    target: str = Field(min_length=1, description="What it concerns.")
    text: str = Field(min_length=1, description="What is proposed, word for word.")
    evidence: str = Field(min_length=1, description="Item ids and numbers that tools returned.")
    items: list[str] = Field(default_factory=list, description="Ids of the items concerned.")


class Proposal(Draft):
    """A typed suggestion; a person decides on it.

    Attributes:
        price_usd: What it would cost, where arithmetic can tell; never the model's figure.
        effect: What it is expected to bring; empty where nothing can be predicted.
    """

    price_usd: float | None = None
    effect: str = ""


class Review(BaseModel):
    """Submit the review. This ends your work."""

    model_config = ConfigDict(extra="forbid")

    outcomes: list[Outcome] = Field(description="Labels on which you depart from the rule policy.")
    proposals: list[Draft] = Field(default_factory=list, description="[] if nothing is systematic.")
    reason: str = Field(min_length=1, description="The main cause of doubt, at most 60 words.")


@dataclass
class Bench:
    """The critic's tools, and the check of what it submits.

    Attributes:
        queue: Rows under review.
        account: The money when the conversation began.
        seen: Ids that a tool has returned.
    """

    desk: Desk
    config: CriticConfig
    rulings: Sequence[Ruling]
    ballot: Ballot
    verdict: Verdict
    next_voter: Following
    same_voter: Following
    allowed: int
    table: Sequence[Mapping[str, object]]
    queue: list[int]
    account: dict[str, str]
    seen: set[str] = field(default_factory=set)

    def summary(self) -> str:
        """How much is in doubt and why, for the prompt."""
        flags = Counter(flag for row in self.queue for flag in self.rulings[row].flags)
        actions = Counter(str(self.rulings[row].action) for row in self.queue)
        head = f"{len(self.queue)} of {len(self.rulings)} labels of this round are under review."
        lines = [head, "rule policy: " + _counted(actions)]
        if flags:
            lines.append("failed checks: " + _counted(flags))
        now = self.desk.step
        # Not the record of this very step, where it runs again after a crash: the prompt would be
        # another, and paid once more.
        records = [
            record
            for record in self.desk.ledger.log.decisions("consistency")
            if now is None or record.step < now
        ]
        lines += [f"alarm: {alarm}" for made in records[-1:] for alarm in made.decision["alarms"]]
        return "\n".join(lines)

    def findings(self) -> dict[str, Any]:
        """The labels under review: rule policy's action, probability and failed checks."""
        return {"queue": [self._line(row) for row in self.queue]}

    def item(self, item_id: Annotated[str, Field(description="Id.")]) -> dict[str, Any]:
        """One item: text, votes, probable labels, failed checks, and why the rule acts so."""
        text = clip(self._text(item_id), _IN_FULL)
        row = self._rows.get(item_id)
        if row is None:
            return {"id": item_id, "text": text, **self._label(item_id)}
        posterior = self.verdict.posterior[row]
        return {
            **self._line(row),
            "text": text,
            "votes": {
                name: "no valid answer" if vote == NO_VOTE else self._names[vote]
                for name, vote, answers in zip(
                    self.ballot.annotators,
                    self.ballot.votes[row].tolist(),
                    self.ballot.answers[row].tolist(),
                    strict=True,
                )
                if answers or vote != NO_VOTE
            },
            "calibrated": bool(self.verdict.calibrated[row]),
            "likeliest": {
                self._names[k]: round(float(posterior[k]), 3)
                for k in np.argsort(-posterior, kind="stable")[:3].tolist()
            },
            "rule_reason": self.rulings[row].reason,
        }

    def neighbours(
        self,
        item_id: Annotated[str, Field(description="Id of any item.")],
        k: Annotated[int, Field(ge=1, le=10, description="How many, at most 10.")] = 5,
    ) -> dict[str, Any]:
        """The items nearest to one, with the labels they have."""
        self._text(item_id)
        vector = self.desk.pool.vectors()[self.desk.pool.index(item_id)][None]
        found = [near for near in self.desk.pool.neighbours(vector, k + 1)[0] if near[0] != item_id]
        return {
            "items": [
                {
                    "id": near,
                    "similarity": round(similarity, 2),
                    "text": clip(self._text(near), _IN_LIST),
                    **self._label(near),
                }
                for near, similarity in found[:k]
            ]
        }

    def annotator_table(self) -> dict[str, Any]:
        """What the audits say of each annotator."""
        return {"annotators": [dict(row) for row in self.table]}

    def money(self) -> dict[str, Any]:
        """Money spent and left when this review began."""
        return dict(self.account)

    def fault(self, review: Review) -> str | None:
        """Why a review is not acceptable, for the model."""
        try:
            self.apply(review.outcomes)
        except ValueError as error:
            return str(error)
        if len(review.proposals) > PROPOSALS:
            return f"{len(review.proposals)} proposals: at most {PROPOSALS} a round."
        return next(filter(None, map(self._draft_fault, review.proposals)), None)

    def apply(self, outcomes: Sequence[Outcome]) -> list[Ruling]:
        """The rulings with the model's in place of the rule's.

        Raises:
            ValueError: An outcome is not possible, or too many labels are sent on.
        """
        rulings = list(self.rulings)
        named = Counter(outcome.item_id for outcome in outcomes)
        for outcome in outcomes:
            row = self._rows.get(outcome.item_id)
            if row is None or row not in self.queue:
                raise ValueError(f"{outcome.item_id!r} is not under review; see findings().")
            if named[outcome.item_id] > 1:
                raise ValueError(f"{outcome.item_id!r} is named {named[outcome.item_id]} times.")
            rulings[row] = self._ruling(row, outcome)
        sent = sum(r.action in SENT_ON and self._voted(row) for row, r in enumerate(rulings))
        if sent > self.allowed:
            raise ValueError(
                f"{sent} labels would be sent on, the rule policy's included; at most "
                f"{self.allowed} can be. Send fewer, or accept some that the rule sends."
            )
        return rulings

    def _ruling(self, row: int, outcome: Outcome) -> Ruling:
        item, flags = outcome.item_id, self.rulings[row].flags
        reason = f"critic: {clip(outcome.reason, 300)}"
        if outcome.action == "set_apart":
            return Ruling(item, "set_apart", reason, flags=flags, final=True)
        if outcome.action == "accept":
            p, least = float(self.verdict.p_correct[row]), self.config.set_apart_below
            if not self._voted(row):
                raise ValueError(f"{item!r} has no valid vote, so there is no label to accept.")
            if p < least:
                raise ValueError(
                    f"{item!r} has p_correct {p:.3f}; below {least:g} no label is accepted."
                )
            return Ruling(item, "accept", reason, flags=flags)
        again = outcome.action == "re_ask"
        following = self.same_voter(row) if again else self.next_voter(row)
        if following is None:
            who = "can not be asked of the same annotator again" if again else "has nobody above"
            raise ValueError(f"{item!r} {who}; choose another action or leave it to the rule.")
        voter, attempt = following
        action: Literal["re_ask", "ask_person", "escalate"] = (
            "re_ask" if attempt else "ask_person" if voter.person else "escalate"
        )
        return Ruling(item, action, reason, voter.name, attempt, flags)

    def _draft_fault(self, draft: Draft) -> str | None:
        names = self._names
        if unseen := [item for item in draft.items if item not in self.seen]:
            return f"{draft.kind}: no tool has returned the item {unseen[0]!r}."
        if draft.kind == "relabel_items" and not draft.items:
            return "relabel_items: 'items' must list the ids."
        if draft.kind == "drop_annotator" and draft.target not in self.ballot.annotators:
            return f"drop_annotator: target is one of {', '.join(self.ballot.annotators)}."
        if draft.kind == "add_label" and draft.target in names:
            return f"add_label: there is a label {draft.target!r} already."
        if draft.kind in {"merge_labels", "split_label", "remove_label", "generate_for_class"}:
            parts = [draft.target]
            if draft.kind == "merge_labels":
                parts = [part.strip() for part in draft.target.split(" | ")]
            if any(part not in names for part in parts):
                return f"{draft.kind}: target {draft.target!r} does not name labels of the task."
            if draft.kind == "merge_labels" and len(set(parts)) < 2:
                return 'merge_labels: target names two or more labels, separated by " | ".'
        return None

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.ballot.item_ids)}

    @cached_property
    def _accepted(self) -> dict[str, Consensus]:
        return self.desk.ledger.votes.concluded(self.desk.step)

    @property
    def _names(self) -> list[str]:
        return self.desk.task.label_names

    def _voted(self, row: int) -> bool:
        return bool((self.ballot.votes[row] != NO_VOTE).any())

    def _line(self, row: int) -> dict[str, Any]:
        item, ruling = self.ballot.item_ids[row], self.rulings[row]
        self.seen.add(item)
        voted = self._voted(row)
        return {
            "id": item,
            "label": self._names[int(self.verdict.label[row])] if voted else None,
            "p_correct": round(float(self.verdict.p_correct[row]), 3) if voted else None,
            "failed_checks": list(ruling.flags),
            "rule_action": ruling.action,
        }

    def _label(self, item: str) -> dict[str, Any]:
        """The label an item has. Labels of this round are not settled yet, whatever is written."""
        if (row := self._rows.get(item)) is not None:
            return {"label_in_question": self._line(row)["label"]}
        known = self._accepted.get(item)
        return {"accepted_label": known.label if known and known.outcome == "accept" else None}

    def _text(self, item: str) -> str:
        if item not in self.desk.pool:
            raise ValueError(f"the pool has no item {item!r}")
        self.seen.add(item)
        return self.desk.pool.texts([item])[0]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
