"""What the pages about items share of one run: its files read once, and the way to write a word."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from ....tools.ledger import Ledger
from ....tools.reviews import REVIEW, Review, Verdict
from ....tools.watch import RunReader
from ....tools.watch.item_table import ItemTable
from ....tools.watch.queue import QuestionFile
from ....tools.watch.reader import LEDGER_FILE
from ....tools.watch.review_log import ReviewLog
from ..session import reader as open_reader

_IN_HAND_S = 180.0
_WRITING = threading.Lock()


@dataclass
class Desk:
    """One run as the reviewers of this panel see it; all their pages share it.

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


@st.cache_resource(max_entries=16, show_spinner=False)
def desk(folder: Path) -> Desk:
    """The desk of a run."""
    reader = open_reader(folder)
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

    Returns:
        Whether it says anything new; a second click, here or in another tab, writes nothing.
    """
    with _WRITING:
        desk.log.refresh()
        return _write(desk, Review(0, item_id, reviewer, verdict, label, example, blind))


def take_back(desk: Desk, word: Review) -> bool:
    """Take a reviewer's word back, if it is still the last one on its item."""
    with _WRITING:
        desk.log.refresh()
        return _write(desk, Review(word.seq, word.item_id, word.reviewer, "undo"))


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
