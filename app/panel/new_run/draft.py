"""Drafts of a configuration, kept as files until a run is started from them, and after."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import yaml

from ....tools.errors import ConfigError, DataError, LabelwrightError
from ....tools.watch import run_status
from ...runs import list_runs
from ..session import born, reader, run_named, runs_root

FILE = "run.yaml"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_TASK = re.compile(r"(?P<run>[^/]+)/(?P<file>(?:guideline-)?\d{3,}-task\.yaml)")
_LARGEST_YAML = 2_000_000
_MOST_NODES = 500_000
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Draft:
    """A folder with a configuration and the files that were uploaded for it."""

    folder: Path

    @property
    def name(self) -> str:
        """What the address of the page calls it."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self.folder / FILE

    def load(self) -> dict[str, Any]:
        """Its configuration as plain values."""
        return read(self.file.read_text(encoding="utf-8"))

    def save(self, config: dict[str, Any]) -> None:
        """Replace its configuration, whole."""
        partial = self.file.with_name(f".{FILE}.{secrets.token_hex(4)}")
        partial.write_text(written(config), encoding="utf-8")
        os.replace(partial, self.file)

    def keep(self, name: str, content: IO[bytes]) -> Path:
        """Store an upload under a name of our own making; it is read as data, never carried out.

        Raises:
            DataError: Its suffix is none that can be read.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise DataError(
                f"{name[:100]!r} is of no kind that can be read; expected {', '.join(SUFFIXES)}."
            )
        stem = _UNSAFE.sub("_", Path(name).stem).strip("_")[:60] or "data"
        path = self.folder / f"{stem}{suffix}"
        # Whole at once: a run that was started from here may be reading the one before.
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with partial.open("wb") as file:
                shutil.copyfileobj(content, file)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def new_draft(config: dict[str, Any], name: str = "") -> Draft:
    """Make a draft, under a name of its own if none is given."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    draft = Draft(drafts_root() / (name or f"{stamp}-{secrets.token_hex(2)}"))
    # A name that was given may be taken by another tab in this very moment, for the same.
    draft.folder.mkdir(parents=True, exist_ok=bool(name))
    draft.save(config)
    return draft


def draft_of_task(given: str) -> Draft:
    """The draft of a task that an accepted proposal left; made when it is first asked for.

    Raises:
        ConfigError: As `from_task`.
    """
    run, file = _task_file(given)
    mark = f"{given} {born(run)} {file.stat().st_mtime_ns}"
    name = f"task-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    return open_draft(name) or new_draft(from_task(given), name)


def delete_draft(name: str) -> None:
    """Delete a draft with its files.

    Raises:
        ConfigError: There is no such draft, or something needs its files.
    """
    draft = open_draft(name)
    if draft is None:
        raise ConfigError("There is no draft of this name any more.")
    if users := _users(draft):
        raise ConfigError(
            f"Nothing was deleted: its files are needed by {', '.join(users[:5])}. Finish the run, "
            "or delete what needs them, before."
        )
    try:
        shutil.rmtree(draft.folder)
    except OSError as error:
        raise ConfigError(f"The draft can not be deleted: {error.strerror}.") from error


def _users(draft: Draft) -> list[str]:
    """Other drafts and runs that could not go on without a draft's files."""
    home = draft.folder.resolve()

    def inside(path: Any) -> bool:
        return isinstance(path, str) and Path(path).is_relative_to(home)

    def needs(config: dict[str, Any], read_already: bool) -> bool:
        votes = [one.get("path") for one in config["annotators"]]
        return any(map(inside, votes)) or (not read_already and inside(config["data"].get("path")))

    found = []
    for other in drafts():
        if other.name != draft.name and str(home) in other.file.read_text(encoding="utf-8"):
            found.append(f"the draft {other.name}")
    for run in list_runs(runs_root()):
        try:
            # Rows of the input are read once, before anything else; votes whenever it goes on.
            if needs(reader(run).config, run_status(run).state == "finished"):
                found.append(f"the run {run.name}")
        except (LabelwrightError, LookupError, TypeError, AttributeError, OSError):
            continue
    return found


def open_draft(name: str) -> Draft | None:
    """The draft of a name; ``None`` if there is none."""
    if not _NAME.fullmatch(name):
        return None
    draft = Draft(drafts_root() / name)
    return draft if draft.file.is_file() else None


def drafts() -> list[Draft]:
    """All drafts, the newest first."""
    files = sorted(drafts_root().glob(f"*/{FILE}"), key=lambda file: -file.stat().st_mtime)
    return [Draft(file.parent) for file in files if _NAME.fullmatch(file.parent.name)]


