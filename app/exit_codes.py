"""What the command line's exit codes mean."""

from __future__ import annotations

from enum import IntEnum

from ..tools import errors


class ExitCode(IntEnum):
    """How a command ended, for scripts."""

    FINISHED = 0
    UNEXPECTED = 1
    CONFIG = 2
    DATA = 3
    ENDPOINT = 4
    STOPPED = 5
    WAITING_FOR_PEOPLE = 6
    BUDGET = 7
    LOCKED = 8
    STORE = 9
    CHECK_FAILED = 10
    ABORTED = 130


MEANINGS = {
    ExitCode.FINISHED: "done; for a run: finished and delivered",
    ExitCode.UNEXPECTED: "an error that nobody foresaw (with a traceback)",
    ExitCode.CONFIG: "wrong usage, configuration or prompt",
    ExitCode.DATA: "the data can not be read as asked",
    ExitCode.ENDPOINT: "an endpoint or an embedder failed",
    ExitCode.STOPPED: "the run is paused; it can be resumed",
    ExitCode.WAITING_FOR_PEOPLE: "the run waits for answers of people; it can be resumed",
    ExitCode.BUDGET: "a cap leaves no room to go on; raise it and resume",
    ExitCode.LOCKED: "another process has the run or its pool",
    ExitCode.STORE: "the pool or the ledger can not be used",
    ExitCode.CHECK_FAILED: "doctor found something wrong",
    ExitCode.ABORTED: "aborted by a second Ctrl-C; it can be resumed",
}

# The first class that fits counts: BudgetExceeded is a LedgerError, too.
_ERRORS: tuple[tuple[type[errors.LabelwrightError], ExitCode], ...] = (
    (errors.BudgetExceeded, ExitCode.BUDGET),
    (errors.LockedError, ExitCode.LOCKED),
    (errors.ConfigError, ExitCode.CONFIG),
    (errors.PromptError, ExitCode.CONFIG),
    (errors.DataError, ExitCode.DATA),
    (errors.EndpointError, ExitCode.ENDPOINT),
    (errors.EmbeddingError, ExitCode.ENDPOINT),
    (errors.PoolError, ExitCode.STORE),
    (errors.LedgerError, ExitCode.STORE),
)

_STATUSES = {
    "finished": ExitCode.FINISHED,
    "stopped": ExitCode.STOPPED,
    "waiting_for_people": ExitCode.WAITING_FOR_PEOPLE,
}


def of_error(error: errors.LabelwrightError) -> ExitCode:
    """The exit code of an error that is meant for people."""
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), ExitCode.UNEXPECTED)


def of_status(status: str) -> ExitCode:
    """The exit code of a run that ended with a status."""
    return _STATUSES[status]


def epilog() -> str:
    """The codes as the end of the help text, a list in Markdown."""
    lines = [f"- {code.value}: {meaning}" for code, meaning in MEANINGS.items()]
    return "Exit codes:\n\n" + "\n".join(lines)
