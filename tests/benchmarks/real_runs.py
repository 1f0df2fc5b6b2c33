"""Whole runs on real pools, beside what else the same money buys.

    python tests/benchmarks/real_runs.py --data DIR [--sets a,b] [--seeds 5] [--work DIR]

For each set and seed: the run as configured; the same run with random selection and no more money;
the cheapest annotator on every text that the same money pays for, with a student on its labels
for the rest; and, where answers of models are recorded, the run with a trusted person (the gold
label, at PERSON_USD) who answers the audits and whatever else is worth that price. Accuracy is
against gold and over all texts (a text without a label is wrong).
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from labelwright.agents.annotators.build import prompt_tokens
from labelwright.agents.annotators.recorded import RecordedAnnotator, read_recorded
from labelwright.agents.annotators.settings import RecordedAnnotatorConfig
from labelwright.graph import run
from labelwright.graph.config import RunConfig, parse_config
from labelwright.graph.evaluation import read_gold
from labelwright.graph.run import resume
from labelwright.graph.session import create_run
from labelwright.tools.audit import macro_f1
from labelwright.tools.embedding import build_embedder
from labelwright.tools.money import NANO
from labelwright.tools.pool import Pool
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.readers import Row, read_rows
from labelwright.tools.student import fit

RECORDED: dict[str, list[tuple[str, int]]] = {
    # (annotator, completion tokens that an answer is assumed to take), cheap first
    "tc_policy_en": [("gemini-1.5-flash", 12), ("deepseek-chat", 12), ("o3-2025-04-16", 400)],
    "babe_bias": [("zephyr@zero-shot", 12), ("gpt_3_5@4-shot", 12), ("gpt_4@zero-shot", 12)],
}
PERSON_USD = 0.10
"""What a label by the trusted person costs, and so by default what a wrong label costs."""
SETTINGS: dict[str, dict[str, Any]] = {
    "tc_policy_en": {"budget": {"usd": 3}},
    "babe_bias": {"budget": {"usd": 6}},
    # Free votes: larger batches, because nothing is saved by asking for few.
    "banking77": {
        "budget": {"usd": 0},
        "selection": {"batch_size": 1000},
        "stopping": {"max_rounds": 8},
    },
}


def configure(data: Path, name: str, seed: int) -> dict[str, Any]:
    """The configuration of one run, as plain values."""
    folder = data / name
    prices = {}
    with (data / "prices.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            prices[row["annotator"]] = (row["usd_per_mtok_in"], row["usd_per_mtok_out"])
    annotators: list[dict[str, Any]] = [
        {
            "kind": "recorded",
            "name": annotator,
            "tier": tier,
            "path": str(folder / "annotations_wide.csv"),
            "price": {"in": float(prices[annotator][0]), "out": float(prices[annotator][1])},
            "answer_tokens": answer_tokens,
        }
        for tier, (annotator, answer_tokens) in enumerate(RECORDED.get(name, []), 1)
    ]
    return {
        "task": {
            "name": name,
            "labels": json.loads((folder / "labels.json").read_text(encoding="utf-8"))["labels"],
        },
        "data": {"path": str(folder / "pool.jsonl"), "id": "id", "gold": "gold"},
        "annotators": annotators or [{"kind": "embedded", "name": "embedded"}],
        "seed": seed,
        **SETTINGS[name],
    }


def with_person(raw: dict[str, Any]) -> dict[str, Any]:
    """The same configuration with a trusted person, and money for the audits by it."""
    votes = raw["annotators"][0]["path"]
    person = {
        "kind": "recorded",
        "name": "person",
        "column": "gold",
        "path": votes,
        "tier": len(raw["annotators"]) + 1,
        "trusted": True,
        "price": {"per_label": PERSON_USD},
    }
    budget = {"usd": raw["budget"]["usd"] + 150 * PERSON_USD}
    return {**raw, "annotators": [*raw["annotators"], person], "budget": budget}


def figures(summary: dict[str, Any], seconds: float) -> dict[str, float | str]:
    """What a table shows of one run."""
    gold = summary["quality"]["gold"]
    return {
        "usd": summary["money"]["spent_usd"],
        "labels": gold["accuracy"]["estimate"],
        "completion": gold["completion"],
        "labels_of_all": gold["accuracy"]["estimate"] * gold["completion"],
        "labels_f1": gold["macro_f1"],
        "student": gold["student_accuracy"]["estimate"],
        "student_f1": gold["student_macro_f1"],
        "rounds": summary["rounds"],
        "seconds": seconds,
        "stop": summary["stop"]["reason"],
    }


def one_run(config: RunConfig, work: Path, name: str, pool: Path | None) -> dict[str, Any]:
    """Run from a pool that is embedded already, where there is one."""
    folder = work / name
    started = time.perf_counter()
    if pool is None:
        result = run(config, name=name, runs=work)
    else:
        create_run(config, folder)
        shutil.copytree(pool / "pool", folder / "pool", ignore=shutil.ignore_patterns("*.lock*"))
        result = resume(folder)
    return figures(result.summary, time.perf_counter() - started)


def cheapest_everywhere(
    raw: dict[str, Any], work: Path, name: str, pool: Path, usd: float, seed: int
) -> dict[str, Any]:
    """The cheapest annotator alone, on random texts while the money lasts, then a student."""
    alone = {
        **raw,
        "annotators": raw["annotators"][:1],
        "budget": {"usd": usd},
        "selection": {"strategy": "random", "random_share": 1.0, "batch_size": 5000},
        "stopping": {"max_rounds": 1, "stop_set_size": 50},
        "critic": {"set_apart_below": 0.0, "recheck_share": 0.0},
    }
    config = parse_config(alone, folder=work)
    result = one_run(config, work, name, pool)
    folder = work / name
    gold = read_gold(folder)
    number = {label: k for k, label in enumerate(config.task.label_names)}
    votes = _votes(folder, number)
    with Pool.open(
        config.pool,
        folder / "pool",
        fingerprint=build_embedder(config.embedder).fingerprint,
        dim=build_embedder(config.embedder).dim,
    ) as opened:
        ids, vectors = list(opened.ids), np.array(opened.vectors())
    rows = np.asarray([row for row, item in enumerate(ids) if item in votes])
    labels = np.asarray([votes[ids[row]] for row in rows])
    trained = fit(config.student, vectors[rows], labels, None, config.task.label_names, seed=seed)
    student = trained.student.predict_proba(vectors, None).argmax(axis=1)
    student[rows] = trained.out_of_sample.argmax(axis=1)
    given = np.asarray([votes.get(item, student[row]) for row, item in enumerate(ids)])
    truth = np.asarray([number[gold[item]] for item in ids])
    classes = len(number)
    return {
        **result,
        "labels": float((given == truth).mean()),
        "completion": 1.0,
        "labels_of_all": float((given == truth).mean()),
        "labels_f1": macro_f1(truth, given, classes),
        "student": float((student == truth).mean()),
        "student_f1": macro_f1(truth, student, classes),
        "stop": f"{len(rows)} votes",
    }


def _votes(folder: Path, number: dict[str, int]) -> dict[str, int]:
    from labelwright.tools.ledger import Ledger

    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return {v.item_id: number[v.label] for v in ledger.votes.all() if v.label is not None}


def alone(config: RunConfig, folder: Path) -> dict[str, dict[str, float]]:
    """Each recorded annotator by itself on every text: accuracy, and what that would cost."""
    gold = read_gold(folder)
    prompts = PromptLibrary([packaged_prompts()])
    around = prompt_tokens(config.task, prompts)
    rows = [row for row in read_rows(config.data, config.task) if isinstance(row, Row)]
    results = {}
    for settings in config.annotators:
        if not isinstance(settings, RecordedAnnotatorConfig):
            continue
        votes = read_recorded(settings.path, settings.column or settings.name)
        annotator = RecordedAnnotator(settings, config.task.label_names, around)
        results[settings.name] = {
            "usd": float(annotator.expect([row.text for row in rows]).sum()) / NANO,
            "labels_of_all": float(np.mean([votes.get(row.id) == gold[row.id] for row in rows])),
        }
    return results


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETTINGS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="labelwright-"))
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in arguments.sets.split(","):
        pool: Path | None = None
        table = results.setdefault(
            name, {"run": [], "random": [], "cheapest": [], "with a person": []}
        )
        for seed in range(arguments.seeds):
            raw = configure(arguments.data, name, seed)
            config = parse_config(raw, folder=work)
            ours = one_run(config, work, f"{name}-{seed}", pool)
            pool = pool or work / f"{name}-{seed}"
            table["run"].append(ours)
            same = {**raw, "budget": {"usd": ours["usd"]}}
            same["selection"] = {**raw.get("selection", {}), "strategy": "random"}
            table["random"].append(
                one_run(parse_config(same, folder=work), work, f"{name}-{seed}-random", pool)
            )
            table["cheapest"].append(
                cheapest_everywhere(
                    raw, work, f"{name}-{seed}-cheapest", pool, max(ours["usd"], 0.0), seed
                )
            )
            if RECORDED.get(name):
                audited = parse_config(with_person(raw), folder=work)
                table["with a person"].append(one_run(audited, work, f"{name}-{seed}-person", pool))
            show(name, table)
        for annotator, figure in alone(config, pool or work).items():
            usd, right = figure["usd"], figure["labels_of_all"]
            print(f"{annotator:>30} alone on every text: {right:.4f} for ${usd:.4f}")
    print(json.dumps(results))


def show(name: str, table: dict[str, list[dict[str, Any]]]) -> None:
    """Mean and standard deviation over the seeds so far."""
    columns = (
        "usd",
        "labels",
        "completion",
        "labels_of_all",
        "labels_f1",
        "student",
        "student_f1",
        "rounds",
        "seconds",
    )
    print(f"\n{name} ({len(table['run'])} seeds)")
    print("".join(f"{head:>19}" for head in ("", *columns)))
    for arm, rows in table.items():
        if not rows:
            continue
        cells = []
        for column in columns:
            values = [row[column] for row in rows]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):>11.4f} ±{spread:6.4f}")
        print(f"{arm:>19}" + "".join(f"{cell:>19}" for cell in cells), rows[-1]["stop"])


if __name__ == "__main__":
    main()
