"""Copies of a run's files: a replay reads these, and never opens the run itself."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..agents.ballot import NOT_RECORDED
from ..tools.errors import ConfigError, LockedError
from ..tools.ledger import CHECK_ATTEMPTS, Vote
from .context import RunContext
from .nodes.ingest import GOLD_FILE
from .session import CONFIG_FILE, LEDGER_FILE, PROMPT_FOLDER, ROWS_FILE, open_run

POOL_FILES = ("pool/items.sqlite", "pool/vectors.f32", f"pool/{ROWS_FILE}")
"""Chroma's index is left out: it is made anew from the others where somebody needs it."""
BESIDE = ("", "-wal", "-journal")
"""What SQLite may have left beside a file, and needs to read it."""


@contextmanager
def at_rest(folder: Path) -> Iterator[None]:
    """See that nobody runs a run while its files are read.

    Raises:
        ConfigError: It is not a run's folder.
        LockedError: It is going on.
    """
    import fcntl  # Not on every platform, and only needed here.

    if not (folder / CONFIG_FILE).is_file() or not (folder / LEDGER_FILE).is_file():
        raise ConfigError(f"{folder}: not the folder of a run that was begun; name one to replay.")
    lock = folder / "run.lock"
    if not lock.exists():
        yield
        return
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            raise LockedError(
                f"the run {folder.name!r} is going on; wait for its end, or stop it, to replay it."
            ) from None
        yield


def copy_run(folder: Path, into: Path, *names: str) -> None:
    """Copy a run's pool, gold and prompts, and further files; texts are not embedded again."""
    for name in (*POOL_FILES, GOLD_FILE, *names):
        for end in BESIDE:
            source = folder / f"{name}{end}"
            if source.is_file():
                target = into / f"{name}{end}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    if (folder / PROMPT_FOLDER).is_dir():
        shutil.copytree(folder / PROMPT_FOLDER, into / PROMPT_FOLDER, dirs_exist_ok=True)


@contextmanager
def opened_copy(folder: Path) -> Iterator[RunContext]:
    """A run's context on a copy that is thrown away; what is done to it changes nothing.

    Raises:
        ConfigError, LockedError: As `at_rest`.
    """
    with at_rest(folder), tempfile.TemporaryDirectory(prefix="labelwright-replay-") as temporary:
        copy = Path(temporary) / folder.resolve().name
        copy.mkdir()
        copy_run(folder, copy, CONFIG_FILE, LEDGER_FILE)
        if (folder / "rounds").is_dir():
            # Students are only read, and there may be many.
            (copy / "rounds").symlink_to((folder / "rounds").resolve(), target_is_directory=True)
        with open_run(copy, notify=lambda _: None, stopping=lambda: False) as ctx:
            yield ctx


def export_votes(ctx: RunContext, path: Path) -> int:
    """Write one answer a line for each annotator and item, as kind ``recorded`` reads them.

    Of several answers the last valid one counts, as in a ballot, at the price of all of them.
    Answers to the critic's checks are no votes and are left out.

    Returns:
        How many answers there are.
    """
    given: dict[tuple[str, str], list[Vote]] = {}
    for vote in ctx.ledger.votes.all():
        if vote.attempt < CHECK_ATTEMPTS and vote.invalid != NOT_RECORDED:
            given.setdefault((vote.item_id, vote.annotator), []).append(vote)
    # A file without any vote of an annotator is taken for a mistake; nobody asks about item "".
    rows: list[dict[str, Any]] = [
        {"item_id": "", "annotator": settings.name, "label": None}
        for settings in ctx.config.annotators
    ]
    for (item, annotator), votes in sorted(given.items()):
        valid = [vote for vote in votes if vote.label is not None]
        last = (valid or votes)[-1]
        row: dict[str, Any] = {"item_id": item, "annotator": annotator, "label": last.label}
        row |= {"cost": sum(vote.cost for vote in votes)}
        if last.confidence is not None:
            row["confidence"] = last.confidence
        if last.invalid is not None:
            row["invalid"] = last.invalid
        rows.append(row)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return len(given)
