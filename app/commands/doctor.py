"""`labelwright doctor`: is everything there that a run needs, and is a run's folder sound?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...tools.errors import ConfigError
from ..exit_codes import ExitCode
from ..options import RUNS, Runs
from ..runs import find_run

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
) -> None:
    """Check the installation, and with RUN a run's configuration, ledger and pool.

    Keys are reported as set or not set, never shown. Nothing is sent.
    """
    from .. import checkup

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
    for finding in findings:
        typer.echo(f"{_MARKS[finding.ok]:<5}  {finding.what}: {finding.detail}")
    wrong = sum(finding.ok is False for finding in findings)
    typer.echo(f"{wrong} wrong." if wrong else "Nothing wrong.")
    if wrong:
        raise typer.Exit(ExitCode.CHECK_FAILED)
