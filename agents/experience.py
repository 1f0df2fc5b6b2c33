"""What is known of every set of annotators: audited items, and a few that the panel's beliefs make.

The audit sample was put to everybody, so hiding votes shows each item as any set of annotators
would have left it: with which label, how probable, and whether right. Where there are few audits,
items drawn from what is believed of the annotators (how often each is right, how far two make the
same mistakes) stand in, as many as that belief is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE
from .ballot import Ballot
from .panel import Panel
from .verdict import weigh

IMAGINED = 200
"""Items drawn from beliefs; more would only make their average smoother."""
BELIEF = 20.0
"""How many audited items those beliefs are worth together."""


@dataclass(frozen=True)
class Standing:
    """How the items of the experience stand after the votes of one set of annotators.

    Attributes:
        label: Most probable class, shape (a,).
        p_correct: Probability that it is correct, by the panel, shape (a,).
        worth: Probability that it is correct, by what is known of the truth, shape (a,).
    """

    label: NDArray[np.int64]
    p_correct: NDArray[np.float64]
    worth: NDArray[np.float64]


@dataclass(frozen=True)
class Experience:
    """Items on which every annotator's vote is known, with the truth as far as it is known.

    Attributes:
        ballot: Votes on a items, the imagined ones last.
        student: Out-of-sample probabilities of the student, shape (a, K).
        truth: Class numbers, shape (a,).
        weight: How much each item counts, shape (a,).
        panel: What is known of the annotators.
        classes: K.
        share: How much of `Standing.worth` is whether the label was right, the rest being what the
            panel thinks of it: the first is without bias, the second with less noise.
    """

    ballot: Ballot
    student: NDArray[np.float64] | None
    truth: NDArray[np.int64]
    weight: NDArray[np.float64]
    panel: Panel
    classes: int
    share: float = 0.5
    _standings: dict[tuple[int, ...], Standing] = field(default_factory=dict, compare=False)

    def after(self, voted: Sequence[int]) -> Standing:
        """How the items stand when the annotators in these columns have voted."""
        key = tuple(sorted(voted))
        found = self._standings.get(key)
        if found is None:
            found = self._standings[key] = self._stand(key)
        return found

    def _stand(self, columns: tuple[int, ...]) -> Standing:
        shown = np.zeros(len(self.ballot.annotators), bool)
        shown[list(columns)] = True
        seen = self.ballot.shown(shown)
        verdict = weigh(seen, self.panel, self.student, classes=self.classes)
        # Agreement with a reference that errs is worth what the reference is.
        ceiling = self.panel.ceiling
        right = np.where(
            verdict.label == self.truth, ceiling, (1 - ceiling) / max(1, self.classes - 1)
        )
        worth = self.share * right + (1 - self.share) * verdict.p_correct
        return Standing(verdict.label, verdict.p_correct, worth)


def gather(
    audit: Ballot,
    student: NDArray[np.float64] | None,
    panel: Panel,
    classes: int,
    *,
    background: NDArray[np.float64] | None,
    rng: np.random.Generator,
    share: float = 0.5,
) -> Experience:
    """Put the audit sample and imagined items together.

    Args:
        audit: Votes on the audit sample, in the panel's order of annotators.
        student: Out-of-sample probabilities on it, shape (n, K).
        panel: What is known of the annotators; its reference says what is true.
        classes: K.
        background: The student's probabilities on items that are to be routed, from which items
            are imagined, shape (b, K); ``None`` without a student.
        rng: Draws the imagined items.
        share: As `Experience.share`.
    """
    m = len(audit.annotators)
    truth = (
        audit.column(panel.reference)
        if panel.reference is not None
        else np.full(len(audit.item_ids), NO_VOTE, np.int64)
    )
    known = truth != NO_VOTE
    if background is None or (student is None and known.any()):
        background = student = None
    views = None if background is None or not len(background) else _spread(background, IMAGINED)
    made_truth = _draw(views, classes, rng)
    made = _votes(made_truth, panel, classes, audit.annotators, rng)
    parts = [] if student is None else [student[known]]
    rows = int(known.sum())
    stacked = None if views is None else np.concatenate([*parts, views])
    answers = np.concatenate([audit.answers[known], np.ones((IMAGINED, m), np.int64)])
    # Audited items keep their names: the panel knows what it has learned from.
    ids = [audit.item_ids[row] for row in np.flatnonzero(known).tolist()]
    ballot = Ballot(
        (*ids, *(f"imagined {row}" for row in range(IMAGINED))),
        audit.annotators,
        np.concatenate([audit.votes[known], made]),
        answers,
        confidence=_with_unknown(audit.confidence, known),
        repeated=_with_unknown(audit.repeated, known),
        blank=None
        if audit.blank is None
        else np.concatenate([audit.blank[known], np.zeros((IMAGINED, m), bool)]),
    )
    weight = np.concatenate([np.ones(rows), np.full(IMAGINED, BELIEF / IMAGINED)])
    both = np.concatenate([truth[known], made_truth])
    return Experience(ballot, stacked, both, weight, panel, classes, share)


def _with_unknown(
    told: NDArray[np.float64] | None, known: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """What is told of votes on audited items; of the imagined ones nothing is."""
    if told is None:
        return None
    return np.concatenate([told[known], np.full((IMAGINED, told.shape[1]), np.nan)])


def _spread(rows: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """``n`` rows at equal distances, so that the same pool gives the same rows."""
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(np.int64)]


def _draw(
    views: NDArray[np.float64] | None, classes: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    if views is None:
        return rng.integers(classes, size=IMAGINED)
    steps = np.cumsum(views / views.sum(axis=1, keepdims=True), axis=1)
    drawn = (rng.random((IMAGINED, 1)) > steps).sum(axis=1)
    return np.asarray(np.minimum(drawn, classes - 1), np.int64)


def _votes(
    truth: NDArray[np.int64],
    panel: Panel,
    classes: int,
    annotators: Sequence[str],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Votes of annotators that err as often as the panel thinks, and as much alike.

    An item is hard or easy for all alike with the probability that two annotators share what
    makes them err (the root of their overlap for each of the two), else for each apart; on a hard
    one those who share it also give the same wrong label.
    """
    n, m = len(truth), len(annotators)
    others = max(1, m - 1)
    common = np.sqrt(np.clip(panel.overlap.sum(axis=1) / others, 0.0, 1.0))
    shares = rng.random((n, m)) < common
    luck = np.where(shares, rng.random((n, 1)), rng.random((n, m)))
    step = np.where(
        shares, rng.integers(1, classes, size=(n, 1)), rng.integers(1, classes, size=(n, m))
    )
    votes = np.where(luck < panel.reliability, truth[:, None], (truth[:, None] + step) % classes)
    gold = [column for column, name in enumerate(annotators) if name in panel.gold]
    votes[:, gold] = truth[:, None]
    return np.asarray(votes, np.int64)
