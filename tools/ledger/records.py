"""What the ledger takes and gives: plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

CHECK_ATTEMPTS = 1000
"""Attempts from this number on are checks: answers that measure an annotator and are no votes."""

OPERATOR = "operator"
"""The agent of the chat. It works in a process of its own, beside the one that runs the run."""

Outcome = Literal["answered", "refused_by_server", "unknown"]
"""How a call ended. ``unknown``: it was sent and no answer came, so it may have been charged."""


@dataclass(frozen=True)
class Caps:
    """Hard limits of a run; ``None`` is no limit. Money in nanodollars."""

    money: int | None = None
    tokens: int | None = None
    requests: int | None = None


@dataclass(frozen=True)
class Call:
    """One request that is about to be made.

    Attributes:
        request_key: Identity of the question; a question that was answered is never sent again.
        agent: Who asks: annotator, selector, generator, critic, embedder, operator or probe.
        annotator: Name of the annotator that is asked, for votes.
        items: Ids of the items that the call is about.
        prompt_hash: Content hash of the template that was rendered, empty where there is none.
        requests: How many model requests it stands for (recorded answers come in blocks).
    """

    request_key: str
    agent: str
    annotator: str | None
    model: str
    purpose: str
    round: int
    items: tuple[str, ...] = ()
    prompt_hash: str = ""
    requests: int = 1


@dataclass(frozen=True)
class Settlement:
    """How a call ended and what it cost. ``cost`` in nanodollars, ``seconds`` of wall time."""

    outcome: Outcome
    cost: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    response: Any = None
    error: str | None = None


@dataclass(frozen=True)
class Vote:
    """One annotator's answer on one item.

    Attributes:
        label: A label of the label set, or ``None`` for an invalid answer.
        invalid: Why there is no label (``not_in_label_set``, ``truncated``, ...).
        confidence: As the annotator stated it, never trusted raw; ``None`` where it stated none.
        attempt: 0 for the first question, counted up for each re-ask; from ``CHECK_ATTEMPTS`` on
            an answer to a check.
        cost: This item's share of the call, in nanodollars.
    """

    item_id: str
    annotator: str
    label: str | None
    invalid: str | None
    prompt_hash: str
    attempt: int
    purpose: str
    round: int
    cost: int = 0
    confidence: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Consensus:
    """What the run holds to be the label of one item after one step.

    Attributes:
        source: student, model, panel or person.
        outcome: accept, or set_apart.
        calibrated: Whether ``p_correct`` was fitted on audited items.
    """

    item_id: str
    label: str | None
    p_correct: float | None
    calibrated: bool
    source: str
    outcome: str
    reason: str
    evidence: Any


@dataclass(frozen=True)
class Balance:
    """State of the account, in nanodollars, tokens and requests.

    Attributes:
        uncertain: Upper bound of what calls without an answer may have cost; counts against the
            cap, is not part of ``spent``.
        tokens_reserved: Most tokens of calls under way, and of calls without an answer.
    """

    spent: int = 0
    reserved: int = 0
    uncertain: int = 0
    tokens: int = 0
    tokens_reserved: int = 0
    requests: int = 0

    @property
    def committed(self) -> int:
        """All that counts against the money cap."""
        return self.spent + self.reserved + self.uncertain
