"""`labelwright run` and `resume`: carry a run to its end, to a stop, or to questions."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...tools.errors import DataError, LabelwrightError, LockedError
from ..console import print_json, stderr, stdout
from ..exit_codes import ExitCode, of_status
from ..options import RUNS, Cap, Config, Json, Run, Runs
from ..runs import find_run, read_state

if TYPE_CHECKING:
    from ...graph import RunResult


def run(
    config: Config,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the run, its folder's name.")
    ],
    runs: Runs = RUNS,
    usd: Cap = None,
    json: Json = False,
) -> None:
    """Start a run and carry it to its end.

    Ctrl-C stops it at the next safe point, a second one aborts it; either way `resume` goes on
    where it was, and nothing is paid for twice.
    """
    from ...graph import load_config
    from ...graph.config import with_cap
    from ...graph.run import run_folder
    from ...graph.session import create_run

    folder = run_folder(runs, name)
    loaded = load_config(config)
    if usd is not None:
        loaded = with_cap(loaded, usd)
    create_run(loaded, folder)
    carry_on(folder, json=json)


def resume(
    run: Run,
    runs: Runs = RUNS,
    usd: Cap = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            "--answers",
            metavar="FILE",
            help='Answers to the open questions, one {"item_id": ..., "label": ...} a line; a '
            "label of null says that no label fits. Leave out the lines of questions that nobody "
            "answered; an empty file says that nobody answers any.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take a run up where it was left, whatever ended it."""
    folder = find_run(run, runs)
    carry_on(folder, usd=usd, answers=answers, json=json)


def carry_on(
    folder: Path, *, usd: float | None = None, answers: Path | None = None, json: bool = False
) -> None:
    """Run or resume what is in a folder, with progress, and end with the code of its status."""
    result = watched(folder, usd=usd, answers=answers)
    if usd is not None:
        note = [order for order in read_state(folder)["directives"] if order["kind"] == "cap"][-1]
        stderr().print(f"--usd: {note['acknowledged']}", soft_wrap=True)
    if json:
        print_json(
            {"status": result.status, "folder": str(result.folder), "summary": result.summary}
        )
    else:
        from ..outcome import show

        show(stdout(), result.summary, result.folder)
    raise typer.Exit(of_status(result.status))


def watched(folder: Path, *, usd: float | None = None, answers: Path | None = None) -> RunResult:
    """Run or resume what is in a folder while progress is shown on stderr."""
    from ...graph import resume as go_on
    from ..progress import watching

    console = stderr()
    # First of all: whoever loses this terminal finds the run by it.
    console.print(f"Run folder: {folder}", soft_wrap=True)
    try:
        with aborting(folder), watching(folder, console, usd) as notify:
            return go_on(folder, answers=answers, notify=notify, usd=usd)
    except LockedError:
        raise
    except LabelwrightError as error:
        state = read_state(folder)
        # With a round begun, or a file of answers handed in, it is the answers that are wrong.
        begun = answers or state["rounds"] or state["requests"]
        if isinstance(error, DataError) and not begun:
            # It failed while it read: the configuration is pinned, so resuming would fail again.
            advice = (
                "Nothing was spent. Correct the data or the configuration and start again, under "
                f"another --name or after removing {folder}."
            )
        else:
            advice = f"What was paid for is kept. Then go on with: labelwright resume {folder}"
        error.add_note(advice)
        raise


@contextmanager
def aborting(folder: Path) -> Iterator[None]:
    """Make a second Ctrl-C end the process; the first one is handled by the run."""

    def abort(*_: Any) -> None:
        # Requests under way may take a minute. The ledger survives this like any other kill.
        console = stderr()
        console.show_cursor(True)
        console.print(f"\nAborted. Go on with: labelwright resume {folder}", soft_wrap=True)
        os._exit(ExitCode.ABORTED)

    previous = signal.signal(signal.SIGINT, abort)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
