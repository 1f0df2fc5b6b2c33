"""Where a run stands, said without opening more than its last report."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..locking import is_held
from .reader import EVENTS_FILE, LEDGER_FILE

State = Literal[
    "not_started", "running", "waiting_for_people", "stopped", "interrupted", "failed", "finished"
]
"""``interrupted``: its process has gone without a word, as after ``kill -9``."""

STATES: dict[State, str] = {
    "not_started": "not started",
    "running": "running",
    "waiting_for_people": "waiting for people",
    "stopped": "paused",
    "interrupted": "interrupted",
    "failed": "failed",
    "finished": "finished",
}
"""States in words, the same in the panel and in a terminal."""

LOCK_FILE = "run.lock"
_TAIL = 65_536
"""Bytes at the end of the events in which the last word of a process is looked for first."""


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        state: See `State`.
        error: What ended a failed run, in the words of the error; empty otherwise.
    """

    state: State
    error: str = ""

    @property
    def resumable(self) -> bool:
        """Whether `resume` would go on with it."""
        return self.state in {
            "not_started",
            "waiting_for_people",
            "stopped",
            "interrupted",
            "failed",
        }


def run_status(folder: Path) -> RunStatus:
    """Where the run in a folder stands; costs some file reads, however large the run."""
    held = is_held(folder / LOCK_FILE)
    last = _last_process_event(folder / EVENTS_FILE)
    if last is None:
        return RunStatus("running") if held else _by_summary(folder)
    status = last["status"]
    if status == "started":
        return RunStatus("running" if held else "interrupted")
    # Who holds it without having said that it runs it reads it: an export, an evaluation.
    return RunStatus(status, str(last.get("error") or ""))


def _last_process_event(path: Path) -> dict[str, Any] | None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    found: dict[str, Any] | None = None
    # All of it only where the end holds none: a run may report much before its process ends.
    for start in dict.fromkeys((max(0, size - _TAIL), 0)):
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().splitlines()
        for line in lines:
            if b'"process"' not in line:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "process":
                found = event
        if found is not None:
            return found
    return None


def _by_summary(folder: Path) -> RunStatus:
    """For runs that left no events: of an earlier version, or killed before the first."""
    try:
        with (folder / "summary.json").open(encoding="utf-8") as file:
            return RunStatus(json.load(file)["status"])
    except (OSError, ValueError, KeyError):
        begun = os.path.exists(folder / LEDGER_FILE)
        return RunStatus("interrupted" if begun else "not_started")
