"""What the audit sample teaches about the annotators, and what their votes then add up to.

Annotators are independent given the label, each right with its own probability (one-coin model of
Dawid and Skene, 1979), as far as they do not make the same mistakes; the student's out-of-sample
probabilities enter as one more voter, as in CROWDLAB (Goh, Tkachenko and Mueller, 2022). How often
an annotator is right is learned from the audit sample only: items that were chosen at random and
put to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..tools.aggregation import (
    NO_VOTE,
    Evidence,
    effective_weights,
    evidence,
    one_coin,
    redundancy,
    reliability,
    tally,
    vote_strength,
    weighted_posterior,
)
from ..tools.calibration import Calibration
from ..tools.nearby import Nearby
from .aggregators import Aggregation, Aggregator, build_aggregator
from .ballot import Ballot, by_pattern
from .contest import FEWEST_TO_SWITCH, Choice, Method, compare
from .lessons import FOLDS, Lessons

ENOUGH = 30
"""Audited items from which the student's weight is fitted."""
USUAL_OVERLAP = 0.4
"""Overlap of two language models' mistakes before any audit (cf. Kim et al., 2025)."""
OVERLAP_STRENGTH = 20
"""How many audited items that belief is worth."""
EXPONENTS = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class Panel:
    """What the audit sample has taught about the annotators.

    Attributes:
        reference: Whose labels the audit takes as true; ``None`` where there is nobody to compare.
        gold: Annotators whose labels are true by configuration; where there are any, the reference
            is one of them, and figures may be called calibrated.
        reliability: Probability of being right, shape (m,).
        overlap: How far each pair makes the same mistakes, shape (m, m), zero diagonal.
        audited: Items that back each figure, shape (m,).
        student_weight: Exponent of the student's probabilities beside votes: how far they hold up
            on the audit sample, at most 1. A student that has learned the mistakes of its labels
            is surest where it repeats them.
        ceiling: What no probability may pass: that the reference itself is right, or a lone
            annotator that nobody checks. 1 where the reference is trusted.
        lessons: What the audit sample says of each set of voters, learned when it is asked for;
            ``None`` without audits.
        weighs: Whether audits teach weights; else the beliefs' one-coin posterior is kept.
        counted: Another way of adding votes up, where one is configured.
        choice: What the audit says of ways of adding up, where it has the choice.
        chosen: The way it has chosen where that is not weights, for the votes of all together:
            with fewer votes than were compared, nothing was shown.
    """

    reference: str | None
    gold: tuple[str, ...]
    reliability: NDArray[np.float64]
    overlap: NDArray[np.float64]
    audited: NDArray[np.int64]
    student_weight: float
    ceiling: float
    lessons: Lessons | None = None
    weighs: bool = True
    counted: Aggregator | None = None
    choice: Choice | None = None
    chosen: Aggregator | None = None


