"""Accuracy and calibration of aggregated votes, beside other methods, on recorded answers.

    python tests/benchmarks/aggregation.py --data DIR [--sets a,b] [--draws 200] [--jobs 2]

For every set with recorded answers: random ensembles of 3, 5 and 9 annotators, a random audit of 0,
50, 100 and 200 items with their gold labels, figures on the other items. What a run uses
(`learn_panel`, `weigh`; a trusted annotator has answered the audit) stands beside majority (ties by
lot), the annotator that is best on the same audit, Dawid-Skene (ours, step by step that of
crowd-kit but faster, which is there too to show it; with and without the audit's gold), one-coin,
MACE and GLAD of crowd-kit, and CROWDLAB of cleanlab; only the best annotator and "+ gold" use gold.
The text comes in as the student does in a run: out-of-sample probabilities, here leave-one-out
ridge regression on the consensus; CROWDLAB has the same. Methods of crowd-kit see the first draws
of each size only (their number is shown), MACE with one restart instead of ten. `difference` is
ours less theirs on the same draws.

`floor` is the calibration error that a perfect forecaster would show on as few items; `level` the
mean error that an audit of this size leaves in the mean accuracy alone; `hindsight` the calibration
error after Platt scaling fitted to the very items on which it is measured. `together` is that of
the items of all draws as one: whether what is said with probability p is right in p of the cases,
over audits of which some flatter and some do not. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from recorded_sets import RecordedSet, load_set, recorded_sets
from scipy.optimize import minimize

from labelwright.agents.ballot import Ballot
from labelwright.agents.critic import CriticConfig
from labelwright.agents.panel import Panel, learn_panel
from labelwright.agents.verdict import Verdict, weigh
from labelwright.tools.aggregation import NO_VOTE, confusion_posterior, fit_confusions, tally
from labelwright.tools.audit import macro_f1
from labelwright.tools.calibration import calibration_error

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Value: TypeAlias = float | Floats
Figures: TypeAlias = dict[tuple[int, int, str, str], list[tuple[int, Value]]]

SIZES, AUDITS = (3, 5, 9), (0, 50, 100, 200)
OURS, GOLD = "labelwright", "gold"
OUTSIDE = -2
"""An answer that was no label of the set; `NO_VOTE` is no answer."""
RIDGE = 1.0
TOGETHER, BINS = "together", 20
TEMPERATURES = (0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)


# -- the text as a voter --


class TextSignal:
    """Out-of-sample probabilities of labels from vectors, by leave-one-out ridge regression."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.x = np.column_stack([vectors.astype(np.float64), np.full(len(vectors), 0.3)])
        gram = self.x.T @ self.x + RIDGE * np.eye(self.x.shape[1])
        self.solve = np.linalg.solve(gram, self.x.T)
        self.leverage = np.einsum("ij,ji->i", self.x, self.solve)

    def proba(self, votes: Ints, classes: int) -> Floats:
        """Learned from the shares of the votes, at the temperature that fits them best, (n, K)."""
        counts = tally(votes, classes, None)
        target = (counts + 1e-9) / (counts + 1e-9).sum(axis=1, keepdims=True)
        fitted = self.x @ (self.solve @ target)
        leverage = self.leverage[:, None]
        left_out = (fitted - leverage * target) / (1 - leverage)
        label, rows = target.argmax(axis=1), np.arange(len(target))
        best, kept = -np.inf, target
        for temperature in TEMPERATURES:
            score = left_out / temperature
            score -= score.max(axis=1, keepdims=True)
            log_p = score - np.log(np.exp(score).sum(axis=1, keepdims=True))
            if (fit := float(log_p[rows, label].mean())) > best:
                best, kept = fit, np.exp(log_p)
        return kept


# -- what a run does --


def ballot(rows: Ints, votes: Ints, gold: Ints | None) -> Ballot:
    """Votes on rows, `OUTSIDE` ones no valid answers, with those of a trusted annotator."""
    last = np.full(len(rows), NO_VOTE) if gold is None else gold[rows]
    said = np.column_stack([votes[rows], last]).astype(np.int64)
    names = (*(f"llm{j}" for j in range(votes.shape[1])), GOLD)
    ids, answers = tuple(map(str, rows)), (said != NO_VOTE).astype(np.int64)
    return Ballot(ids, names, np.maximum(said, NO_VOTE), answers, blank=said == OUTSIDE)


