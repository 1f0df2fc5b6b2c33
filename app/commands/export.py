"""`labelwright export`: the labelled pool as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ...tools.errors import ConfigError, LockedError
from ..options import RUNS, Run, Runs
from ..runs import find_run, is_running, owner


class Format(StrEnum):
    """Files that can be written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    run: Run,
    runs: Runs = RUNS,
    format: Annotated[
        Format | None, typer.Option("--format", help="By the suffix of --out, else jsonl.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PATH", help="The file; labels.<format> in the run's folder."
        ),
    ] = None,
) -> None:
    """Write the labels of a run that is finished or paused, one record for each input row.

    A run that is going on can not be exported: its pool has one owner at a time.
    """
    folder = find_run(run, runs)
    if is_running(folder):
        raise LockedError(
            f"the run {folder.name!r} is going on ({owner(folder)}), and its pool has one owner at "
            f"a time. Wait for its end, or `labelwright stop {run}`, export, and resume it."
        )
    format = format or _by_suffix(out)
    out = out or folder / f"labels.{format}"
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: the folder {out.parent} does not exist; make it first.")
    outcomes = write(folder, out, format)
    counted = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(outcomes.items()))
    typer.echo(f"{out}: {sum(outcomes.values()):,} rows ({counted or 'the run has read none yet'})")


def write(folder: Path, out: Path, format: Format) -> Counter[str]:
    """Write the rows of a run; returns how many there are of each outcome."""
    from ...graph.deliver import delivered_rows
    from ...graph.session import open_run
    from ...tools.export import write_csv, write_jsonl, write_parquet

    writers = {
        Format.JSONL: write_jsonl,
        Format.CSV: write_csv,
        Format.PARQUET: write_parquet,
    }
    outcomes: Counter[str] = Counter()

    def counted(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            outcomes[row["outcome"]] += 1
            yield row

    with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
        writers[format](out, counted(delivered_rows(ctx)))
    return outcomes


def _by_suffix(out: Path | None) -> Format:
    if out is None:
        return Format.JSONL
    known = {f".{format}": format for format in Format}
    if out.suffix.lower() not in known:
        raise ConfigError(
            f"{out}: the suffix names no format; expected {', '.join(known)}, or give --format."
        )
    return known[out.suffix.lower()]
