"""Orders to a run: written to its ledger, carried out by the run at its next safe point."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from ....tools.ledger import Ledger
from ....tools.watch import RunReader
from ....tools.watch.reader import LEDGER_FILE
from ..review.who import reviewer


def order(folder: Path, kind: str, payload: Any = None) -> int:
    """Give a run an order in the visitor's name; returns its number.

    Raises:
        LedgerError: The run has not begun, or its ledger can not be written.
    """
    if (name := reviewer()) and (payload is None or isinstance(payload, dict)):
        payload = {**(payload or {}), "by": name}
    with closing(Ledger(folder / LEDGER_FILE, create=False)) as ledger:
        return ledger.log.direct(kind, payload)


def count_pending(reader: RunReader) -> int:
    """How many orders the run has yet to answer."""
    rows = reader.rows(
        "SELECT count(*) FROM directives d LEFT JOIN acknowledgements a ON a.directive = d.seq "
        "WHERE a.directive IS NULL"
    )
    return int(rows[0][0]) if rows else 0


def pending_orders(reader: RunReader) -> list[str]:
    """Kinds of the orders that the run has yet to answer, each once, in their order."""
    rows = reader.rows(
        "SELECT d.kind FROM directives d LEFT JOIN acknowledgements a ON a.directive = d.seq "
        "WHERE a.directive IS NULL ORDER BY d.seq"
    )
    return list(dict.fromkeys(kind for (kind,) in rows))
