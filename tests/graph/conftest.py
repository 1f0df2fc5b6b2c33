"""Small pools with recorded votes, and what is read back out of a run's folder."""

import csv
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from labelwright.graph.config import RunConfig, parse_config
from labelwright.tools.ledger import Ledger

WORDS = {
    "billing": "invoice charged refund card payment bill money price paid fee",
    "technical": "crash error freeze login bug page loading broken screen update",
    "shipping": "parcel delivery courier address late package tracking arrived box customs",
    "praise": "great thanks love wonderful happy excellent friendly best recommend perfect",
}
FILLERS = [
    "the",
    "my",
    "your",
    "please",
    "today",
    "again",
    "when",
    "after",
    "it",
    "very",
    "with",
    "from",
    "about",
]
TIERS = {"cheap": (0.75, 0.001), "middle": (0.9, 0.005), "strong": (0.97, 0.02)}
"""Accuracy of each recorded annotator, and its price for one label in USD."""


@dataclass(frozen=True)
class Corpus:
    """A pool on disk with what is true of it.

    Attributes:
        gold: True label by row id, in the order of the file; duplicates included.
        votes: Recorded label by row id, by annotator.
        same: Row that each duplicate repeats.
    """

    folder: Path
    labels: tuple[str, ...]
    texts: dict[str, str]
    gold: dict[str, str]
    votes: dict[str, dict[str, str]]
    same: dict[str, str]

    def settings(self, **sections: Any) -> dict[str, Any]:
        """A small run with three recorded tiers, before paths are resolved."""
        small: dict[str, Any] = {
            "task": {"name": "tickets", "labels": [{"name": label} for label in self.labels]},
            "data": {"path": "pool.csv", "id": "id", "gold": "gold"},
            "annotators": [self.recorded(name, tier) for tier, name in enumerate(TIERS, 1)],
            "selection": {"batch_size": 12},
            "critic": {"audit_first": 6},
            "stopping": {"max_rounds": 3, "stop_set_size": 50},
            "budget": {"usd": 5},
        }
        return {**small, **sections}

    def recorded(self, name: str, tier: int, **more: Any) -> dict[str, Any]:
        price = {"per_label": TIERS[name][1]}
        basic = {"kind": "recorded", "name": name, "path": "votes.csv", "tier": tier}
        return {**basic, "price": price, **more}

    def config(self, **sections: Any) -> RunConfig:
        return parse_config(self.settings(**sections), folder=self.folder)

    def write(self, name: str = "run.yaml", **sections: Any) -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(self.settings(**sections)), encoding="utf-8")
        return path


def make_corpus(
    folder: Path, n: int = 150, *, seed: int = 0, duplicates: int = 6, rare: float | None = None
) -> Corpus:
    """Short texts of four classes, one in six with a word of another class; seeded errors.

    Args:
        rare: Share of the last class; all are alike without.
    """
    rng = np.random.default_rng(seed)
    labels = list(WORDS)
    shares = [0.25] * 4 if rare is None else [(1 - rare) / 3] * 3 + [rare]
    rows: list[tuple[str, str, str]] = []
    for number in range(n):
        label = labels[rng.choice(4, p=shares)]
        words = [*rng.choice(WORDS[label].split(), 3), *rng.choice(FILLERS, 3)]
        if rng.random() < 1 / 6:
            words[0] = rng.choice(WORDS[labels[rng.integers(4)]].split())
        rng.shuffle(words)
        rows.append((f"r{number:03}", " ".join([*words, str(number)]), label))
    same = {}
    for number in range(duplicates):
        first = int(rng.integers(len(rows) - 1))
        origin, text, label = rows[first]
        same[f"d{number}"] = same.get(origin, origin)
        rows.insert(int(rng.integers(first + 1, len(rows) + 1)), (f"d{number}", text, label))
    votes = {
        name: {
            item: label if rng.random() < accuracy else labels[rng.integers(4)]
            for item, _, label in rows
        }
        for name, (accuracy, _) in TIERS.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "pool.csv", ["id", "text", "gold"], rows)
    table = [[item, *(given[item] for given in votes.values())] for item, _, _ in rows]
    write_csv(folder / "votes.csv", ["item_id", *votes], table)
    return Corpus(
        folder,
        tuple(labels),
        {item: text for item, text, _ in rows},
        {item: label for item, _, label in rows},
        votes,
        same,
    )


def write_csv(path: Path, header: list[str], rows: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A pool of 150 texts; nothing may be changed in its folder but files of other names."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def new_corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """A pool of its own for one test."""
    return lambda *args, **more: make_corpus(tmp_path / "corpus", *args, **more)


@dataclass(frozen=True)
class Outcome:
    """What a run left on disk, without opening the run."""

    folder: Path

    @property
    def labels(self) -> list[dict[str, Any]]:
        lines = (self.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "ledger.sqlite")) as db:
            return db.execute(query, values).fetchall()

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger.sqlite", create=False)

    def decided(self) -> Mapping[str, Any]:
        """All that must not depend on crashes, threads or hashes."""
        with self.ledger() as ledger:
            return {
                "labels": (self.folder / "labels.jsonl").read_bytes(),
                "decisions": ledger.log.digest(),
                "votes": ledger.votes.all(),
                "spent": ledger.balance().spent,
            }

    def most_committed(self) -> int:
        """The most that was ever spent, reserved or in doubt at one time, in nanodollars."""
        return int(
            self.sql("SELECT coalesce(max(spent + reserved + uncertain), 0) FROM journal")[0][0]
        )

    def stop(self) -> Any:
        """Why the run stopped, as it is in the ledger."""
        with self.ledger() as ledger:
            return ledger.log.decisions("stop_check")[-1].decision["stop"]


@pytest.fixture
def outcome() -> type[Outcome]:
    return Outcome


GUARANTEE = {"error": 0.1, "confidence": 0.9, "audits": 120}
"""What is asked for in tests of the last audit."""


@pytest.fixture
def guaranteed(new_corpus):
    """One annotator that is right on 85 % of the texts, and somebody who knows."""

    def made(n=500, judge="recorded", odd=0.0, **sections):
        corpus = new_corpus(n, seed=1, duplicates=3)
        rng = np.random.default_rng(1)
        labels = np.asarray(corpus.labels)
        with (corpus.folder / "judged.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["item_id", "one", "judge"])
            for item, label in list(corpus.gold.items()):
                if label == labels[-1] and rng.random() < odd:
                    # What is right of one label's texts can not be told by its looks.
                    corpus.gold[item] = str(labels[0])
                said = label if rng.random() < 0.85 else rng.choice(labels[labels != label])
                table.writerow([item, said, corpus.gold[item]])
        one = {
            "kind": "recorded",
            "name": "one",
            "path": "judged.csv",
            "price": {"per_label": 1e-3},
        }
        known = {"name": "judge", "tier": 9, "trusted": True, "price": {"per_label": 0.05}}
        source = {"kind": "human"} if judge == "human" else {**one, **known}
        return corpus, corpus.config(
            **{
                "annotators": [one, {**source, **known}],
                "ensemble": {"guarantee": GUARANTEE},
                "critic": {"audit_first": 40, "escalate_share": 0.0},
                "selection": {"batch_size": 60},
                "stopping": {
                    "max_rounds": 2,
                    "stop_set_size": 50,
                    "items": n,
                    "error_cost_usd": 0.01,
                },
                "budget": {"usd": 40},
                **sections,
            }
        )

    return made
