"""The command line: `labelwright`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..tools.errors import LabelwrightError
from .commands.compare import compare
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.evaluate import evaluate
from .commands.export import export
from .commands.init import init
from .commands.panel import panel
from .commands.plan import plan
from .commands.prompts import prompts
from .commands.proposals import accept, dismiss, proposals
from .commands.replay import replay
from .commands.review import review
from .commands.run import resume, run
from .commands.say import say
from .commands.status import status, stop
from .exit_codes import ExitCode, epilog, of_error

HELP = """Turn an unlabelled pool of texts into a labelled dataset and a small classifier, for the
least money, and stop when the next dollar is no longer worth it.

Three steps: **init** writes a run configuration, **plan** quotes it without
sending anything, **run** carries it out. No key and no data at hand?
**labelwright demo** runs the whole loop offline.

Results go to stdout, progress to stderr. NO_COLOR is heeded.
"""


class _ReadableErrors(TyperGroup):
    """Errors that are meant for people end in their message and an exit code of their class."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LabelwrightError as error:
            typer.echo("\n".join([f"Error: {error}", *_notes(error)]), err=True)
            raise typer.Exit(of_error(error)) from None
        except KeyboardInterrupt:
            typer.echo("Aborted.", err=True)
            raise typer.Exit(ExitCode.ABORTED) from None


def _notes(error: BaseException) -> list[str]:
    """What was added to an error for people; LangGraph adds ids of its own."""
    notes: list[str] = getattr(error, "__notes__", [])
    return [note for note in notes if not note.startswith("During task with name ")]


app = typer.Typer(
    name="labelwright",
    cls=_ReadableErrors,
    help=HELP,
    epilog=epilog(),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    # Python's own traceback: it shows no local variables, which may hold texts and keys.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"labelwright {version('labelwright')}")
        raise typer.Exit()


@app.callback()
def _main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


_COMMANDS = (
    init,
    plan,
    run,
    resume,
    status,
    stop,
    say,
    review,
    proposals,
    accept,
    dismiss,
    evaluate,
    export,
    replay,
    compare,
    prompts,
    doctor,
    demo,
    panel,
)
for _command in _COMMANDS:
    app.command()(_command)


def main() -> None:
    """Run the command line."""
    app()
