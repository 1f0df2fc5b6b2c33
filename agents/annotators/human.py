"""People as annotators: their answers come through an interrupt of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...tools.ledger import Vote
from .annotator import Asked, Asking
from .local import enter_votes
from .settings import HumanAnnotatorConfig

PROMPT_HASH = "human"
NO_LABEL = "no_label_fits"


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
                invalid=None if label is not None else NO_LABEL,
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

    def affordable(self, left: int | None, wanted: int) -> int:
        """How many of ``wanted`` questions the money that is left pays for."""
        cost = self.price.cost(labels=1)
        return wanted if left is None or not cost else max(0, min(wanted, left // cost))

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Cost of one answer on each text, in nanodollars, shape (n,)."""
        return np.full(len(texts), self.price.cost(labels=1), np.int64)
