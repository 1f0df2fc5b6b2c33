"""Who stays in the ensemble: annotators that are broken, bad or redundant are asked no more.

An annotator is asked on every audit, so one that changes no label costs money as long as it stays;
and a bad vote can spoil a label. Broken ones (an answer that is mostly none, or always the same)
show in the first round. The others are judged on the audit sample, on pairs: with and without the
annotator, and against one that is not dearer.

Who is out is asked no more, so nothing new is learned of it: a small share of the audits would buy
evidence too slowly, and it is the money that dropping saves. But who was dropped because another
does as well is asked again when that one is dropped for what it is; and a restriction is lifted
when later audits, which a restricted annotator still answers, speak against it. Labels, guidelines
and prompts are pinned to a run, so that they can not make its evidence void; a new run with others
begins with everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from ..tools.aggregation import NO_VOTE
from .ballot import Ballot
from .panel import Panel
from .verdict import weigh

ENOUGH_ANSWERS = 20
"""Answers from which an annotator can be called broken."""
MOSTLY = 0.5
"""Share of invalid answers at which it is."""
ALWAYS = 0.98
"""Share of one label that is called always the same."""
HARDLY = 0.001
"""Chance of so uniform answers by somebody who answers like the others, at which it is broken."""
SURELY_WORSE = 0.1
"""Accuracy by which another annotator is surely better where one is called bad."""
ENOUGH_OF_A_CLASS = 15
ONE_SIDED = 1.282
"""Standard errors of a one-sided 90 % bound."""

Action = Literal["drop", "restrict", "admit"]


@dataclass(frozen=True)
class Membership:
    """A decision on one annotator.

    Attributes:
        annotator: Its name.
        action: ``drop``: asked no more. ``restrict``: asked only where the label so far is one of
            ``classes``. ``admit``: asked like the others again.
        reason: In words.
        evidence: The figures that it rests on.
        classes: Class numbers that it may still be asked about.
        beside: Whom it was dropped for; ``None`` where it would be dropped beside anybody.
    """

    annotator: str
    action: Action
    reason: str
    evidence: dict[str, Any]
    classes: tuple[int, ...] = ()
    beside: str | None = None


def find_broken(ballot: Ballot, active: Sequence[str], keep: Collection[str]) -> list[Membership]:
    """Annotators whose answers are mostly invalid, or always the same one.

    Args:
        ballot: Votes and answers so far, audits among them.
        active: Annotators that may be asked.
        keep: Those that are never dropped.
    """
    found: list[Membership] = []
    for name in active:
        column = ballot.annotators.index(name)
        decision = _invalid(ballot, column) or _constant(ballot, column)
        if decision is not None and name not in keep and len(active) - len(found) > 1:
            found.append(decision)
    return found


def _invalid(ballot: Ballot, column: int) -> Membership | None:
    answered = ballot.answers[:, column] > 0
    none = answered & (ballot.votes[:, column] == NO_VOTE)
    n, share = int(answered.sum()), float(none.sum()) / max(1, int(answered.sum()))
    if n < ENOUGH_ANSWERS or share < MOSTLY:
        return None
    figures = {"answers": n, "invalid_share": round(share, 4)}
    reason = f"broken: {share:.0%} of {n} answers are no label"
    return Membership(ballot.annotators[column], "drop", reason, figures)


def _constant(ballot: Ballot, column: int) -> Membership | None:
    voted = ballot.votes[:, column] != NO_VOTE
    votes = ballot.votes[voted, column]
    if len(votes) < ENOUGH_ANSWERS:
        return None
    label, times = max(
        enumerate(np.bincount(votes).tolist()), key=lambda counted: (counted[1], -counted[0])
    )
    others = np.delete(ballot.votes[voted], column, axis=1)
    said = int((others != NO_VOTE).sum())
    if times / len(votes) < ALWAYS or not said:
        return None
    usual = (int((others == label).sum()) + 1) / (said + 2)
    chance = float(binom.sf(times - 1, len(votes), usual))
    if chance >= HARDLY:
        return None
    figures = {"votes": len(votes), "same": times, "usual_share": round(usual, 4)}
    reason = f"broken: {times} of {len(votes)} answers are the same label, by others {usual:.0%}"
    return Membership(ballot.annotators[column], "drop", reason, figures)


def find_readmitted(dropped: Mapping[str, str | None]) -> list[Membership]:
    """Dropped annotators whose place nobody holds any more.

    Where the one that another was dropped for was itself dropped for a third, that one holds both
    places; and when the third goes, the second takes its own again and holds that of the first.

    Args:
        dropped: By the name of each, whom it was dropped for; ``None`` where that does not matter.
    """
    return [
        Membership(
            name,
            "admit",
            f"back: {rival}, for which it was dropped, is asked no more",
            {"rival": rival},
        )
        for name, rival in dropped.items()
        if rival is not None and rival in dropped and dropped[rival] is None
    ]


def find_dispensable(
    audit: Ballot,
    student: NDArray[np.float64] | None,
    panel: Panel,
    prices: Sequence[float],
    active: Sequence[str],
    keep: Collection[str],
    *,
    classes: int,
    tolerance: float,
    restricted: Mapping[str, Collection[int]] | None = None,
) -> list[Membership]:
    """Annotators without whom the labels are as good, the dearest judged first.

    Args:
        audit: Votes on the audit sample, in the panel's order of annotators.
        student: Out-of-sample probabilities on it, shape (n, K).
        panel: What is known of the annotators; its reference says what is true.
        prices: Of a usual vote, length m.
        active: Models that may be asked.
        keep: Those that are never dropped, the reference and trusted ones among them.
        classes: K.
        tolerance: Accuracy that is not missed.
        restricted: Class numbers that an annotator is asked about now, where that is restricted.
    """
    if panel.reference is None:
        return []
    truth = audit.column(panel.reference)
    columns = [audit.annotators.index(name) for name in active]
    known = (truth != NO_VOTE) & (audit.answers[:, columns] > 0).all(axis=1)
    judged = _Judged(audit, student, panel, classes, truth, known, tuple(prices))
    left, found = list(columns), []
    for column in sorted(columns, key=lambda column: (-prices[column], column)):
        name = audit.annotators[column]
        rivals = [
            other
            for other in left
            if other != column and (panel.gold or audit.annotators[other] != panel.reference)
        ]
        if name in keep or not known.any():
            continue
        decision = judged.judge(column, left, rivals, tolerance) if rivals else None
        if decision is None and name in (restricted or {}):
            decision = judged.missed(column, left, (restricted or {})[name], tolerance)
        if decision is not None:
            found.append(decision)
            if decision.action == "drop":
                left.remove(column)
    return found


@dataclass(frozen=True)
class _Judged:
    """The audited items that all of those who are judged have answered."""

    audit: Ballot
    student: NDArray[np.float64] | None
    panel: Panel
    classes: int
    truth: NDArray[np.int64]
    known: NDArray[np.bool_]
    prices: tuple[float, ...]

    def label(self, columns: Sequence[int]) -> NDArray[np.int64]:
        """Labels by the votes of some annotators alone."""
        shown = np.zeros(len(self.audit.annotators), bool)
        shown[list(columns)] = True
        votes = np.where(shown, self.audit.votes, NO_VOTE)[self.known]
        # Audited items keep their names: the panel knows what it has learned from.
        ids = tuple(self.audit.item_ids[row] for row in np.flatnonzero(self.known).tolist())
        seen = Ballot(ids, self.audit.annotators, votes, (votes != NO_VOTE).astype(np.int64))
        student = None if self.student is None else self.student[self.known]
        panel = replace(self.panel, gold=())
        return weigh(seen, panel, student, classes=self.classes).label

    def added(
        self, column: int, left: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Labels without an annotator, and what it adds on each item: 1 right, -1 wrong."""
        truth = self.truth[self.known]
        without = self.label([other for other in left if other != column])
        return without, (self.label(left) == truth).astype(float) - (without == truth)

    def missed(
        self, column: int, left: Sequence[int], kept: Collection[int], tolerance: float
    ) -> Membership | None:
        """Lift a restriction where the annotator adds more than is tolerated, as it now seems.

        It was restricted on a bound and is freed on an estimate, so that chance does not move it to
        and fro.
        """
        without, added = self.added(column, left)
        outside = ~np.isin(without, sorted(kept))
        if not outside.any() or float(added[outside].mean()) <= tolerance:
            return None
        figures = {"audited": int(outside.sum()), "added": round(float(added[outside].mean()), 4)}
        reason = "back: it does add something where the label so far is one of the others"
        return Membership(self.audit.annotators[column], "admit", reason, figures)

    def judge(
        self, column: int, left: Sequence[int], rivals: Sequence[int], tolerance: float
    ) -> Membership | None:
        truth = self.truth[self.known]
        right = (self.audit.votes[self.known] == truth[:, None]).astype(float)
        name, own = self.audit.annotators[column], right[:, column]
        without, added = self.added(column, left)
        figures = {
            "audited": len(truth),
            "accuracy": round(float(own.mean()), 4),
            "added": round(float(added.mean()), 4),
        }

        def against(other: int) -> dict[str, Any]:
            accuracy = round(float(right[:, other].mean()), 4)
            return {**figures, "rival": self.audit.annotators[other], "rival_accuracy": accuracy}

        chance = not better_than_chance(self.audit.votes[self.known, column], truth, self.classes)
        as_good = []
        for other in sorted(rivals, key=lambda other: (-right[:, other].mean(), other)):
            better = right[:, other] - own
            dearer = self.prices[other] > self.prices[column]
            useless = chance or (not dearer and _bounds(added)[0] <= 0)
            if useless and _bounds(better)[0] >= SURELY_WORSE:
                reason = f"bad: {own.mean():.0%} right on the audit, and adds nothing that shows"
                return Membership(name, "drop", reason, against(other))
            if not dearer and _bounds(-better)[1] <= tolerance:
                as_good.append(other)
        for other in as_good:
            alone = self.label([other]) == truth
            pair = (self.label([other, column]) == truth).astype(float) - alone
            if max(_bounds(added)[1], _bounds(pair)[1]) <= tolerance:
                rival = self.audit.annotators[other]
                reason = f"redundant: {rival} is not dearer, as good, and makes it superfluous"
                return Membership(name, "drop", reason, against(other), beside=rival)
        if not as_good:
            return None
        return self._restricted(name, without, added, tolerance, against(as_good[0]))

    def _restricted(
        self,
        name: str,
        without: NDArray[np.int64],
        added: NDArray[np.float64],
        tolerance: float,
        figures: dict[str, Any],
    ) -> Membership | None:
        """Leave out the classes in which it adds nothing, if that is most of what there is."""
        counts = np.bincount(without, minlength=self.classes)
        useless = [
            label
            for label in np.flatnonzero(counts >= ENOUGH_OF_A_CLASS).tolist()
            if _bounds(added[without == label])[1] <= tolerance
        ]
        kept = tuple(label for label in range(self.classes) if label not in useless)
        if not kept or counts[useless].sum() < len(without) / 2:
            return None
        reason = "restricted: it adds nothing where the label so far is one of the others"
        return Membership(name, "restrict", reason, figures, kept)


def better_than_chance(votes: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> bool:
    """Whether votes agree with the truth more often than shuffled votes would, at 5 %."""
    said = votes != NO_VOTE
    votes, truth = votes[said], truth[said]
    if not len(votes):
        return False
    shares = [np.bincount(labels, minlength=classes) / len(votes) for labels in (votes, truth)]
    chance = float(shares[0] @ shares[1])
    agreed = int((votes == truth).sum())
    return bool(binom.sf(agreed - 1, len(votes), chance) < 0.05)


def _bounds(difference: NDArray[np.float64]) -> tuple[float, float]:
    """One-sided 90 % bounds of a mean of paired differences.

    One item that differs is added to the variance: no difference among few items proves little.
    """
    n = len(difference)
    mean = float(difference.mean())
    variance = (float((difference**2).sum()) + 1.0) / (n + 1) - mean**2
    error = ONE_SIDED * float(np.sqrt(max(variance, 0.0) / n))
    return mean - error, mean + error
