"""One owner for a folder or file: an operating-system lock that says who holds it."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from .errors import LockedError


class Held:
    """A lock that is held until `release`, the end of its `with` block, or the process's end."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        """Give the lock back; harmless if it was before."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def hold(path: Path, what: str) -> Held:
    """Take the lock file `path` or fail at once.

    The operating system gives the lock back when the process ends, however it ends, so a lock is
    never stale. Process and time of the owner are kept in `<path>.owner` for the message only.

    Args:
        path: The lock file; its folder is made if needed.
        what: What the lock protects, for the message, e.g. "The pool runs/a/pool".

    Raises:
        LockedError: Someone else holds it; says who and since when.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = path.with_name(path.name + ".owner")
    # thread_local=False: a run may be closed by another thread than the one that opened it.
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{what} is in use by {_described(owner)} (lock file {path}). Wait for it, or stop it."
        ) from None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    owner.write_text(json.dumps({"pid": os.getpid(), "since": now}), encoding="utf-8")
    return Held(lock)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path`; never takes it away from one that wants it."""
    import fcntl

    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            # Shared and let go at once: two who look at the same time do not see each other.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _described(owner: Path) -> str:
    try:
        record = json.loads(owner.read_text(encoding="utf-8"))
        return f"process {record['pid']} since {record['since']}"
    # The owner may be between taking the lock and writing the file.
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
