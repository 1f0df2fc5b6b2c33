"""`labelwright review`: what only a person can say, in the terminal."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ...tools.errors import ConfigError
from ..console import stdout
from ..options import RUNS, Run, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from ...tools.watch.desk import Desk


def review(
    run: Run,
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Your name; the same one each time.")
    ],
    doubtful: Annotated[
        bool,
        typer.Option("--doubtful", help="Doubtful labels, in place of the run's questions."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="End after N texts.")
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Answer a run's questions, or correct its doubtful labels, one text and one key at a time.

    Each answer is kept at once: quit whenever you like. Audits are blind. Without a terminal each
    line of stdin is a key.
    """
    from ...tools.watch import RunReader
    from ...tools.watch.desk import open_desk
    from ..plain_text import as_name
    from ..review_terminal import Sitting
    from ..terminal_keys import key_lines, key_presses

    folder, name = find_run(run, runs), as_name(by)
    if not name:
        raise ConfigError("--by: expected a name, so that your answers can be told from others'.")
    reader = RunReader(folder)
    try:
        desk = open_desk(reader)
        script = not sys.stdin.isatty()
        sitting = Sitting(
            desk,
            name,
            stdout(),
            key_lines() if script else key_presses,
            doubtful=doubtful,
            limit=limit,
            strict=script,
        )
        sitting.put()
        count = f"{sitting.done} {'text' if sitting.done == 1 else 'texts'}"
        typer.echo(f"\n{count} answered or skipped. {_go_on(desk, name, doubtful=doubtful)}")
    finally:
        reader.close()


def _go_on(desk: Desk, name: str, *, doubtful: bool) -> str:
    """What is left, and what to do next."""
    from ...tools.watch import run_status
    from ...tools.watch.queue import people

    run, state = shlex.quote(str(desk.folder)), run_status(desk.folder).state
    resume = f"labelwright resume {run}"
    if state == "running":
        return "The run is going on: what you said takes effect at its next safe point."
    stands = desk.queue(name, state)
    if stands.open:
        mine = f"{len(stands.todo)} left for you, {len(stands.skipped)} skipped by you"
        return (
            f"{len(stands.open)} questions have no settled answer ({mine}). To go on without "
            f'them: labelwright say {run} "hand in", then {resume}'
        )
    if stands.asked:
        return f"All questions are answered. Go on with: {resume}"
    if waiting := len(desk.log.pending()):
        texts = "1 text" if waiting == 1 else f"{waiting:,} texts"
        what = f"Reviews of {texts} wait to be taken up"
        if state == "finished":
            return f"{what}; nothing is bought for them. Go on with: {resume}"
        # To resume it is to go on with all of it, and to spend.
        return f"{what}, and are when the run goes on: {resume}"
    if doubtful:
        return "There is nothing for the run to take up."
    if people(desk.reader):
        return "The run has no questions now; --doubtful shows labels that deserve a look."
    return (
        "No person is among the annotators of this run, so it puts no questions; --doubtful shows "
        "labels that deserve a look."
    )
