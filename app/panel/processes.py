"""Runs and commands as processes of their own: started here, ended by nobody but themselves.

Closing the panel ends none of them. What a command printed stays in a file, so that a page that is
loaded again finds it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import streamlit as st

from ...tools.errors import ConfigError, LockedError
from ..exit_codes import ExitCode
from ..runs import CONFIG_FILE, is_running, owner
from .session import runs_root

LOG_FILE = "process.log"
_KEPT_JOBS = 200
_LOOK_S = 0.5
_LONGEST_NAME = 120
"""Bytes of the name of a run; file systems take little more."""
_TAIL = 64 * 1024
_GONE = frozenset((ExitCode.FINISHED, ExitCode.STOPPED, ExitCode.WAITING_FOR_PEOPLE))
"""Codes that say how a run stands, not that something is wrong."""


@dataclass
class Job:
    """One command of the program, running or done.

    Attributes:
        key: What a page finds it by.
        args: The command line after ``labelwright``.
        state: ``failed`` is for errors; a run that stopped is ``done``.
        code: Exit code, once there is one.
        result: The JSON object that it printed, if it did.
        error: What was wrong, in the words of the command.
        began: Seconds since 1970.
    """

    key: str
    args: tuple[str, ...]
    state: Literal["running", "done", "failed"] = "running"
    code: int | None = None
    result: Any = None
    error: str = ""
    began: float = field(default_factory=time.time)
    pid: int = 0


class _Jobs:
    """All jobs of this process of the panel, for all its pages."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.by_key: dict[str, Job] = {}

    def put(self, job: Job) -> None:
        self.by_key.pop(job.key, None)
        self.by_key[job.key] = job
        done = [key for key, other in self.by_key.items() if other.state != "running"]
        for key in done[: max(0, len(self.by_key) - _KEPT_JOBS)]:
            del self.by_key[key]


@st.cache_resource(show_spinner=False)
def _jobs() -> _Jobs:
    return _Jobs()


def start_run(config_file: Path, name: str) -> Path:
    """Start a run; returns its folder at once.

    Raises:
        ConfigError: The name can not be a run's, or is taken.
    """
    folder = new_folder(name)
    args = ("run", str(config_file.resolve()), "--name", name, "--runs", str(runs_root()))
    _start_logged(folder, args)
    return folder


def resume_run(folder: Path, usd: float | None = None) -> Job:
    """Go on with a run; returns at once.

    Args:
        folder: The run's folder.
        usd: A new money cap, in USD.

    Raises:
        LockedError: It is going on already.
    """
    if is_running(folder):
        raise LockedError(f"The run {folder.name!r} is going on already ({owner(folder)}).")
    cap = () if usd is None else ("--usd", repr(float(usd)))
    return _start_logged(folder, ("resume", str(folder.resolve()), *cap))


def start_demo() -> Path:
    """Start the packaged demo as a new run; returns its folder at once."""
    from ..demo_run import fresh_name

    name = fresh_name(runs_root(), "demo")
    _start_logged(runs_root() / name, ("demo", "--name", name, "--runs", str(runs_root())))
    return runs_root() / name


def new_folder(name: str) -> Path:
    """The folder of a run that is to be made.

    Raises:
        ConfigError: The name can not be a run's, or is taken.
    """
    if not can_be_run(name):
        raise ConfigError(
            f"{name[:80]!r} can not be the name of a run: expected letters, digits, '-' and '_', "
            "without slashes, and no dot at the beginning."
        )
    folder = runs_root() / name
    if (folder / CONFIG_FILE).exists():
        raise ConfigError(f"There is a run {name!r} already; choose another name.")
    return folder


def can_be_run(name: str) -> bool:
    """Whether a run may have this name: it leads nowhere else, and can be read."""
    leads_away = not name or name.startswith(".") or Path(name).name != name or "\\" in name
    return not leads_away and name.isprintable() and len(name.encode()) <= _LONGEST_NAME


def run_job(folder: Path) -> Job | None:
    """The last process of a run that this panel started, if it started one."""
    return job(_run_key(folder))


