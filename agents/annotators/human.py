"""People as annotators: their answers come through an interrupt of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...tools.ledger import Ledger, Vote
from ..ballot import NO_LABEL_FITS
from .annotator import Asked, Asking
from .local import enter_votes
from .settings import HumanAnnotatorConfig

PROMPT_HASH = "human"


class HumanAnnotator:
    """A person. The graph puts the questions; this enters the answers and their price."""

    def __init__(self, config: HumanAnnotatorConfig) -> None:
        self.name, self.tier, self.trusted = config.name, config.tier, config.trusted
        self.price = config.price

    def enter(self, answers: Mapping[str, str | None], asking: Asking) -> Asked:
        """Write a person's answers into the ledger.

        Args:
            answers: Label by item id; ``None`` where the person found that no label fits.
            asking: Circumstances of the question.
        """
        cost = self.price.cost(labels=1)
        votes = [
            Vote(
                item_id=item,
                annotator=self.name,
                label=label,
                invalid=None if label is not None else NO_LABEL_FITS,
                prompt_hash=PROMPT_HASH,
                attempt=0,
                purpose=asking.purpose,
                round=asking.round,
                cost=cost,
            )
            for item, label in answers.items()
        ]
        zeros = [0] * len(votes)
        return enter_votes(votes, model="person", tokens_in=zeros, tokens_out=zeros, asking=asking)

    def affordable(self, ledger: Ledger, wanted: int) -> int:
        """How many of ``wanted`` answers the caps on money and requests leave room for.

        Each answer counts as a request; tokens it takes none.
        """
        left, cost = ledger.left(), self.price.cost(labels=1)
        if left is not None and cost:
            wanted = min(wanted, left // cost)
        if ledger.caps.requests is not None:
            wanted = min(wanted, ledger.caps.requests - ledger.balance().requests)
        return max(0, wanted)

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Cost of one answer on each text, in nanodollars, shape (n,)."""
        return np.full(len(texts), self.price.cost(labels=1), np.int64)
