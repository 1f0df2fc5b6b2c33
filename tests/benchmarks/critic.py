"""What the critic finds: wrong labels of real language models, and faults of a label set.

    python tests/benchmarks/critic.py --data DIR [--sets a,b] [--draws 6] [--seeds 5] [--jobs 2]

(a) For every set of recorded answers and every draw of three annotators, two label sources: the
first annotator's labels, and the consensus of the three. Which of them are wrong? The critic's
score is the product's (`agents.suspects`), with and without the other annotators' votes, with 0
and 100 audited items; it stands beside its own parts, vote entropy and, where it is installed,
cleanlab. The student is the product's, out of sample, on the packaged vectors. Audited items are
left out of every figure. AUROC, precision among the 5, 10 and 20 % most suspect labels, and share,
precision and recall of what a method flags by itself. Where the recorded prompts left true labels
out, nobody sees those labels here either, and every label on their items is wrong.

(b) Faults of the label set (`tools.codebook`), see ``codebook_faults.py``.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import codebook_faults
import numpy as np
from numpy.typing import NDArray
from recorded_sets import RecordedSet, load_set, recorded_sets
from threadpoolctl import threadpool_limits

from labelwright.agents.annotators.embedded import class_similarity, label_directions
from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.panel import Panel, learn_panel
from labelwright.agents.suspects import suspect_labels
from labelwright.agents.verdict import weigh
from labelwright.tools.aggregation import NO_VOTE
from labelwright.tools.consistency import (
    confident_learning,
    neighbour_disagreement,
    normalised_margin,
)
from labelwright.tools.embedding import EmbedderConfig, build_embedder
from labelwright.tools.student import StudentConfig, fit

PERSON = "person"
SHARES = (0.05, 0.1, 0.2)
AUDITS = 100
PANEL = 3
ASKED, VALID = 0.9, 0.75
"""Shares of the items that an annotator was asked about and answered validly, to be drawn."""

Scores = dict[str, tuple[NDArray[np.float64], "NDArray[np.bool_] | None"]]
"""By method: how suspect each label is, and what the method itself would flag."""


@lru_cache(maxsize=2)
def read(data: Path, name: str) -> RecordedSet:
    pool = load_set(data, name)
    missing, _ = codebook_faults.recorded_faults(data / name, pool)
    offered = [k for k in range(pool.classes) if k not in missing]
    place = np.full(pool.classes + 1, NO_VOTE)
    place[offered] = np.arange(len(offered))
    labels = [pool.task.labels[k] for k in offered]
    return replace(
        pool,
        task=pool.task.model_copy(update={"labels": labels}),
        gold=place[pool.gold],
        votes=place[pool.votes],
        outside=pool.outside | ((place[pool.votes] == NO_VOTE) & (pool.votes != NO_VOTE)),
    )


@lru_cache(maxsize=2)
def similarity_of(data: Path, name: str) -> NDArray[np.float32]:
    """Similarity of each text to each label's description, as a run computes it."""
    pool = read(data, name)
    centre = np.asarray(pool.vectors.mean(axis=0, dtype=np.float64), np.float32)
    directions = label_directions(pool.task, build_embedder(EmbedderConfig()), centre)
    return class_similarity(pool.vectors, centre, directions)


def usable_annotators(pool: RecordedSet) -> NDArray[np.int64]:
    asked = ((pool.votes >= 0) | pool.outside).mean(axis=0) >= ASKED
    return np.flatnonzero(asked & ((pool.votes >= 0).mean(axis=0) >= VALID))


def make_ballot(
    rows: NDArray[np.int64],
    votes: NDArray[np.int64],
    declined: NDArray[np.bool_] | None = None,
) -> Ballot:
    names = (*(f"a{column}" for column in range(votes.shape[1] - 1)), PERSON)
    items = tuple(str(row) for row in rows.tolist())
    return Ballot(items, names, votes, (votes != NO_VOTE).astype(np.int64), declined)


def panel_of(
    ballot: Ballot, audit: NDArray[np.int64], student: NDArray[np.float64] | None, classes: int
) -> Panel:
    """What a run would know of the annotators after these audits."""
    shown = Ballot(
        tuple(ballot.item_ids[row] for row in audit.tolist()),
        ballot.annotators,
        ballot.votes[audit],
        ballot.answers[audit],
        None if ballot.declined is None else ballot.declined[audit],
    )
    critic = CriticConfig()
    return learn_panel(
        shown,
        None if student is None or not len(audit) else student[audit],
        reference=PERSON if len(audit) else None,
        gold=[PERSON] if len(audit) else [],
        classes=classes,
        prior_accuracy=critic.prior_accuracy,
        prior_strength=critic.prior_strength,
        strongest_accuracy=critic.strongest_accuracy,
        student_weight=critic.student_weight,
    )


