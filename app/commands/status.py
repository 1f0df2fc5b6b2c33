"""`labelwright status` and `stop`: look at runs, and tell one to pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...tools.errors import ConfigError
from ...tools.reviews import REVIEW
from ..console import print_json, stdout
from ..options import RUNS, Json, Run, Runs
from ..runs import find_run, is_running, list_runs, read_state

if TYPE_CHECKING:
    from rich.console import Console

_WORDS = {"stop": "pause"}
"""Kinds of directives that people know by another word."""


def status(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Name or folder of a run; all runs without."),
    ] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Show how a run stands, or list all runs. Reads the ledger and the summary only."""
    if run is not None:
        state = read_state(find_run(run, runs))
        print_json(state) if json else _show_one(stdout(), state)
        return
    states = [read_state(folder) for folder in list_runs(runs)]
    if json:
        print_json({"runs": states})
    elif states:
        _show_all(stdout(), states)
    else:
        typer.echo(f"No runs in {runs}.")


def stop(run: Run, runs: Runs = RUNS) -> None:
    """Pause a running run at its next safe point; it can be resumed."""
    folder = find_run(run, runs)
    if not is_running(folder):
        # Else the order would wait in the ledger and stop the next resume.
        raise ConfigError(f"{folder}: is not running, so there is nothing to pause.")
    from ...graph import stop as order

    number = order(folder)
    typer.echo(
        f"{folder.name}: told to pause (order {number}); `labelwright status` shows when it is "
        "paused."
    )


def _show_all(console: Console, states: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from ...tools.watch.status import STATES

    table = Table()
    for name in ("Run", "Status", "Stage"):
        table.add_column(name)
    for name in ("Rounds", "Spent", "Cap", "Labelled"):
        table.add_column(name, justify="right")
    for state in states:
        table.add_row(
            _name(state),
            STATES[state["status"]],
            state["stage"] or "",
            str(state["rounds"]),
            _usd(state["spent_usd"]),
            _usd(state["cap_usd"]),
            _labelled(state),
        )
    console.print(table)


def _show_one(console: Console, state: dict[str, Any]) -> None:
    from ...tools.watch.status import STATES

    held = f", {state['held_by']}" if state["held_by"] else ""
    console.print(f"{_name(state)}: {STATES[state['status']]}{held}", style="bold")
    uncertain = f", {_usd(state['uncertain_usd'])} uncertain" if state["uncertain_usd"] else ""
    lines = [
        ("Folder", state["folder"]),
        ("Stage", state["stage"] or "nothing done yet"),
        ("Rounds", str(state["rounds"])),
        (
            "Money",
            f"{_usd(state['spent_usd'])} spent, {_usd(state['reserved_usd'])} reserved{uncertain}, "
            f"cap {_usd(state['cap_usd'])}",
        ),
        ("Requests", f"{state['requests']:,}, {state['tokens']:,} tokens"),
        ("Labelled", _labelled(state) or "known when it stops or ends"),
        ("Last check", state["last_check"] or "none yet"),
    ]
    for name, value in lines:
        console.print(f"  {name:<11} {value}", soft_wrap=True)
    for line in _orders(state["directives"]):
        console.print(f"  {'Order':<11} {line}", soft_wrap=True)


def _name(state: dict[str, Any]) -> str:
    origin = state["replay_of"]
    return f"{state['name']} (replay of {origin})" if origin else str(state["name"])


def _orders(orders: list[dict[str, Any]]) -> list[str]:
    lines = [f"{one['seq']}: {_order(one)}" for one in orders if one["kind"] != REVIEW]
    # There may be hundreds, and several of a text: texts are counted, as everywhere.
    taken: set[Any] = set()
    waiting: set[Any] = set()
    for one in orders:
        if one["kind"] == REVIEW:
            given = one["payload"] if isinstance(one["payload"], dict) else {}
            text = given.get("item_id") or one["seq"]
            (waiting if one["acknowledged"] is None else taken).add(text)
    for texts, became in ((taken, "taken up"), (waiting, "not yet taken up")):
        if texts:
            count = "1 text" if len(texts) == 1 else f"{len(texts):,} texts"
            lines.append(f"reviews of {count} {became}")
    return lines


def _order(order: dict[str, Any]) -> str:
    answer = order["acknowledged"] or "not yet taken up"
    if order["kind"] != "cap":
        return f"{_WORDS.get(order['kind'], order['kind'].replace('_', ' '))} ({answer})"
    # The answer to a cap repeats it, and may say after a semicolon what it did not change.
    remark = answer.partition("; ")[2] if order["acknowledged"] else answer
    cap = f"cap set to {_usd(order['payload']['usd'])}"
    return f"{cap} ({remark})" if remark else cap


def _labelled(state: dict[str, Any]) -> str:
    if state["summary"] is None:
        return ""
    labels = state["summary"]["labels"]
    return f"{labels['accepted']:,} of {labels['texts']:,}"


def _usd(amount: float | None) -> str:
    from ...tools.money import show, to_nano

    return "no cap" if amount is None else show(to_nano(amount))
