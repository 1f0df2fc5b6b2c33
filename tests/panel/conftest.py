"""Runs for the panel to show: real ones on a cut of the demo, finished, waiting and not begun.

All that a test asks for are in one folder of runs, which the panel is told of; each is a copy that
the test may change.
"""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page

# As for the doubles: tests have no packages.
sys.path.insert(0, str(Path(__file__).parent))

from browser import Panel, chromium, served, visitor

from labelwright.app.demo_run import FOLDER
from labelwright.app.panel.session import RUNS_VARIABLE

EMBEDDED = {"kind": "embedded", "name": "embedded", "tier": 1}
HUMAN = {"kind": "human", "name": "ann", "tier": 2, "price": {"per_label": 0.1}}
REVIEWER = {
    "kind": "recorded",
    "name": "reviewer",
    "tier": 2,
    "trusted": True,
    "path": "reviewer.csv",
    "price": {"per_label": 0.1},
}
"""The corpus's own gold as recorded votes, as in `labelwright demo`."""


def write_project(
    folder: Path, annotators: list[dict[str, Any]], *, texts: int = 200, **sections: Any
) -> Path:
    """Write a cut of the demo's corpus, its votes and a run.yaml; returns the configuration."""
    with (FOLDER / "corpus.jsonl").open(encoding="utf-8") as file:
        lines = list(islice(file, texts))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
    with (folder / "reviewer.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "reviewer"])
        table.writerows((row["id"], row["gold"]) for row in map(json.loads, lines))
    labels = yaml.safe_load((FOLDER / "labels.yaml").read_text(encoding="utf-8"))
    guidelines = (FOLDER / "guidelines.md").read_text(encoding="utf-8")
    config = {
        "task": {"name": "customer messages", "labels": labels, "guidelines": guidelines},
        "data": {"path": "corpus.jsonl", "id": "id", "gold": "gold"},
        "annotators": annotators,
        "selection": {"batch_size": 30},
        "critic": {"audit_first": 20, "escalate_share": 0.1},
        "budget": {"usd": 10},
        "stopping": {"max_rounds": 4, "items": 1000, "error_cost_usd": 0.1, "stop_set_size": 60},
        **sections,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def _made(tmp_path_factory: pytest.TempPathFactory, name: str, **project: Any) -> Path:
    from labelwright.graph import run

    home = tmp_path_factory.mktemp(name)
    return run(write_project(home, **project), name=name, runs=home / "runs").folder


@pytest.fixture(scope="session")
def made_finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run itself, for tests that only read; in a folder of runs of its own."""
    return _made(tmp_path_factory, "finished", annotators=[EMBEDDED, REVIEWER])


@pytest.fixture(scope="session")
def made_waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The waiting run itself, for tests that only read; in a folder of runs of its own."""
    return _made(tmp_path_factory, "waiting", annotators=[EMBEDDED, HUMAN])


@pytest.fixture
def runs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of runs that the panel is told of."""
    root = tmp_path / "runs"
    root.mkdir()
    monkeypatch.setenv(RUNS_VARIABLE, str(root))
    yield root
    if "streamlit" in sys.modules:
        import streamlit as st

        # What was opened for this folder is closed with it.
        st.cache_resource.clear()
        st.cache_data.clear()


@pytest.fixture(autouse=True)
def quick_fingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests without a browser answer faster than anybody can read."""
    monkeypatch.setattr("labelwright.app.panel.review.labelling.QUIET_S", 0.0)


def _copied(made: Path, runs_root: Path) -> Path:
    return Path(shutil.copytree(made, runs_root / made.name))


@pytest.fixture
def finished_run(made_finished: Path, runs_root: Path) -> Path:
    """Folder of a finished run, "finished": 200 texts, embedded annotator and recorded reviewer."""
    return _copied(made_finished, runs_root)


@pytest.fixture
def waiting_run(made_waiting: Path, runs_root: Path) -> Path:
    """Folder of a run, "waiting", that has put questions to the person "ann"."""
    return _copied(made_waiting, runs_root)


@pytest.fixture
def empty_run(tmp_path: Path, runs_root: Path) -> Path:
    """Folder of a run, "empty", that was written down and not begun."""
    from labelwright.graph.config import load_config
    from labelwright.graph.session import create_run

    folder = runs_root / "empty"
    config = write_project(tmp_path / "empty", [EMBEDDED, REVIEWER])
    create_run(load_config(config), folder)
    return folder


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a project with annotators and sections of the caller's; returns its run.yaml."""

    def make(annotators: list[dict[str, Any]] | None = None, **more: Any) -> Path:
        return write_project(tmp_path / "project", annotators or [EMBEDDED, REVIEWER], **more)

    return make


@pytest.fixture(scope="module")
def chromium_browser() -> Iterator[Browser]:
    """A headless Chromium; visitors of the panel have contexts of their own in it."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def panel(runs_root: Path) -> Iterator[Panel]:
    """The panel as its own process, on the folder of runs of this test."""
    with served(runs_root) as panel:
        yield panel


@pytest.fixture
def page(chromium_browser: Browser, panel: Panel) -> Iterator[Page]:
    """A page of somebody who visits the panel; what it must not do fails the test."""
    with visitor(chromium_browser, panel) as page:
        yield page
