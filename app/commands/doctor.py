"""`labelwright doctor`: is everything there that a run needs, and is a run's folder sound?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...tools.errors import ConfigError
from ..console import print_json
from ..exit_codes import ExitCode
from ..options import RUNS, Json, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from ..probe import Probe

_MARKS = {True: "ok", False: "WRONG", None: "note"}


def doctor(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Name or folder of a run, or a run.yaml."),
    ] = None,
    runs: Runs = RUNS,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the run's Chroma index anew from its snapshot.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Ask each chat endpoint what it can do, in up to 16 short requests; they cost.",
        ),
    ] = False,
    usd: Annotated[
        float,
        typer.Option(
            "--usd", metavar="CAP", min=0.0, help="With --probe: most that one endpoint may cost."
        ),
    ] = 0.05,
    json: Json = False,
) -> None:
    """Check the installation, and with RUN a run's configuration, ledger and pool.

    Keys are reported as set or not set, never shown. Nothing is sent, unless --probe says so.
    """
    from .. import checkup

    if probe:
        _probe(run, runs, usd, json=json)
        return
    findings = checkup.environment()
    if run is None:
        if rebuild:
            raise ConfigError("--rebuild: expected RUN, the run whose index is to be made anew.")
    elif Path(run).is_file():
        findings += checkup.configuration(Path(run))
    else:
        folder = find_run(run, runs)
        findings += checkup.configuration(folder / "run.yaml")
        findings += checkup.ledger(folder)
        findings += checkup.pool(folder, rebuild=rebuild)
    wrong = sum(finding.ok is False for finding in findings)
    if json:
        print_json({"wrong": wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{_MARKS[finding.ok]:<5}  {finding.what}: {finding.detail}")
        typer.echo(f"{wrong} wrong." if wrong else "Nothing wrong.")
    if wrong:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _probe(run: str | None, runs: Path, usd: float, *, json: bool) -> None:
    from ...graph import load_config
    from ..probe import probe_all

    if run is None:
        raise ConfigError("--probe: expected RUN, a run.yaml or a run whose endpoints are asked.")
    file = Path(run) if Path(run).is_file() else find_run(run, runs) / "run.yaml"
    found = list(probe_all(load_config(file), usd))
    if json:
        print_json({"probes": [one.plain() for one in found]})
    elif not found:
        typer.echo(f"{file}: no chat endpoint is configured, so nothing was sent.")
    else:
        for one in found:
            typer.echo(_line(one))
    if any(one.error for one in found):
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _line(one: Probe) -> str:
    cost = f"{one.requests} requests, ${one.usd:.6f}"
    if one.error:
        return f"WRONG  {one.who} ({one.model}): {one.error} ({cost})"
    logprobs = "log-probabilities" if one.logprobs else "no log-probabilities"
    return (
        f"ok     {one.who} ({one.model}): {one.mode}, keeps to {one.limit}, {logprobs}, "
        f"{one.seconds:.2f} s a request ({cost})"
    )
