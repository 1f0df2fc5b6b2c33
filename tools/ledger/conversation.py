"""What the operator and the run say to each other, kept beside what the agents say to models."""

from __future__ import annotations

from typing import Any

from .records import OPERATOR
from .run_log import RunLog
from .store import Store, encode, now

CHAT, SETTLED = "chat", "offer"
"""Purposes in the transcript: messages, and what became of an offer (its step is the offer's)."""
_OF_STEP = "SELECT 1 FROM transcript WHERE round = 0 AND agent = ? AND purpose = ? AND step = ?"


class Conversation:
    """The chat of one ledger; any process may write it."""

    def __init__(self, store: Store, log: RunLog) -> None:
        self._store = store
        self._log = log

    def say(self, role: str, content: dict[str, Any]) -> int:
        """Add a message of the operator, an answer or an offer; returns its number."""
        with self._store.transaction() as db:
            (last,) = db.execute(
                "SELECT max(step) FROM transcript WHERE round = 0 AND agent = ? AND purpose = ?",
                (OPERATOR, CHAT),
            ).fetchone()
            return self._add(CHAT, (last or 0) + 1, role, content)

    def settle(
        self,
        offer: int,
        content: dict[str, Any],
        *,
        order: tuple[str, Any] | None = None,
        note: str | None = None,
    ) -> tuple[bool, int | None]:
        """Say what became of an offer, and give its order in the same transaction.

        Args:
            offer: Number of the offer.
            content: Of the message.
            order: Kind and payload of the directive, if one carries the order.
            note: Acknowledges the directive at once.

        Returns:
            Whether this was the first word on the offer; without, nothing is written. Then the
            directive's number, if there is one.
        """
        with self._store.transaction() as db:
            if db.execute(_OF_STEP, (OPERATOR, SETTLED, offer)).fetchone():
                return False, None
            number = None
            if order is not None:
                number = self._log.direct(*order)
                if note is not None:
                    self._log.acknowledge(number, note)
            self._add(SETTLED, offer, "outcome", {**content, "settles": offer, "directive": number})
            return True, number

    def _add(self, purpose: str, step: int, role: str, content: dict[str, Any]) -> int:
        with self._store.transaction() as db:
            cursor = db.execute(
                "INSERT INTO transcript(round, agent, purpose, step, part, role, content, at) "
                "VALUES(0,?,?,?,0,?,?,?)",
                (OPERATOR, purpose, step, role, encode(content), now()),
            )
            return int(cursor.lastrowid or 0)
