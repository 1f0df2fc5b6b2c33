"""A run that looks as if a process carried it, without one that does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelwright.tools.locking import hold


@contextmanager
def going(folder: Path) -> Iterator[None]:
    """Hold a run, having said so, as a process does that takes it up."""
    with hold(folder / "run.lock", f"the run {folder.name!r}"):
        with (folder / "events.jsonl").open("a", encoding="utf-8") as events:
            events.write(json.dumps({"event": "process", "status": "started", "pid": 1}) + "\n")
        yield
