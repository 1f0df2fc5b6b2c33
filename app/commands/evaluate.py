"""`labelwright evaluate`: how good a run's labels are, and whether a model may replace people."""

from __future__ import annotations

import json as json_of
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...tools.errors import ConfigError, LockedError
from ..console import print_json, stdout
from ..options import RUNS, Json, Run, Runs
from ..runs import find_run, is_running, owner

if TYPE_CHECKING:
    from ...tools.alternative_annotator import AltTest


class People(StrEnum):
    """Who the people are that a model might replace."""

    EXPERT = "expert"
    SKILLED = "skilled"
    CROWD = "crowd"


def evaluate(
    run: Run,
    runs: Runs = RUNS,
    alt_test: Annotated[
        bool,
        typer.Option(
            "--alt-test", help="Hold each model to the people who voted: may it replace them?"
        ),
    ] = False,
    people: Annotated[
        People,
        typer.Option("--people", help="Who they are; the dearer, the more a model is forgiven."),
    ] = People.SKILLED,
    json: Json = False,
) -> None:
    """Show how good a run's labels are: audits, gold, guarantee; with --alt-test, against people.

    The alternative annotator test (Calderon et al., 2025) takes three or more people with 30 or
    more texts each: annotators of kind human, or recorded votes with `person: true`.
    """
    folder = find_run(run, runs)
    if alt_test:
        tests = _held_to_people(folder, people)
        if json:
            print_json({"run": folder.name, "alt_test": {k: asdict(v) for k, v in tests.items()}})
            return
        for name, found in tests.items():
            _show(name, found)
        if any(found.why_not for found in tests.values()):
            stdout().print(
                "Votes count as those of people where the annotator is of kind human, or of kind "
                "recorded with `person: true`.",
                soft_wrap=True,
            )
        return
    path = folder / "summary.json"
    if not path.exists():
        raise ConfigError(f"{folder}: has no figures yet; they come when it stops or ends.")
    summary = json_of.loads(path.read_text(encoding="utf-8"))
    if json:
        print_json({k: summary.get(k) for k in ("name", "quality", "guarantee", "class_shares")})
        return
    from ..outcome import rows

    for name, value in rows(summary):
        stdout().print(f"{name:<23} {value}", soft_wrap=True)


def _held_to_people(folder: Path, people: People) -> dict[str, AltTest]:
    from ...graph.people_test import hold_models_to_people
    from ...graph.session import open_run
    from ...tools.alternative_annotator import EPSILON

    if is_running(folder):
        raise LockedError(
            f"the run {folder.name!r} is going on ({owner(folder)}); evaluate it when it is "
            "paused or has ended."
        )
    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        return hold_models_to_people(ctx, EPSILON[people.value])


def _show(name: str, found: AltTest) -> None:
    console = stdout()
    if found.winning_rate is None or found.advantage is None:
        console.print(f"{name}: can not be said, {found.why_not}.", soft_wrap=True)
        return
    verdict = "may replace the people" if found.replaces else "may not replace the people"
    console.print(
        f"{name}: {verdict} (wins against {found.winning_rate:.0%} of them; at least as good as "
        f"one of them with probability {found.advantage:.2f})",
        style="bold",
        soft_wrap=True,
    )
    for one in found.people:
        console.print(
            f"  against {one.person:<20} {'won' if one.won else 'not won':<8} model "
            f"{one.model_advantage:.2f}, person {one.person_advantage:.2f}, {_p(one.p_value)}, "
            f"{one.n} texts",
            soft_wrap=True,
        )


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"
