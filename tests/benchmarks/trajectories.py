"""Learning curves of the product's own loop on pools with gold, kept between runs of a benchmark.

A trajectory is what a stop rule may see (predictions and probabilities on an unlabelled stop set,
money by round) beside what it may not (gold of the stop set, accuracy on held-out items). Student,
query strategies and the mix of strategies are the product's. Two things are cheaper than in a run:
the student has two folds instead of five, and one annotator labels each item once.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from recorded_sets import NO_VOTE, RecordedSet

from labelwright.agents import selector
from labelwright.agents.selector import PoolView, SelectionConfig, fill_batch, mix_by_rule
from labelwright.tools import strategies, student
from labelwright.tools.student import StudentConfig, fit

Selection = Literal["policy", "random"]
STUDENT = StudentConfig(folds=2)
NOISE = 0.1
"""Share of labels that are made wrong where no annotator's answers were recorded."""
MANY = 20
"""Classes from which a batch has 100 items instead of 50."""
CAP = {False: 2500, True: 3500}
"""Labels at the end of a trajectory, for few and for many classes."""
FORMAT = 3


@dataclass(frozen=True)
class Setting:
    """Which trajectory: the set, the labels, how items are chosen, and the seed."""

    set: str
    noisy: bool
    selection: Selection
    seed: int

    @property
    def group(self) -> str:
        """Everything but the seed, for tables."""
        return f"{self.set}/{'noisy' if self.noisy else 'clean'}/{self.selection}"


