"""`labelwright init`: write a run configuration to start from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ...tools.errors import ConfigError, DataError
from ..starter import SCHEMA, look_at, render


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The configuration to write.")
    ] = Path("run.yaml"),
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Data file (csv, tsv, jsonl, parquet); its columns and labels are filled in.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a configuration that is there.")
    ] = False,
) -> None:
    """Write a commented run.yaml, filled from a data file if there is one.

    Beside it goes run.schema.json, by which an editor checks and explains the options: a copy, so
    that it works without a network and for whoever gets the folder.
    """
    if file.exists() and not force:
        raise ConfigError(f"{file}: is there already; --force overwrites it.")
    try:
        columns = look_at(data) if data else None
    except DataError as error:
        raise DataError(f"--data: {error}") from error
    text = render(file, data, columns)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    shutil.copyfile(SCHEMA, file.parent / SCHEMA.name)
    typer.echo(f"{file}: written, with {SCHEMA.name} beside it for your editor.")
    if columns:
        others = sorted({*columns.names} - {columns.text, columns.id, columns.gold})
        typer.echo(
            f"  text: {columns.text!r}   id: {columns.id!r}   gold: {columns.gold!r}   "
            f"(other columns: {', '.join(others) or 'none'})"
        )
        if columns.labels:
            typer.echo(f"  {len(columns.labels)} labels counted in {columns.gold!r}")
    first = "describe the labels"
    if not (columns and columns.labels):
        typer.echo("  The labels are blank: write your own, a run is refused until then.")
        first = "write and describe the labels"
    typer.echo(f"Next: {first}, check the prices, then `labelwright plan {file}`.")
