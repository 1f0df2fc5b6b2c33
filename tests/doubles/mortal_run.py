"""A run in a process that kills itself at a chosen statement of one of its databases.

The runs are forked from a server that has imported the program, which takes longer than a run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    # With what a run imports late: a run that is killed early pays for none of it.
    ["labelwright.graph", "langchain_openai", "skops.io", "matplotlib.figure"]
)


class Death(NamedTuple):
    """When to die: so many statements after the first event of a kind, from a round on.

    The event ``start`` is the start of the process.
    """

    event: str
    round: int
    statements: int


def carry_on(config: Path, folder: Path, death: Death | None = None, timeout_s: float = 300) -> int:
    """Start a run, or take it up, in a process of its own.

    Returns:
        Its exit code: 0 when the run has finished, -9 when it was killed.
    """
    process = _FORKS.Process(target=_work, args=(config, folder, death))  # type: ignore[attr-defined]
    with _no_main_module():
        process.start()
    process.join(timeout_s)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"{folder}: still running after {timeout_s:g} s")
    return int(process.exitcode)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """A forked process imports the main module, which a test of a page leaves as its own script."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _work(config: Path, folder: Path, death: Death | None) -> None:
    warnings.simplefilter("error")
    from labelwright.graph import resume, run
    from labelwright.tools import errors

    armed = [death.statements] if death and death.event == "start" else []

    def notify(event: dict[str, Any]) -> None:
        met = death and not armed and event["event"] == death.event
        if death and met and event.get("round", death.round) >= death.round:
            armed.append(death.statements)

    def step(_: str) -> None:
        if armed:
            armed[0] -= 1
            if armed[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def watched(*args: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*args, **more)
        connection.set_trace_callback(step)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    try:
        if (folder / "run.yaml").exists():
            result = resume(folder, notify=notify)
        else:
            result = run(config, name=folder.name, runs=folder.parent, notify=notify)
    except errors.LabelwrightError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(3)
    sys.exit({"finished": 0, "stopped": 4, "waiting_for_people": 5}[result.status])
