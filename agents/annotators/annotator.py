"""What every annotator is: somebody who gives one vote on one item, at a price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...tools.ledger import Ledger
from ...tools.money import Price


@dataclass(frozen=True)
class Question:
    """One item put to one annotator.

    Attributes:
        attempt: 0 for the first time this annotator sees the item, counted up by re-asks.
    """

    item_id: str
    text: str
    attempt: int = 0


@dataclass(frozen=True)
class Example:
    """A text with the label that a person gave it, to be shown beside a question about others."""

    item_id: str
    text: str
    label: str


@dataclass(frozen=True)
class Asking:
    """Circumstances of a question.

    Attributes:
        purpose: label, audit, re_ask, escalate, generated or sweep.
    """

    ledger: Ledger
    purpose: str
    round: int


@dataclass(frozen=True)
class Asked:
    """What came of a block of questions.

    Attributes:
        votes: Valid votes.
        invalid: Answers that are no label.
        not_asked: Ids that were never sent, because of the budget or a stop.
    """

    votes: int
    invalid: int
    not_asked: tuple[str, ...] = ()


class Annotator(Protocol):
    """One voter: a model with a prompt and parameters, recorded votes, or the embedded one.

    Attributes:
        tier: 1 is asked first; a higher tier costs more and errs less.
        trusted: Its labels are taken as gold: audits are made with it.
        repeats: Whether asking it again can bring another answer.
    """

    name: str
    tier: int
    trusted: bool
    price: Price
    repeats: bool

    def ask(self, questions: Sequence[Question], asking: Asking) -> Asked:
        """Put questions; votes, calls and money go to the ledger as they come.

        Raises:
            EndpointError: The endpoint can not be used as configured.
        """
        ...

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Expected cost of one vote on each text, in nanodollars, shape (n,)."""
        ...

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Expected prompt and completion tokens of one vote on each text, each of shape (n,)."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
