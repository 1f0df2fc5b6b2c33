"""The money of a run as it is spent: what is gone, what is bound, how fast, and how far it goes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..money import to_nano
from .reader import RunReader

WINDOW_S = 300.0
"""Seconds that the pace is taken over."""
_LEAST_S = 10.0
"""A pace over less than this would jump."""


@dataclass(frozen=True)
class Money:
    """The account of a run; amounts in nanodollars.

    Attributes:
        spent: What settled calls have cost.
        reserved: The most that calls under way can cost.
        uncertain: The most that calls without an answer may have cost.
        cap: The cap in force, or ordered and about to be; ``None`` without one.
        cap_pending: Whether the run has yet to say that it took the cap.
        requests: Model requests so far.
        per_minute: Pace over the last minutes; ``None`` where nothing was settled in them.
        requests_per_minute: Likewise.
        over: Whether the run has decided that no batch comes any more.
        next_batch: Price of the next batch by the last check of the stop rule, or by the last
            round; ``None`` before the second round, and where none comes. The first round says
            nothing of it: the first audits are paid for in it.
        batches_left: Such batches until the cap; ``None`` without a cap or a price.
        minutes_left: Minutes until the cap at this pace; ``None`` without a cap or a pace.
    """

    spent: int
    reserved: int
    uncertain: int
    cap: int | None
    cap_pending: bool
    requests: int
    per_minute: int | None
    requests_per_minute: float | None
    over: bool
    next_batch: int | None
    batches_left: int | None
    minutes_left: float | None

    @property
    def committed(self) -> int:
        """All that counts against the cap."""
        return self.spent + self.reserved + self.uncertain

    @property
    def left(self) -> int | None:
        """What may still be reserved; ``None`` without a cap."""
        return None if self.cap is None else max(0, self.cap - self.committed)


@dataclass(frozen=True)
class Spent:
    """What one agent or annotator has cost for one purpose, in nanodollars."""

    agent: str
    annotator: str | None
    purpose: str
    cost: int
    requests: int
    tokens_in: int
    tokens_out: int
    failed: int


def money(reader: RunReader, now: datetime | None = None) -> Money:
    """The account at this moment; a few look-ups by key, however long the ledger.

    Args:
        reader: The run.
        now: The moment; the clock without.

    Raises:
        LedgerError: The ledger can not be read.
    """
    balance = reader.rows(
        "SELECT spent, reserved, uncertain, requests FROM journal ORDER BY seq DESC LIMIT 1"
    )
    spent, reserved, uncertain, requests = balance[0] if balance else (0, 0, 0, 0)
    cap, pending = cap_in_force(reader)
    pace, requests_a_minute = _pace(reader, now or datetime.now(UTC))
    over, batch = _next_batch(reader)
    left = None if cap is None else max(0, cap - spent - reserved - uncertain)
    return Money(
        spent,
        reserved,
        uncertain,
        cap,
        pending,
        requests,
        pace,
        requests_a_minute,
        over,
        batch,
        left // batch if batch and left is not None else None,
        left / pace if pace and left is not None else None,
    )


@dataclass
class Spending:
    """Running sums of what was spent on what; each refresh reads only what has come since."""

    _seen: int = 0
    _sums: dict[tuple[str, str | None, str], tuple[int, ...]] = field(default_factory=dict)

    def refresh(self, reader: RunReader) -> list[Spent]:
        """Sums by agent, annotator and purpose, the dearest first.

        Raises:
            LedgerError: The ledger can not be read.
        """
        last = reader.rows("SELECT max(seq) FROM journal")
        until = int(last[0][0] or 0) if last else 0
        # By the journal: calls are settled in another order than they were made.
        rows = reader.rows(
            "SELECT c.agent, c.annotator, c.purpose, sum(s.cost), sum(c.requests), "
            "sum(s.tokens_in), sum(s.tokens_out), sum(s.outcome <> 'answered') "
            "FROM journal j CROSS JOIN calls c ON c.call_id = j.call_id "
            "CROSS JOIN settlements s ON s.call_id = j.call_id "
            "WHERE j.seq > ? AND j.seq <= ? AND j.kind = 'settle' GROUP BY 1, 2, 3",
            self._seen,
            until,
        )
        for agent, annotator, purpose, *sums in rows:
            before = self._sums.get((agent, annotator, purpose), (0,) * len(sums))
            self._sums[agent, annotator, purpose] = tuple(
                a + b for a, b in zip(before, sums, strict=True)
            )
        self._seen = until
        found = [Spent(*key, *sums) for key, sums in self._sums.items()]
        return sorted(found, key=lambda s: (-s.cost, s.agent, s.annotator or "", s.purpose))


def cap_in_force(reader: RunReader) -> tuple[int | None, bool]:
    """The money cap in nanodollars, ordered or configured, and whether the run has yet to take it.

    Raises:
        LedgerError: The ledger can not be read.
    """
    for payload, waits in reader.rows(
        "SELECT d.payload, a.directive IS NULL FROM directives d "
        "LEFT JOIN acknowledgements a ON a.directive = d.seq "
        "WHERE d.kind = 'cap' ORDER BY d.seq DESC"
    ):
        if (usd := ordered_usd(payload, "usd")) is not None:
            return to_nano(usd), bool(waits)
    configured = (reader.config.get("budget") or {}).get("usd")
    return (None if configured is None else to_nano(configured)), False


def ordered_usd(payload: str, field: str) -> float | None:
    """An amount in the payload of an order; ``None`` for one that the run refuses as no amount."""
    given = json.loads(payload)
    usd = given.get(field) if isinstance(given, dict) else None
    if isinstance(usd, bool) or not isinstance(usd, int | float):
        return None
    return float(usd) if math.isfinite(usd) and usd >= 0 else None


def _pace(reader: RunReader, now: datetime) -> tuple[int | None, float | None]:
    """(nanodollars, requests) a minute over the window; ``None`` where nothing was settled."""
    since = now - timedelta(seconds=WINDOW_S)
    mark = since.isoformat(timespec="milliseconds")
    first = _first_settled_since(reader, mark)
    if first is None:
        return None, None
    cost, requests, began = reader.rows(
        "SELECT sum(s.cost), sum(c.requests), min(s.at) FROM settlements s "
        "CROSS JOIN calls c ON c.call_id = s.call_id WHERE s.call_id >= ? AND s.at >= ?",
        first,
        mark,
    )[0]
    if began is None:
        return None, None
    # A run younger than the window has its pace since it began.
    minutes = max(_LEAST_S, (now - datetime.fromisoformat(began)).total_seconds()) / 60
    return round(cost / minutes), requests / minutes


def _first_settled_since(reader: RunReader, mark: str) -> int | None:
    """Number of the first call settled after a moment, by halving: times rise with the numbers.

    Calls that overlapped may lie the wrong way round; they are few and of the same seconds.
    """
    last = reader.rows("SELECT call_id, at FROM settlements ORDER BY call_id DESC LIMIT 1")
    if not last or last[0][1] < mark:
        return None
    low, high = 0, int(last[0][0])
    while low < high:
        middle = (low + high) // 2
        call, at = reader.rows(
            "SELECT call_id, at FROM settlements WHERE call_id >= ? ORDER BY call_id LIMIT 1",
            middle,
        )[0]
        if at < mark:
            low = call + 1
        else:
            high = middle
    return low


def _next_batch(reader: RunReader) -> tuple[bool, int | None]:
    """Whether none comes any more, and else its price."""
    checked = reader.rows(
        "SELECT decision, evidence, round FROM decisions WHERE kind = 'stop_check' "
        "ORDER BY seq DESC LIMIT 1"
    )
    if checked:
        decision, evidence = map(json.loads, checked[0][:2])
        if decision.get("stop"):
            # A run that is taken up again under a higher cap checks anew before it chooses.
            return True, None
        check = evidence.get("check") or {}
        # The first round has the first audits in its price.
        if checked[0][2] > 1 and check.get("money_next") is not None:
            return False, int(check["money_next"])
    spent = [
        json.loads(metrics).get("spent", 0)
        for (metrics,) in reader.rows("SELECT metrics FROM rounds ORDER BY round DESC LIMIT 2")
    ]
    if len(spent) < 2:
        return False, None
    return False, int(spent[0] - spent[1])
