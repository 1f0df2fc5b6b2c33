"""`labelwright say`: the chat of a run, from a terminal or a script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...tools.errors import ConfigError
from ..console import print_json
from ..options import RUNS, Json, Run, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from ...agents.operator.talk import Outcome, Reply
    from ...tools.watch import RunReader


def say(
    run: Run,
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help='Such as "status" or "cap 3 dollars"; see "help".'),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Confirm the order; without, a script only looks.")
    ] = False,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says it.")] = "operator",
    item: Annotated[
        str | None, typer.Option("--item", metavar="ID", help='The item that "this" means.')
    ] = None,
    confirm: Annotated[
        int | None, typer.Option("--confirm", metavar="N", help="Confirm an offer made before.")
    ] = None,
    cancel: Annotated[
        int | None, typer.Option("--cancel", metavar="N", help="Cancel an offer made before.")
    ] = None,
    reply: Annotated[int | None, typer.Option("--reply", hidden=True)] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Ask a run, or give it an order, which is shown as a change before it takes effect."""
    from ...tools.watch import RunReader

    folder = find_run(run, runs)
    given = [one for one in (text, confirm, cancel, reply) if one is not None]
    if len(given) != 1:
        raise ConfigError('say one thing: a TEXT such as "status", or --confirm N, or --cancel N.')
    reader = RunReader(folder)
    try:
        if text is None and reply is None:
            offer = confirm if confirm is not None else cancel
            assert offer is not None
            _end(reader, offer, by, {}, json, yes=confirm is not None)
            return
        made = _told(reader, text, by, item) if text is not None else _replied(folder, reply)
        shown = _plain(made)
        if not json:
            _print(made)
        wanted = made.offer is not None and (yes or (not json and _asked()))
        if wanted and made.reply is not None:
            _end(reader, made.reply, by, shown, json, yes=True)
        elif json:
            print_json(shown)
        elif made.offer is not None:
            typer.echo("Nothing was changed. Confirm it with --yes.")
    finally:
        reader.close()


def _told(reader: RunReader, text: str, by: str, item: str | None) -> Reply:
    from ...agents.operator.talk import tell

    made = tell(reader, text, by=by, item=item)
    return _replied(reader.folder, made.message) if made.reply is None else made


def _replied(folder: Path, message: int | None) -> Reply:
    from ...graph.operator import reply

    assert message is not None
    return reply(folder, message)


def _asked() -> bool:
    """Whether a person at a terminal says yes."""
    return sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm("Do it?")


def _end(
    reader: RunReader, offer: int, by: str, shown: dict[str, Any], json: bool, *, yes: bool
) -> None:
    from ...agents.operator.talk import settle

    outcome = settle(reader, offer, yes=yes, by=by)
    what, files = _carried_out(reader, offer, outcome, by)
    if json:
        became = {"status": outcome.status, "directive": outcome.directive, "what": what}
        print_json({**shown, "outcome": {**became, "files": files}})
    else:
        typer.echo(f"{reader.name}: {what}.")
    if outcome.status == "refused":
        raise ConfigError(f"{reader.name}: {outcome.what}")


def _carried_out(reader: RunReader, offer: int, outcome: Outcome, by: str) -> tuple[str, list[str]]:
    order = outcome.todo
    if order is None:
        return outcome.what, []
    if order.kind == "resume":
        # A run is a process of its own: this one would have to stay for as long as it goes.
        return f"start it with: labelwright resume {reader.name}", []
    from ...graph.operator import carry_out

    made = carry_out(reader.folder, offer, order, by=by)
    return made.what, [str(path) for path in made.files]


def _print(made: Reply) -> None:
    from ...agents.operator.changes import texts

    typer.echo(made.title)
    for line in texts(made.lines):
        typer.echo(f"  {line}")


def _plain(made: Reply) -> dict[str, Any]:
    from ...tools.watch.lines import plain_lines

    return {
        "message": made.message,
        "reply": made.reply,
        "by": made.by,
        "understood": made.understood,
        "title": made.title,
        "lines": plain_lines(made.lines),
        "offer": made.offer,
    }
