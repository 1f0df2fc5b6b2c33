"""What the audit sample teaches about the votes of any set of annotators.

The audit sample was put to everybody; hiding votes shows it as a cascade would have left it. So for
each set of voters the weights are fitted to what exactly they say together, and one vote alone is
not judged by the weight that it has among five. What is said of an audited item itself comes from
weights that have not seen its label (five folds), and so does the calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..tools.aggregation import NO_VOTE, Evidence, Weights, fit_weights
from ..tools.calibration import MIN_POINTS, Calibration, fit_calibration
from ..tools.nearby import Nearby
from .ballot import Ballot

FOLDS = 5
APART = 6
"""Voters up to whose number each set of them is learned apart; larger sets differ by little."""
FEWEST = 10
"""Audited items below which beliefs are kept."""
TOGETHER = 0.5
"""What the student's word counts for beside votes before any audit: it has learned from them."""
SPREADS = (0.7, 0.3, 0.3)
"""How far an audit may move the factors of votes, student and frequency (standard deviations)."""

Pattern = tuple[bool, ...]
See = Callable[[NDArray[np.int64], NDArray[np.float64] | None], Evidence]
"""From votes and the student's probabilities to what is seen of items."""


@dataclass(frozen=True)
class Lesson:
    """What one set of voters is worth.

    Attributes:
        weights: Fitted on all audited items.
        without: Fits them without one fold; `held_out` keeps what it found.
    """

    weights: Weights
    without: Callable[[int], Weights]
    _held_out: dict[int, Weights] = field(default_factory=dict, compare=False)

    def held_out(self, fold: int) -> Weights:
        """Weights that have not seen the labels of a fold."""
        # Of most sets of voters nobody ever asks: too few audited items have just their votes.
        if fold not in self._held_out:
            self._held_out[fold] = self.without(fold)
        return self._held_out[fold]


