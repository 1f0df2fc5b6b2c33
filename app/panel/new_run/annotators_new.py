"""Annotators as they are when they were just added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_NEW: dict[str, dict[str, Any]] = {
    "chat": {"kind": "chat", "name": "model", "tier": 1, "model": ""},
    "human": {"kind": "human", "name": "me", "trusted": True},
    "embedded": {"kind": "embedded", "name": "nearest", "tier": 1},
    "recorded": {"kind": "recorded", "name": "earlier", "tier": 1},
}


def new_annotator(kind: str, others: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One of a kind, under a name that is free."""
    new = _NEW[kind]
    taken = {other.get("name") for other in others}
    name, number = new["name"], 1
    while name in taken:
        number += 1
        name = f"{new['name']}-{number}"
    return {**new, "name": name}


def untouched(annotators: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of which nothing but the name was entered yet."""
    return [one for one in annotators if {**one, "name": ""} == {**_NEW[one["kind"]], "name": ""}]
