"""Votes as a matrix: who said what on which item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE
from ..tools.ledger import CHECK_ATTEMPTS, Vote

NO_LABEL_FITS = "no_label_fits"
"""Why there is no label where an annotator has looked and found that none is right."""
NO_ANSWER = "no_answer"
"""Why there is no label where a call brought nothing."""
NOT_RECORDED = "not_recorded"
"""Why there is no label where a record of answers has none."""
NOT_ANSWERED = frozenset((NO_ANSWER, NOT_RECORDED))
"""Reasons that say nothing of the item."""


@dataclass(frozen=True)
class Ballot:
    """Votes on some items.

    Attributes:
        item_ids: Length n.
        annotators: Length m, in the order in which the cascade asks them.
        votes: Class numbers, shape (n, m); ``NO_VOTE`` where there is no valid vote.
        answers: Answers of whatever kind, invalid ones included, shape (n, m).
        declined: Where an annotator has said that no label fits and has given none since, shape
            (n, m); ``None`` where nobody has.
        confidence: As stated with each vote, NaN where none was, shape (n, m).
        repeated: Share of an annotator's other answers on the item, those to checks among them,
            that gave the label of its vote; NaN where it answered once, shape (n, m). Those to an
            objection are left out.
        blank: Where an annotator has answered, and given no label of the set; a question that
            nobody answered, or has no record of, is none. Shape (n, m); ``None`` is nowhere.
    """

    item_ids: tuple[str, ...]
    annotators: tuple[str, ...]
    votes: NDArray[np.int64]
    answers: NDArray[np.int64]
    declined: NDArray[np.bool_] | None = None
    confidence: NDArray[np.float64] | None = None
    repeated: NDArray[np.float64] | None = None
    blank: NDArray[np.bool_] | None = None

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Who has answered, with a valid vote or without, shape (n, m)."""
        voted: NDArray[np.bool_] = self.votes != NO_VOTE
        return voted if self.blank is None else voted | self.blank

    def shown(self, who: NDArray[np.bool_]) -> Ballot:
        """The same without the votes of others; what is left says of nobody that no label fits.

        Args:
            who: Annotators whose votes are shown, shape (m,).
        """
        return replace(
            self,
            votes=np.where(who, self.votes, NO_VOTE),
            declined=None,
            blank=None if self.blank is None else self.blank & who,
        )

    def column(self, annotator: str) -> NDArray[np.int64]:
        """One annotator's votes, shape (n,)."""
        return self.votes[:, self.annotators.index(annotator)]

    def take(self, rows: NDArray[np.int64]) -> Ballot:
        """The same of some of the items."""
        return Ballot(
            tuple(self.item_ids[row] for row in rows),
            self.annotators,
            self.votes[rows],
            self.answers[rows],
            None if self.declined is None else self.declined[rows],
            None if self.confidence is None else self.confidence[rows],
            None if self.repeated is None else self.repeated[rows],
            None if self.blank is None else self.blank[rows],
        )


def count_votes(
    votes: Mapping[str, Sequence[Vote]], annotators: Sequence[str], labels: Sequence[str]
) -> Ballot:
    """Make a ballot; of several valid answers by one annotator the last one counts.

    Args:
        votes: Votes by item, each list in the order of attempts.
        annotators: Columns of the ballot.
        labels: The label set; index = class number.
    """
    column = {name: position for position, name in enumerate(annotators)}
    number = {label: position for position, label in enumerate(labels)}
    matrix = np.full((len(votes), len(annotators)), NO_VOTE, np.int64)
    answers = np.zeros_like(matrix)
    declined = np.zeros(matrix.shape, bool)
    confidence = np.full(matrix.shape, np.nan)
    repeated = np.full(matrix.shape, np.nan)
    blank = np.zeros(matrix.shape, bool)
    for row, given in enumerate(votes.values()):
        said: defaultdict[str, list[str]] = defaultdict(list)
        for vote in given:
            objected = vote.purpose == "check_counter"
            if vote.annotator in column and vote.label is not None and not objected:
                said[vote.annotator].append(vote.label)
            # A check measures the annotator: its reliability is learned on votes alone.
            if vote.annotator not in column or vote.attempt >= CHECK_ATTEMPTS:
                continue
            answers[row, column[vote.annotator]] += 1
            blank[row, column[vote.annotator]] |= vote.invalid not in {None, *NOT_ANSWERED}
            declined[row, column[vote.annotator]] = vote.invalid == NO_LABEL_FITS
            if vote.label is not None and vote.label in number:
                matrix[row, column[vote.annotator]] = number[vote.label]
                stated = np.nan if vote.confidence is None else vote.confidence
                confidence[row, column[vote.annotator]] = stated
        for name, answered in said.items():
            vote_of = int(matrix[row, column[name]])
            if vote_of != NO_VOTE and len(answered) > 1:
                same = answered.count(labels[vote_of]) - 1
                repeated[row, column[name]] = same / (len(answered) - 1)
    blank &= matrix == NO_VOTE
    return Ballot(
        tuple(votes), tuple(annotators), matrix, answers, declined, confidence, repeated, blank
    )


def by_pattern(who: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Who has voted or answered (m,), and the rows on which exactly they have.

    Args:
        who: Shape (n, m).
    """
    if not len(who):
        return []
    # Patterns as whole numbers: rows of bools sort a hundred times slower.
    members = np.zeros(len(who), np.int64)
    for start in range(0, who.shape[1], 32):
        part = who[:, start : start + 32]
        codes = part @ (1 << np.arange(part.shape[1])[::-1])
        # Numbered anew after 32 columns each: of any number of annotators none overflows.
        members = np.unique((members << 32) + codes, return_inverse=True)[1]
    order = np.argsort(members, kind="stable")
    ends = np.cumsum(np.bincount(members))
    return [(who[rows[0]], rows) for rows in np.split(order, ends[:-1])]
