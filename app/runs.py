"""Runs as they lie on disk, read without opening more than the ledger and the summary."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.errors import ConfigError

if TYPE_CHECKING:
    from ..tools.ledger import Decision

# As `graph.session` and `graph.deliver` name them; those take seconds to import.
CONFIG_FILE = "run.yaml"
LEDGER_FILE = "ledger.sqlite"
SUMMARY_FILE = "summary.json"
LOCK_FILE = "run.lock"


def list_runs(runs: Path) -> list[Path]:
    """Folders of the runs, by name."""
    return sorted(config.parent for config in runs.glob(f"*/{CONFIG_FILE}"))


def find_run(run: str, runs: Path) -> Path:
    """The folder of a run that is given by its name or by the path of its folder.

    Raises:
        ConfigError: There is no such run; names those there are.
    """
    for folder in (runs / run, Path(run)):
        if (folder / CONFIG_FILE).is_file():
            return folder
    known = ", ".join(folder.name for folder in list_runs(runs)) or "none"
    raise ConfigError(
        f"{run!r}: no run of this name in {runs} and no run's folder. Runs there: {known}. "
        "Give a name, or name the folder of runs with --runs."
    )


def is_running(folder: Path) -> bool:
    """Whether a process holds the run."""
    from ..tools.locking import is_held

    return is_held(folder / LOCK_FILE)


def owner(folder: Path) -> str:
    """Who holds a run that is running, for messages."""
    try:
        record = json.loads((folder / f"{LOCK_FILE}.owner").read_text(encoding="utf-8"))
        return f"process {record['pid']} since {record['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary that the run wrote when it last ended; ``None`` before."""
    try:
        text = (folder / SUMMARY_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    summary: dict[str, Any] = json.loads(text)
    return summary


def read_state(folder: Path) -> dict[str, Any]:
    """What the ledger says of a run at this moment, as plain values.

    Raises:
        LedgerError: The ledger can not be read.
    """
    running = is_running(folder)
    state: dict[str, Any] = {
        "name": folder.name,
        "folder": str(folder),
        "replay_of": _replay_of(folder),
        "status": "running" if running else "not_started",
        "held_by": owner(folder) if running else None,
        "cap_usd": None,
        "spent_usd": 0.0,
        "reserved_usd": 0.0,
        "uncertain_usd": 0.0,
        "requests": 0,
        "tokens": 0,
        "rounds": 0,
        "stage": None,
        "last_check": None,
        "directives": [],
        "summary": None,
    }
    if not (folder / LEDGER_FILE).exists():
        return {**state, "cap_usd": _configured_cap(folder)}

    from ..tools.ledger import Ledger
    from ..tools.money import to_usd

    with closing(Ledger(folder / LEDGER_FILE, create=False)) as ledger:
        balance = ledger.balance()
        decisions = ledger.log.decisions()
        directives = ledger.log.directives()
        digest = ledger.log.digest()
    summary = read_summary(folder)
    # A run that was killed leaves the summary of the time before.
    if summary and (summary["requests"], summary["decisions_sha256"]) != (balance.requests, digest):
        summary = None
    if not running:
        state["status"] = summary["status"] if summary else "interrupted"
    caps = [
        float(d.payload["usd"])
        for d in directives
        # One that makes no sense is refused by the run.
        if d.kind == "cap"
        and isinstance(d.payload, dict)
        and isinstance(d.payload.get("usd"), int | float)
        and not (d.acknowledged or "").startswith("refused")
    ]
    cap = caps[-1] if caps else summary["money"]["cap_usd"] if summary else _configured_cap(folder)
    checks = [decision for decision in decisions if decision.kind == "stop_check"]
    batches = {decision.round for decision in decisions if decision.kind == "batch"}
    last = decisions[-1] if decisions else None
    return {
        **state,
        "cap_usd": cap,
        "spent_usd": to_usd(balance.spent),
        "reserved_usd": to_usd(balance.reserved),
        "uncertain_usd": to_usd(balance.uncertain),
        "requests": balance.requests,
        "tokens": balance.tokens,
        "rounds": len(batches),
        "stage": _stage(last, batches) if last else None,
        "last_check": check_line(checks[-1].decision, checks[-1].evidence) if checks else None,
        "directives": [
            {"seq": d.seq, "kind": d.kind, "payload": d.payload, "acknowledged": d.acknowledged}
            for d in directives
        ],
        "summary": summary,
    }


def _stage(last: Decision, batches: Collection[int]) -> str:
    """The last decision; the trainings after the last batch have numbers, and are no rounds."""
    where = f"round {last.round}, " if last.round in batches else ""
    return f"{where}{last.agent}: {last.kind.replace('_', ' ')}"


def check_line(decision: dict[str, Any], evidence: dict[str, Any]) -> str:
    """What a stop check decided, in a line."""
    stop, order = decision.get("stop"), decision.get("order")
    if stop:
        return f"stop ({stop['reason']}): {stop['detail']}"
    if order:
        return f"a gate orders {order['action'].replace('_', ' ')}"
    why = str((evidence.get("check") or {}).get("why") or "no check yet")
    return f"go on: {why}"


def _replay_of(folder: Path) -> str | None:
    """The run that this one replays; the whole file would take long to read."""
    with (folder / CONFIG_FILE).open(encoding="utf-8") as file:
        found = next((line for line in file if line.startswith("replay_of:")), None)
    return found.partition(":")[2].strip().strip("'\"") if found else None


def _configured_cap(folder: Path) -> float | None:
    import yaml

    try:
        config = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return float(config["budget"]["usd"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None