def learn_panel(
    ballot: Ballot,
    student: NDArray[np.float64] | None,
    *,
    reference: str | None,
    gold: Sequence[str],
    classes: int,
    prior_accuracy: float,
    prior_strength: float,
    strongest_accuracy: float,
    student_weight: float,
    aggregation: Aggregation = "auto",
    cast: NDArray[np.int64] | None = None,
    cast_student: NDArray[np.float64] | None = None,
    labelled: NDArray[np.int64] | None = None,
    nearby: Nearby | None = None,
) -> Panel:
    """Judge the annotators on the audit sample.

    Args:
        ballot: Votes on the audit sample.
        student: Out-of-sample probabilities on the same items, shape (n, K).
        reference: The annotator whose labels stand for the truth.
        gold: Annotators whose labels are the truth by configuration.
        classes: K.
        prior_accuracy: What an annotator is believed to be right before any audit.
        prior_strength: How many audits that belief is worth.
        strongest_accuracy: What a reference that is not trusted is believed to be.
        student_weight: Weight of the student until there are audits enough to fit it.
        aggregation: How votes are added up; ``auto`` is ``weighted`` or what is surely better.
        cast: All votes, for the methods that learn from those without an audit too, shape (n, m);
            ``None`` is those of the audit sample.
        cast_student: The student's probabilities on the same items, shape (n, K).
        labelled: Labels given so far, to whatever items: how common each label is.
        nearby: How far labelled neighbours agree with a label, as far as the audit heeds it.

    Raises:
        ConfigError: The aggregation needs a library that is not installed.
    """
    m = len(ballot.annotators)
    if cast is None:
        cast, cast_student = ballot.votes, student
    counted = build_aggregator(aggregation, cast, cast_student, classes)
    weighs = aggregation in {"auto", "weighted"}
    if reference is None or not len(ballot.item_ids):
        prior = np.full(m, max(prior_accuracy, 1 / classes + 0.01))
        none = np.zeros(m, np.int64)
        return Panel(
            reference=reference,
            gold=tuple(gold),
            reliability=prior,
            overlap=_overlap(ballot.votes[:0], np.empty(0, np.int64), classes),
            audited=none,
            student_weight=student_weight,
            ceiling=1.0 if gold else strongest_accuracy if m > 1 else float(prior[0]),
            weighs=weighs,
            counted=counted,
        )
    truth = ballot.column(reference)
    known = truth != NO_VOTE
    ballot, truth = ballot.take(np.flatnonzero(known)), truth[known]
    votes = ballot.votes
    figures = reliability(
        votes, truth, classes, prior_accuracy=prior_accuracy, prior_strength=prior_strength
    )
    ceiling, before = 1.0 if gold else strongest_accuracy, student_weight
    # Agreement with a reference that errs understates accuracy where errors are independent; those
    # of language models are not, so the others' figures are taken as they are.
    figures[ballot.annotators.index(reference)] = ceiling
    seen_by_student = None if student is None else student[known]
    if seen_by_student is not None:
        student_weight = _fit_weight(seen_by_student, truth, student_weight)
    overlap = _overlap(votes, truth, classes)
    if not gold:
        # Held to itself it errs with nobody: that is no evidence either.
        column = ballot.annotators.index(reference)
        overlap[column, :] = overlap[:, column] = USUAL_OVERLAP
        overlap[column, column] = 0.0
    judged = np.asarray([name != reference and name not in gold for name in ballot.annotators])
    panel = Panel(
        reference=reference,
        gold=tuple(gold),
        reliability=figures,
        overlap=overlap,
        audited=(votes != NO_VOTE).sum(axis=0),
        student_weight=student_weight,
        ceiling=ceiling,
        lessons=Lessons(
            audit=ballot,
            truth=truth,
            student=seen_by_student,
            judged=judged,
            classes=classes,
            labelled=np.zeros(classes, np.int64)
            if labelled is None
            else np.bincount(labelled, minlength=classes),
            nearby=nearby,
        ),
        weighs=weighs,
        counted=counted,
    )
    voted = int((votes[:, judged] != NO_VOTE).any(axis=1).sum())
    if aggregation != "auto" or voted < FEWEST_TO_SWITCH or judged.sum() < 2:
        return panel

    def believe(rows: NDArray[np.bool_]) -> Panel:
        return learn_panel(
            ballot.take(np.flatnonzero(rows)),
            None if seen_by_student is None else seen_by_student[rows],
            reference=reference,
            gold=gold,
            classes=classes,
            prior_accuracy=prior_accuracy,
            prior_strength=prior_strength,
            strongest_accuracy=strongest_accuracy,
            student_weight=before,
            aggregation="one_coin",
        )

    return _choose(panel, cast, believe)


def _choose(
    panel: Panel, cast: NDArray[np.int64], believe: Callable[[NDArray[np.bool_]], Panel]
) -> Panel:
    """The panel with the way of adding up that the audit speaks for.

    Args:
        panel: One that weighs.
        cast: Votes that Dawid-Skene learns from; it is not told the truth.
        believe: A panel of the one-coin model that has seen the labels of some audited items.
    """
    lessons = panel.lessons
    assert lessons is not None
    votes, rows = lessons.hidden(lessons.judged)
    truth, classes = lessons.truth[rows], lessons.classes
    student = None if lessons.student is None else lessons.student[rows]
    ids = np.asarray(list(lessons.items), object)[rows].tolist()
    shown = np.where(lessons.judged, cast, NO_VOTE)
    counted = build_aggregator("dawid_skene", shown, None, classes)
    assert counted is not None  # it has been asked for by name
    one_coin_label = np.empty(len(rows), np.int64)
    for fold in range(FOLDS):
        own = rows % FOLDS == fold
        seen = np.ones(len(lessons.truth), bool)
        seen[rows[own]] = False
        view = None if student is None else student[own]
        one_coin_label[own] = posterior_of(votes[own], believe(seen), classes, view).argmax(axis=1)
    weighted = posterior_of(votes, panel, classes, student, ids).argmax(axis=1)
    labels: dict[Method, NDArray[np.int64]] = {
        "weighted": weighted,
        "one_coin": one_coin_label,
        "dawid_skene": counted(votes, None).argmax(axis=1),
    }
    choice = compare(votes, truth, labels, FOLDS)
    chosen: dict[Method, Aggregator] = {
        "one_coin": lambda cast, view: _believed(cast, panel, classes, view, lessons.judged),
        "dawid_skene": counted,
        "single": lambda cast, _: one_coin(
            np.where(np.arange(cast.shape[1]) == choice.annotator, cast, NO_VOTE),
            panel.reliability,
            classes,
        ),
    }
    return replace(panel, choice=choice, chosen=chosen.get(choice.method))


