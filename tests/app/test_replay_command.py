"""`replay`: tables of a finished run, and a derived run that says what it is."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labelwright.app.exit_codes import ExitCode

Cli = Callable[..., Any]


def test_the_stop_rules_and_another_aggregation_are_shown(
    cli: Cli, finished: tuple[Path, Any]
) -> None:
    folder, _ = finished
    result = cli("replay", str(folder), "--aggregation", "majority", "--value", "2")
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    assert "Votes weighed again: majority" in result.stdout
    # Five audits calibrate nothing.
    said = " ".join(result.stdout.split())
    assert re.search(r"mean p_correct uncalibrated \(\d+ of \d+ labels\)", said)
    for name in ("cost_plateau", "kappa", "marginal_gain", "to_the_end"):
        assert name in result.stdout
    one = cli("replay", str(folder), "--stop", "kappa:threshold=0.9", "--json")
    (row,) = json.loads(one.stdout)["stops"]
    assert row["rule"] == "kappa:threshold=0.9"


def test_a_derived_run_is_named_as_a_replay_wherever_it_is_shown(
    cli: Cli, finished: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, _ = finished
    out = tmp_path / "other"
    result = cli(
        "replay", str(folder), "--strategy", "random", "--out", str(out), "--stop", "kappa"
    )
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    assert f"other (replay of {folder.name}: nobody was asked, nothing was paid)" in result.stdout
    assert f"other (replay of {folder.name})" in cli("status", str(out)).stdout
    assert json.loads(cli("status", str(out), "--json").stdout)["replay_of"] == folder.name


def test_mistakes_are_told_before_anything_is_made(
    cli: Cli, finished: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, _ = finished
    wrong = cli("replay", str(folder), "--stop", "kapa")
    assert wrong.exit_code == ExitCode.CONFIG
    assert "expected one of cost_plateau" in wrong.stderr
    pair = cli("replay", str(folder), "--set", "student", "--out", str(tmp_path / "x"))
    assert pair.exit_code == ExitCode.CONFIG
    assert not (tmp_path / "x").exists()