def label_errors(data: Path, name: str, draw: int) -> list[dict[str, Any]]:
    """One draw of three annotators on one set: figures of every method, by label source."""
    pool = read(data, name)
    rng = np.random.default_rng([draw, *name.encode()])
    columns = rng.choice(usable_annotators(pool), PANEL, replace=False)
    found = []
    for source in ("one", "three"):
        votes = pool.votes[:, columns]
        labels = votes[:, 0] if source == "one" else _consensus(votes, pool.classes)
        rows = np.flatnonzero(labels != NO_VOTE)
        order = rng.permutation(len(rows))
        alone = source == "one"
        given = pool, similarity_of(data, name)[rows], rows, labels[rows], votes[rows]
        student = student_of(pool, rows, labels[rows])
        others = scores_without_audits(*given, student, alone=alone)
        for audits in (0, AUDITS):
            audit = np.sort(order[:audits])
            scores = critic_scores(*given, student, audit, alone=alone) | others
            fair = np.sort(order[AUDITS:])
            wrong = labels[rows] != pool.gold[rows]
            found.append(
                {
                    "set": name,
                    "source": source,
                    "audits": audits,
                    "error": float(wrong[fair].mean()),
                    "methods": {m: judge(s[fair], None if f is None else f[fair], wrong[fair])
                                for m, (s, f) in scores.items()},
                }
            )  # fmt: skip
    return found


