"""What the agents decided and why, what was said, what the operator ordered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import LedgerError
from .store import Store, encode, now

if TYPE_CHECKING:
    # Looking at a run's money must not wait for numpy.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Decision:
    """One decision of an agent with the evidence that it was taken on."""

    step: int
    round: int
    agent: str
    kind: str
    decision: Any
    evidence: Any


@dataclass(frozen=True)
class Directive:
    """What the operator ordered while the run was going.

    Attributes:
        acknowledged: What came of it; ``None`` while it waits.
        at: When it was given, UTC; for people only.
    """

    seq: int
    kind: str
    payload: Any
    acknowledged: str | None
    at: str = ""


class RunLog:
    """Decisions, rounds, transcript and directives of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, decision: Decision) -> None:
        """Add a decision; a step that runs again after a crash changes nothing."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO decisions(step, round, agent, kind, decision, evidence, at)"
                " VALUES(?,?,?,?,?,?,?)",
                (
                    decision.step,
                    decision.round,
                    decision.agent,
                    decision.kind,
                    encode(decision.decision),
                    encode(decision.evidence),
                    now(),
                ),
            )

    def decisions(self, kind: str | None = None) -> list[Decision]:
        """All decisions in order, or those of one kind."""
        return self._decisions("WHERE kind = ?", kind) if kind else self._decisions("")

    def decided_at(self, step: int) -> list[Decision]:
        """What one step has decided so far: all of it, where the step runs again after a crash."""
        return self._decisions("WHERE step = ?", step)

    def _decisions(self, where: str, *values: Any) -> list[Decision]:
        rows = self._store.rows(
            "SELECT step, round, agent, kind, decision, evidence FROM decisions "
            f"{where} ORDER BY seq",
            *values,
        )
        return [
            Decision(step, round_, agent, what, json.loads(decision), json.loads(evidence))
            for step, round_, agent, what, decision, evidence in rows
        ]

    def digest(self) -> str:
        """SHA-256 over every decision and its evidence: equal runs have equal digests."""
        rows = self._store.rows(
            "SELECT step, round, agent, kind, decision, evidence FROM decisions ORDER BY seq"
        )
        return hashlib.sha256(encode(rows).encode()).hexdigest()

    def close_round(self, round_: int, metrics: Any, predictions: NDArray[np.int32]) -> None:
        """Keep a round's metrics and the student's predictions on the stop set."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO rounds VALUES(?,?,?)",
                (round_, encode(metrics), predictions.astype("<i4").tobytes()),
            )

    def rounds(self) -> list[tuple[int, Any, NDArray[np.int32]]]:
        """(round, metrics, predictions on the stop set) of every closed round, in order."""
        import numpy as np

        rows = self._store.rows("SELECT round, metrics, predictions FROM rounds ORDER BY round")
        return [
            (number, json.loads(metrics), np.frombuffer(predictions, "<i4").astype(np.int32))
            for number, metrics, predictions in rows
        ]

    def say(
        self,
        *,
        round: int,
        agent: str,
        purpose: str,
        step: int,
        part: int,
        role: str,
        content: Any,
    ) -> None:
        """Add one message of an agent's conversation; saying it again changes nothing."""
        with self._store.transaction(synced=False) as db:
            db.execute(
                "INSERT OR IGNORE INTO transcript(round, agent, purpose, step, part, role, "
                "content, at) VALUES(?,?,?,?,?,?,?,?)",
                (round, agent, purpose, step, part, role, encode(content), now()),
            )

    def transcript(self) -> list[dict[str, Any]]:
        """All messages in order."""
        names = ("round", "agent", "purpose", "step", "part", "role", "content")
        rows = self._store.rows(f"SELECT {', '.join(names)} FROM transcript ORDER BY seq")
        return [dict(zip(names, (*row[:6], json.loads(row[6])), strict=True)) for row in rows]

    def direct(self, kind: str, payload: Any = None) -> int:
        """Add an order of the operator, from whatever process; returns its number.

        Raises:
            LedgerError: The payload holds what is no number, which JSON can not say.
        """
        try:
            json.dumps(payload, allow_nan=False)
        except ValueError as error:
            raise LedgerError(f"{kind}: the order can not be written down ({error}).") from None
        with self._store.transaction() as db:
            cursor = db.execute(
                "INSERT INTO directives(kind, payload, at) VALUES(?,?,?)",
                (kind, encode(payload), now()),
            )
            return int(cursor.lastrowid or 0)

    def acknowledge(self, seq: int, note: str) -> None:
        """Say that a directive has taken effect, or why it has not."""
        with self._store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO acknowledgements VALUES(?,?,?)", (seq, note, now()))

    def directives(self, kind: str | None = None, *, pending: bool = False) -> list[Directive]:
        """Orders in the sequence they were given.

        Args:
            kind: Only those of one kind.
            pending: Only those not yet acknowledged.
        """
        where = ["d.kind = ?"] if kind is not None else []
        if pending:
            where.append("a.note IS NULL")
        rows = self._store.rows(
            "SELECT d.seq, d.kind, d.payload, a.note, d.at FROM directives d "
            "LEFT JOIN acknowledgements a ON a.directive = d.seq "
            f"{'WHERE ' + ' AND '.join(where) if where else ''} ORDER BY d.seq",
            *([kind] if kind is not None else []),
        )
        return [Directive(seq, what, json.loads(p), note, at) for seq, what, p, note, at in rows]
