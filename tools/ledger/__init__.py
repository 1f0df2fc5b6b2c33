"""The append-only record of a run: calls, money, votes, decisions, directives."""

from .ledger import Ledger
from .records import (
    CHECK_ATTEMPTS,
    OPERATOR,
    Balance,
    Call,
    Caps,
    Consensus,
    Outcome,
    Settlement,
    Vote,
)
from .run_log import Decision, Directive

__all__ = [
    "CHECK_ATTEMPTS",
    "OPERATOR",
    "Balance",
    "Call",
    "Caps",
    "Consensus",
    "Decision",
    "Directive",
    "Ledger",
    "Outcome",
    "Settlement",
    "Vote",
]
