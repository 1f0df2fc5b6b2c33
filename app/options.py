"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the run, or the path of its folder.")
]
Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The run configuration, such as run.yaml.")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of all runs.")]
Cap = Annotated[
    float | None,
    typer.Option(
        "--usd", metavar="CAP", min=0.0, help="Money cap in USD, in place of the configured one."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
