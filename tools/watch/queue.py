"""The queue of what only a person can say, as it stands for one reviewer."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..reviews import answered
from .reader import RunReader
from .review_log import ReviewLog

QUESTIONS_FILE = "questions.jsonl"


@dataclass(frozen=True)
class Question:
    """One question that a run has put to a person.

    Attributes:
        annotator: The person among the run's annotators; empty in files of earlier versions.
        purpose: Why it is asked: audit, escalate, ...; empty in files of earlier versions.
        doubted: The label that is in doubt, in words, where the question is about one; whoever
            answers has seen it.
    """

    item_id: str
    text: str
    labels: tuple[str, ...]
    annotator: str = ""
    purpose: str = ""
    doubted: str = ""

    @property
    def blind(self) -> bool:
        """Whether votes must be hidden until it is answered: they would bend what audits prove."""
        return not self.purpose or "audit" in self.purpose


@dataclass(frozen=True)
class Queue:
    """Open questions as they stand for one reviewer, all in order of value.

    Attributes:
        todo: To be answered by this reviewer.
        skipped: Skipped by this reviewer and not answered by others.
        open: Without a settled answer, whoever is to give it.
        disputed: Answers differ without a majority.
        answered: Settled questions by purpose.
        asked: All questions by purpose.
    """

    todo: list[Question]
    skipped: list[Question]
    open: list[Question]
    disputed: list[Question]
    answered: Counter[str]
    asked: Counter[str]


class QuestionFile:
    """The file of open questions of a run, read again when it has changed; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / QUESTIONS_FILE
        self._guard = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._questions: list[Question] = []

    def questions(self) -> list[Question]:
        """The open questions in order of value; none while there is no file."""
        with self._guard:
            try:
                stat = self._path.stat()
                seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if seen != self._seen:
                    self._questions = _questions(self._path.read_bytes())
                    self._seen = seen
            except FileNotFoundError:
                self._seen, self._questions = None, []
            return self._questions


def queue(
    questions: Sequence[Question], log: ReviewLog, reviewer: str, *, second_opinion: float = 0.0
) -> Queue:
    """What one reviewer is to answer.

    A question comes to a reviewer while nobody has answered it, where answers differ without a
    majority, and where a second opinion on it is wanted; never twice.

    Args:
        questions: The open questions.
        log: What was said, fresh.
        reviewer: The name.
        second_opinion: Share of the questions that a second reviewer is to answer, 0 to 1.
    """
    found = Queue([], [], [], [], Counter(), Counter())
    for question in questions:
        stands = log.waiting(question.item_id)
        found.asked[question.purpose] += 1
        if answered(stands, question.item_id, second_opinion):
            found.answered[question.purpose] += 1
            continue
        found.open.append(question)
        if stands is not None and stands.disputed:
            found.disputed.append(question)
        if stands is not None and reviewer in stands.said:
            continue
        last = log.answer(question.item_id, reviewer)
        (found.skipped if last and last.verdict == "skip" else found.todo).append(question)
    return found


def blind_items(folder: Path) -> frozenset[str]:
    """Items of open audit questions: whoever answers must not have seen what others said.

    Args:
        folder: The run's folder.
    """
    path = folder / QUESTIONS_FILE
    try:
        stat = path.stat()
        return _blind(path, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except FileNotFoundError:
        return frozenset()


# It is asked for with every answer of the chat, and the texts in the file may be long.
@lru_cache(maxsize=16)
def _blind(path: Path, _: tuple[int, int, int]) -> frozenset[str]:
    return frozenset(one.item_id for one in _questions(path.read_bytes()) if one.blind)


def unanswered(reader: RunReader) -> int:
    """How many of the open questions have no settled answer yet, whoever is to give it."""
    log = ReviewLog(reader)
    log.refresh()
    questions = QuestionFile(reader.folder).questions()
    return len(queue(questions, log, "", second_opinion=second_opinion(reader)).open)


def second_opinion(reader: RunReader) -> float:
    """Share of the questions that go to a second reviewer, by the run's configuration."""
    human = reader.config.get("human") or {}
    return float(human.get("second_opinion") or 0.0)


def people(reader: RunReader) -> list[str]:
    """Names of the annotators that are persons."""
    return [one["name"] for one in reader.config["annotators"] if one.get("kind") == "human"]


def _questions(data: bytes) -> list[Question]:
    found: dict[str, Question] = {}
    for line in data.split(b"\n"):
        question = _question(line)
        if question is not None:
            found.setdefault(question.item_id, question)
    return list(found.values())


def _question(line: bytes) -> Question | None:
    """One line; ``None`` for one that is blank, half written, or no question."""
    try:
        entry: Any = json.loads(line)
        item, text, labels = entry["item_id"], entry["text"], entry["labels"]
    except (ValueError, TypeError, KeyError):
        return None
    if not (isinstance(item, str) and isinstance(text, str) and isinstance(labels, list)):
        return None
    return Question(
        item,
        text,
        tuple(map(str, labels)),
        str(entry.get("annotator") or ""),
        str(entry.get("purpose") or ""),
    )
