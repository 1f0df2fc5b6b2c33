"""What is said of the labels must be true of the labels that were delivered."""

import csv

import numpy as np
import pytest

from labelwright.graph import run
from labelwright.graph.quality import Stratum, wrong_labels

LABELS = ("heads", "tails")


@pytest.fixture
def blind(tmp_path, new_corpus):
    """Texts that say nothing of their label: 75 % cheap, 98 % strong, and a trusted boss."""

    def settings(seed):
        corpus = new_corpus(300, seed=seed, duplicates=0)
        rng = np.random.default_rng(seed)
        gold = {item: LABELS[rng.integers(2)] for item in corpus.texts}
        other = {"heads": "tails", "tails": "heads"}
        accuracy = {"cheap": 0.75, "strong": 0.98, "boss": 1.0}
        with (corpus.folder / "blind.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["item_id", *accuracy])
            for item, label in gold.items():
                draws = [rng.random() < a for a in accuracy.values()]
                table.writerow([item, *(label if ok else other[label] for ok in draws)])
        rows = [[item, corpus.texts[item], gold[item]] for item in corpus.texts]
        with (corpus.folder / "blind_pool.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["id", "text", "gold"], *rows])
        path = str(corpus.folder / "blind.csv")
        prices = {"cheap": 0.001, "strong": 0.02, "boss": 0.5}
        return corpus.config(
            task={"name": "coins", "labels": [{"name": label} for label in LABELS]},
            data={"path": str(corpus.folder / "blind_pool.csv"), "id": "id", "gold": "gold"},
            annotators=[
                {
                    "kind": "recorded",
                    "name": name,
                    "tier": tier,
                    "path": path,
                    "trusted": name == "boss",
                    "price": {"per_label": prices[name]},
                }
                for tier, name in enumerate(accuracy, 1)
            ],
            critic={"audit_first": 60, "accept_at": 0.7, "escalate_share": 0.1},
            stopping={"max_rounds": 2, "stop_set_size": 50, "items": 300, "error_cost_usd": 0.02},
            budget={"usd": 40},
            seed=seed,
        )

    return settings


@pytest.mark.parametrize("seed", [0, 1])
def test_the_audit_judges_labels_with_the_votes_that_they_have(blind, tmp_path, seed):
    quality = run(blind(seed), name="run", runs=tmp_path).summary["quality"]
    said, true = quality["labels"], quality["gold"]["accuracy"]["estimate"]
    assert said["low"] <= true <= said["high"]
    assert true < 0.95


def test_wrong_labels_are_counted_by_the_share_of_each_kind():
    cheap = Stratum(("cheap",), right=30, n=40, size=300)
    trusted = Stratum((), right=100, n=100, size=100)
    assert wrong_labels([cheap, trusted], audited=40) == 8  # 3/4 of 25 % of 40, rounded up
    assert wrong_labels([trusted], audited=40) == 0
    assert wrong_labels([], audited=40) == 0