def _consensus(votes: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    rows = np.arange(len(votes))
    ballot = make_ballot(rows, np.column_stack([votes, np.full(len(votes), NO_VOTE)]))
    panel = panel_of(ballot, rows[:0], None, classes)
    label = weigh(ballot, panel, None, classes=classes).label
    return np.where((votes != NO_VOTE).any(axis=1), label, NO_VOTE)


def student_of(
    pool: RecordedSet, rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Out-of-sample probabilities of the product's student, trained on the labels."""
    vectors, weights = pool.vectors[rows], np.ones(len(rows))
    trained = fit(StudentConfig(), vectors, labels, weights, pool.task.label_names, seed=0)
    return trained.out_of_sample.astype(np.float64)


def critic_scores(
    pool: RecordedSet,
    similarity: NDArray[np.float32],
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    votes: NDArray[np.int64],
    student: NDArray[np.float64],
    audit: NDArray[np.int64],
    *,
    alone: bool,
) -> Scores:
    """The critic's word on the labels, and that of the votes it begins with."""
    classes, each = pool.classes, np.arange(len(rows))
    person = np.full(len(rows), NO_VOTE)
    person[audit] = pool.gold[rows[audit]]
    found: Scores = {}

    def critic(shown: NDArray[np.int64]) -> None:
        refused = np.zeros((len(rows), shown.shape[1] + 1), bool)
        refused[audit, -1] = person[audit] == NO_VOTE
        ballot = make_ballot(rows, np.column_stack([shown, person]), refused)
        panel = panel_of(ballot, audit, student, classes)
        drawn = np.isin(np.arange(len(rows)), audit)
        judged = suspect_labels(
            ballot, panel, student, similarity, audited=drawn, classes=classes, held=labels
        )
        verdict = weigh(judged.ballot, panel, student, classes=classes)
        suffix = "" if shown.shape[1] > 1 else ", own vote only"
        found[f"critic{suffix}"] = (judged.suspicion.score, judged.suspicion.suspects())
        found[f"part: posterior{suffix}"] = (-verdict.posterior[each, labels], None)

    critic(votes)
    if alone:
        critic(votes[:, :1])
    return found


def scores_without_audits(
    pool: RecordedSet,
    similarity: NDArray[np.float32],
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    votes: NDArray[np.int64],
    student: NDArray[np.float64],
    *,
    alone: bool,
) -> Scores:
    """The word of the methods that learn nothing from audits."""
    each = np.arange(len(rows))
    found: Scores = {"part: student": (-student[each, labels], None)}
    near = neighbour_disagreement(pool.vectors[rows], labels)
    found["part: neighbours"] = (near, near >= CriticConfig().neighbours_disagree)
    lead = np.array(similarity, np.float64)
    own = lead[each, labels].copy()
    lead[each, labels] = -np.inf
    found["part: descriptions"] = (lead.max(axis=1) - own, None)
    learned = confident_learning(labels, student)
    found["part: confident learning"] = (-normalised_margin(labels, student), learned.flags)
    found["vote entropy"] = (_entropy(votes), None)
    return found | cleanlab_scores(labels, votes, student, alone=alone)


def cleanlab_scores(
    labels: NDArray[np.int64],
    votes: NDArray[np.int64],
    student: NDArray[np.float64],
    *,
    alone: bool,
) -> Scores:
    """The same labels and probabilities put to cleanlab, where it is installed."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.multiannotator import get_label_quality_multiannotator
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    import warnings

    import pandas as pd

    warnings.simplefilter("ignore")
    # It wants every class among the labels.
    used, numbers = np.unique(labels, return_inverse=True)
    proba = np.maximum(student[:, used], 1e-12)
    proba /= proba.sum(axis=1, keepdims=True)
    issues = find_label_issues(numbers, proba, n_jobs=1)
    found: Scores = {}
    for method in ("self_confidence", "normalized_margin"):
        quality = get_label_quality_scores(numbers, proba, method=method)
        found[f"cleanlab {method}"] = (-quality, issues)
    table = pd.DataFrame(votes).astype(float)
    table[(votes == NO_VOTE) | ~np.isin(votes, used)] = np.nan
    table = table.replace({float(k): float(position) for position, k in enumerate(used)})
    table = table.loc[:, table.notna().any()]
    known = table.notna().any(axis=1).to_numpy()
    try:
        given = get_label_quality_multiannotator(
            table[known], proba[known], verbose=False, return_weights=False
        )
    except (ValueError, AssertionError):
        return found  # It refuses some tables, such as those in which nobody agrees.
    quality = np.ones(len(labels))
    if alone:
        quality[known] = given["detailed_label_quality"].iloc[:, 0].fillna(1.0).to_numpy()
    else:
        quality[known] = given["label_quality"]["consensus_quality_score"].to_numpy()
    found["cleanlab multiannotator"] = (-quality, None)
    return found


def _entropy(votes: NDArray[np.int64]) -> NDArray[np.float64]:
    classes = int(votes.max()) + 1
    counts = np.stack([(votes == k).sum(axis=1) for k in range(classes)], axis=1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)


def judge(
    score: NDArray[np.float64], flags: NDArray[np.bool_] | None, wrong: NDArray[np.bool_]
) -> dict[str, float]:
    """AUROC, precision among the most suspect, and the method's own flags."""
    from sklearn.metrics import roc_auc_score

    order = np.argsort(-score, kind="stable")
    figures = {"auroc": float(roc_auc_score(wrong, score)) if 0 < wrong.mean() < 1 else np.nan}
    for share in SHARES:
        figures[f"p@{share:.0%}"] = float(wrong[order[: max(1, round(share * len(order)))]].mean())
    if flags is not None:
        figures["flagged"] = float(flags.mean())
        figures["precision"] = float(wrong[flags].mean()) if flags.any() else np.nan
        figures["recall"] = float(flags[wrong].mean()) if wrong.any() else np.nan
    return figures


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over draws, by set, source, audits and method."""
    table: dict[str, Any] = {}
    keys = sorted({(r["set"], r["source"], r["audits"]) for r in results})
    for name, source, audits in keys:
        mine = [
            r for r in results if (r["set"], r["source"], r["audits"]) == (name, source, audits)
        ]
        methods = {m for r in mine for m in r["methods"]}
        cell = table.setdefault(name, {}).setdefault(source, {}).setdefault(str(audits), {})
        cell["error"] = float(np.mean([r["error"] for r in mine]))
        for method in sorted(methods):
            given = [r["methods"][method] for r in mine if method in r["methods"]]
            cell[method] = {
                figure: mean_sd([g[figure] for g in given if figure in g])
                for figure in sorted({f for g in given for f in g})
            }
    return table


def mean_sd(values: list[float]) -> list[float | None]:
    known = np.asarray([value for value in values if not np.isnan(value)])
    if not len(known):
        return [None, None]
    return [round(float(known.mean()), 4), round(float(known.std()), 4)]


def show_errors(table: dict[str, Any]) -> None:
    columns = ("auroc", *(f"p@{share:.0%}" for share in SHARES), "flagged", "precision", "recall")
    for name, sources in table.items():
        for source, by_audits in sources.items():
            for audits, cell in by_audits.items():
                print(f"\n{name}: labels of {source}, {audits} audits, {cell['error']:.1%} wrong")
                print(f"  {'method':32}" + "".join(f"{column:>15}" for column in columns))
                for method, figures in cell.items():
                    if method == "error":
                        continue
                    line = [_spelt(figures.get(column)) for column in columns]
                    print(f"  {method:32}" + "".join(f"{figure:>15}" for figure in line))


def _spelt(figure: list[float | None] | None) -> str:
    if figure is None or figure[0] is None:
        return "-"
    return f"{figure[0]:.3f} ± {figure[1]:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", type=lambda text: text.split(","))
    parser.add_argument("--draws", type=int, default=6, help="draws of annotators a set (a)")
    parser.add_argument("--seeds", type=int, default=5, help="audit samples a set (b)")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    names = recorded_sets(arguments.data, arguments.sets)
    tasks: list[tuple[Callable[..., Any], Path, str, int]] = [
        (label_errors, arguments.data, name, draw)
        for name in names
        for draw in range(arguments.draws)
    ]
    tasks += [
        (codebook_faults.measure, arguments.data, name, seed)
        for name in names
        for seed in range(arguments.seeds)
    ]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        done = list(pool.map(_do, tasks))
    errors = summarise([row for (job, *_), rows in zip(tasks, done, strict=True)
                        for row in rows if job is label_errors])  # fmt: skip
    faults = codebook_faults.summarise([row for (job, *_), rows in zip(tasks, done, strict=True)
                                        for row in rows if job is not label_errors])  # fmt: skip
    show_errors(errors)
    codebook_faults.show(faults)
    print(json.dumps({"label_errors": errors, "codebook": faults}))


def _do(task: tuple[Callable[..., Any], Path, str, int]) -> Any:
    with threadpool_limits(1):  # the work is divided among processes already
        return task[0](*task[1:])


if __name__ == "__main__":
    main()
