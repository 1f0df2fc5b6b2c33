"""`labelwright demo`: the whole loop on the packaged corpus, without a key."""

from __future__ import annotations

from typing import Annotated

import typer

from ..console import stdout
from ..exit_codes import of_status
from ..options import RUNS, Runs
from .run import watched


def demo(
    runs: Runs = RUNS,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="A number is added if it is taken.")
    ] = "demo",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the run.")] = 0,
) -> None:
    """Label 962 short messages offline: no key, no network, about a minute.

    The embedded annotator (nearest label description, not a language model) labels for free; the
    corpus's own gold labels play a reviewer at $0.10 a label, under a cap.
    """
    from ...graph.run import run_folder
    from ...graph.session import create_run
    from ..demo_run import NOTE, fresh_name, prepare
    from ..outcome import show

    folder = run_folder(runs, name)
    folder = run_folder(runs, fresh_name(runs, folder.name))
    create_run(prepare(folder, seed), folder)
    result = watched(folder)
    console = stdout()
    show(console, result.summary, result.folder)
    console.print(f"\n{NOTE}", soft_wrap=True)
    raise typer.Exit(of_status(result.status))
