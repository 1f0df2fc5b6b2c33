"""Acceptance with a guarantee: which labels to keep so that at most a share eps of them is wrong.

Labels are taken from the surest down to a threshold, and the threshold is tested on a random sample
of trusted labels (selective classification: Geifman and El-Yaniv 2017; PAC labels: Candes, Ilyas
and Zrnic 2025, arXiv 2506.10908; fixed-sequence testing: Angelopoulos et al. 2021, arXiv
2110.01052; Jung, Brahman and Choi 2024, arXiv 2407.18370).

Why it holds, whatever the scores are worth. The audit is *split*: labels and scores are fixed
before this sample is drawn, and audits from which weights and calibration were learned must not be
handed in. Thresholds, their order and, for each of them, a number ``c`` of wrong labels that is
still allowed come from the scores of the whole pool alone, never from the audit. Of M labels at or
above a threshold, E of them wrong, the number e of wrong ones among the a that were audited is
hypergeometric, exactly, in a pool of any size. At the first threshold of the sequence where
``E > c`` the test passes with probability at most alpha, and nothing below it is reached without
passing there: so with probability 1 - alpha, ``E <= c`` wherever it was passed. Of these thresholds
the lowest is kept where ``c - e <= eps (M - a)``: then at most a share eps is wrong of the labels
that *nobody has audited*. The audited ones, which are right once they are corrected, do not help to
meet eps. Labels of equal score are accepted together or not at all.

Where an expert labels others of these texts, and rightly, eps may be a share of the accepted and of
the expert's labels together. ``E <= c`` wherever it was passed does not depend on how many those
are: the limit by which a threshold is kept may be counted when they are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.integer[Any]]

LAST_AUDIT = "last_audit"
"""Kind of the decision that holds the sample, and purpose of its questions."""
REST = "rest_escalated"
"""The same of the texts that go to the trusted annotator afterwards."""
STEPS = 20
"""Thresholds that are tried at most: more find one more label, and are one more chance to fail."""
SLIPS = 9
"""Wrong labels among the audited ones that the first threshold must be able to bear at most: with
none, a single slip of the audit would end the sequence before it began."""
_OF_MOST = 0.3
"""The same as a share of what could be borne if all labels were accepted: where the audit is small,
a start far down would ask for luck."""
ANSWERED = 0.95
"""Share of the labels of an expert that are counted on: some texts fit none, or are left open."""
_CAUTION = 0.7
"""Share of the wrong labels that the scores announce that the audit is counted on to find."""


class GuaranteeConfig(BaseModel):
    """What is to be proven of the accepted labels, by a last audit at the end of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: float = Field(
        gt=0, lt=1, description="Most of the accepted labels, as a share, that may be wrong."
    )
    confidence: float = Field(
        0.9, gt=0, lt=1, description="Probability with which the guarantee holds."
    )
    audits: int | None = Field(
        None,
        ge=1,
        description="Texts drawn at random at the end and put to the trusted annotator; none: as "
        "many as bear a few wrong labels.",
    )
    rest: Literal["set_apart", "escalate"] = Field(
        "set_apart",
        description="What becomes of texts whose labels can not be accepted: set apart, or put to "
        "the trusted annotator, the least probable first, as far as the budget goes.",
    )
    of: Literal["accepted", "delivered"] = Field(
        "accepted",
        description="Labels of which the error is a share: those that are accepted, or, where the "
        "rest is escalated, these and the labels that the trusted annotator gives the rest. More "
        "is accepted then.",
    )

    @model_validator(mode="after")
    def _delivered_are_escalated(self) -> GuaranteeConfig:
        if self.of == "delivered" and self.rest != "escalate":
            raise ValueError("of: delivered needs rest: escalate; or leave it at accepted")
        return self

    @property
    def size(self) -> int:
        """Texts of the last audit, where the pool holds as many."""
        return self.audits or usual_audits(self.error, self.confidence)


@dataclass(frozen=True)
class Acceptance:
    """Which labels are accepted, and what is proven of them.

    Attributes:
        threshold: Labels of this score or more are accepted; None where no guarantee can be given.
        accepted: Accepted labels that were not audited.
        audited: Audited labels at or above the threshold.
        wrong: Those of them that were wrong.
        audits: Audited labels in all.
        needed: Audits without a wrong label that would prove the same of the whole pool: fewer can
            not prove anything.
        why_not: Why there is no guarantee, where there is none.
        short_of: What there was too little of for a proof: ``audits``, which may be so where too
            many labels were wrong, or ``labels`` of the expert; None where neither would help.
    """

    threshold: float | None
    accepted: int
    audited: int
    wrong: int
    audits: int
    needed: int
    why_not: str | None = None
    short_of: str | None = None


