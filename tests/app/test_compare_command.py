"""`labelwright compare` on copies of a small run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelwright.app.exit_codes import ExitCode
from labelwright.tools.ledger import Consensus, Ledger

Cli = Callable[..., Any]


@pytest.fixture
def twin(run_folder: Path) -> Path:
    """A copy of the run in which three labels are others."""
    folder = Path(shutil.copytree(run_folder, run_folder.with_name("b")))
    lines = (folder / "labels.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["label"] not in {None, "fraud_report"}]
    said = [
        Consensus(row["id"], "fraud_report", 1.0, True, "person", "accept", "corrected", {})
        for row in rows[:3]
    ]
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        ledger.votes.conclude(10_000, 99, said)
    return folder


def compared(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("compare", *arguments, "--json")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_figures_are_those_of_the_summary(cli: Cli, run_folder: Path, twin: Path) -> None:
    summary = json.loads((run_folder / "summary.json").read_text("utf-8"))
    found = compared(cli, "a", "b")["runs"]
    assert [one["name"] for one in found] == ["a", "b"]
    one = found[0]
    assert one["state"] == summary["status"] == "finished"
    assert one["labelled"] == summary["labels"]["accepted"]
    assert one["completion"] == summary["labels"]["completion"]
    assert one["spent_usd"] == summary["money"]["spent_usd"]
    assert one["rounds"] == summary["rounds"] == len(summary["curve"]) - 1 == 2
    assert json.loads(cli("status", "a", "--json").stdout)["rounds"] == one["rounds"]
    assert one["cap_usd"] == 3
    assert one["labels"]["estimate"] == summary["quality"]["labels"]["estimate"]
    assert one["gold"]["macro_f1"] == summary["quality"]["gold"]["macro_f1"]
    assert one["gold"]["accuracy"] == summary["quality"]["gold"]["accuracy"]
    shown = cli("compare", "a", "b").stdout
    for name in ("Label accuracy, gold", "Label macro-F1, gold", "Spent", "Stopped", "after round"):
        assert name in shown


def test_labels_that_differ_are_counted_and_listed(cli: Cli, run_folder: Path, twin: Path) -> None:
    found = compared(cli, "a", "b", "--differences", "2")["labels"]
    assert (found["differ"], found["both"] - found["same"], found["other_texts"]) == (3, 3, 0)
    assert sum(pair["texts"] for pair in found["pairs"]) == 3
    assert len(found["items"]) == 2
    item = found["items"][0]
    assert item["labels"][1] == "fraud_report"
    assert item["sources"][1] == "person"
    assert item["text"]
    shown = cli("compare", "a", "b", "--differences", "1").stdout
    assert "3 differ" in shown
    assert "/ fraud_report" in shown
    assert item["item"] in shown
    assert item["text"][:30] in shown
    assert found["items"][1]["text"] not in shown
    assert "one run only" not in shown
    apart = Consensus(item["item"], None, None, False, "person", "set_apart", "none fits", {})
    with Ledger(twin / "ledger.sqlite", create=False) as ledger:
        ledger.votes.conclude(10_001, 99, [apart])
    shown = " ".join(cli("compare", "a", "b").stdout.split())
    assert "3 differ, 1 of them labelled by one run only" in shown


def test_what_an_audit_still_asks_is_not_told(cli: Cli, run_folder: Path, twin: Path) -> None:
    (first, *rest) = compared(cli, "a", "b", "--differences", "9")["labels"]["items"]
    question = {"item_id": first["item"], "text": "t", "labels": ["billing"], "purpose": "audit"}
    (twin / "questions.jsonl").write_text(json.dumps(question) + "\n", "utf-8")
    found = compared(cli, "a", "b", "--differences", "9")["labels"]
    assert found["differ"] == 3
    assert found["items"] == rest


def test_three_runs_have_no_pair(cli: Cli, run_folder: Path, twin: Path) -> None:
    shutil.copytree(run_folder, run_folder.with_name("c"))
    found = compared(cli, "a", "b", "c")
    assert (len(found["runs"]), found["labels"]) == (3, None)
    refused = cli("compare", "a", "b", "c", "--differences", "3")
    assert refused.exit_code == ExitCode.CONFIG
    assert "expected two runs" in refused.stderr


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", "runs/a")])
def test_one_run_is_not_compared(cli: Cli, run_folder: Path, names: tuple[str, ...]) -> None:
    refused = cli("compare", *names)
    assert refused.exit_code == ExitCode.CONFIG
    assert "two or more different runs" in refused.stderr
