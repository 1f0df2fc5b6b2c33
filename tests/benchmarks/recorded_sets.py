"""Pools with gold labels and the recorded answers of real language models, read for benchmarks."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelwright.agents.annotators.build import prompt_tokens
from labelwright.tools.embedding import EmbedderConfig, build_embedder, wordpiece_counts
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.task import TaskConfig

NO_VOTE = -1
SHORT_ANSWER, REASONED_ANSWER = 12, 400
"""Completion tokens that a call is assumed to take; nobody recorded them."""
REASONING = ("o1", "o3", "o4", "gpt-5", "deepseek-r1", "deepseek-reasoner", "gemini-2.5", "cot")
"""Parts of the names of annotators that are assumed to reason before they answer."""


@dataclass(frozen=True)
class RecordedSet:
    """One pool, with the answers of m annotators where they were recorded.

    Attributes:
        name: Its folder.
        task: Label set with descriptions.
        ids: Length n.
        texts: Length n.
        gold: (n,) class numbers.
        annotators: Length m; supervised models are left out.
        votes: (n, m) class numbers, -1 where there is no answer or one outside the label set.
        outside: (n, m) whether an answer was given that is outside the label set.
        usd_in: (m,) dollars for a prompt token, NaN where the price is unknown.
        usd_out: (m,) dollars for a completion token.
    """

    name: str
    task: TaskConfig
    ids: list[str]
    texts: list[str]
    gold: NDArray[np.int64]
    annotators: list[str]
    votes: NDArray[np.int64]
    outside: NDArray[np.bool_]
    usd_in: NDArray[np.float64]
    usd_out: NDArray[np.float64]

    @property
    def classes(self) -> int:
        """K."""
        return len(self.task.label_names)

    @cached_property
    def costs(self) -> NDArray[np.float64]:
        """(n, m) dollars of one call each: the prompt that we would send, and an assumed answer."""
        around = prompt_tokens(self.task, PromptLibrary([packaged_prompts()]))
        tokens = np.asarray(wordpiece_counts(self.texts), np.float64) + around
        answers = np.asarray([answer_tokens(name) for name in self.annotators], np.float64)
        return np.asarray(tokens[:, None] * self.usd_in + answers * self.usd_out, np.float64)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """(n, d) vectors by the packaged encoder, kept between runs in the temporary folder."""
        digest = hashlib.sha256("\0".join(self.texts).encode()).hexdigest()[:16]
        kept = Path(tempfile.gettempdir()) / "labelwright-benchmarks" / f"{digest}.npy"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            embedded = build_embedder(EmbedderConfig()).embed(self.texts)
            part = kept.with_suffix(".part.npy")
            np.save(part, np.asarray(embedded, np.float32))
            part.replace(kept)
        return np.asarray(np.load(kept), np.float32)


def answer_tokens(annotator: str) -> int:
    """Completion tokens of one answer; models that reason are assumed to write more."""
    name = annotator.lower()
    return REASONED_ANSWER if any(part in name for part in REASONING) else SHORT_ANSWER


def recorded_sets(data: Path, names: list[str] | None = None) -> list[str]:
    """Names of the sets under ``data`` that have recorded answers."""
    found = sorted(path.parent.name for path in data.glob("*/annotations_wide.csv"))
    return _chosen(found, names)


def gold_sets(data: Path, names: list[str] | None = None) -> list[str]:
    """Names of all sets under ``data``, with or without recorded answers."""
    return _chosen(sorted(path.parent.name for path in data.glob("*/pool.jsonl")), names)


def _chosen(found: list[str], names: list[str] | None) -> list[str]:
    missing = sorted(set(names or ()) - set(found))
    if missing:
        raise SystemExit(f"no such set: {', '.join(missing)}; found {', '.join(found) or 'none'}")
    return names or found


def load_set(data: Path, name: str) -> RecordedSet:
    """Read ``pool.jsonl``, ``labels.json`` and, where there is one, ``annotations_wide.csv``.

    An item without a gold label of the label set is left out, and so is an annotator that
    ``prices.csv`` lists without a price: it is no language model.
    """
    folder = data / name
    described = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    task = TaskConfig(name=name, labels=described["labels"])
    number = {label: k for k, label in enumerate(task.label_names)}
    with (folder / "pool.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    rows = [row for row in rows if row.get("gold") in number and str(row["text"]).strip()]
    prices = _prices(data / "prices.csv")
    answers = _answers(folder / "annotations_wide.csv")
    first = next(iter(answers.values()), {})
    annotators = [c for c in first if c not in {"item_id", "gold"} and prices.get(c, (0, 0))]
    given = [[answers.get(str(row["id"]), {}).get(a) or "" for a in annotators] for row in rows]
    shape = (len(rows), len(annotators))
    votes = np.asarray([[number.get(a, NO_VOTE) for a in line] for line in given], np.int64)
    outside = np.asarray([[a != "" and a not in number for a in line] for line in given], bool)
    unknown = (np.nan, np.nan)
    usd = np.asarray([prices.get(a) or unknown for a in annotators], np.float64).reshape(-1, 2)
    return RecordedSet(
        name=name,
        task=task,
        ids=[str(row["id"]) for row in rows],
        texts=[str(row["text"]) for row in rows],
        gold=np.asarray([number[row["gold"]] for row in rows], np.int64),
        annotators=annotators,
        votes=votes.reshape(shape),
        outside=outside.reshape(shape),
        usd_in=usd[:, 0],
        usd_out=usd[:, 1],
    )


def _prices(path: Path) -> dict[str, tuple[float, float] | None]:
    """Dollars a token in and out by annotator; ``None`` where the row gives no price."""
    if not path.is_file():
        return {}
    prices: dict[str, tuple[float, float] | None] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            usd_in, usd_out = row["usd_per_mtok_in"], row["usd_per_mtok_out"]
            known = bool(usd_in and usd_out)
            prices[row["annotator"]] = (
                (float(usd_in) / 1e6, float(usd_out) / 1e6) if known else None
            )
    return prices


def _answers(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["item_id"]: row for row in csv.DictReader(file)}
