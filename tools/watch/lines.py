"""What is said to a person, in lines that keep words of the program and texts of the pool apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["plain", "item", "before", "after", "note", "patch"]
"""``item``: a text of the pool. ``before`` and ``after``: a change. ``patch``: YAML."""


@dataclass(frozen=True)
class Line:
    """One line of an answer; no role makes its text markup.

    Attributes:
        item: Id of the item whose text it is.
    """

    text: str
    role: Role = "plain"
    item: str | None = None

    def plain(self) -> dict[str, Any]:
        """Plain values for the ledger and for JSON."""
        return {"text": self.text, "role": self.role, "item": self.item}


def plain_lines(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Lines as plain values."""
    return [line.plain() for line in lines]


def lines_of(plain: Iterable[dict[str, Any]]) -> tuple[Line, ...]:
    """Lines out of plain values."""
    return tuple(Line(one["text"], one["role"], one["item"]) for one in plain)