def accept_labels(
    scores: Floats,
    audited: Ints,
    wrong: NDArray[np.bool_],
    *,
    error: float,
    confidence: float = 0.9,
    expert: int = 0,
    gave: int | None = None,
    lowest: float = 0.0,
    steps: int = STEPS,
    slips: int = SLIPS,
) -> Acceptance:
    """Choose the lowest threshold that the audit proves to keep the error at or below ``error``.

    Args:
        scores: (N,) estimated probability that each label is right, fixed without the outcomes of
            this audit. Only power depends on how good they are.
        audited: (n,) positions of the labels that were audited, drawn at random without
            replacement from all N.
        wrong: (n,) whether the audited label was wrong.
        error: eps in (0, 1).
        confidence: 1 - alpha in (0, 1).
        expert: To how many of the other texts an expert is meant to give right labels, so it is
            known before the audit: eps is then a share of the accepted and of these together. As
            many as there are: the PAC labels of Candes et al.
        gave: To how many the expert has given one in the end. Much fewer than were meant prove
            less, and often nothing: as many wrong labels are then a greater share.
        lowest: No threshold below is taken: what the expert was asked about is no label to accept.
        steps: Thresholds that are tried at most.
        slips: Wrong audited labels that the first threshold must bear at most.

    Returns:
        The acceptance. Nothing is accepted where no threshold is proven.

    Raises:
        ValueError: If shapes differ, a score is not within [0, 1], a position is given twice, or
            error or confidence are not within (0, 1).
    """
    _check(scores, audited, wrong, error, confidence)
    from scipy.stats import hypergeom

    n, size = len(audited), len(scores)
    needed = audits_needed(error, confidence, size)
    sequence = candidates(scores, n, error, confidence, expert=expert, steps=steps, slips=slips)
    least = np.asarray([candidate.threshold for candidate in sequence])
    allowed = np.asarray([candidate.allowed for candidate in sequence], np.int64)
    total, found, slipped = (
        len(some) - np.sort(some).searchsorted(least)
        for some in (scores, scores[audited], scores[audited][wrong])
    )
    left = total - found
    others = size - n - left
    given = ANSWERED * np.minimum(others, expert) if gave is None else np.minimum(others, gave)
    labelled = left + np.floor(given)
    # Wrong ones: eps of what nobody audited, and those that the audit itself found.
    most = np.floor(error * labelled + 1e-9).astype(np.int64) + slipped
    # Whether as many wrong labels may be there as are allowed, and as many as eps bears.
    passed, borne = (
        (total <= limit)
        | (hypergeom.cdf(slipped, total, np.minimum(limit + 1, total), found) <= 1 - confidence)
        for limit in (allowed, most)
    )
    kept = None
    for k in range(len(sequence) if passed.all() else int(passed.argmin())):
        # Where all thresholds were passed, the sequence goes on with fewer and fewer allowed at the
        # last one: the labels are better than their scores announced.
        last = k == len(sequence) - 1
        bears = allowed[k] <= most[k] or (last and borne[k])
        if left[k] > 0 and least[k] >= lowest and bears:
            kept = k
    if kept is not None:
        return Acceptance(
            threshold=float(least[kept]),
            accepted=int(left[kept]),
            audited=int(found[kept]),
            wrong=int(slipped[kept]),
            audits=n,
            needed=needed,
        )
    if n == size:
        why = "no label was left that the audit did not look at"
    elif n < needed or not sequence:
        why = f"{n} audits are too few to prove an error of {error:.1%} or less"
    else:
        why = f"too many of the surest labels were wrong among {n} audits"
    return Acceptance(None, 0, 0, 0, n, needed, why, "audits" if n < size else None)


@dataclass(frozen=True)
class Candidate:
    """A threshold and how many labels at or above it may be wrong if it is to pass."""

    threshold: float
    allowed: int