@dataclass(frozen=True)
class Trajectory:
    """One learning curve of r rounds; money is counted in labels.

    Attributes:
        predictions: (r, s) labels of the stop set.
        proba: (r, s, K) probabilities of the stop set, half precision.
        labels: (r,) labels bought so far.
        right: (r, h) whether the label of each held-out item was right.
        gold: (s,) of the stop set; for rules that pay for it.
        batch_agreement: (r,) share of the round's new labels that the student before it predicted.
        strategies: (r,) main query strategy of each round.
    """

    setting: Setting
    predictions: NDArray[np.int64]
    proba: NDArray[np.float16]
    labels: NDArray[np.int64]
    right: NDArray[np.bool_]
    gold: NDArray[np.int64]
    batch_agreement: NDArray[np.float64]
    strategies: tuple[str, ...]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(r,) on the held-out items."""
        return np.asarray(self.right.mean(axis=1), np.float64)


def trajectory(found: RecordedSet, setting: Setting, cap: int | None = None) -> Trajectory:
    """The trajectory of a setting, computed once and then read from the temporary folder."""
    kept = _cache(found, setting, cap)
    if not kept.is_file():
        made = _compute(found, setting, cap)
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".part{setting.seed}.npz")
        np.savez_compressed(
            part,
            predictions=made.predictions.astype(np.int16),
            proba=made.proba,
            labels=made.labels,
            right=made.right,
            gold=made.gold,
            batch_agreement=made.batch_agreement,
            strategies=np.asarray(made.strategies),
        )
        part.replace(kept)
    with np.load(kept, allow_pickle=False) as read:
        return Trajectory(
            setting,
            read["predictions"].astype(np.int64),
            read["proba"],
            read["labels"],
            read["right"],
            read["gold"],
            read["batch_agreement"],
            tuple(read["strategies"].tolist()),
        )


def _cache(found: RecordedSet, setting: Setting, cap: int | None) -> Path:
    """Keyed by the data, the setting, and the code that decides what a round is."""
    digest = hashlib.sha256()
    for part in (*found.texts, found.gold.tobytes(), found.votes.tobytes()):
        digest.update(part if isinstance(part, bytes) else part.encode())
    code = [Path(str(module.__file__)) for module in (selector, student)]
    code += sorted(Path(str(strategies.__file__)).parent.glob("*.py"))
    for path in code:
        digest.update(path.read_bytes())
    digest.update(repr((setting, STUDENT, NOISE, MANY, CAP, cap, FORMAT)).encode())
    name = f"{setting.group.replace('/', '-')}-{setting.seed}-{digest.hexdigest()[:12]}.npz"
    return Path(tempfile.gettempdir()) / "labelwright-benchmarks" / "trajectories" / name


def _compute(found: RecordedSet, setting: Setting, cap: int | None) -> Trajectory:
    rng = np.random.default_rng([setting.seed, 7])
    vectors, classes = found.vectors, found.classes
    order = rng.permutation(len(vectors))
    test, rest = np.split(order, [min(3000, len(order) // 3)])
    stop_set, candidates = np.split(rest, [min(1000, len(rest) // 4)])
    given = noisy_labels(found, setting.seed) if setting.noisy else found.gold
    many = classes >= MANY
    size = 100 if many else 50
    cap = min(CAP[many] if cap is None else cap, len(candidates))
    config = SelectionConfig(strategy="random" if setting.selection == "random" else None)
    n = len(vectors)
    seen, labels = np.zeros(n, bool), np.full(n, NO_VOTE, np.int64)
    proba: NDArray[np.float32] | None = None
    held: NDArray[np.float32] | None = None
    kept: list[
        tuple[NDArray[np.int64], NDArray[np.float16], int, NDArray[np.bool_], float, str]
    ] = []
    while seen.sum() < cap:
        view = PoolView(
            vectors=vectors,
            candidates=np.sort(candidates[~seen[candidates]]),
            labelled=labels >= 0,
            labels=labels,
            proba=proba,
            out_of_sample=held,
        )
        mix = mix_by_rule(config, view)
        chosen = fill_batch(view, mix, min(size, cap - int(seen.sum())), rng)
        agreement = 0.0
        if proba is not None:
            agreement = float((proba[chosen].argmax(axis=1) == given[chosen]).mean())
        seen[chosen] = True
        labels[chosen] = given[chosen]
        rows = np.flatnonzero(labels >= 0)
        if not len(rows):
            continue
        fitted = fit(
            STUDENT, vectors[rows], labels[rows], None, found.task.label_names, seed=setting.seed
        )
        proba = fitted.student.predict_proba(vectors)
        held = np.full((n, classes), np.nan, np.float32)
        held[rows] = fitted.out_of_sample
        right = proba[test].argmax(axis=1) == found.gold[test]
        on_stop = proba[stop_set]
        main = max(sorted(mix.shares), key=lambda name: mix.shares[name])
        kept.append(
            (
                on_stop.argmax(axis=1),
                on_stop.astype(np.float16),
                int(seen.sum()),
                right,
                agreement,
                main,
            )
        )
    predictions, probabilities, bought, rights, agreements, strategies = zip(*kept, strict=True)
    return Trajectory(
        setting,
        np.stack(predictions),
        np.stack(probabilities),
        np.asarray(bought, np.int64),
        np.stack(rights),
        found.gold[stop_set],
        np.asarray(agreements, np.float64),
        tuple(strategies),
    )


def noisy_labels(found: RecordedSet, seed: int) -> NDArray[np.int64]:
    """Labels with errors: a mid-priced model's recorded answers, else the hardest items flipped.

    Without recorded answers a student that is trained out of fold on the whole pool says which
    items are hard (smallest margin of the gold label over the runner-up); a tenth of them, the
    hardest, get the runner-up.

    Returns:
        (n,) class numbers; -1 where the model gave no label.
    """
    complete = (found.votes != NO_VOTE).mean(axis=0) >= 0.95 if found.annotators else np.zeros(0)
    priced = np.flatnonzero(complete)
    if len(priced):
        costs = np.nan_to_num(found.costs[:, priced].mean(axis=0), nan=np.inf)
        middle = priced[np.argsort(costs, kind="stable")[len(priced) // 2]]
        return np.asarray(found.votes[:, middle], np.int64)
    fitted = fit(STUDENT, found.vectors, found.gold, None, found.task.label_names, seed=seed)
    proba = fitted.out_of_sample.astype(np.float64)
    rows = np.arange(len(proba))
    own = proba[rows, found.gold].copy()
    proba[rows, found.gold] = -1
    runner_up = proba.argmax(axis=1)
    hardest = np.argsort(own - proba.max(axis=1), kind="stable")[: round(NOISE * len(proba))]
    flipped = found.gold.copy()
    flipped[hardest] = runner_up[hardest]
    return flipped
