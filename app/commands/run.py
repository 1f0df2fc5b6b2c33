"""`labelwright run` and `resume`: carry a run to its end, to a stop, or to questions."""

from __future__ import annotations

import json as json_module
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
from ..runs import find_run

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
    from ...graph.run import run_folder
    from ...graph.session import create_run

    folder = run_folder(runs, name)
    loaded = load_config(config)
    if usd is not None:
        budget = loaded.budget.model_copy(update={"usd": usd})
        loaded = loaded.model_copy(update={"budget": budget})
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
            help='Answers of people, one {"item_id": ..., "label": ...} a line; a label of null '
            "says that no label fits. Leave out the lines of questions that nobody answered.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take a run up where it was left, whatever ended it."""
    folder = find_run(run, runs)
    if answers is not None:
        keep_answers(folder, answers)
    carry_on(folder, usd=usd, json=json)


def carry_on(folder: Path, *, usd: float | None = None, json: bool = False) -> None:
    """Run or resume what is in a folder, with progress, and end with the code of its status."""
    result = watched(folder, usd=usd)
    if json:
        print_json(
            {"status": result.status, "folder": str(result.folder), "summary": result.summary}
        )
    else:
        from ..outcome import show

        show(stdout(), result.summary, result.folder)
    raise typer.Exit(of_status(result.status))


def watched(folder: Path, *, usd: float | None = None) -> RunResult:
    """Run or resume what is in a folder while progress is shown on stderr."""
    from ...graph import resume as go_on
    from ..progress import watching

    console = stderr()
    # First of all: whoever loses this terminal finds the run by it.
    console.print(f"Run folder: {folder}", soft_wrap=True)
    try:
        with aborting(folder), watching(folder, console, usd) as notify:
            return go_on(folder, notify=notify, usd=usd)
    except LockedError:
        raise
    except LabelwrightError as error:
        error.add_note(f"What was paid for is kept. Then go on with: labelwright resume {folder}")
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


def keep_answers(folder: Path, answers: Path) -> None:
    """Add a file of answers to those that the run has.

    Raises:
        DataError: The file is missing, or a line is not an answer.
    """
    from ...graph.run import ANSWERS_FILE

    try:
        lines = answers.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{answers}: can not be read ({error}).") from error
    kept = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json_module.loads(line)
            kept.append({"item_id": str(entry["item_id"]), "label": entry["label"]})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{answers}, line {number}: expected {{"item_id": ..., "label": ...}} ({error!r}).'
            ) from error
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:
        file.writelines(json_module.dumps(entry, ensure_ascii=False) + "\n" for entry in kept)