def uploads() -> Iterator[Path]:
    """Data files that were uploaded before, the newest draft's first."""
    for draft in drafts():
        for path in sorted(draft.folder.iterdir()):
            if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink():
                yield path


def drafts_root() -> Path:
    """The folder of all drafts."""
    return runs_root() / ".panel" / "drafts"


def blank(path: Path | None = None) -> dict[str, Any]:
    """A configuration to start from: the annotator that needs no key, and a small budget."""
    return {
        "task": {
            "name": path.stem.replace("_", " ") if path else "my task",
            "labels": [],
            "guidelines": "",
            "text": "{{ text }}",
        },
        "data": {"path": str(path) if path else ""},
        "annotators": [{"kind": "embedded", "name": "nearest", "tier": 1}],
        "budget": {"usd": 5.0},
        "seed": 0,
    }


def from_data(path: Path) -> dict[str, Any]:
    """A configuration for a data file, its columns guessed.

    Raises:
        DataError: The file can not be read, or no column holds text.
    """
    from ...starter import look_at, text_template

    config = blank(path.resolve())
    columns = look_at(path)
    config["task"]["text"] = text_template(columns.text)
    if columns.id:
        config["data"]["id"] = columns.id
    if columns.gold:
        config["data"]["gold"] = columns.gold
        config["task"]["labels"] = [
            {"name": name, "description": "", "examples": []} for name in columns.labels
        ]
    return config


def from_demo(folder: Path) -> dict[str, Any]:
    """The configuration of the packaged demo; its recorded votes are put into a folder."""
    from ...demo_run import FOLDER, REVIEWER, VOTES_FILE, write_votes

    def packaged(name: str) -> Any:
        return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))

    write_votes(folder / VOTES_FILE)
    config: dict[str, Any] = packaged("run.yaml")
    config["task"] |= {
        "labels": packaged("labels.yaml"),
        "guidelines": (FOLDER / "guidelines.md").read_text(encoding="utf-8"),
    }
    config["data"]["path"] = str(FOLDER / "corpus.jsonl")
    for annotator in config["annotators"]:
        if annotator["name"] == REVIEWER:
            annotator["path"] = str((folder / VOTES_FILE).resolve())
    return {**config, "seed": 0}


def from_task(given: str) -> dict[str, Any]:
    """The configuration of a run with the task, and the votes, that an accepted proposal left.

    Args:
        given: ``RUN/NNN-task.yaml``, a file in the run's folder ``proposals``.

    Raises:
        ConfigError: There is no such file, or it can not be read.
    """
    run, file = _task_file(given)
    config = read((run / "run.yaml").read_text(encoding="utf-8"))
    config["task"] = read(file.read_text(encoding="utf-8"))["task"]
    config.pop("replay_of", None)
    votes = file.with_name(file.name.replace("-task.yaml", "-votes.jsonl")).resolve()
    config["annotators"] = [
        *_earlier_votes(votes, config["annotators"]),
        *config["annotators"],
    ]
    return config


def read(text: str) -> dict[str, Any]:
    """A configuration out of YAML.

    Raises:
        ConfigError: It is no YAML, or no mapping.
    """
    if len(text) > _LARGEST_YAML:
        raise ConfigError("The configuration is longer than any that is meant.")
    try:
        found = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"This is not readable as YAML: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError("Expected sections such as 'task:' and 'data:'.")
    _spell_out(found)
    return found


def written(config: dict[str, Any]) -> str:
    """A configuration as YAML."""
    # No aliases: what two annotators share must be legible at both.
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _: Any) -> bool:
        return True


def _spell_out(found: Any) -> None:
    """See that a configuration can be written without aliases.

    Raises:
        ConfigError: With every alias spelt out it would be too large, or has no end.
    """
    left, waiting = _MOST_NODES, [found]
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0:
            raise ConfigError("The configuration repeats too much by its aliases (&name, *name).")
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _task_file(given: str) -> tuple[Path, Path]:
    match = _TASK.fullmatch(given)
    run = run_named(match["run"]) if match else None
    file = run / "proposals" / match["file"] if match and run else None
    if run is None or file is None or not file.is_file():
        raise ConfigError(
            f"{given[:100]!r} is no task of a run: expected RUN/NNN-task.yaml, as accepting a "
            "proposal writes it."
        )
    return run, file


def _earlier_votes(votes: Path, annotators: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import json

    with votes.open(encoding="utf-8") as file:
        voted = {json.loads(line)["annotator"] for line in file}
    return [
        {
            "kind": "recorded",
            "name": f"{annotator['name'][:70]}-before",
            "column": annotator["name"],
            "path": str(votes),
            "price": "free",
            "tier": annotator.get("tier", 1),
            "trusted": annotator.get("trusted", False),
        }
        for annotator in annotators
        if annotator["name"] in voted
    ]
