"""What people have corrected, what the student made of it, and what no audit shows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .reader import RunReader

_LISTS = (
    "SELECT seq, kind, CASE kind WHEN 'corrections' THEN json_extract(decision, '$.items') "
    "WHEN 'batch' THEN json_extract(decision, '$.audit') ELSE json_extract(decision, '$.items') "
    "END FROM decisions WHERE seq > ? AND kind IN ('corrections', 'batch', 'last_audit') "
    "ORDER BY seq"
)


@dataclass
class Corrected:
    """Labels that people have corrected; each refresh reads only what has come since."""

    _seen: int = 0
    _labels: dict[str, str | None] = field(default_factory=dict)
    _audited: set[str] = field(default_factory=set)

    def refresh(self, reader: RunReader) -> int:
        """How many texts outside of the audits have a label that a person has corrected.

        Raises:
            LedgerError: The ledger can not be read.
        """
        for seq, kind, listed in reader.rows(_LISTS, self._seen):
            self._seen = seq
            found = json.loads(listed) if listed else []
            if kind == "corrections":
                self._labels |= found
            else:
                self._audited.update(found)
        return sum(
            label is not None and item not in self._audited for item, label in self._labels.items()
        )


def last_learned(reader: RunReader) -> dict[str, Any] | None:
    """What the last delivery says of the corrections before it; ``None`` where it says nothing.

    Raises:
        LedgerError: The ledger can not be read.
    """
    rows = reader.rows(
        "SELECT json_extract(decision, '$.learned') FROM decisions WHERE kind = 'deliver' "
        "ORDER BY seq DESC LIMIT 1"
    )
    found: dict[str, Any] | None = json.loads(rows[0][0]) if rows and rows[0][0] else None
    return found


def learned_words(found: Mapping[str, Any], reader: str = "") -> str:
    """A delivery's record of corrections in words.

    Args:
        found: How it is in the ledger.
        reader: Name of who reads it: "your" corrections are those of nobody else.
    """
    n, by = int(found["corrected"]), found["by"]
    whose = "Your " if reader and by == [reader] else ""
    count = f"{n:,} " if n > 1 or not whose else ""
    said = f"{whose}{count}correction{'s are' if n > 1 else ' is'} in."
    others = _others(found)
    them = "them" if n > 1 else "it"
    if not found["by_student"]:
        return f"{said} The student that is delivered is an earlier one; {others}."
    return f"{said} The student has learned from {them}; {others}."


def _others(found: Mapping[str, Any]) -> str:
    parts = []
    if n := int(found["relabelled"]):
        parts.append(f"{n:,} other label{'s' if n > 1 else ''} changed")
    if n := int(found["accepted"]):
        one = "1 text that was set apart has a label now"
        parts.append(one if n == 1 else f"{n:,} texts that were set apart have a label now")
    if n := int(found["set_apart"]):
        one = "1 text that had a label is set apart now"
        parts.append(one if n == 1 else f"{n:,} texts that had a label are set apart now")
    return ", ".join(parts) or "no other label changed"


def in_audit_words(n: int, tested: bool) -> str:
    """How corrected labels stand to the figure of an audit.

    Args:
        n: Corrected labels outside of the audits.
        tested: Whether the figure is that of a last audit: the labels as it tested them.
    """
    labels = "1 corrected label" if n == 1 else f"{n:,} corrected labels"
    if tested:
        return f"by the last audit; {labels} {'is' if n == 1 else 'are'} not counted in it"
    return f"estimated from the audit; {labels} {'counts' if n == 1 else 'count'} as right in it"
