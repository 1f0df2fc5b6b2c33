"""The ledger: every call, vote, cent and decision of a run, append-only.

A call is reserved against the caps before it is sent and settled after, each in one transaction;
what was settled is never asked again. The file survives ``kill -9``: a reservation without a
settlement is settled as ``unknown`` by the next run (`Ledger.recover`), and its bound goes on
counting against the cap, because the server may have charged for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import BudgetExceeded, LedgerError
from ..money import show
from .conversation import Conversation
from .records import OPERATOR, Balance, Call, Caps, Settlement, Vote
from .run_log import RunLog
from .store import Store, encode, now
from .votes import Votes, insert_votes


class Ledger:
    """The record of one run.

    Attributes:
        votes: Queries over votes and consensus.
        log: Decisions, rounds, transcript and directives.
        chat: What the operator and the run say to each other.
        caps: Hard limits that `reserve` enforces.
    """

    def __init__(self, path: Path, caps: Caps | None = None, *, create: bool = True) -> None:
        self._store = Store(path, create=create)
        self.caps = caps or Caps()
        self.votes = Votes(self._store)
        self.log = RunLog(self._store)
        self.chat = Conversation(self._store, self.log)

    # -- money ----------------------------------------------------------------------------------

    def balance(self) -> Balance:
        """The account as it stands."""
        row = self._store.row(
            "SELECT spent, reserved, uncertain, tokens, tokens_reserved, requests "
            "FROM journal ORDER BY seq DESC LIMIT 1"
        )
        return Balance(*row) if row else Balance()

    def left(self) -> int | None:
        """Money that may still be reserved, in nanodollars; ``None`` without a cap."""
        return None if self.caps.money is None else self.caps.money - self.balance().committed

    def reserve(self, call: Call, bound: int, *, try_no: int, bound_tokens: int) -> int:
        """Set money aside for a call that is about to be sent.

        Args:
            call: The request.
            bound: The most that it can cost, in nanodollars.
            try_no: 0 for the first time this request is sent, counted up by retries.
            bound_tokens: The most tokens that it can use.

        Returns:
            The id to settle it by.

        Raises:
            BudgetExceeded: The reservation would pass a cap; nothing was written.
            LedgerError: This try was reserved before.
        """
        # Not synced: what a power cut forgets here is one call in flight, and it halves the cost.
        with self._store.transaction(synced=False) as db:
            balance = self.balance()
            self._refuse_over_cap(balance, call, bound, bound_tokens)
            taken = db.execute(
                "SELECT 1 FROM calls WHERE request_key = ? AND try_no = ?",
                (call.request_key, try_no),
            ).fetchone()
            if taken:
                raise LedgerError(
                    f"request {call.request_key[:12]} (try {try_no}) is in the ledger already; "
                    "a request is reserved once."
                )
            cursor = db.execute(
                "INSERT INTO calls(request_key, try_no, agent, annotator, model, purpose, round, "
                "items, prompt_hash, requests, bound, bound_tokens, at) "
                "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    call.request_key,
                    try_no,
                    call.agent,
                    call.annotator,
                    call.model,
                    call.purpose,
                    call.round,
                    encode(call.items),
                    call.prompt_hash,
                    call.requests,
                    bound,
                    bound_tokens,
                    now(),
                ),
            )
            call_id = cursor.lastrowid
            assert call_id is not None
            self._journal(
                call_id,
                "reserve",
                Balance(
                    balance.spent,
                    balance.reserved + bound,
                    balance.uncertain,
                    balance.tokens,
                    balance.tokens_reserved + bound_tokens,
                    balance.requests + call.requests,
                ),
            )
        return call_id

    def settle(self, call_id: int, settlement: Settlement, votes: Sequence[Vote] = ()) -> None:
        """Write down how a reserved call ended, together with the votes that it brought.

        The reservation is released. With outcome ``unknown`` its bound moves to ``uncertain``, and
        its tokens stay reserved.

        Raises:
            LedgerError: No such call, it is settled already, or a vote was counted before.
        """
        with self._store.transaction() as db:
            row = db.execute(
                "SELECT bound, bound_tokens FROM calls WHERE call_id = ?", (call_id,)
            ).fetchone()
            if row is None:
                raise LedgerError(f"call {call_id} was never reserved.")
            if db.execute("SELECT 1 FROM settlements WHERE call_id = ?", (call_id,)).fetchone():
                raise LedgerError(f"call {call_id} is settled already.")
            bound, bound_tokens = row
            db.execute(
                "INSERT INTO settlements VALUES(?,?,?,?,?,?,?,?,?,?)",
                (
                    call_id,
                    settlement.outcome,
                    settlement.cost,
                    settlement.tokens_in,
                    settlement.tokens_out,
                    settlement.cached_tokens,
                    settlement.seconds,
                    None if settlement.response is None else encode(settlement.response),
                    settlement.error,
                    now(),
                ),
            )
            balance = self.balance()
            used = settlement.tokens_in + settlement.tokens_out
            doubt, doubted_tokens = 0, 0
            if settlement.outcome == "unknown":
                doubt = max(0, bound - settlement.cost)
                doubted_tokens = max(0, bound_tokens - used)
            self._journal(
                call_id,
                "settle",
                Balance(
                    balance.spent + settlement.cost,
                    balance.reserved - bound,
                    balance.uncertain + doubt,
                    balance.tokens + used,
                    balance.tokens_reserved - bound_tokens + doubted_tokens,
                    balance.requests,
                ),
            )
            insert_votes(db, votes, call_id)

    def record(self, call: Call, settlement: Settlement, votes: Sequence[Vote]) -> None:
        """Reserve and settle in one transaction a call that leaves the machine for nobody.

        Raises:
            BudgetExceeded: Its cost would pass a cap; nothing was written.
        """
        with self._store.transaction():
            tokens = settlement.tokens_in + settlement.tokens_out
            call_id = self.reserve(call, settlement.cost, try_no=0, bound_tokens=tokens)
            self.settle(call_id, settlement, votes)

    def answered(self, request_key: str) -> Settlement | None:
        """The settlement of a request that was answered before, if it was."""
        row = self._store.row(
            "SELECT s.outcome, s.cost, s.tokens_in, s.tokens_out, s.cached_tokens, s.seconds, "
            "s.response, s.error FROM settlements s JOIN calls c USING(call_id) "
            "WHERE c.request_key = ? AND s.outcome = 'answered'",
            request_key,
        )
        if row is None:
            return None
        outcome, cost, tokens_in, tokens_out, cached, seconds, response, error = row
        return Settlement(
            outcome,
            cost,
            tokens_in,
            tokens_out,
            cached,
            seconds,
            None if response is None else json.loads(response),
            error,
        )

    def tries(self, request_key: str) -> int:
        """How often a request was reserved so far."""
        row = self._store.row("SELECT count(*) FROM calls WHERE request_key = ?", request_key)
        return int(row[0]) if row else 0

    def recover(self, *, operator: bool = False) -> int:
        """Settle as ``unknown`` what a process that was killed left open.

        Only a process that holds the run's lock may call it. The operator's agent has its own lock
        and its own calls: a run that starts while the agent waits for an answer must not settle it.

        Args:
            operator: Recover the calls of the operator's agent, for who holds its lock.

        Returns:
            How many calls were open.
        """
        open_calls = self._store.rows(
            "SELECT call_id FROM calls WHERE call_id NOT IN (SELECT call_id FROM settlements) "
            "AND (agent = ?) = ? ORDER BY call_id",
            OPERATOR,
            int(operator),
        )
        for (call_id,) in open_calls:
            self.settle(call_id, Settlement("unknown", error="the run ended before an answer came"))
        return len(open_calls)

    def spending(self) -> list[dict[str, Any]]:
        """Money, tokens and requests by agent, annotator and purpose, most expensive first."""
        rows = self._store.rows(
            "SELECT c.agent, c.annotator, c.purpose, sum(s.cost), sum(s.tokens_in), "
            "sum(s.tokens_out), sum(c.requests), sum(s.outcome <> 'answered') "
            "FROM calls c JOIN settlements s USING(call_id) "
            "GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
        )
        names = (
            "agent",
            "annotator",
            "purpose",
            "cost",
            "tokens_in",
            "tokens_out",
            "requests",
            "failed",
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside a transaction -------------------------------------------------------------------

    def _journal(self, call_id: int, kind: str, balance: Balance) -> None:
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO journal(call_id, kind, spent, reserved, uncertain, tokens, "
                "tokens_reserved, requests) VALUES(?,?,?,?,?,?,?,?)",
                (
                    call_id,
                    kind,
                    balance.spent,
                    balance.reserved,
                    balance.uncertain,
                    balance.tokens,
                    balance.tokens_reserved,
                    balance.requests,
                ),
            )

    def _refuse_over_cap(self, balance: Balance, call: Call, bound: int, tokens: int) -> None:
        who = call.annotator or call.agent
        checks: tuple[tuple[str, int | None, int, int, Callable[[int], str]], ...] = (
            ("money", self.caps.money, balance.committed, bound, show),
            ("token", self.caps.tokens, balance.tokens + balance.tokens_reserved, tokens, str),
            ("request", self.caps.requests, balance.requests, call.requests, str),
        )
        for name, cap, used, wanted, spell in checks:
            # What takes nothing is let through even where a cap was lowered below what is used.
            if cap is not None and wanted and used + wanted > cap:
                raise BudgetExceeded(
                    f"{who}: not sent, it could use {spell(wanted)} and {spell(used)} of the "
                    f"{name} cap of {spell(cap)} is used or reserved; raise the cap to go on."
                )