def command(key: str, args: Sequence[str]) -> Job:
    """Carry out a command in the background; one that is going on under this key is kept.

    Args:
        key: What `job` finds it by, on any page.
        args: The command line after ``labelwright``; with ``--json``, its object is the result.
    """
    with _jobs().guard:
        known = _jobs().by_key.get(key)
        if known and known.state == "running":
            return known
        made = Job(key, tuple(args))
        _jobs().put(made)
    logs = _logs()
    out = (logs / f"{time.time_ns()}.out").open("w+b")
    err = (logs / f"{time.time_ns()}.err").open("w+b")
    _launch(made, out, err)
    return made


def job(key: str) -> Job | None:
    """The job of a key, if there was one since the panel was started."""
    return _jobs().by_key.get(key)


def forget(key: str) -> None:
    """Forget a job that is done."""
    with _jobs().guard:
        known = _jobs().by_key.get(key)
        if known and known.state != "running":
            del _jobs().by_key[key]


def waiting(key: str, doing: str) -> None:
    """Show that a job is going on, and the page anew when it is done.

    Args:
        key: The job's.
        doing: What it does, in words.
    """
    st.fragment(_show_waiting, run_every=_LOOK_S)(key, doing)


def _show_waiting(key: str, doing: str) -> None:
    found = job(key)
    if found is None or found.state != "running":
        st.rerun()
    st.info(f"{doing} ({int(time.time() - found.began)} s)")


def log_tail(folder: Path, lines: int = 40) -> str:
    """The last lines that the run's processes have printed."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            found = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(found[-lines:])


def _run_key(folder: Path) -> str:
    return f"run:{folder.resolve()}"


def _start_logged(folder: Path, args: tuple[str, ...]) -> Job:
    made = Job(_run_key(folder), args)
    with _jobs().guard:
        known = _jobs().by_key.get(made.key)
        if known and known.state == "running":
            raise LockedError(f"The run {folder.name!r} is going on, or just being started.")
        _jobs().put(made)
    folder.mkdir(parents=True, exist_ok=True)
    # Appended: where another panel starts the run, too, one of the two processes is refused, and
    # must not wipe out what the other has said.
    log = (folder / LOG_FILE).open("ab")
    _launch(made, log, log)
    return made


def _launch(made: Job, out: IO[bytes], err: IO[bytes]) -> None:
    # -P: a module in the folder where the panel was started must not stand in for a library's.
    line = [sys.executable, "-P", "-c", "from labelwright.app.cli import main; main()", *made.args]
    began = err.seek(0, os.SEEK_END)
    try:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
    except OSError as error:
        out.close()
        err.close()
        made.state, made.error = "failed", f"The process can not be started: {error.strerror}."
        return
    made.pid = process.pid
    threading.Thread(
        target=_await, args=(made, process, out, err, began), name=f"job {made.pid}", daemon=True
    ).start()


def _await(
    made: Job, process: subprocess.Popen[bytes], out: IO[bytes], err: IO[bytes], began: int
) -> None:
    code = process.wait()
    said = _since(err, began)
    made.code = code
    if out is not err:
        try:
            made.result = json.loads(_since(out, 0))
        except ValueError:
            made.result = None
    if code not in _GONE:
        made.error = _explained(code, said)
    out.close()
    err.close()
    if out is not err:
        Path(out.name).unlink(missing_ok=True)
        # What it has said is in the error; a trace of what nobody foresaw is not.
        if code >= 0 and code != ExitCode.UNEXPECTED:
            Path(err.name).unlink(missing_ok=True)
    # Last: who sees the state finds the rest.
    made.state = "done" if code in _GONE else "failed"


def _since(file: IO[bytes], began: int) -> str:
    with Path(file.name).open("rb") as again:
        again.seek(began)
        return again.read().decode("utf-8", "replace")


def _explained(code: int, said: str) -> str:
    at = said.rfind("\nError: ") + 1 if not said.startswith("Error: ") else 0
    if said[at:].startswith("Error: "):
        return said[at:].removeprefix("Error: ").strip()
    if code < 0:
        return f"The process was ended by signal {-code}."
    if code == ExitCode.UNEXPECTED:
        return "Something went wrong that nobody foresaw; the last lines are in the log."
    return said.strip() or f"The process ended with code {code} and said nothing."


def _logs() -> Path:
    folder = runs_root() / ".panel" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
