import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labelwright.app.panel import processes
from labelwright.app.panel.processes import Job
from labelwright.tools.errors import ConfigError, LockedError
from labelwright.tools.watch import run_status

EMBEDDED = [{"kind": "embedded", "name": "embedded"}]
SMALL = {"stopping": {"max_rounds": 1, "stop_set_size": 50}, "texts": 60, "student": {"folds": 2}}


def ended(job: Job | None) -> Job:
    """The job, once its process has ended and was taken note of."""
    assert job is not None
    for thread in threading.enumerate():
        if thread.name == f"job {job.pid}":
            thread.join(60)
    assert job.state != "running"
    return job


@pytest.fixture
def started(make_project: Callable[..., Path], runs_root: Path) -> Path:
    """The folder of a run that was just started."""
    return processes.start_run(make_project(EMBEDDED, **SMALL), "first")


def test_a_run_is_a_process_of_its_own_and_its_end_is_seen(started: Path) -> None:
    with pytest.raises(LockedError, match="started"):
        processes.resume_run(started)
    job = ended(processes.run_job(started))
    assert (job.state, job.code, job.error) == ("done", 0, "")
    assert run_status(started).state == "finished"
    assert "Run folder" in processes.log_tail(started)
    # Waited for: no process is left behind, not even as an entry.
    with pytest.raises(ChildProcessError):
        os.waitpid(job.pid, 0)


def test_a_run_outlives_the_session_that_started_it(started: Path) -> None:
    job = processes.run_job(started)
    assert job is not None
    assert os.getsid(job.pid) == job.pid != os.getsid(0)
    os.kill(job.pid, signal.SIGKILL)
    assert ended(job).state == "failed"
    assert "signal 9" in job.error


def test_two_panels_that_resume_at_once_do_not_harm_each_other(
    empty_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    log = empty_run / processes.LOG_FILE
    log.write_text("round 1: said by the other process\n")
    # Looked before the other process had the lock.
    monkeypatch.setattr(processes, "is_running", lambda _: False)
    with (empty_run / "run.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        job = ended(processes.resume_run(empty_run))
    assert (job.state, job.code) == ("failed", 8)
    assert "in use by" in job.error
    assert processes.log_tail(empty_run).startswith("round 1: said by the other process")


def test_a_run_that_is_going_on_is_not_resumed(empty_run: Path) -> None:
    import fcntl

    with (empty_run / "run.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="going on"):
            processes.resume_run(empty_run)


def test_a_command_gives_its_result_or_its_error(
    make_project: Callable[..., Path], runs_root: Path
) -> None:
    good = str(make_project(EMBEDDED, **SMALL))
    bad = Path(good).with_name("bad.yaml")
    bad.write_text(Path(good).read_text().replace("budget:", "budgett:"))
    jobs = [
        processes.command("good", ("plan", good, "--json")),
        processes.command("bad", ("plan", str(bad), "--json")),
    ]
    assert processes.command("good", ("plan", good, "--json")) is jobs[0]
    for job in jobs:
        ended(job)
    assert jobs[0].result["texts"] > 50
    assert (jobs[1].state, jobs[1].code) == ("failed", 2)
    assert "did you mean 'budget'" in jobs[1].error
    assert not jobs[1].error.startswith("Error")
    assert not list((runs_root / ".panel" / "logs").iterdir())  # nothing is left that is told
    processes.forget("bad")
    assert processes.job("bad") is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "../x", "a/b", "/etc", "a\\b", "x" * 200, "a\nb", "a\x00b"]
)
def test_no_name_leads_out_of_the_folder_of_runs(name: str, runs_root: Path) -> None:
    with pytest.raises(ConfigError, match="can not be the name"):
        processes.start_run(runs_root / "run.yaml", name)
    assert not list(runs_root.iterdir())


def test_a_name_that_is_taken_is_refused(empty_run: Path) -> None:
    with pytest.raises(ConfigError, match="already"):
        processes.start_run(empty_run / "run.yaml", "empty")


def test_a_traceback_is_not_shown(runs_root: Path) -> None:
    said = 'Traceback (most recent call last):\n  File "x"\nValueError: sk-12345\n'
    assert "sk-12345" not in processes._explained(1, said)


def test_a_process_that_can_not_be_started_is_said(
    empty_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    job = processes.resume_run(empty_run)
    assert job.state == "failed"
    assert "allocate" in job.error
