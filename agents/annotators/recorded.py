"""Recorded votes: answers that real annotators gave before, charged as if they were asked now."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tools.embedding import wordpiece_counts
from ...tools.errors import DataError
from ...tools.ledger import Vote
from ...tools.task import normalised_label
from ..ballot import NOT_RECORDED
from .annotator import Asked, Asking, Question
from .local import enter_votes
from .settings import RecordedAnnotatorConfig

OUTSIDE = "?"
"""How a recorded file marks an answer that was outside the label set."""


class Detail(NamedTuple):
    """What may be recorded of an answer beside its label."""

    cost: int | None = None
    confidence: float | None = None
    invalid: str | None = None


NOTHING_MORE = Detail()


class RecordedAnnotator:
    """One annotator's votes out of a file.

    Args:
        config: Where the votes are and what each costs.
        labels: The label set; a recorded answer outside it is an invalid vote. Case, width and
            outer spaces do not count, as in answers of models.
        prompt_tokens: Tokens of the prompt around a text, for a price by tokens.

    Raises:
        DataError: The file is missing or holds no vote of this annotator.
    """

    repeats = False

    def __init__(
        self, config: RecordedAnnotatorConfig, labels: Sequence[str], prompt_tokens: int
    ) -> None:
        self.name, self.tier, self.trusted = config.name, config.tier, config.trusted
        self.price = config.price
        self._answer_tokens = config.answer_tokens
        self._prompt_tokens = prompt_tokens
        self._labels = {normalised_label(label): label for label in labels}
        self._votes = read_recorded(config.path, config.column or config.name)
        self._details = read_details(config.path, config.column or config.name)
        fingerprint = hashlib.sha256(repr(sorted(self._votes.items())).encode()).hexdigest()
        self._hash = f"recorded:{fingerprint[:16]}"

    def ask(self, questions: Sequence[Question], asking: Asking) -> Asked:
        """Look the answers up; an item without a recorded answer is invalid and costs nothing."""
        texts = [question.text for question in questions]
        tokens_in, tokens_out = self.tokens(texts)
        costs = self.expect(texts)
        missing = [question.item_id not in self._votes for question in questions]
        for column in (tokens_in, tokens_out, costs):
            column[missing] = 0
        details = [self._details.get(question.item_id, NOTHING_MORE) for question in questions]
        for row, detail in enumerate(details):
            if detail.cost is not None:
                costs[row] = detail.cost
        votes: list[Vote] = []
        for question, cost, detail in zip(questions, costs.tolist(), details, strict=True):
            answer = self._votes.get(question.item_id)
            label = self._labels.get(normalised_label(answer or ""))
            unusable = NOT_RECORDED if answer is None else detail.invalid or "not_in_label_set"
            invalid = None if label else unusable
            votes.append(
                Vote(
                    item_id=question.item_id,
                    annotator=self.name,
                    label=label,
                    invalid=invalid,
                    prompt_hash=self._hash,
                    attempt=question.attempt,
                    purpose=asking.purpose,
                    round=asking.round,
                    cost=cost,
                    confidence=detail.confidence if label else None,
                )
            )
        return enter_votes(
            votes,
            model="recorded",
            tokens_in=tokens_in.tolist(),
            tokens_out=tokens_out.tolist(),
            asking=asking,
        )

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Prompt and completion tokens that the answers are assumed to have taken."""
        if self.price.input is None:
            return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        counts = np.asarray(wordpiece_counts(texts), np.int64) + self._prompt_tokens
        return counts, np.full(len(texts), self._answer_tokens, np.int64)

    def expect(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Cost of one vote on each text, in nanodollars."""
        tokens_in, tokens_out = self.tokens(texts)
        costs = [
            self.price.cost(int(a), int(b), labels=1)
            for a, b in zip(tokens_in, tokens_out, strict=True)
        ]
        return np.asarray(costs, np.int64)

    def close(self) -> None:
        """Nothing is open."""


def read_recorded(path: Path, annotator: str) -> dict[str, str]:
    """One annotator's recorded answers by item id; items that it was not asked are left out.

    Args:
        path: Wide CSV, long CSV or long JSONL.
        annotator: Its column (wide) or its name in the column ``annotator`` (long).

    Raises:
        DataError: The file is missing or malformed, or has no answer of this annotator.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected recorded votes (CSV or JSONL).")
    rows = _jsonl(path, annotator) if path.suffix == ".jsonl" else _csv(path, annotator)
    try:
        votes = {item: answer for item, answer in rows if answer.strip()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as UTF-8 CSV or JSONL ({error}).") from error
    if not votes:
        raise DataError(f"{path}: holds no vote of {annotator!r}; check 'column'.")
    return votes


def read_details(path: Path, annotator: str) -> dict[str, Detail]:
    """What a long JSONL says of an annotator's answers beyond the label, by item id.

    Optional keys: ``cost`` (nanodollars, in place of the configured price), ``confidence``, and
    ``invalid`` (why there is no label). An export of a run's votes has them.
    """
    if path.suffix != ".jsonl":
        return {}
    found = {}
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            row = json.loads(line) if line.strip() else {}
            if row.get("annotator") == annotator and row.keys() & Detail._fields:
                found[str(row["item_id"])] = Detail(*(row.get(key) for key in Detail._fields))
    return found


def _csv(path: Path, annotator: str) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        if "item_id" not in columns:
            raise DataError(f"{path}: has the columns {columns}; expected 'item_id' among them.")
        if annotator in columns:
            for row in reader:
                yield row["item_id"], row[annotator] or ""
        elif {"annotator", "label"} <= set(columns):
            for row in reader:
                if row["annotator"] == annotator:
                    yield row["item_id"], row["label"] or OUTSIDE
        else:
            raise DataError(
                f"{path}: has no column {annotator!r}; expected one of {columns[1:]}, or the "
                "columns item_id, annotator, label."
            )


def _jsonl(path: Path, annotator: str) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if row["annotator"] == annotator:
                    # A null label is an answer that was no label: it was given and paid for.
                    label = row["label"]
                    yield str(row["item_id"]), OUTSIDE if label in (None, "") else str(label)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}, line {number}: expected an object with item_id, annotator and "
                    f"label ({error})."
                ) from error
