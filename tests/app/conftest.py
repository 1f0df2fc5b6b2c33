"""A small run of the command line: sixty messages of the demo, two annotators."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from labelwright.app.cli import app
from labelwright.app.demo_run import FOLDER

NO_TERMINAL = {"COLUMNS": None, "FORCE_COLOR": None, "TTY_COMPATIBLE": None}
"""Whatever runs the tests must not decide how wide and how coloured the output is."""


def _rows() -> list[dict[str, Any]]:
    with (FOLDER / "corpus.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in islice(file, 60)]


def write_project(folder: Path, annotators: list[dict[str, Any]] | None = None) -> Path:
    """Write data, votes and a run.yaml that ends after two rounds; returns the configuration."""
    rows = _rows()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "data.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    with (folder / "votes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "reviewer"])
        table.writerows((row["id"], row["gold"]) for row in rows)
    labels = yaml.safe_load((FOLDER / "labels.yaml").read_text(encoding="utf-8"))
    config = {
        "task": {"name": "messages", "labels": labels},
        "data": {"path": "data.jsonl", "id": "id", "gold": "gold"},
        "annotators": annotators
        or [
            {"kind": "embedded", "name": "nearest"},
            {
                "kind": "recorded",
                "name": "reviewer",
                "tier": 2,
                "trusted": True,
                "path": "votes.csv",
                "price": {"per_label": 0.1},
            },
        ],
        "selection": {"batch_size": 10},
        "critic": {"audit_first": 5, "escalate_share": 0.2},
        "budget": {"usd": 3},
        "stopping": {"max_rounds": 2, "items": 1000, "error_cost_usd": 0.1},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """Writes a small project with annotators of the caller's."""
    return lambda annotators: write_project(tmp_path, annotators)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The configuration of a small run; `runs` beside it is for its runs."""
    return write_project(tmp_path)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, typed: str | None = None) -> Any:
        words = [str(argument) for argument in arguments]
        runner = CliRunner(env=NO_TERMINAL)
        return runner.invoke(app, words, input=typed, catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a run that the command line carried to its end, and what it printed."""
    home = tmp_path_factory.mktemp("finished")
    config = write_project(home)
    arguments = ["run", str(config), "--name", "a", "--runs", str(home / "runs"), "--json"]
    return home / "runs" / "a", CliRunner(env=NO_TERMINAL).invoke(app, arguments)


@pytest.fixture
def run_folder(finished: tuple[Path, Any], tmp_path: Path) -> Path:
    """A finished run to do something to."""
    copy = tmp_path / "runs" / "a"
    shutil.copytree(finished[0], copy)
    return copy
