"""What reviewers have said on the items of a run, read from its ledger by increments."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass

from ..reviews import REVIEW, Review, Standing, read_review, standing, taken_back
from .reader import RunReader


@dataclass(frozen=True)
class Said:
    """One review with its time and what the run made of it.

    Attributes:
        at: When it was given, ISO 8601, UTC.
        note: The run's acknowledgement; ``None`` while it waits for a safe point.
        taken_back: Whether a later ``undo`` has taken it back.
    """

    review: Review
    at: str
    note: str | None
    taken_back: bool


class ReviewLog:
    """All reviews of a run; threads may share it.

    Args:
        reader: The run.

    Attributes:
        standing: What the reviews of each item come to, by item id; never changed in place.
    """

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._guard = threading.RLock()
        self._last = 0
        self._all: dict[int, Review] = {}
        self._at: dict[int, str] = {}
        self._by_item: dict[str, list[Review]] = defaultdict(list)
        self._words: dict[tuple[str, str], list[Review]] = defaultdict(list)
        self._left: dict[str, dict[int, Review]] = defaultdict(dict)
        self._pending: set[int] = set()
        self._notes: dict[int, str] = {}
        self.standing: dict[str, Standing] = {}

    def refresh(self) -> None:
        """Read what has come since the last time."""
        with self._guard:
            rows = self._reader.rows(
                "SELECT seq, payload, at FROM directives WHERE seq > ? AND kind = ? ORDER BY seq",
                self._last,
                REVIEW,
            )
            touched = set()
            for seq, payload, at in rows:
                self._last = seq
                review = read_review(seq, json.loads(payload), self._reader.labels)
                # What makes no sense the run refuses, in words that are in its acknowledgement.
                if isinstance(review, Review):
                    self._add(review, at)
                    touched.add(review.item_id)
            if touched:
                # Another one: a page that goes through the one before has it whole.
                stands = dict(self.standing)
                for item in touched:
                    # An item whose last word was taken back stands as if nobody had spoken.
                    stands.pop(item, None)
                    stands |= standing(self._by_item[item])
                self.standing = stands
            self._read_notes()

    def words(self, item_id: str, reviewer: str) -> list[Review]:
        """A reviewer's words on an item that were not taken back, oldest first."""
        with self._guard:
            return list(self._words.get((item_id, reviewer), ()))

    def ever_answered(self, item_id: str, reviewer: str) -> bool:
        """Whether a reviewer has ever answered on an item, be it taken back: votes were in sight.

        After an answer nothing is hidden, so no later one is blind.
        """
        with self._guard:
            return any(
                review.reviewer == reviewer and review.verdict in {"label", "no_label"}
                for review in self._by_item.get(item_id, ())
            )

    def answer(self, item_id: str, reviewer: str) -> Review | None:
        """A reviewer's last word on an item that the run has not taken up: an answer, or a skip.

        An item that was corrected before can be asked about anew, and is answered anew.
        """
        words = [review for review in self.words(item_id, reviewer) if review.verdict != "flag"]
        return words[-1] if words and self.waits(words[-1]) else None

    def waiting(self, item_id: str) -> Standing | None:
        """What the reviews of an item that the run has not taken up come to."""
        with self._guard:
            words = [review for review in self._by_item.get(item_id, ()) if self.waits(review)]
        return standing(words).get(item_id) if words else None

    def waits(self, review: Review) -> bool:
        """Whether the run has not taken a review up."""
        return review.seq in self._pending

    def of_reviewer(self, reviewer: str) -> list[Review]:
        """A reviewer's words that were not taken back, the latest first."""
        with self._guard:
            return list(self._left.get(reviewer, {}).values())[::-1]

    def of_item(self, item_id: str) -> list[Said]:
        """All that was ever said on an item, oldest first."""
        with self._guard:
            return [
                Said(
                    review,
                    self._at[review.seq],
                    self._notes.get(review.seq),
                    review.verdict != "undo" and review.seq not in self._left[review.reviewer],
                )
                for review in self._by_item.get(item_id, ())
            ]

    def reviewers(self) -> list[str]:
        """Names of all who have said something, sorted."""
        with self._guard:
            return sorted(name for name, words in self._left.items() if words)

    def reviews(self) -> list[Review]:
        """All reviews in order."""
        with self._guard:
            return list(self._all.values())

    def pending(self) -> dict[str, int]:
        """Items with reviews that the run has not taken up, and how many they are."""
        with self._guard:
            found: dict[str, int] = defaultdict(int)
            for seq in sorted(self._pending):
                found[self._all[seq].item_id] += 1
            return dict(found)

    def adds(self, review: Review) -> bool:
        """Whether a review would say anything new: a second click must not.

        An ``undo`` must name the reviewer's last word on the item.
        """
        words = self.words(review.item_id, review.reviewer)
        if review.verdict == "undo":
            return bool(words) and words[-1].seq == review.undoes and self.revocable(words[-1])
        if review.verdict == "flag":
            return all(word.verdict != "flag" for word in words)
        last = self.answer(review.item_id, review.reviewer)
        if last is None:
            return True
        if review.verdict == "skip":
            # An answer is taken back by an undo, not by a key that came too late.
            return False
        return (last.verdict, last.label, last.example) != (
            review.verdict,
            review.label,
            review.example,
        )

    def revocable(self, review: Review) -> bool:
        """Whether taking a review back would change anything: a label that was taken stays."""
        return review.verdict == "flag" or self.waits(review)

    def _add(self, review: Review, at: str) -> None:
        self._all[review.seq], self._at[review.seq] = review, at
        self._by_item[review.item_id].append(review)
        self._pending.add(review.seq)
        words = self._words[review.item_id, review.reviewer]
        if review.verdict != "undo":
            words.append(review)
            self._left[review.reviewer][review.seq] = review
        elif word := taken_back(review, words):
            words.remove(word)
            del self._left[review.reviewer][word.seq]

    def _read_notes(self) -> None:
        if not self._pending:
            return
        notes = self._reader.rows(
            "SELECT directive, note FROM acknowledgements WHERE directive BETWEEN ? AND ?",
            min(self._pending),
            max(self._pending),
        )
        for seq, note in notes:
            if seq in self._pending:
                self._pending.remove(seq)
                self._notes[seq] = note