@dataclass(frozen=True)
class Lessons:
    """The audit sample, and what was learned from it so far.

    Attributes:
        audit: What was answered on a items.
        truth: Class numbers, shape (a,).
        student: Out-of-sample probabilities, shape (a, K).
        judged: Annotators whose votes can be held to the truth: neither it nor trusted, shape (m,).
        classes: K.
        labelled: How often each label was given to items so far, shape (K,).
        nearby: How far labelled neighbours agree with a label; ``None`` where nobody looks.
    """

    audit: Ballot
    truth: NDArray[np.int64]
    student: NDArray[np.float64] | None
    judged: NDArray[np.bool_]
    classes: int
    labelled: NDArray[np.int64]
    nearby: Nearby | None = None
    _lessons: dict[Pattern, Lesson | None] = field(default_factory=dict, compare=False)
    _calibrations: dict[Pattern, Calibration | None] = field(default_factory=dict, compare=False)

    @property
    def votes(self) -> NDArray[np.int64]:
        """Votes on the audit sample, shape (a, m)."""
        return self.audit.votes

    @cached_property
    def items(self) -> dict[str, int]:
        """Place of each audited item."""
        return {item: place for place, item in enumerate(self.audit.item_ids)}

    @cached_property
    def log_frequency(self) -> NDArray[np.float64]:
        """How common each label is among all labels, shape (K,).

        Of many labels an audit shows most once or never; the labels given so far know better which
        are common, and how far to believe them is learned from the audit.
        """
        votes = self.votes[:, self.judged]
        counts = np.bincount(votes[votes != NO_VOTE], minlength=self.classes)
        # A vote of each of m annotators on an item is about one observation, not m.
        each = counts / max(1, votes.shape[1]) + self.labelled + 1
        return np.asarray(np.log(each / each.mean()), np.float64)

    def covers(self, pattern: NDArray[np.bool_], student: bool) -> bool:
        """Whether the audit can show what these voters, with or without a student, say."""
        if student and self.student is None:
            return False
        return not (pattern & ~self.judged).any() and bool(pattern.any() or student)

    def taken_as(self, pattern: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The set of voters as which these are learned: themselves, or everybody for many."""
        many = pattern.sum() > APART and not (pattern & ~self.judged).any()
        return self.judged if many else pattern

    def hidden(self, pattern: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Votes without those of others, shape (r, m), and the places of items that have any."""
        shown = np.where(pattern, self.votes, NO_VOTE)
        rows = (shown != NO_VOTE).any(axis=1) if pattern.any() else np.ones(len(shown), bool)
        return shown[rows], np.flatnonzero(rows)

    def places(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Place of each item in the audit sample, -1 elsewhere."""
        return np.asarray([self.items.get(item, -1) for item in items], np.int64)

    def of(self, pattern: NDArray[np.bool_], student: bool, see: See) -> Lesson | None:
        """The lesson about these voters; ``None`` where there are too few audits."""
        key = (*pattern.tolist(), student)
        if key not in self._lessons:
            self._lessons[key] = self._learn(pattern, student, see)
        return self._lessons[key]

    def _learn(self, pattern: NDArray[np.bool_], student: bool, see: See) -> Lesson | None:
        if not self.covers(pattern, student):
            return None
        votes, rows = self.hidden(pattern)
        if len(rows) < FEWEST:
            return None
        seen = see(votes, self.student[rows] if student and self.student is not None else None)
        truth = self.truth[rows]
        voted = bool(pattern.any())
        mean = np.asarray([1.0, *([TOGETHER if voted else 1.0] * student), 0.0])
        sd = np.asarray([SPREADS[0], *([SPREADS[1]] * student), SPREADS[2]])
        weights = fit_weights(seen, truth, mean, sd)

        def without(fold: int) -> Weights:
            kept = rows % FOLDS != fold
            return fit_weights(seen.take(kept), truth[kept], mean, sd, weights)

        return Lesson(weights, without)

    def calibration(
        self,
        pattern: NDArray[np.bool_],
        student: bool,
        judge: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]],
    ) -> Calibration | None:
        """From the posterior after these answers to the probability of agreeing with the truth.

        By who has answered, not by who has voted: an item on which some gave no valid vote is no
        item that they were not asked about, but usually one of the hard ones.

        Args:
            pattern: Who has answered.
            student: Whether there is a student.
            judge: Posterior by votes of audited items and their places, from weights that have not
                seen their labels.
        """
        key = (*pattern.tolist(), student)
        if key not in self._calibrations:
            self._calibrations[key] = self._calibrate(pattern, student, judge)
        return self._calibrations[key]

    def _calibrate(
        self,
        pattern: NDArray[np.bool_],
        student: bool,
        judge: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]],
    ) -> Calibration | None:
        if not self.covers(pattern, student):
            return None
        answered = self.audit.answered & pattern
        # One who has not answered on the audit sample can not be calibrated with the others.
        rows = np.flatnonzero(answered.sum(axis=1) > min(APART, int(pattern.sum()) - 1))
        if len(rows) < MIN_POINTS:
            return None
        seen = self.audit.take(rows)
        seen = seen.shown(pattern)
        posterior = judge(seen.votes, rows)
        label = posterior.argmax(axis=1)
        view = self.student[rows] if student and self.student is not None else None
        return fit_calibration(
            posterior.max(axis=1),
            label == self.truth[rows],
            features_of(seen, label, view, self.nearby),
            label,
            self.classes,
            blank=blanks_of(seen.votes, answered[rows]),
        )


def blanks_of(votes: NDArray[np.int64], answered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of those who answered that gave no valid vote, 0 where nobody answered, shape (n,)."""
    cast, gave = (votes != NO_VOTE).sum(axis=1), answered.sum(axis=1)
    return np.asarray(1 - np.divide(cast, gave, out=np.ones(len(votes)), where=gave > 0))


def features_of(
    ballot: Ballot,
    label: NDArray[np.int64],
    student: NDArray[np.float64] | None,
    nearby: Nearby | None,
) -> NDArray[np.float64]:
    """What may tell right labels from wrong ones beside their posterior, shape (n, 5).

    Share of the votes; the student's probability; of those who voted for the label, the confidence
    that they stated and how often they gave it when they were asked again; and the share of the
    labelled neighbours that have it. NaN where one is unknown. None is believed further than the
    audit shows.
    """
    votes = ballot.votes
    same, cast = votes == label[:, None], (votes != NO_VOTE).sum(axis=1)
    unknown = np.full(len(votes), np.nan)
    share = np.divide(same.sum(axis=1), cast, out=unknown.copy(), where=cast > 0)
    says = unknown if student is None else student[np.arange(len(label)), label]
    near = unknown if nearby is None else nearby(ballot.item_ids, label)
    stated, repeated = (
        unknown if told is None else _mean_of(told, same)
        for told in (ballot.confidence, ballot.repeated)
    )
    return np.column_stack([share, says, stated, repeated, near])


def _mean_of(told: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of what is known among some of the voters, NaN where nothing is."""
    known = among & ~np.isnan(told)
    total = np.where(known, told, 0.0).sum(axis=1)
    none = np.full(len(told), np.nan)
    return np.asarray(np.divide(total, known.sum(axis=1), out=none, where=known.any(axis=1)))