def _overlap(
    votes: NDArray[np.int64], truth: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """How far each pair makes the same mistakes, shrunk to what is usual, shape (m, m)."""
    m, audited = votes.shape[1], len(truth)
    usual = np.full((m, m), USUAL_OVERLAP)
    np.fill_diagonal(usual, 0.0)
    if not audited:
        return usual
    seen = audited * redundancy(votes, truth, classes)
    return np.asarray((seen + OVERLAP_STRENGTH * usual) / (audited + OVERLAP_STRENGTH), np.float64)


def posterior_of(
    votes: NDArray[np.int64],
    panel: Panel,
    classes: int,
    student: NDArray[np.float64] | None,
    items: Sequence[str] = (),
) -> NDArray[np.float64]:
    """Probabilities of the labels: weights that the audits have taught, else those of beliefs.

    Before there are audits, and where the reference itself has voted, the one-coin posterior in
    which the votes on an item share what they have in common: a vote weighs 1 / (1 + its overlaps
    with the other votes on the same item), after Kish's effective sample size.

    Args:
        votes: Shape (n, m).
        panel: What is known of the annotators.
        classes: K.
        student: Probabilities by a student that has not seen the items, shape (n, K).
        items: Ids; an audited item among them is judged by weights that have not seen its label.

    Returns:
        Probabilities, shape (n, K).
    """
    posterior = np.empty((len(votes), classes))
    lessons = panel.lessons
    places = np.full(len(votes), -1) if lessons is None or not items else lessons.places(items)
    for pattern, rows in by_pattern(votes != NO_VOTE):
        view = None if student is None else student[rows]
        posterior[rows] = _posterior(votes[rows], panel, classes, view, pattern, places[rows])
    return posterior


def calibration_of(
    panel: Panel, classes: int, pattern: NDArray[np.bool_], student: bool
) -> Calibration | None:
    """The calibration for items on which exactly these have answered, if the audits allow one."""
    lessons = panel.lessons
    if lessons is None:
        return None

    def judge(votes: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
        posterior = np.empty((len(votes), classes))
        for voters, rows in by_pattern(votes != NO_VOTE):
            at = places[rows]
            view = lessons.student[at] if student and lessons.student is not None else None
            posterior[rows] = _posterior(votes[rows], panel, classes, view, voters, at)
        return posterior

    return lessons.calibration(lessons.taken_as(pattern), student, judge)


def _posterior(
    votes: NDArray[np.int64],
    panel: Panel,
    classes: int,
    student: NDArray[np.float64] | None,
    pattern: NDArray[np.bool_],
    places: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Of items with the same voters; ``places`` are theirs in the audit sample, -1 elsewhere."""
    if panel.counted is not None:
        return panel.counted(votes, student)
    lessons = panel.lessons if panel.weighs else None
    if lessons is not None:
        pattern = lessons.taken_as(pattern)
        if panel.chosen is not None and (pattern == lessons.judged).all():
            return panel.chosen(votes, student)

    def see(cast: NDArray[np.int64], view: NDArray[np.float64] | None) -> Evidence:
        assert lessons is not None
        return _see(cast, panel, lessons.log_frequency, view, pattern)

    lesson = None if lessons is None else lessons.of(pattern, student is not None, see)
    if lesson is None:
        return _believed(votes, panel, classes, student, pattern)
    seen = see(votes, student)
    posterior = weighted_posterior(seen, lesson.weights)
    for fold in range(FOLDS):
        own = (places >= 0) & (places % FOLDS == fold)
        if own.any():
            posterior[own] = weighted_posterior(seen.take(own), lesson.held_out(fold))
    return posterior


def _believed(
    votes: NDArray[np.int64],
    panel: Panel,
    classes: int,
    student: NDArray[np.float64] | None,
    pattern: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The one-coin posterior in which votes share what they have in common."""
    shared = panel.overlap * pattern[:, None] * pattern[None, :]
    prior = None if student is None else _student_prior(student, panel, classes)
    return one_coin(votes, panel.reliability, classes, prior, 1.0, effective_weights(shared))


def _see(
    votes: NDArray[np.int64],
    panel: Panel,
    log_frequency: NDArray[np.float64],
    student: NDArray[np.float64] | None,
    pattern: NDArray[np.bool_],
) -> Evidence:
    """The one-coin score, the student's word and how common each label is, beside the votes."""
    classes = log_frequency.size
    shared = panel.overlap * pattern[:, None] * pattern[None, :]
    strength = vote_strength(panel.reliability, classes) * effective_weights(shared)
    scores = [tally(votes, classes, strength)]
    if student is not None:
        scores.append(np.log(np.maximum(_student_prior(student, panel, classes), 1e-3)))
    scores.append(np.broadcast_to(log_frequency, (len(votes), classes)))
    return evidence(votes, classes, tuple(scores))


def _student_prior(student: NDArray[np.float64], panel: Panel, classes: int) -> NDArray[np.float64]:
    """The student's word as far as it holds up, and no surer than what it learned from."""
    tempered = np.maximum(student, 1e-12) ** panel.student_weight
    tempered /= tempered.sum(axis=1, keepdims=True)
    mixed = panel.ceiling * tempered + (1 - panel.ceiling) * (1 - tempered) / (classes - 1)
    return np.asarray(mixed, np.float64)


def _fit_weight(student: NDArray[np.float64], truth: NDArray[np.int64], prior: float) -> float:
    """Exponent under which the student's probabilities fit the audit best, in (0, 1]."""
    if len(truth) < ENOUGH:
        return prior
    logs = np.log(np.maximum(student, 1e-12))
    given = logs[np.arange(len(truth)), truth]
    fits = [float((by * given - logsumexp(by * logs, axis=1)).sum()) for by in EXPONENTS]
    return EXPONENTS[int(np.argmax(fits))]
