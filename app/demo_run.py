"""The demo: the packaged corpus, labelled without a key.

The embedded annotator is the free first tier; the corpus's own gold, as recorded votes at a price,
plays the reviewer who audits and decides disputes.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .runs import CONFIG_FILE

if TYPE_CHECKING:
    from ..graph.config import RunConfig

FOLDER = Path(__file__).parent / "demo"
VOTES_FILE = "reviewer.csv"
REVIEWER = "reviewer"
NOTE = (
    "No API key needed: the embedded annotator (nearest label description, NOT a language model) "
    "labelled for free, and the corpus's own gold labels played a reviewer at $0.10 a label. "
    "These figures say nothing about a language model."
)


def fresh_name(runs: Path, name: str) -> str:
    """The name, or the first of ``name-2``, ``name-3``, ... that is no run yet."""
    number, free = 1, name
    while (runs / free / CONFIG_FILE).exists():
        number += 1
        free = f"{name}-{number}"
    return free


def prepare(folder: Path, seed: int) -> RunConfig:
    """Write the reviewer's votes into the folder of a run to come; returns its configuration."""
    from ..graph.config import parse_config

    folder.mkdir(parents=True, exist_ok=True)
    write_votes(folder / VOTES_FILE)
    raw: dict[str, Any] = _read("run.yaml")
    raw["seed"] = seed
    raw["task"]["labels"] = _read("labels.yaml")
    raw["task"]["guidelines"] = (FOLDER / "guidelines.md").read_text(encoding="utf-8")
    raw["data"]["path"] = str(FOLDER / "corpus.jsonl")
    for annotator in raw["annotators"]:
        if annotator["kind"] == "recorded":
            annotator["path"] = str((folder / VOTES_FILE).resolve())
    return parse_config(raw, folder=FOLDER, source=str(FOLDER / "run.yaml"))


def write_votes(path: Path) -> None:
    """Write the corpus's gold labels as recorded votes of the reviewer."""
    with (FOLDER / "corpus.jsonl").open(encoding="utf-8") as corpus:
        votes = [(row["id"], row["gold"]) for row in map(json.loads, corpus)]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", REVIEWER])
        table.writerows(votes)


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
