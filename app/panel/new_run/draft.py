"""Drafts of a configuration, kept as files until a run is started from them, and after."""

from __future__ import annotations

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

from ....tools.errors import ConfigError, DataError
from ..session import run_named, runs_root

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


def new_draft(config: dict[str, Any]) -> Draft:
    """Make a draft."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    draft = Draft(drafts_root() / f"{stamp}-{secrets.token_hex(2)}")
    draft.folder.mkdir(parents=True)
    draft.save(config)
    return draft


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
    match = _TASK.fullmatch(given)
    run = run_named(match["run"]) if match else None
    file = run / "proposals" / match["file"] if match and run else None
    if run is None or file is None or not file.is_file():
        raise ConfigError(
            f"{given[:100]!r} is no task of a run: expected RUN/NNN-task.yaml, as accepting a "
            "proposal writes it."
        )
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
