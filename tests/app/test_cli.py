"""The command line as a whole: help, exit codes, readable errors, and what is imported when."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labelwright.app import exit_codes
from labelwright.app.exit_codes import ExitCode
from labelwright.tools import errors

HEAVY = ("langgraph", "langchain_core", "langchain_openai", "chromadb", "sklearn", "onnxruntime")
COMMANDS = ("init", "plan", "run", "resume", "status", "stop", "export", "replay", "doctor", "demo")


def test_help_names_every_command_and_every_exit_code(cli: Callable[..., Any]) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)
    assert all(f"{code.value}: " in result.stdout for code in ExitCode)
    assert set(exit_codes.MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Callable[..., Any], command: str) -> None:
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_version(cli: Callable[..., Any]) -> None:
    from importlib.metadata import version

    assert cli("--version").stdout == f"labelwright {version('labelwright')}\n"


@pytest.mark.parametrize(
    "kind",
    [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.LabelwrightError)
    ],
)
def test_every_error_has_a_code_of_its_own_kind(kind: type[errors.LabelwrightError]) -> None:
    code = exit_codes.of_error(kind("x"))
    if kind is errors.LabelwrightError:
        assert code is ExitCode.UNEXPECTED
    else:
        assert code not in (ExitCode.UNEXPECTED, ExitCode.FINISHED)


def test_a_spent_budget_is_not_a_broken_ledger() -> None:
    assert exit_codes.of_error(errors.BudgetExceeded("x")) is ExitCode.BUDGET
    assert exit_codes.of_error(errors.LedgerError("x")) is ExitCode.STORE


def test_an_error_is_one_message_on_stderr(cli: Callable[..., Any], tmp_path: Path) -> None:
    result = cli("plan", "nowhere.yaml")
    assert result.exit_code == ExitCode.CONFIG
    assert result.stdout == ""
    assert result.stderr == "Error: nowhere.yaml: no such file; `labelwright init` writes one.\n"


def test_an_error_may_hold_brackets(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "[red]x.yaml").write_text("[1, 2]", encoding="utf-8")
    assert "[red]x.yaml" in cli("plan", "[red]x.yaml").stderr


def test_missing_data_has_the_code_of_data(cli: Callable[..., Any], project: Path) -> None:
    (project.parent / "data.jsonl").unlink()
    result = cli("plan", project)
    assert result.exit_code == ExitCode.DATA
    assert "data.jsonl" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["init", "run.yaml"], ["status"], ["status", "a"]]
)
def test_light_commands_import_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    from labelwright.tools.ledger import Ledger

    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text("budget: {usd: 1}\n", encoding="utf-8")
    Ledger(folder / "ledger.sqlite").close()
    program = (
        "import sys\n"
        "from labelwright.app.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
