"""`labelwright replay`: another stop rule, aggregation or setting on a finished run, at no cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import print_json, stderr, stdout
from ..options import RUNS, Json, Run, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from rich.console import Console

    from ...graph import Replay
    from ...graph.replay_labels import Reweighed
    from ...graph.replay_stops import StopRow


def replay(
    run: Run,
    runs: Runs = RUNS,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            "--stop",
            metavar="RULE",
            help="A stop rule, such as kappa or kappa:threshold=0.97; repeatable. All without.",
        ),
    ] = None,
    aggregation: Annotated[
        str | None,
        typer.Option("--aggregation", metavar="NAME", help="Weigh the votes again, e.g. majority."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy", metavar="NAME", help="Derive a run with this query strategy, e.g. random."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Derive a run with this seed.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.FIELD=VALUE",
            help="Derive a run with this setting, such as student.C=3; may be repeated.",
        ),
    ] = None,
    value: Annotated[
        float | None,
        typer.Option(
            "--value", metavar="USD", min=0.0, help="What a point of accuracy is worth, in USD."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the derived run; RUN-replay-N."),
    ] = None,
    json: Json = False,
) -> None:
    """Try something else on a finished run. Nobody is asked, nothing is paid.

    Stop rules and votes are looked at again as they are in the ledger. A strategy, a seed, other
    settings or --out carry out a derived run in a new folder, on the recorded votes. The original
    is not changed.
    """
    from ...graph import replay as again
    from ...graph.replay import parse_settings

    console = stderr()
    found = again(
        find_run(run, runs),
        stop=stop,
        aggregation=aggregation,
        strategy=strategy,
        seed=seed,
        settings=parse_settings(setting or []),
        value=value,
        out=out,
        notify=lambda event: _tell(console, event),
    )
    if json:
        print_json(found.to_dict())
        return
    _show(stdout(), found)


def _tell(console: Console, event: dict[str, Any]) -> None:
    if event["event"] == "decided":
        console.print(f"Round {event['round']}: {event['why'] or 'decided'}", soft_wrap=True)


def _show(console: Console, found: Replay) -> None:
    from .. import outcome

    if found.run is not None:
        outcome.show(console, found.run.summary, found.folder)
        console.print()
    if found.labels is not None:
        _show_labels(console, found.labels)
        console.print()
    _show_stops(console, found.stops)


def _show_stops(console: Console, rows: list[StopRow]) -> None:
    from rich.table import Table

    from ..rules_in_words import NO_GATES, rule_lines

    table = Table(title="Where each rule would have stopped", title_justify="left")
    table.add_column("Rule")
    for name in ("Round", "Labels", "Spent", "Audit", "Gold", "Spent + errors"):
        table.add_column(name, justify="right")
    for row in rows:
        if row.why_not:
            table.add_row(row.rule, row.why_not)
            continue
        table.add_row(
            row.rule,
            "goes on" if row.round is None else str(row.round),
            f"{row.labels:,}",
            _usd(row.spent_usd),
            _percent(row.audit),
            _percent(row.gold),
            _usd(row.cost_usd),
        )
    console.print(table)
    console.print(NO_GATES, style="dim", soft_wrap=True)
    for line in rule_lines(row.rule for row in rows):
        console.print(line, style="dim", soft_wrap=True, markup=False)


def _show_labels(console: Console, found: Reweighed) -> None:
    console.print(f"Votes weighed again: {found.aggregation}", style="bold")
    console.print(
        f"{found.items:,} texts with a vote; {found.differ:,} labels differ from the delivered "
        f"ones; mean p_correct {_belief(found)}"
    )
    if found.gold:
        again, before = found.gold["again"], found.gold["delivered"]
        console.print(
            f"Against gold ({found.gold['items']:,} texts with both labels): {_interval(again)}; "
            f"as delivered {_interval(before)}"
        )


def _belief(found: Reweighed) -> str:
    """What the labels are believed to be worth, where audits speak for all of them."""
    unproven = found.items - found.calibrated
    if not unproven:
        return _percent(found.mean_p_correct)
    return f"uncalibrated ({unproven:,} of {found.items:,} labels)"


def _interval(figure: dict[str, Any]) -> str:
    low, high = _percent(figure["low"]), _percent(figure["high"])
    return f"{_percent(figure['estimate'])} ({low} to {high}, {figure['n']:,} labels)"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _usd(amount: float | None) -> str:
    from ...tools.money import show, to_nano

    return "-" if amount is None else show(to_nano(amount))