def learn(votes: Ints, gold: Ints, audit: Ints, student: Floats | None, classes: int) -> Panel:
    """As a run does with its default settings; the labels so far are the majority's."""
    critic = CriticConfig()
    counts = tally(np.maximum(votes, NO_VOTE), classes, None)
    counts += 0 if student is None else 0.5 * student
    return learn_panel(
        ballot(audit, votes, gold),
        None if student is None else student[audit],
        reference=GOLD,
        gold=[GOLD],
        classes=classes,
        prior_accuracy=critic.prior_accuracy,
        prior_strength=critic.prior_strength,
        strongest_accuracy=critic.strongest_accuracy,
        student_weight=critic.student_weight,
        labelled=counts.argmax(axis=1)[(votes >= 0).any(axis=1)],
    )


def judge(panel: Panel, votes: Ints, rows: Ints, student: Floats | None, classes: int) -> Verdict:
    """As a run judges items that nobody has audited."""
    view = None if student is None else student[rows]
    return weigh(ballot(rows, votes, None), panel, view, classes=classes)


# -- the others --


def dawid_skene(votes: Ints, classes: int, gold: Ints | None = None) -> Ints:
    """Labels by Dawid-Skene, with known labels where there are any."""
    found = fit_confusions(votes, classes, "dawid_skene", gold)
    return confusion_posterior(votes, found).argmax(axis=1)