def candidates(
    scores: Floats,
    audits: int,
    error: float,
    confidence: float,
    *,
    expert: int = 0,
    steps: int = STEPS,
    slips: int = SLIPS,
) -> list[Candidate]:
    """The fixed sequence of thresholds, from the surest down; it does not look at outcomes.

    It starts where the audit is expected to hold enough labels to pass with ``slips`` wrong ones
    (or with fewer, where the audit is small), and goes down in even steps of the number of labels.
    What is allowed is eps of the labels that will not be audited, and those wrong ones that the
    audit itself will find and correct, cautiously foretold from the scores.

    Args:
        scores: (N,) scores in [0, 1].
        audits: Size of the audit sample.
        error: eps.
        confidence: 1 - alpha.
        expert: As for `accept_labels`.
        steps: Most thresholds.
        slips: Wrong audited labels that the first threshold must bear at most.

    Returns:
        Thresholds in descending order; none where no audit of this size could prove anything.
    """
    from scipy.stats import binom, hypergeom

    if not len(scores):
        return []
    values, counts = np.unique(-np.asarray(scores, np.float64), return_counts=True)
    values, totals, size = -values, counts.cumsum(), len(scores)
    announced = np.cumsum((1 - values) * counts)
    # Even steps of labels; among equal scores only whole groups can be taken.
    wanted = np.linspace(size / (2 * steps), size, 2 * steps)
    grid = np.unique(np.searchsorted(totals, wanted - 1e-9))
    totals, announced, values = totals[grid], announced[grid], values[grid]
    drawn = np.round(audits * totals / size)
    # Half a deviation more than is expected: the kept threshold is measured by what was drawn.
    likely = drawn + 0.5 * np.sqrt(drawn * (1 - totals / size) * (1 - audits / size))
    left = np.maximum(totals - likely, 0)
    others = np.maximum(size - audits - left, 0)
    labelled = left + ANSWERED * np.minimum(others, expert)
    rate = np.minimum(announced / totals, error * labelled / np.maximum(left, 1)) * _CAUTION
    found = np.maximum(binom.ppf(0.1, drawn, np.minimum(rate, 1)), 0)
    allowed = np.maximum(np.floor(error * labelled + found), 0)
    bad = np.minimum(allowed + 1, totals)
    alpha = 1 - confidence
    most = np.asarray(hypergeom.ppf(alpha, totals, bad, drawn), np.float64)
    most -= hypergeom.cdf(most, totals, bad, drawn) > alpha  # the quantile lies at alpha or above
    most[allowed >= totals] = np.inf
    if not (most >= 0).any():
        return []
    finite = most[np.isfinite(most)]
    borne = min(slips, int(_OF_MOST * max(float(finite.max(initial=0)), 0.0)))
    chosen = np.arange(int((most >= borne).argmax()), len(grid))
    if len(chosen) > steps:
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, steps).round().astype(int))]
    return [Candidate(float(values[k]), int(allowed[k])) for k in chosen]


def audits_needed(error: float, confidence: float, size: int | None = None) -> int:
    """Fewest audits that can prove an error of at most ``error``: all of them right.

    Args:
        error: eps in (0, 1).
        confidence: 1 - alpha in (0, 1).
        size: Labels in the pool; without, it is taken as endless.
    """
    endless = ceil(log(1 - confidence) / log(1 - error) - 1e-9)
    return endless if size is None else min(endless, size)


def usual_audits(error: float, confidence: float, wrong: int = 6) -> int:
    """Audits that bear some wrong labels: what a guarantee takes when it is not to fail by chance.

    The smallest n with ``P(Binomial(n, error) <= wrong) <= 1 - confidence``.

    Args:
        error: eps in (0, 1).
        confidence: 1 - alpha in (0, 1).
        wrong: How many wrong labels among n shall be borne.
    """
    from scipy.stats import binom

    low = high = audits_needed(error, confidence)
    while binom.cdf(wrong, high, error) > 1 - confidence:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if binom.cdf(wrong, middle, error) > 1 - confidence:
            low = middle + 1
        else:
            high = middle
    return high


def _check(
    scores: Floats, audited: Ints, wrong: NDArray[np.bool_], error: float, confidence: float
) -> None:
    if scores.ndim != 1 or audited.shape != wrong.shape or audited.ndim != 1:
        raise ValueError(f"{scores.shape} scores, {audited.shape} audits, {wrong.shape} outcomes")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a score is not within [0, 1]")
    if len(np.unique(audited)) != len(audited):
        raise ValueError("a label is audited twice: the sample is drawn without replacement")
    if not (0 < error < 1 and 0 < confidence < 1):
        raise ValueError(f"error and confidence within (0, 1), not {error:g} and {confidence:g}")
