"""The critic's benchmark on a made-up set, so that it can not rot."""

import csv
import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "benchmarks"
LABELS = ("billing", "technical", "shipping", "praise", "refund")
WORDS = {
    "billing": "invoice charged card",
    "technical": "crash error freeze",
    "shipping": "parcel courier late",
    "praise": "great thanks love",
    "refund": "money back return",
}


@pytest.fixture
def data(tmp_path):
    """120 texts of five classes; one class was not offered to four annotators."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "made_up"
    folder.mkdir()
    labels = [{"name": name, "description": WORDS[name]} for name in LABELS]
    (folder / "labels.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")
    (folder / "README.md").write_text("1 invented ones are in it (chargeback).", encoding="utf-8")
    rows, votes = [], []
    for n in range(120):
        gold = LABELS[n % 5]
        text = f"{WORDS[gold]} {n}"
        offered = gold != "refund"
        rows.append({"id": f"k{n}", "text": text, "gold": gold, "gold_offered_in_prompt": offered})
        given = [
            gold if offered and rng.random() < 0.8 else "?" if not offered and rng.random() < 0.5
            else LABELS[rng.integers(4)]
            for _ in range(4)
        ]  # fmt: skip
        votes.append([f"k{n}", gold, *given])
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pool.jsonl").write_text(lines, encoding="utf-8")
    with (folder / "annotations_wide.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["item_id", "gold", *"abcd"], *votes])
    return tmp_path


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    yield import_module("critic"), import_module("codebook_faults")
    for name in set(sys.modules) - before:
        if name in {"critic", "codebook_faults", "recorded_sets"}:
            del sys.modules[name]


def test_label_errors_and_codebook_faults_are_measured(benchmark, data, monkeypatch):
    critic, faults = benchmark
    monkeypatch.setattr(critic, "AUDITS", 40)
    monkeypatch.setattr(critic, "cleanlab_scores", lambda *_, **__: {})
    found = critic.label_errors(data, "made_up", 0)
    assert {(row["source"], row["audits"]) for row in found} == {
        (source, audits) for source in ("one", "three") for audits in (0, 40)
    }
    table = critic.summarise(found)
    figures = table["made_up"]["three"]["40"]["critic"]
    assert figures["auroc"][0] > 0.5
    critic.show_errors(table)
    measured = faults.measure(data, "made_up", 0)
    shown = faults.summarise(measured)
    faults.show(shown)
    recorded = shown["made_up"]["recorded"]
    assert recorded["50"]["add_label"]["recall"][0] == 1.0
    assert recorded["50"]["add_label"]["precision"][0] > 0.5
    json.dumps([table, shown])
