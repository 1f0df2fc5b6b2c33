"""What a run's processes report while they work, for whoever looks at its folder.

One JSON object a line, only ever added to. Nothing is decided by it, and a run whose file is lost
goes on as before.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..agents.wire import redact
from ..tools.ledger.store import now

EVENTS_FILE = "events.jsonl"
_QUIET_S = 1.0
"""Least seconds between two reports of how much was read: a large pool is read in many blocks."""
_LONGEST_ERROR = 2000
_GOLD = "gold_outside_label_set"
"""Values of the gold column stay where they are kept, and in the ledger."""


class EventLog:
    """The file of events of one run; may be used by several threads.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS_FILE
        self._file: int | None = None
        self._guard = threading.Lock()
        self._read_at = -_QUIET_S
        self.outcome = "stopped"

    def write(self, event: dict[str, Any]) -> None:
        """Add an event; outside `process` it is dropped, as is one that the disk refuses."""
        if event["event"] == "reading" and not self._due():
            return
        kept = {key: value for key, value in event.items() if key != _GOLD}
        line = json.dumps({"at": now(), **kept}, ensure_ascii=False, default=str)
        with self._guard:
            # A full disk ends the run where it matters: at the ledger.
            if self._file is not None:
                with suppress(OSError):
                    os.write(self._file, f"{line}\n".encode("utf-8", "surrogatepass"))

    def beside(self, notify: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """What reports an event both to the file and to somebody who listens."""

        def both(event: dict[str, Any]) -> None:
            self.write(event)
            notify(event)

        return both

    @contextmanager
    def process(self) -> Iterator[None]:
        """Report the beginning and the end of a process; only the one that owns the run may.

        How it ends says ``outcome``, unless it fails.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                # A kill has left half a line.
                os.write(self._file, b"\n")
            self._say("started")
            try:
                yield
            except Exception as error:
                text = redact(str(error) or type(error).__name__)[:_LONGEST_ERROR]
                self._say("failed", error=text)
                raise
            except BaseException:
                # A second Ctrl-C: the run can be taken up like one that was stopped.
                self._say("stopped")
                raise
            self._say(self.outcome)
        finally:
            with self._guard:
                os.close(self._file)
                self._file = None

    def _say(self, status: str, **more: str) -> None:
        self.write({"event": "process", "status": status, "pid": os.getpid(), **more})

    def _due(self) -> bool:
        with self._guard:
            elapsed = time.monotonic() - self._read_at
            if elapsed < _QUIET_S:
                return False
            self._read_at = time.monotonic()
            return True
