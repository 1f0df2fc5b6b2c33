"""`proposals` and `accept` on a small run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelwright.agents.critic_bench import Proposal
from labelwright.app.exit_codes import ExitCode
from labelwright.tools.ledger import Decision, Ledger

Cli = Callable[..., Any]


@pytest.fixture
def suggested(run_folder: Path) -> Path:
    """The run with three proposals more, at the end of the list."""
    made = [
        Proposal(kind="drop_annotator", target="nearest", text="t", evidence="5 of 9 wrong"),
        Proposal(
            kind="add_label", target="(to be named) x", text="t", evidence="e", price_usd=0.25
        ),
        Proposal(kind="ask_person", target="i", text="Is irony praise?", evidence="e"),
    ]
    written = [proposal.model_dump() for proposal in made]
    with Ledger(run_folder / "ledger.sqlite") as ledger:
        decision = Decision(900, 1, "critic", "proposals", {"proposals": written}, {"by": "rule"})
        ledger.log.decide(decision)
    return run_folder


def numbers(cli: Cli) -> list[int]:
    rows = json.loads(cli("proposals", "a", "--json").stdout)["proposals"]
    return [row["number"] for row in rows][-3:]


def test_proposals_are_listed_with_price_and_evidence(cli: Cli, suggested: Path) -> None:
    shown = cli("proposals", "a")
    assert shown.exit_code == ExitCode.FINISHED, shown.stderr
    for part in ("drop_annotator: nearest", "5 of 9 wrong", "$0.2500", "[open]", "accept a NUMBER"):
        assert part in shown.stdout


def test_an_order_and_a_task_come_of_accepting(cli: Cli, suggested: Path) -> None:
    drop, add, question = numbers(cli)
    ordered = cli("accept", "a", str(drop))
    assert ordered.exit_code == ExitCode.FINISHED, ordered.stderr
    assert "takes it up" in ordered.stdout
    refused = cli("accept", "a", str(add))
    assert refused.exit_code != ExitCode.FINISHED
    assert "--name" in refused.stderr
    given = cli(
        "accept", "a", str(add), "--name", "irony", "--text", "Says the opposite.", "--json"
    )
    assert given.exit_code == ExitCode.FINISHED, given.stderr
    task_file = json.loads(given.stdout)["files"][0]
    task = yaml.safe_load(Path(task_file).read_text(encoding="utf-8"))["task"]
    assert task["labels"][-1]["name"] == "irony"
    assert task["labels"][-1]["description"] == "Says the opposite."
    assert "question to you" in cli("accept", "a", str(question)).stderr
    rows = json.loads(cli("proposals", "a", "--json").stdout)["proposals"][-3:]
    assert [row["status"] for row in rows] == ["accepted", "accepted", "open"]
    assert "no proposal 99" in cli("accept", "a", "99").stderr
