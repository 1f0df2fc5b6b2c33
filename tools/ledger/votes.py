"""Votes and consensus: who said what on which item, and what the run holds to be true."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence

from ..errors import LedgerError
from .records import CHECK_ATTEMPTS, Consensus, Vote
from .store import Store, encode

_FIELDS = (
    "item_id, annotator, label, invalid, prompt_hash, attempt, purpose, round, cost, "
    "confidence, reason"
)
_PAGE = 5_000  # stays below SQLite's limit on bound values


def insert_votes(db: sqlite3.Connection, votes: Iterable[Vote], call_id: int) -> None:
    """Add votes inside the caller's transaction.

    Raises:
        LedgerError: The annotator's answer on an item in this attempt is there already, or a vote
            has both a label and a reason why there is none.
    """
    votes = list(votes)
    try:
        _insert(db, votes, call_id)
    except sqlite3.IntegrityError as error:
        who = votes[0].annotator if votes else "nobody"
        raise LedgerError(
            f"votes of {who} are refused ({error}); an item has one vote for each annotator, "
            "prompt and attempt, with a label or with a reason why there is none."
        ) from error


def _insert(db: sqlite3.Connection, votes: Sequence[Vote], call_id: int) -> None:
    db.executemany(
        f"INSERT INTO votes({_FIELDS}, call_id) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                v.item_id,
                v.annotator,
                v.label,
                v.invalid,
                v.prompt_hash,
                v.attempt,
                v.purpose,
                v.round,
                v.cost,
                v.confidence,
                v.reason,
                call_id,
            )
            for v in votes
        ],
    )


class Votes:
    """Queries over the votes and the consensus of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Vote]:
        """Every vote, in the order of item, annotator and attempt."""
        rows = self._store.rows(
            f"SELECT {_FIELDS} FROM votes ORDER BY item_id, annotator, attempt, vote_id"
        )
        return [Vote(*row) for row in rows]

    def of_items(self, item_ids: Sequence[str]) -> dict[str, list[Vote]]:
        """Votes on the given items, each list in the order of annotator and attempt."""
        found: dict[str, list[Vote]] = {item_id: [] for item_id in item_ids}
        different = list(found)
        for start in range(0, len(different), _PAGE):
            page = different[start : start + _PAGE]
            marks = ",".join("?" * len(page))
            rows = self._store.rows(
                f"SELECT {_FIELDS} FROM votes WHERE item_id IN ({marks}) "
                "ORDER BY item_id, annotator, attempt, vote_id",
                *page,
            )
            for row in rows:
                found[row[0]].append(Vote(*row))
        return found

    def attempts(self, annotator: str, item_ids: Sequence[str]) -> dict[str, int]:
        """How often an annotator has answered each item; items it never saw are left out.

        Answers to checks are not among them.
        """
        found: dict[str, int] = {}
        for start in range(0, len(item_ids), _PAGE):
            page = item_ids[start : start + _PAGE]
            marks = ",".join("?" * len(page))
            found.update(
                self._store.rows(
                    f"SELECT item_id, count(*) FROM votes WHERE annotator = ? "
                    f"AND attempt < ? AND item_id IN ({marks}) GROUP BY 1",
                    annotator,
                    CHECK_ATTEMPTS,
                    *page,
                )
            )
        return found

    def count(self) -> int:
        """How many votes there are."""
        row = self._store.row("SELECT count(*) FROM votes")
        return int(row[0]) if row else 0

    # -- consensus ------------------------------------------------------------------------------

    def conclude(self, step: int, round_: int, consensus: Iterable[Consensus]) -> None:
        """Add what a step concluded; a step that runs again after a crash changes nothing."""
        with self._store.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO consensus(item_id, step, round, label, p_correct, "
                "calibrated, source, outcome, reason, evidence) VALUES(?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        c.item_id,
                        step,
                        round_,
                        c.label,
                        c.p_correct,
                        int(c.calibrated),
                        c.source,
                        c.outcome,
                        c.reason,
                        encode(c.evidence),
                    )
                    for c in consensus
                ],
            )

    def concluded(
        self, before: int | None = None, *, without: Sequence[int] = ()
    ) -> dict[str, Consensus]:
        """The latest consensus of every item that has one.

        Args:
            before: As it was when this step began, so that a step that runs again after a crash
                does not see what it wrote itself; absent, as it is.
            without: Steps that are left out.
        """
        marks = ",".join("?" * len(without))
        rows = self._store.rows(
            "SELECT item_id, label, p_correct, calibrated, source, outcome, reason, evidence "
            "FROM consensus WHERE seq IN (SELECT max(seq) FROM consensus WHERE step < ? "
            f"AND step NOT IN ({marks}) GROUP BY item_id) ORDER BY item_id",
            sys.maxsize if before is None else before,
            *without,
        )
        return {row[0]: _consensus(row) for row in rows}

    def relabelled(
        self, after: int, until: int
    ) -> list[tuple[str, tuple[str, str | None] | None, tuple[str, str | None]]]:
        """Items whose label or outcome is another one than it was some steps before.

        Args:
            after: The last step of how it was.
            until: The last step of how it is.

        Returns:
            (item, outcome and label then, outcome and label now) of each in the order of the ids;
            ``None`` where there was no conclusion then. Time grows with what was concluded since.
        """
        # Steps follow on each other, so that the end of the table is all that is looked at.
        last = self._store.row(
            "SELECT seq FROM consensus WHERE step <= ? ORDER BY seq DESC LIMIT 1", after
        )
        mark = int(last[0]) if last else 0
        rows = self._store.rows(
            "SELECT n.item_id, p.outcome, p.label, n.outcome, n.label FROM consensus n "
            "LEFT JOIN consensus p ON p.seq = (SELECT max(q.seq) FROM consensus q "
            "WHERE q.item_id = n.item_id AND q.seq <= ?) WHERE n.seq IN (SELECT max(seq) "
            "FROM consensus WHERE seq > ? AND step <= ? GROUP BY item_id) "
            "AND (p.outcome IS NOT n.outcome OR p.label IS NOT n.label) ORDER BY n.item_id",
            mark,
            mark,
            until,
        )
        return [
            (item, None if was is None else (was, label), (outcome, now))
            for item, was, label, outcome, now in rows
        ]

    def history(self, item_id: str) -> list[Consensus]:
        """Every consensus that an item ever had, oldest first."""
        rows = self._store.rows(
            "SELECT item_id, label, p_correct, calibrated, source, outcome, reason, evidence "
            "FROM consensus WHERE item_id = ? ORDER BY seq",
            item_id,
        )
        return [_consensus(row) for row in rows]


def _consensus(row: tuple[object, ...]) -> Consensus:
    item_id, label, p_correct, calibrated, source, outcome, reason, evidence = row
    return Consensus(
        str(item_id),
        None if label is None else str(label),
        None if p_correct is None else float(str(p_correct)),
        bool(calibrated),
        str(source),
        str(outcome),
        str(reason),
        json.loads(str(evidence)),
    )
