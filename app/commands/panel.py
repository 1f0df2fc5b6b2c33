"""`labelwright panel`: the control panel in the browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ...tools.errors import ConfigError
from ..options import RUNS, Runs


def panel(
    runs: Runs = RUNS,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
    ] = 8501,
    address: Annotated[
        str,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Another than this machine's own needs --token-env or Streamlit's login.",
        ),
    ] = "127.0.0.1",
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env",
            metavar="NAME",
            help="Environment variable with a token that everybody must give.",
        ),
    ] = None,
    open: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the browser.")] = True,
) -> None:
    """Start, watch and steer runs in the browser, and label what only a person can.

    Ctrl-C ends the panel. The runs are processes of their own, and go on.
    """
    from ..panel.access import access_to, is_local
    from ..panel.serve import configure, open_browser, serve

    _check(runs)
    settings = configure(address, port)
    access = access_to(address, token_env)

    def ready(url: str) -> None:
        typer.echo(f"Panel: {url}  (runs in {runs}; Ctrl-C ends the panel, not the runs)")
        if not is_local(address) and not url.startswith("https"):
            typer.echo(
                "Note: others reach it by this machine's names, and what is sent is not "
                "encrypted; put a server with TLS before it.",
                err=True,
            )
        if open:
            open_browser(url)

    # Whether the server ends by this or by itself depends on where the signal has met it.
    with suppress(KeyboardInterrupt):
        serve(runs, settings, access, ready)
    typer.echo("The panel has ended; runs go on.", err=True)


def _check(runs: Path) -> None:
    """The default folder is made, as `run` would; another one must be there: it may be misspelt."""
    try:
        if runs == RUNS:
            runs.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{runs}: can not be made: {error.strerror}.") from None
    if not runs.is_dir():
        problem = "is not a folder" if runs.exists() else "does not exist"
        raise ConfigError(f"--runs {runs}: {problem}; expected the folder of all runs.")
