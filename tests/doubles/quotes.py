"""Annotators, and quotes of runs with them, for the tests of `plan`."""

import json
from pathlib import Path
from typing import Any

from labelwright.graph.config import parse_config
from labelwright.graph.plan import Quote, plan

CHEAP = {
    "kind": "chat",
    "name": "cheap",
    "model": "small",
    "base_url": "http://localhost:1/v1",
    "price": {"in": 0.1, "out": 0.4},
}
STRONG = {**CHEAP, "name": "strong", "tier": 3, "price": {"in": 2.0, "out": 10.0}}
ANN = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
NEAR = {"kind": "embedded", "name": "near"}
AGENT = {"model": "big", "base_url": "http://localhost:1/v1", "price": {"in": 1, "out": 4}}


def texts(n: int) -> list[str]:
    return [f"message number {i} about an order that has not arrived" for i in range(n)]


def quoted(
    folder: Path,
    *annotators: dict[str, Any],
    n: int = 600,
    rows: list[str] | None = None,
    **more: Any,
) -> Quote:
    """The quote of a configuration over a file of so many texts."""
    lines = [json.dumps({"text": text}) for text in (rows or texts(n))]
    (folder / "pool.jsonl").write_text("\n".join(lines), encoding="utf-8")
    raw = {
        "task": {"name": "t", "labels": [{"name": "a"}, {"name": "b"}]},
        "data": {"path": "pool.jsonl"},
        "annotators": list(annotators),
        "budget": {"usd": 1000},
        **more,
    }
    return plan(parse_config(raw, folder=folder))
