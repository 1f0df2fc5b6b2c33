"""A derived run: another configuration over the recorded votes of a finished one."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from ..tools.errors import ConfigError
from ..tools.ledger import Ledger
from .build import build_graph
from .config import RunConfig, dump_config, parse_config
from .context import Notify
from .replay_copy import copy_run, export_votes, opened_copy
from .run import _THREAD, RunResult, resume
from .session import CHECKPOINT_FILE, CONFIG_FILE, LEDGER_FILE
from .state import START

VOTES_FILE = "recorded_votes.jsonl"
_POOL = "the replay takes over the texts and labels of the run"
FIXED = {
    "annotators": "annotators are the recorded votes",
    "task": _POOL,
    "data": _POOL,
    "pool": _POOL,
    "embedder": "the vectors of the run are taken over",
    "prompts": "nobody is asked anything",
    "replay_of": "it names the run that is replayed",
}
"""Sections that a replay does not read anew, and why not."""
AGENTS = ("selection", "generation", "critic", "operator")
"""Sections of agents, whose models a replay leaves out."""


def derive(
    folder: Path, out: Path, changes: Mapping[str, Any], notify: Notify | None = None
) -> RunResult:
    """Run again with the recorded votes in place of every annotator; nothing is spent.

    Each vote is charged in the new ledger at its recorded price, so that caps and the stop rule see
    the same money. Agents follow their rules, and an item that an annotator was not asked about is
    an invalid vote that costs nothing.

    Args:
        folder: The finished run.
        out: Folder of the new run; it must not hold anything.
        changes: New values by ``section.field``.
        notify: As for `run`.

    Raises:
        ConfigError: The folder is taken, a change can not be made, or the texts were embedded by a
            server, which a replay does not ask.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty; name a new folder for the replay.")
    with opened_copy(folder) as ctx:
        if ctx.config.embedder.kind == "openai":
            raise ConfigError(
                f"{folder}: its texts were embedded by a server, and a run may embed the "
                "descriptions of labels again, which costs money. Stop rules and aggregation can "
                "be replayed."
            )
        begun = ctx.ledger.log.decisions("ingest")
        if not begun:
            raise ConfigError(f"{folder}: has read no texts yet; resume it first.")
        config = replayed_config(ctx.config, folder.resolve().name, out, changes)
        out.mkdir(parents=True, exist_ok=True)
        copy_run(folder, out)
        export_votes(ctx, out / VOTES_FILE)
    with Ledger(out / LEDGER_FILE) as ledger:
        ledger.log.decide(begun[0])
    with closing(sqlite3.connect(out / CHECKPOINT_FILE, check_same_thread=False)) as connection:
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=[]))
        graph = build_graph().compile(checkpointer=saver)
        # The texts are in the pool: the run goes on as if it had just read them.
        graph.update_state(_THREAD, {**START, "step": 1}, as_node="ingest")
    # Last: a folder with a configuration is a run.
    (out / CONFIG_FILE).write_text(dump_config(config), encoding="utf-8")
    return resume(out, notify=notify)


def replayed_config(
    config: RunConfig, name: str, out: Path, changes: Mapping[str, Any]
) -> RunConfig:
    """The configuration with recorded votes for annotators, rules for agents, and the changes.

    Raises:
        ConfigError: A change names no field or one that is fixed, or has a value that does not fit.
    """
    plain = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    votes = str((out / VOTES_FILE).resolve())
    plain["annotators"] = [
        {
            "kind": "recorded",
            "name": one["name"],
            "tier": one["tier"],
            "trusted": one["trusted"],
            "person": one.get("person", one["kind"] == "human"),
            "path": votes,
            "price": one["price"],
            **({"answer_tokens": one["answer_tokens"]} if "answer_tokens" in one else {}),
        }
        for one in plain["annotators"]
    ]
    for section in AGENTS:
        plain[section].pop("model", None)
    # A server's collection belongs to the run that filled it.
    plain["pool"] = {}
    plain["replay_of"] = name
    for path, value in changes.items():
        _put(plain, path, value)
    replayed = parse_config(plain, folder=out, source="the replayed configuration")
    for section in AGENTS:
        if getattr(replayed, section).model is not None:
            raise ConfigError(
                f"{section}.model: a replay asks no model and spends nothing; leave it out."
            )
    return replayed


def _put(plain: dict[str, Any], path: str, value: Any) -> None:
    *sections, field = path.split(".")
    if why := FIXED.get(path.split(".")[0]):
        free = ", ".join(name for name in RunConfig.model_fields if name not in FIXED)
        raise ConfigError(f"{path}: can not be changed, {why}. What can be set: {free}.")
    inside = plain
    for section in sections:
        inside = inside.setdefault(section, {})
        if not isinstance(inside, dict):
            raise ConfigError(f"{path}: {section!r} is no section of the configuration.")
    if value is None:
        inside.pop(field, None)
    else:
        inside[field] = value
