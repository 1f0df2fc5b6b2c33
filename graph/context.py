"""What the nodes of one run work with; made when a process takes the run up."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.aggregators import FROM_ALL_VOTES
from ..agents.annotators import Annotator, HumanAnnotator, build_annotator
from ..agents.annotators.embedded import label_directions, pool_centre
from ..agents.ballot import Ballot, count_votes
from ..agents.desk import Desk
from ..agents.ensemble import Voter, cascade, reference
from ..agents.panel import Panel, learn_panel
from ..tools.embedding import Embedder
from ..tools.guarantee import LAST_AUDIT, REST
from ..tools.ledger import Ledger, Vote
from ..tools.nearby import neighbour_agreement
from ..tools.pool import Pool
from ..tools.prompts import PromptLibrary
from ..tools.rows import Rows
from .config import RunConfig
from .corrections import examples
from .rounds import RoundFit, load_round

Notify = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Splits:
    """Fixed random parts of the pool, drawn before anything is labelled.

    Attributes:
        stop_set: Rows on which churn is measured; never trained on while the loop runs. At most a
            quarter of the pool, and none where that is less than two.
        audit_order: The other rows in the order in which audits take them.
    """

    stop_set: NDArray[np.int64]
    audit_order: NDArray[np.int64]


@dataclass
class RunContext:
    """Everything that a run has open.

    Attributes:
        folder: The run's folder.
        notify: Called with events for people (progress); never decides anything.
        stopping: Whether the run has been asked to stop at the next safe point.
        step: Of the node that is at work; it reads conclusions as they were when it began.
        started: Clock reading when this process took the run up, in seconds.
        opened_at: Number of the last directive that was there then.
    """

    config: RunConfig
    folder: Path
    ledger: Ledger
    pool: Pool
    rows: Rows
    embedder: Embedder
    prompts: PromptLibrary
    notify: Notify
    stopping: Callable[[], bool]
    step: int | None = None
    started: float = field(default_factory=time.monotonic)
    opened_at: int = 0

    def __post_init__(self) -> None:
        self.round_fit = lru_cache(maxsize=2)(self._load_round)
        self._opening = threading.Lock()

    @property
    def desk(self) -> Desk:
        """The run as its agents see it."""
        return Desk(
            self.config.task, self.ledger, self.pool, self.prompts, self.stopping, self.step
        )

    @property
    def labels(self) -> list[str]:
        """The label set; index = class number."""
        return self.config.task.label_names

    @cached_property
    def voters(self) -> list[Voter]:
        """The cascade."""
        return cascade(
            [
                Voter(
                    name=settings.name,
                    tier=settings.tier,
                    trusted=settings.trusted,
                    person=settings.kind == "human",
                    repeats=settings.kind == "chat",
                )
                for settings in self.config.annotators
            ]
        )

    @property
    def annotators(self) -> dict[str, Annotator]:
        """Everybody who can be called, by name. The pool must be full."""
        # Blocks are put by several threads, and each annotator is to be opened once.
        with self._opening:
            return self._annotators

    @cached_property
    def _annotators(self) -> dict[str, Annotator]:
        return {
            settings.name: build_annotator(
                settings,
                task=self.config.task,
                embedder=self.embedder,
                pool=self.pool,
                prompts=self.prompts,
                ledger=self.ledger,
                stop=self.stopping,
                examples=lambda: examples(self),
            )
            for settings in self.config.annotators
            if settings.kind != "human"
        }

    @cached_property
    def people(self) -> dict[str, HumanAnnotator]:
        """The people, by name."""
        return {
            settings.name: HumanAnnotator(settings)
            for settings in self.config.annotators
            if settings.kind == "human"
        }

    @cached_property
    def splits(self) -> Splits:
        """Stop set and audit order; the same whenever and wherever they are drawn."""
        real = np.flatnonzero(~self.pool.origins())
        order = self.rng(0, "splits").permutation(real)
        size = min(self.config.stopping.stop_set_size, len(real) // 4)
        if size < 2:
            size = 0  # One item has no churn to speak of, and the student needs it more.
        return Splits(np.sort(order[:size]), order[size:])

    @cached_property
    def descriptions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Centre of the pool and direction of each label's description; the pool must be full."""
        centre = pool_centre(self.pool)
        return centre, label_directions(self.config.task, self.embedder, centre)

    def rng(self, round_: int, purpose: str) -> np.random.Generator:
        """Randomness of one purpose in one round, the same after a resume."""
        return np.random.default_rng([self.config.seed, round_, *purpose.encode()])

    def _load_round(self, number: int) -> RoundFit:
        return load_round(self.folder, number, self.embedder.fingerprint)

    def latest_fit(self, round_: int) -> RoundFit | None:
        """The student of the last closed round up to ``round_``, if there is one."""
        closed = [number for number, _, _ in self.ledger.log.rounds() if number <= round_]
        return self.round_fit(closed[-1]) if closed else None

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Ids of pool rows."""
        return [self.pool.ids[row] for row in rows.tolist()]

    def row_numbers(self, ids: list[str] | tuple[str, ...]) -> NDArray[np.int64]:
        """Pool rows of ids."""
        return np.asarray([self.pool.index(item) for item in ids], np.int64)

    def ballot(self, ids: list[str]) -> Ballot:
        """Votes on items."""
        names = [voter.name for voter in self.voters]
        return count_votes(self.ledger.votes.of_items(ids), names, self.labels)

    def student_view(self, ids: list[str], fit: RoundFit | None) -> NDArray[np.float64] | None:
        """Probabilities on items by a student that has not seen them, shape (n, K)."""
        if fit is None:
            return None
        rows = self.row_numbers(ids)
        texts = self.pool.texts(ids) if fit.student.tfidf is not None else None
        proba = fit.student.predict_proba(self.pool.vectors()[rows], texts).astype(np.float64)
        trained = {item: position for position, item in enumerate(fit.ids)}
        for position, item in enumerate(ids):
            if item in trained:
                proba[position] = fit.out_of_sample[trained[item]]
        return proba

    def audit_ids(self, audited: int) -> list[str]:
        """The audit sample so far."""
        return self.ids(self.splits.audit_order[:audited])

    def panel(self, audited: int, fit: RoundFit | None) -> Panel:
        """What the audits up to now have taught about the annotators."""
        target = reference(self.voters)
        ids = self.audit_ids(audited)
        critic, method = self.config.critic, self.config.ensemble.aggregation
        every = self._every_vote() if method in FROM_ALL_VOTES else None
        return learn_panel(
            self.ballot(ids),
            self.student_view(ids, fit) if ids else None,
            reference=target.name if target else None,
            gold=[voter.name for voter in self.voters if voter.trusted],
            classes=len(self.labels),
            prior_accuracy=critic.prior_accuracy,
            prior_strength=critic.prior_strength,
            strongest_accuracy=critic.strongest_accuracy,
            student_weight=critic.student_weight,
            aggregation=method,
            cast=every.votes if every else None,
            cast_student=self.student_view(list(every.item_ids), fit) if every else None,
            labelled=None if fit is None else fit.labels,
            nearby=neighbour_agreement(self.pool, fit.ids, fit.labels, critic.neighbours)
            if fit is not None and critic.neighbour_agreement
            else None,
        )

    def _every_vote(self) -> Ballot | None:
        """Votes on all items, but those that come when the labels are finished and being tested."""
        votes: dict[str, list[Vote]] = defaultdict(list)
        for vote in self.ledger.votes.all():
            if vote.purpose not in {LAST_AUDIT, REST}:
                votes[vote.item_id].append(vote)
        names = [voter.name for voter in self.voters]
        return count_votes(dict(sorted(votes.items())), names, self.labels) if votes else None

    def close(self) -> None:
        """Close what is open; it can be called once more without harm."""
        if "_annotators" in self.__dict__:
            for annotator in self._annotators.values():
                annotator.close()
        self.pool.close()
        self.rows.close()
        self.ledger.close()
