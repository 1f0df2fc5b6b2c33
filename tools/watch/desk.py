"""A reviewer's desk: what a run has to be looked at, and the way to write a word on it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..ledger import Ledger
from ..reviews import REVIEW, Review, Verdict
from . import item as records
from .item_table import ItemTable
from .items import doubtful
from .queue import Question, QuestionFile, Queue, queue, second_opinion
from .reader import LEDGER_FILE, RunReader
from .review_log import ReviewLog

HELD = "held to be true"
_IN_HAND_S = 180.0
_MOST_DOUBTS = 200
_WRITING = threading.Lock()


@dataclass(frozen=True)
class Heard:
    """What somebody has said of an item.

    Attributes:
        who: An annotator, another reviewer, or `HELD`: what the run makes of it all.
        label: The label, or in words why there is none.
        why: The reason given; may be empty.
        p_correct: Probability that what is held to be true is right.
    """

    who: str
    label: str
    why: str
    p_correct: float | None = None


@dataclass
class Desk:
    """One run as its reviewers see it; all who review it in one process share it.

    Attributes:
        log: What was said.
        questions: What the run has asked.
        table: All items; empty until somebody calls its `refresh`.
        hands: Who looks at which item, and since when: two reviewers are not given the same one.
    """

    folder: Path
    reader: RunReader
    log: ReviewLog
    questions: QuestionFile
    table: ItemTable
    hands: dict[str, tuple[str, float]] = field(default_factory=dict)

    def take(self, item_id: str, reviewer: str) -> None:
        """Say that a reviewer looks at an item, and at no other."""
        for item, (name, since) in list(self.hands.items()):
            if name == reviewer or time.monotonic() - since > _IN_HAND_S:
                self.hands.pop(item, None)
        self.hands.setdefault(item_id, (reviewer, time.monotonic()))

    def taken(self, item_id: str, reviewer: str) -> bool:
        """Whether another reviewer looks at an item."""
        name, since = self.hands.get(item_id, (reviewer, 0.0))
        return name != reviewer and time.monotonic() - since <= _IN_HAND_S

    def hidden(self, reviewer: str) -> set[str]:
        """Items of audits that this reviewer has still to answer: nothing may be told of them."""
        return {
            question.item_id
            for question in self.questions.questions()
            if question.blind and not self.answered(question.item_id, reviewer)
        }

    def answered(self, item_id: str, reviewer: str) -> bool:
        """Whether a reviewer has given an answer on an item."""
        last = self.log.answer(item_id, reviewer) if reviewer else None
        return last is not None and last.verdict != "skip"

    def queue(self, reviewer: str, state: str) -> Queue:
        """What the run has asked, as it stands for a reviewer; empty while the run is going on.

        Args:
            reviewer: The name.
            state: Where the run stands; see `run_status`.
        """
        self.log.refresh()
        asked = self.questions.questions() if state != "running" else []
        return queue(asked, self.log, reviewer, second_opinion=second_opinion(self.reader))

    def doubtful(self, reviewer: str) -> list[str]:
        """Items that a reviewer should look at, the most doubtful first; audits are left out."""
        self.log.refresh()
        self.table.refresh()
        hidden = self.hidden(reviewer)
        found = doubtful(self.table, self.log, reviewer, _MOST_DOUBTS)
        return [item for item in found if item not in hidden]

    def doubt(self, item_id: str) -> Question:
        """A doubtful label as a question, with the label."""
        text = self.reader.texts([item_id]).get(item_id, "")
        history = records.held(self.reader, item_id)
        doubted = _in_doubt(history[-1]) if history else "It has no label yet."
        labels = tuple(self.reader.labels)
        return Question(item_id, text, labels, purpose="doubtful label", doubted=doubted)

    def heard(self, item_id: str, reviewer: str) -> list[Heard]:
        """What all but the reviewer have said of an item; never to be told of a blind question."""
        found = [
            Heard(vote.annotator, vote.label or f"({vote.invalid})", vote.reason or "")
            for vote in records.votes(self.reader, item_id)
            if not vote.check
        ]
        for held in records.held(self.reader, item_id)[-1:]:
            found.append(Heard(HELD, held.label or "no label", held.reason, held.p_correct))
        stands = self.log.standing.get(item_id)
        for name, label in (stands.said if stands else {}).items():
            if name != reviewer:
                found.append(Heard(f"reviewer {name}", label or "no label fits", ""))
        return found


def _in_doubt(held: records.Held) -> str:
    label = held.label or "no label"
    sure = "" if held.p_correct is None else f", {held.p_correct:.0%} sure"
    if held.outcome != "accept":
        return f"It is set apart; the likeliest label was {label}{sure}."
    return f"The label in doubt: {label}, by {held.source}{sure}."


def open_desk(reader: RunReader) -> Desk:
    """A desk for a run; nothing is read before it is asked for."""
    folder = reader.folder
    return Desk(folder, reader, ReviewLog(reader), QuestionFile(folder), ItemTable(reader))


def give(
    desk: Desk,
    item_id: str,
    reviewer: str,
    verdict: Verdict,
    label: str | None = None,
    *,
    example: bool = False,
    blind: bool = False,
) -> bool:
    """Write a reviewer's word into the run's ledger; it is on the disk when this returns.

    It is not kept as blind where the reviewer has answered on the item before.

    Returns:
        Whether it says anything new; a second click, here or in another tab, writes nothing.
    """
    with _WRITING:
        desk.log.refresh()
        blind = blind and not desk.log.ever_answered(item_id, reviewer)
        return _write(desk, Review(0, item_id, reviewer, verdict, label, example, blind))


def take_back(desk: Desk, word: Review) -> bool:
    """Take a reviewer's word back, if it is still the last one on its item."""
    with _WRITING:
        desk.log.refresh()
        return _write(desk, Review(0, word.item_id, word.reviewer, "undo", undoes=word.seq))


def order(desk: Desk, kind: str) -> None:
    """Write an order without further words into the run's ledger."""
    with Ledger(desk.folder / LEDGER_FILE, create=False) as ledger:
        ledger.log.direct(kind, {})


def _write(desk: Desk, review: Review) -> bool:
    if not desk.log.adds(review):
        return False
    with Ledger(desk.folder / LEDGER_FILE, create=False) as ledger:
        ledger.log.direct(REVIEW, review.payload())
    desk.log.refresh()
    return True
