"""`labelwright prompts`: the templates that models read: listed, shown, checked, filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...tools.errors import ConfigError
from ..exit_codes import ExitCode
from ..options import RUNS, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from ...tools.prompts import Message, Prompt, PromptLibrary

_SAME, _DIFFERS, _OWN = "packaged", "differs", "own"


def prompts(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Such as annotator/classify; all without."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Those that a run is pinned to.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="DIR", help="A folder of edited templates."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read every template and render its samples.")
    ] = False,
    render: Annotated[
        bool,
        typer.Option("--render", help="Fill in: the samples, or with --run a text of the run."),
    ] = False,
    item: Annotated[
        str | None,
        typer.Option("--item", metavar="ID", help="Of --run: the text for --render; the first."),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="What has changed of the packaged templates.")
    ] = False,
    runs: Runs = RUNS,
) -> None:
    """List the prompt templates, show one, check a folder of edited ones. Nothing is sent."""
    from ...tools.prompts import PromptLibrary, packaged_prompts
    from ..panel.prompts_page.rendering import library

    if sum((check, render, diff)) > 1:
        raise ConfigError("give one of --check, --render and --diff.")
    if item is not None and not (run and render):
        raise ConfigError("--item: expected --run RUN and --render with it.")
    at = find_run(run, runs) if run else None
    found = PromptLibrary([folder, packaged_prompts()]) if folder else library(at)
    packaged = PromptLibrary([packaged_prompts()])
    if check:
        _check(found, packaged)
    elif render:
        for one in _chosen(found, name):
            _render(one, at, found, item)
    elif diff:
        for one in _chosen(found, name):
            _diff(one, packaged)
    elif name is None:
        _list(found, packaged)
    else:
        _show(found.get(name), packaged)


def _chosen(found: PromptLibrary, name: str | None) -> list[Prompt]:
    return [found.get(one) for one in ([name] if name else found.names())]


def _list(found: PromptLibrary, packaged: PromptLibrary) -> None:
    from ...tools.errors import PromptError

    for name in found.names():
        try:
            prompt = found.get(name)
        except PromptError as error:
            typer.echo(f"{name:<30} malformed     {error}")
            continue
        word = _compared(prompt, packaged)
        typer.echo(f"{name:<30} {prompt.hash[:12]}  {word:<8}  {prompt.path}")


def _compared(prompt: Prompt, packaged: PromptLibrary) -> str:
    if prompt.name not in packaged.names():
        return _OWN
    return _SAME if packaged.get(prompt.name).hash == prompt.hash else _DIFFERS


def _show(prompt: Prompt, packaged: PromptLibrary) -> None:
    from ..plain_text import visible

    word = _compared(prompt, packaged)
    typer.echo(f"{prompt.path}\n{prompt.hash}  {word}\n")
    typer.echo(visible(prompt.source))
    for name, text in prompt.includes.items():
        typer.echo(f"--- {name}\n{visible(text)}")


def _check(found: PromptLibrary, packaged: PromptLibrary) -> None:
    problems = found.check()
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(ExitCode.CONFIG)
    words = {prompt.name: _compared(prompt, packaged) for prompt in _chosen(found, None)}
    typer.echo(f"{len(words)} templates are in order.")
    for name, word in words.items():
        if word == _DIFFERS:
            typer.echo(f"{name}: differs from the packaged one")
        elif word == _OWN:
            typer.echo(f"{name}: no packaged template has this name, so nothing reads it")


def _diff(prompt: Prompt, packaged: PromptLibrary) -> None:
    from ..panel.prompts_page.rendering import difference
    from ..plain_text import visible

    word = _compared(prompt, packaged)
    if word == _DIFFERS:
        typer.echo(visible(difference(packaged.get(prompt.name), prompt)))
    elif word == _OWN:
        typer.echo(f"{prompt.name}: no packaged template has this name")


def _render(prompt: Prompt, run: Path | None, found: PromptLibrary, item: str | None) -> None:
    from ..panel.prompts_page.rendering import reads_pool

    if run is not None and reads_pool(prompt):
        _print(prompt.name, *_on_item(prompt, run, found, item))
        return
    if item is not None:
        raise ConfigError(f"--item: {prompt.name} reads no text of the pool.")
    for number, sample in enumerate(prompt.samples, 1):
        _print(prompt.name, prompt.render(**sample), f"sample {number}")


def _on_item(
    prompt: Prompt, run: Path, found: PromptLibrary, item: str | None
) -> tuple[list[Message], str]:
    """What an annotator read of an item, or else would read of it; and which item it is."""
    from ...tools.watch import RunReader
    from ...tools.watch.item import votes
    from ..panel.items.wording import sent_again
    from ..panel.prompts_page.rendering import on_item

    reader = RunReader(run)
    try:
        sql = "SELECT position, id FROM items WHERE "
        rows = reader.items(sql + "id = ?", item) if item else reader.items(sql + "position = 0")
        if not rows:
            raise ConfigError(f"{run.name}: has no text {item!r}." if item else _EMPTY)
        ((position, known),) = rows
        chat = {one["name"] for one in reader.config["annotators"] if one["kind"] == "chat"}
        for vote in votes(reader, known):
            if vote.annotator in chat:
                sent = sent_again(reader, vote, found)
                if sent.template == prompt.name:
                    as_sent = "as it was sent" if sent.same else "not as it was sent"
                    return sent.messages, f"{known}, to {vote.annotator}, {as_sent}"
        return on_item(prompt, reader, position), f"{known}, as an annotator would read it"
    finally:
        reader.close()


_EMPTY = "the run has read no texts yet; leave --run out to render the samples."


def _print(name: str, messages: list[Message], what: str) -> None:
    from ..plain_text import visible

    typer.echo(f"=== {name}: {visible(what)}")
    for message in messages:
        typer.echo(f"# {message.role}\n{visible(message.content)}\n")
