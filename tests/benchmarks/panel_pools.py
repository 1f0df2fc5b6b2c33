"""The pools of the panel's benchmark: pairs of the demo's messages, with recorded answers."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from doubles.openai_server import Reply
from doubles.scripted_models import Models, usd

from labelwright.app.demo_run import FOLDER

ANSWER_S = 0.25
"""How long the double of a model takes for an answer."""
REVIEWER = {"kind": "recorded", "name": "reviewer", "tier": 2, "trusted": True}


def _messages() -> list[dict[str, Any]]:
    """The demo's corpus."""
    with (FOLDER / "corpus.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_pairs(folder: Path, n: int) -> dict[str, Any]:
    """Write different pairs of messages, with the first one's label as the reviewer's vote."""
    rows = _messages()
    folder.mkdir(parents=True, exist_ok=True)
    codes = np.random.default_rng(0).choice(len(rows) ** 2, n, replace=False)
    with (
        (folder / "pool.jsonl").open("w", encoding="utf-8") as pool,
        (folder / "votes.csv").open("w", encoding="utf-8", newline="") as votes,
    ):
        table = csv.writer(votes)
        table.writerow(["item_id", "reviewer"])
        for number, code in enumerate(codes.tolist()):
            left, right = rows[code // len(rows)], rows[code % len(rows)]
            item = {"id": f"p{number:06}", "text": f"{left['text']} {right['text']}"}
            pool.write(json.dumps(item) + "\n")
            table.writerow([item["id"], left["gold"]])
    return {
        "task": {"name": "pairs of messages", "labels": _labels()},
        "data": {"path": "pool.jsonl", "id": "id"},
        "embedder": {"kind": "static"},
        "annotators": [
            {"kind": "embedded", "name": "embedded"},
            {**REVIEWER, "path": "votes.csv", "price": {"per_label": 0.10}},
        ],
        "selection": {"batch_size": min(1000, max(50, n // 20))},
        "critic": {"audit_first": 50, "escalate_share": 0.05},
        "stopping": {"max_rounds": 6, "items": n, "error_cost_usd": 0.05},
        "budget": {"usd": 60},
    }


def write_asked(folder: Path, n: int, url: str) -> dict[str, Any]:
    """Settings of a run whose labels come from a model behind an endpoint."""
    return write_pairs(folder, n) | {
        "annotators": [
            {
                "kind": "chat",
                "name": "solid",
                "model": "solid",
                "base_url": url,
                "price": usd("solid"),
                "structured": "json_schema",
                "concurrency": 4,
            }
        ],
        "stopping": {"max_rounds": 4, "items": n, "error_cost_usd": 0.05},
        "selection": {"batch_size": max(20, n // 10)},
    }


def _labels() -> Any:
    return yaml.safe_load((FOLDER / "labels.yaml").read_text(encoding="utf-8"))


def slowly(data: Path) -> Any:
    """A script that answers with the recorded label, after as long as a model takes."""
    lines = (data / "pool.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
    with (data / "votes.csv").open(encoding="utf-8", newline="") as file:
        truth = {row["item_id"]: row["reviewer"] for row in csv.DictReader(file)}
    models = Models(texts, truth, [label["name"] for label in _labels()])

    def answer(request: dict[str, Any]) -> Reply:
        return replace(models(request), delay=ANSWER_S)

    return answer
