"""What a sentence of the operator can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

OrderKind = Literal[
    "stop",
    "resume",
    "cap",
    "finish",
    "focus",
    "value",
    "accept_proposal",
    "dismiss_proposal",
    "review",
    "hand_in",
    "guideline",
]


@dataclass(frozen=True)
class Order:
    """What the operator wants done; nothing happens before it was shown and confirmed.

    Attributes:
        kind: Of the directive; ``resume`` and ``guideline`` are carried out without one.
        payload: Of the directive; ``accept_proposal`` has names and text besides, for a new task.
        hint: Said with it, where the words could have meant something else.
    """

    kind: OrderKind
    payload: dict[str, Any]
    hint: str = ""


@dataclass(frozen=True)
class Question:
    """What the operator wants to know: the name of a command, and what it is about."""

    about: str
    items: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    usd: float = 0.0


@dataclass(frozen=True)
class Unclear:
    """A sentence that is neither: why, and what may have been meant."""

    why: str
    near: tuple[str, ...] = ()