def crowd_kit(name: str, votes: Ints, **settings: int) -> Ints:
    """Labels by a method of crowd-kit, -1 where it gives none."""
    import crowdkit.aggregation as crowdkit
    import pandas as pd

    item, worker = np.nonzero(votes >= 0)
    frame = pd.DataFrame({"task": item, "worker": worker, "label": votes[item, worker]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = getattr(crowdkit, name)(**settings).fit_predict(frame)
    return labels.reindex(range(len(votes)), fill_value=NO_VOTE).to_numpy()


def cleanlab_crowdlab(votes: Ints, student: Floats) -> Ints:
    """Labels by the reference implementation of CROWDLAB."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    voted = (votes >= 0).any(axis=1)
    labels = student.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_label_quality_multiannotator(
            np.where(votes >= 0, votes, np.nan)[voted].astype(float),
            student[voted],
            verbose=False,
            return_detailed_quality=False,
            return_annotator_stats=False,
        )
    labels[voted] = found["label_quality"]["consensus_label"].to_numpy()
    return labels


def majority_by_lot(votes: Ints, classes: int, rng: np.random.Generator) -> Ints:
    """The label with most votes, a tie broken by lot."""
    counts = tally(votes, classes, None)
    return (counts + 0.5 * rng.random(counts.shape)).argmax(axis=1)


def best_on_audit(votes: Ints, gold: Ints, audit: Ints, rng: np.random.Generator) -> Ints:
    """The labels of the annotator with most audited items right."""
    right = (votes[audit] == gold[audit, None]).sum(axis=0)
    return votes[:, int((right + 0.5 * rng.random(len(right))).argmax())]


# -- one draw --


def one_draw(
    data: RecordedSet, text: TextSignal, size: int, draw: int, slow: tuple[int, int]
) -> Iterator[tuple[int, str, str, Value]]:
    """Audit, method, figure and value of everything that is measured on one random ensemble."""
    rng = np.random.default_rng([size, draw])
    classes, gold = data.classes, data.gold
    columns = rng.choice(len(data.annotators), size, replace=False)
    votes = data.votes[:, columns]
    said = np.where(data.outside[:, columns], OUTSIDE, votes)
    order = rng.permutation(len(gold))
    student = text.proba(votes, classes)
    fixed: dict[str, Ints] = {
        "majority": majority_by_lot(votes, classes, rng),
        "Dawid-Skene": dawid_skene(votes, classes),
        "CROWDLAB": cleanlab_crowdlab(votes, student),
    }
    if draw < slow[0]:
        fixed["Dawid-Skene (crowd-kit)"] = crowd_kit("DawidSkene", votes)
        fixed["one-coin"] = crowd_kit("OneCoinDawidSkene", votes)
    if draw < slow[1]:
        fixed["MACE"] = crowd_kit("MACE", votes, n_restarts=1, random_state=draw)
        fixed["GLAD"] = crowd_kit("GLAD", votes)
    for audits in AUDITS:
        audit, rest = order[:audits], order[audits:]
        labels = dict(fixed)
        if audits:
            labels["best single"] = best_on_audit(votes, gold, audit, rng)
            anchors = np.full(len(gold), NO_VOTE)
            anchors[audit] = gold[audit]
            labels["Dawid-Skene + gold"] = dawid_skene(votes, classes, anchors)
        panel = learn(said, gold, audit, student, classes)
        verdict = judge(panel, said, rest, student, classes)
        yield from calibration(audits, OURS, verdict, gold[rest], rng)
        labels[OURS] = np.full(len(gold), NO_VOTE)
        labels[OURS][rest] = verdict.label
        for name, found in labels.items():
            yield audits, name, "accuracy", float((found[rest] == gold[rest]).mean())
            yield audits, name, "macro F1", macro_f1(gold[rest], found[rest], classes)
        if audits and draw < slow[0]:
            yield from _ablations(said, gold, audit, rest, student, classes, panel, rng)


def _ablations(
    votes: Ints,
    gold: Ints,
    audit: Ints,
    rest: Ints,
    student: Floats,
    classes: int,
    panel: Panel,
    rng: np.random.Generator,
) -> Iterator[tuple[int, str, str, Value]]:
    """Ours without the text, and on items on which one annotator has voted, as in a cascade."""
    plain = judge(learn(votes, gold, audit, None, classes), votes, rest, None, classes)
    shown = rng.integers(votes.shape[1], size=len(votes))[:, None] == np.arange(votes.shape[1])
    single = judge(panel, np.where(shown, votes, NO_VOTE), rest, student, classes)
    for name, verdict in ((f"{OURS}, no text", plain), (f"{OURS}, one vote each", single)):
        yield len(audit), name, "accuracy", float((verdict.label == gold[rest]).mean())
        yield from calibration(len(audit), name, verdict, gold[rest], rng)


def calibration(
    audits: int, name: str, verdict: Verdict, gold: Ints, rng: np.random.Generator
) -> Iterator[tuple[int, str, str, Value]]:
    """Calibration errors, where the product calls its probabilities calibrated."""
    p, right = verdict.p_correct, verdict.label == gold
    if not verdict.calibrated.any():
        return
    yield audits, name, "ECE", calibration_error(p, right)
    yield audits, name, "hindsight", calibration_error(_hindsight(p, right), right)
    gaps = _gaps(p, right, 10)
    yield audits, name, "ECE, equal width", float(np.abs(gaps).sum() / len(p))
    yield audits, name, TOGETHER, np.append(_gaps(p, right, BINS), len(p))
    floors = [calibration_error(p, rng.random(len(p)) < p) for _ in range(10)]
    yield audits, name, "floor", float(np.mean(floors))
    accuracy = right.mean()
    drawn = rng.binomial(audits, accuracy, 200) / audits
    yield audits, name, "level", float(np.abs(drawn - accuracy).mean())


def _gaps(p: Floats, right: NDArray[np.bool_], bins: int) -> Floats:
    """Expected less seen right labels in bins of equal width."""
    return np.bincount(np.minimum((p * bins).astype(int), bins - 1), p - right, bins)


def _hindsight(p: Floats, right: NDArray[np.bool_]) -> Floats:
    """Probabilities by the slope and the shift that fit these outcomes best."""
    x = np.log(p / (1 - p))

    def loss(fit: Floats) -> float:
        logit = fit[0] + fit[1] * x
        return float((np.logaddexp(0, logit) - right * logit).sum())

    shift, slope = minimize(loss, np.asarray([0.0, 1.0])).x
    return 1 / (1 + np.exp(-shift - slope * x))


# -- all of them --


def measure(
    data: Path, name: str, size: int, draws: range, slow: tuple[int, int]
) -> tuple[str, Figures]:
    """Figures of some draws of one set and size, with the draw that each is from."""
    loaded = load_set(data, name)
    text = TextSignal(loaded.vectors)
    figures: Figures = defaultdict(list)
    for draw in draws:
        for audits, method, figure, value in one_draw(loaded, text, size, draw, slow):
            figures[size, audits, method, figure].append((draw, value))
    return name, dict(figures)


def seconds(n: int = 100_000, m: int = 5, classes: int = 5) -> dict[str, float]:
    """Seconds to aggregate n items, made up, ours with everything that an audit of 200 takes."""
    rng = np.random.default_rng(0)
    gold = rng.integers(classes, size=n)
    wrong = rng.integers(classes, size=(n, m))
    votes = np.where(rng.random((n, m)) < 0.7, gold[:, None], wrong)
    student = rng.dirichlet(np.ones(classes), n)
    audit, rest = np.arange(200), np.arange(200, n)
    methods: dict[str, Callable[[], object]] = {
        OURS: lambda: judge(
            learn(votes, gold, audit, student, classes), votes, rest, student, classes
        ),
        "Dawid-Skene (crowd-kit)": lambda: crowd_kit("DawidSkene", votes),
        "one-coin": lambda: crowd_kit("OneCoinDawidSkene", votes),
        "MACE, 1 restart of 10 steps": lambda: crowd_kit("MACE", votes, n_restarts=1, n_iter=10),
    }
    found = {}
    for name, method in methods.items():
        start = time.perf_counter()
        method()
        found[name] = time.perf_counter() - start
    return found


def summarise(figures: Figures, audits: int, size: int | None = None) -> dict[str, dict[str, Any]]:
    """Mean and sd of every figure by method, and ours less theirs on the same draws."""
    cells: dict[str, dict[str, dict[tuple[int, int], Value]]] = defaultdict(dict)
    for (of, audited, method, figure), values in figures.items():
        if audited == audits and size in {None, of}:
            kept = cells[method].setdefault(figure, {})
            kept.update({(of, draw): value for draw, value in values})
    table: dict[str, dict[str, Any]] = {}
    for method, by_figure in cells.items():
        row: dict[str, Any] = {"draws": len(by_figure["accuracy"])}
        if TOGETHER in by_figure:
            *gaps, texts = np.sum(list(by_figure.pop(TOGETHER).values()), axis=0)
            row[TOGETHER] = {"mean": round(float(np.abs(gaps).sum() / texts), 5), "sd": 0.0}
        for figure, found in by_figure.items():
            values = np.fromiter(found.values(), float)
            row[figure] = {"mean": round(values.mean(), 5), "sd": round(values.std(), 5)}
        ours = cells[OURS]["accuracy"]
        same = [ours[key] - value for key, value in by_figure["accuracy"].items()]
        row["difference"] = round(float(np.mean(same)), 5)
        table[method] = row
    return table


def show(name: str, audits: int, table: dict[str, dict[str, Any]]) -> None:
    """One set and audit, the most accurate first."""
    print(f"\n{name}, audit of {audits}")
    columns = ("accuracy", "macro F1", "ECE", "ECE, equal width", "floor", "level")
    columns += ("hindsight", TOGETHER)
    print(f"  {'':24}{'draws':>6}{'difference':>12}" + "".join(f"{c:>17}" for c in columns))
    for method, row in sorted(table.items(), key=lambda item: -item[1]["accuracy"]["mean"]):
        cells = [f"{row[c]['mean']:.4f} ± {row[c]['sd']:.4f}" if c in row else "" for c in columns]
        print(
            f"  {method:24}{row['draws']:>6}{row['difference']:>+12.4f}"
            + "".join(f"{cell:>17}" for cell in cells)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", type=lambda value: value.split(","))
    parser.add_argument("--draws", type=int, default=200, help="ensembles of each size")
    parser.add_argument("--slow-draws", type=int, default=10, help="of them, with crowd-kit")
    parser.add_argument("--slowest-draws", type=int, default=5, help="of them, with MACE and GLAD")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-seconds", action="store_true", help="leave the timing out")
    args = parser.parse_args()
    slow = (args.slow_draws, args.slowest_draws)
    tasks = []
    for name in recorded_sets(args.data, args.sets):
        m = len(load_set(args.data, name).annotators)
        for size in sorted({min(size, m) for size in SIZES}):
            tasks += [(name, size, range(d, args.draws, 4)) for d in range(min(4, args.draws))]
    sets: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    with ProcessPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(measure, args.data, *task, slow) for task in tasks]
        for job in jobs:
            name, figures = job.result()
            for key, values in figures.items():
                sets[name][key] += values
    report: dict[str, Any] = {"draws": args.draws, "sets": {}}
    for name, figures in sets.items():
        sizes = sorted({key[0] for key in figures})
        report["sets"][name] = {}
        for audits in AUDITS:
            table = summarise(figures, audits)
            show(name, audits, table)
            by_size = {str(size): summarise(figures, audits, size) for size in sizes}
            report["sets"][name][str(audits)] = {"all": table, "by_size": by_size}
    if not args.no_seconds:
        report["seconds"] = found = seconds()
        print("\n100,000 items x 5 annotators, seconds (and how many times ours)")
        for name, taken in found.items():
            print(f"  {name:24}{taken:8.1f}{taken / found[OURS]:8.1f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
