"""Keys that are pressed at a terminal, or come as lines from a script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import typer

QUIT, FIND, HELP = "q", "/", "?"


def key_presses() -> str:
    """The next key of the terminal; a search for a label is read to the end of its line."""
    key: str = typer.getchar()
    return FIND + input(FIND) if key == FIND else key.lower()


def key_lines() -> Callable[[], str]:
    """The next line of a script's input, each of which is a key; blank ones are passed over."""
    lines: Iterator[str] = (line.strip() for line in sys.stdin)

    def read() -> str:
        for line in lines:
            if line:
                return line
        raise EOFError

    return read
