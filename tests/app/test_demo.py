"""`labelwright demo` on a small part of its corpus."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import labelwright.app.demo_run as demo_run
from labelwright.app.exit_codes import ExitCode
from labelwright.graph.config import RunConfig


@pytest.fixture
def small_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(demo_run.FOLDER, folder)
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "corpus.jsonl").write_text("".join(lines[:80]), encoding="utf-8")
    monkeypatch.setattr(demo_run, "FOLDER", folder)


@pytest.mark.usefixtures("small_corpus")
def test_the_demo_runs_offline_and_says_what_it_is(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = cli("demo")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    printed = " ".join(result.stdout.split())
    assert demo_run.NOTE in printed
    for part in (
        "Label accuracy, audit",
        "Label accuracy, gold",
        "95% interval",
        "completion",
        "macro-F1",
        "embedded",
        "reviewer",
        "It stopped after",
        "Value A = ",
        "Files in runs/demo: labels.jsonl",
    ):
        assert part in printed, printed
    assert (Path("runs/demo") / demo_run.VOTES_FILE).exists()


def test_a_second_demo_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert demo_run.fresh_name(tmp_path, "demo") == "demo"
    for expected in ("demo", "demo-2", "demo-3"):
        name = demo_run.fresh_name(tmp_path, "demo")
        assert name == expected
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.yaml").touch()


def test_the_packaged_demo_is_complete(tmp_path: Path) -> None:
    config: RunConfig = demo_run.prepare(tmp_path / "demo", seed=3)
    assert config.seed == 3
    assert config.data.path.is_file()
    assert len(config.task.labels) == 8
    assert "Rules for borderline messages" in config.task.guidelines
    assert {a.name for a in config.annotators if a.trusted} == {"reviewer"}
    votes = (tmp_path / "demo" / demo_run.VOTES_FILE).read_text(encoding="utf-8").splitlines()
    assert len(votes) == 963
