"""One ensemble of recorded annotators on one set, with its audit sample, as the product sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cascade_figures import Point
from numpy.typing import NDArray
from recorded_sets import RecordedSet

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.experience import Experience, gather
from labelwright.agents.panel import Panel, learn_panel
from labelwright.agents.verdict import Verdict, weigh
from labelwright.tools.aggregation import NO_VOTE
from labelwright.tools.student import StudentConfig, fit

PERSON = "person"
NANO = 1e9


@dataclass(frozen=True)
class Bench:
    """One ensemble on one set with its audit sample, as the product sees it.

    Attributes:
        names: The K labels.
        gold: (n,) class numbers.
        vectors: (n, d) of the texts.
        annotators: Length m + 1, the person last.
        votes: (n, m + 1) recorded votes, the person's on the audit sample only.
        prices: (n, m + 1) nanodollars; nobody can pay the person.
        audited: (n,) the audit sample.
        half: (n,) which half of the other texts, 0 or 1; -1 where audited.
        teaches: (n,) whose labels the student may be trained on.
    """

    names: Sequence[str]
    gold: NDArray[np.int64]
    vectors: NDArray[np.float32]
    annotators: tuple[str, ...]
    votes: NDArray[np.int64]
    prices: NDArray[np.float64]
    audited: NDArray[np.bool_]
    half: NDArray[np.int64]
    teaches: NDArray[np.bool_]

    def point(self, asked: NDArray[np.bool_], label: NDArray[np.int64]) -> Point:
        """Money for the votes; accuracy on the texts that were not audited."""
        right = label == self.gold
        halves = (float(right[self.half == 0].mean()), float(right[self.half == 1].mean()))
        return Point(self.usd(asked), float(right[~self.audited].mean()), halves)

    @property
    def told(self) -> NDArray[np.bool_]:
        """Everybody on the audit sample, shape (n, m + 1)."""
        return np.repeat(self.audited[:, None], self.votes.shape[1], axis=1)

    @property
    def audit(self) -> Ballot:
        """Votes on the audit sample."""
        votes = self.votes[self.audited]
        ids = tuple(str(row) for row in np.flatnonzero(self.audited).tolist())
        # Everybody has answered: an answer that was no vote was paid for, and is none again.
        return Ballot(ids, self.annotators, votes, np.ones_like(votes), blank=votes == NO_VOTE)

    def usd(self, asked: NDArray[np.bool_]) -> float:
        """Money for votes, the person's fee left out."""
        return float((self.prices * asked)[:, :-1].sum() / NANO)

    def panel(self, student: NDArray[np.float64]) -> Panel:
        """What the audit sample teaches."""
        critic = CriticConfig()
        return learn_panel(
            self.audit,
            student[self.audited],
            reference=PERSON,
            gold=(PERSON,),
            classes=len(self.names),
            prior_accuracy=critic.prior_accuracy,
            prior_strength=critic.prior_strength,
            strongest_accuracy=critic.strongest_accuracy,
            student_weight=critic.student_weight,
        )

    def verdict(
        self, asked: NDArray[np.bool_], student: NDArray[np.float64], panel: Panel | None = None
    ) -> Verdict:
        """What the answers add up to, with the student's word."""
        ids = tuple(str(row) for row in range(len(asked)))
        seen = np.where(asked, self.votes, NO_VOTE)
        ballot = Ballot(
            ids,
            self.annotators,
            seen,
            asked.astype(np.int64),
            blank=asked & (seen == NO_VOTE),
        )
        return weigh(ballot, panel or self.panel(student), student, classes=len(self.names))

    def student(
        self, rows: NDArray[np.int64], labels: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Probabilities on all texts by the product's student, out of sample on ``rows``."""
        fitted = fit(StudentConfig(), self.vectors[rows], labels, weights, self.names, seed=0)
        proba = fitted.student.predict_proba(self.vectors).astype(np.float64)
        proba[rows] = fitted.out_of_sample
        return proba


def prepare(data: RecordedSet, columns: list[int], audits: int, seed: int) -> Bench:
    """Draw the audit sample."""
    n = len(data.texts)
    order = np.random.default_rng(seed).permutation(n)
    half = np.full(n, -1)
    half[order[audits:]] = np.arange(n - audits) % 2
    audited = half < 0
    person = np.where(audited, data.gold, NO_VOTE)
    prices = np.rint(data.costs[:, columns] * NANO)
    return Bench(
        data.task.label_names,
        data.gold,
        data.vectors,
        (*(data.annotators[column] for column in columns), PERSON),
        np.column_stack([data.votes[:, columns], person]),
        np.column_stack([prices, np.full(n, 1e15)]),
        audited,
        half,
        np.ones(n, bool),
    )


def first_student(bench: Bench) -> NDArray[np.float64]:
    """The student of the audited labels."""
    rows = np.flatnonzero(bench.audited)
    return bench.student(rows, bench.gold[rows], np.ones(len(rows)))


def experience_of(bench: Bench, student: NDArray[np.float64], panel: Panel) -> Experience:
    """What the audit sample shows of every set of annotators."""
    return gather(
        bench.audit,
        student[bench.audited],
        panel,
        len(bench.names),
        background=student,
        rng=np.random.default_rng(0),
    )


def draw_by_price(usd: NDArray[np.float64], size: int, rng: np.random.Generator) -> list[int]:
    """One annotator of each of ``size`` stretches of the price list, cheap first."""
    known = np.flatnonzero(np.isfinite(usd))
    order = known[np.argsort(usd[known], kind="stable")]
    return [int(rng.choice(part)) for part in np.array_split(order, size)]


def by_price_alone(usd: NDArray[np.float64]) -> list[int]:
    """The cheapest, the middle and the dearest annotator."""
    known = np.flatnonzero(np.isfinite(usd))
    order = known[np.argsort(usd[known], kind="stable")]
    return [int(order[0]), int(order[len(order) // 2]), int(order[-1])]
