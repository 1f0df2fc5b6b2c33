"""Checks of the installation and of a run's folder; each finding is a line for a person."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from ..tools.embedding.wordpiece import MODEL, TOKENIZER, manifest, read_checked
from ..tools.errors import LabelwrightError
from ..tools.prompts import PromptLibrary, packaged_prompts
from .runs import LEDGER_FILE, is_running, owner

if TYPE_CHECKING:
    from ..graph.config import RunConfig
    from ..graph.context import RunContext

PACKAGES = (
    "labelwright",
    "chromadb",
    "langchain-core",
    "langchain-openai",
    "langgraph",
    "numpy",
    "onnxruntime",
    "openai",
    "pydantic",
    "scikit-learn",
    "skops",
)


@dataclass(frozen=True)
class Finding:
    """One line of a check-up; ``ok`` is None for what is neither right nor wrong."""

    what: str
    ok: bool | None
    detail: str


def environment() -> list[Finding]:
    """Python, packages, the packaged model and the packaged prompts."""
    findings = [Finding("python", None, f"{platform.python_version()} on {platform.platform()}")]
    for package in PACKAGES:
        try:
            findings.append(Finding(package, True, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(package, False, "not installed; install labelwright again"))
    try:
        for name in (MODEL, TOKENIZER):
            read_checked(name)
        findings.append(Finding("packaged model", True, f"{manifest().model}, hashes as published"))
    except LabelwrightError as error:
        findings.append(Finding("packaged model", False, str(error)))
    findings.append(_prompts("packaged prompts", [packaged_prompts()]))
    return findings


def configuration(path: Path) -> list[Finding]:
    """A run configuration, its data file, its prompts and the keys that it needs."""
    from ..graph import load_config
    from ..graph.inputs import check_data, check_recorded, thin_descriptions

    try:
        config = load_config(path)
    except LabelwrightError as error:
        return [Finding("configuration", False, str(error))]
    thin = thin_descriptions(config)
    recorded = [a.name for a in config.annotators if a.kind == "recorded"]
    return [
        Finding("configuration", True, f"{path}, annotators: {len(config.annotators)}"),
        *([Finding("label descriptions", None, thin)] if thin else []),
        _given("data", lambda: check_data(config), str(config.data.path)),
        *(
            [_given("recorded votes", lambda: check_recorded(config), ", ".join(recorded))]
            if recorded
            else []
        ),
        *(
            [_prompts("own prompts", [config.prompts, packaged_prompts()])]
            if config.prompts
            else []
        ),
        *_keys(config),
    ]


def ledger(folder: Path) -> list[Finding]:
    """The ledger: whole, balanced, and whether calls are unsettled."""
    path = folder / LEDGER_FILE
    if not path.exists():
        return [Finding("ledger", None, "not there yet; the run has not started")]
    try:
        # Read-only: a check must not change what it checks.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return list(_ledger(db, is_running(folder)))
    except sqlite3.DatabaseError as error:
        return [Finding("ledger", False, f"{path}: {error}; restore it from a copy")]


def pool(folder: Path, *, rebuild: bool) -> list[Finding]:
    """Pool, rows and index against each other; with ``rebuild`` the index is made anew."""
    from ..graph.session import open_run

    if is_running(folder):
        return [Finding("pool", None, f"not looked at, the run is going on ({owner(folder)})")]
    if not (folder / "pool").exists():
        return [Finding("pool", None, "not there yet; the run has not started")]
    try:
        with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
            return list(_pool(ctx, rebuild))
    except LabelwrightError as error:
        return [Finding("pool", False, str(error))]


def _given(what: str, check: Callable[[], object], detail: str) -> Finding:
    try:
        check()
    except LabelwrightError as error:
        return Finding(what, False, str(error))
    return Finding(what, True, detail)


def _prompts(what: str, folders: list[Path]) -> Finding:
    try:
        library = PromptLibrary(folders)
        problems = library.check()
    except LabelwrightError as error:
        problems = [str(error)]
    if problems:
        return Finding(what, False, "; ".join(problems))
    return Finding(what, True, f"{len(library.names())} templates render")


def _keys(config: RunConfig) -> Iterator[Finding]:
    """For each variable that an endpoint takes its key from: is it set?"""
    users: dict[str, list[str]] = defaultdict(list)
    needed: set[str] = set()
    for who, endpoint in config.endpoints():
        users[endpoint.api_key_env].append(who)
        try:
            endpoint.key()
        except LabelwrightError:
            needed.add(endpoint.api_key_env)
    for variable, names in users.items():
        what = f"key {variable} (for {', '.join(names)})"
        if os.environ.get(variable):
            yield Finding(what, True, "set")
        elif variable in needed:
            yield Finding(what, False, "not set, and the endpoint needs one")
        else:
            yield Finding(what, None, "not set; right for a server that needs none")
    if not users:
        yield Finding("keys", True, "none needed, no endpoint is configured")


def _ledger(db: sqlite3.Connection, running: bool) -> Iterator[Finding]:
    (found,) = db.execute("PRAGMA integrity_check").fetchone()
    yield Finding("ledger file", found == "ok", found)
    (calls, unsettled) = db.execute(
        "SELECT count(*), count(*) - count(s.call_id) "
        "FROM calls c LEFT JOIN settlements s USING(call_id)"
    ).fetchone()
    why = "under way" if running else "left by a kill; `resume` settles them as unknown"
    detail = f"{calls:,} calls, {unsettled:,} unsettled"
    if unsettled:
        yield Finding("ledger calls", None, f"{detail} ({why})")
    else:
        yield Finding("ledger calls", True, detail)
    (settled,) = db.execute("SELECT coalesce(sum(cost), 0) FROM settlements").fetchone()
    last = db.execute("SELECT spent FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    spent = last[0] if last else 0
    yield Finding(
        "ledger balance",
        settled == spent,
        f"{spent / 1e9:.6f} USD spent, {settled / 1e9:.6f} USD in settled calls",
    )


def _pool(ctx: RunContext, rebuild: bool) -> Iterator[Finding]:
    real = len(ctx.pool) - int(ctx.pool.origins().sum())
    counts = ctx.rows.counts()
    yield Finding(
        "pool",
        real == counts.items,
        f"{real:,} texts in the snapshot, {counts.items:,} different texts in {counts.rows:,} rows",
    )
    if not len(ctx.pool):
        return
    if rebuild:
        ctx.pool.rebuild()
        yield Finding("index", None, "made anew from the snapshot")
    # The pool gives the index what it lacks before it asks, and refuses what it should not hold.
    vectors = ctx.pool.vectors()[[0, -1]]
    nearest = [found[0][1] for found in ctx.pool.neighbours(vectors, 1)]
    yield Finding(
        "index",
        min(nearest) > 0.999,
        f"level with the {len(ctx.pool):,} items of the snapshot, and finds the first and the last",
    )
