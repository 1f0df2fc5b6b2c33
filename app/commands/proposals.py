"""`labelwright proposals`, `accept`, `dismiss`: what the critic suggests, and a person's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import print_json, stdout
from ..options import RUNS, Json, Run, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from ...graph.proposals import Listed


def proposals(run: Run, runs: Runs = RUNS, json: Json = False) -> None:
    """List what the critic proposes, with price, evidence and predicted effect."""
    from ...graph.proposals import listed
    from ...graph.session import LEDGER_FILE
    from ...tools.ledger import Ledger

    folder = find_run(run, runs)
    with Ledger(folder / LEDGER_FILE, create=False) as ledger:
        entries = listed(ledger)
    if json:
        print_json({"run": folder.name, "proposals": [_row(entry) for entry in entries]})
        return
    if not entries:
        typer.echo(f"{folder.name}: no proposals.")
        return
    console = stdout()
    for entry in entries:
        row, proposal = _row(entry), entry.proposal
        price = "price unknown" if proposal.price_usd is None else f"${proposal.price_usd:.4f}"
        head = f"{entry.number}. {proposal.kind}: {proposal.target}"
        console.print(f"{head}  [{row['status']}]", style="bold", soft_wrap=True)
        for name, value in (
            ("Proposal", proposal.text),
            ("Evidence", proposal.evidence),
            ("Items", ", ".join(proposal.items[:5]) + (" ..." if len(proposal.items) > 5 else "")),
            ("Price", price),
            ("Effect", proposal.effect),
            ("By", f"{entry.by}, round {entry.round}"),
            ("Applied", entry.applied or ""),
        ):
            if value:
                console.print(f"   {name:<9} {value}", soft_wrap=True)
    typer.echo(
        f"Accept one with: labelwright accept {folder.name} NUMBER; answer it with no: labelwright "
        f"dismiss {folder.name} NUMBER"
    )


def accept(
    run: Run,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `proposals` lists it.")],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="LABEL", help="Name of a new label; repeat for a split."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", help="Description of the label, or sentence for the guidelines."),
    ] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Accept a proposal: order it of the run, or write the task for a new one."""
    from ...graph.acceptance import accept as decide

    folder = find_run(run, runs)
    made = decide(folder, number, names=name or (), text=text)
    if json:
        files = [str(path) for path in made.files]
        print_json({"run": folder.name, "number": number, "what": made.what, "files": files})
        return
    typer.echo(f"{folder.name}: proposal {number}: {made.what}.")


def dismiss(
    run: Run,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `proposals` lists it.")],
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Answer a proposal with no."""
    from ...graph.acceptance import dismiss as decide

    folder = find_run(run, runs)
    what = decide(folder, number)
    if json:
        print_json({"run": folder.name, "number": number, "what": what})
        return
    typer.echo(f"{folder.name}: proposal {number}: {what}.")


def _row(entry: Listed) -> dict[str, Any]:
    status = "applied" if entry.applied else "accepted" if entry.accepted else "open"
    status = "dismissed" if entry.dismissed else status
    return {
        "number": entry.number,
        "round": entry.round,
        "by": entry.by,
        "status": status,
        "accepted_by": entry.accepted,
        "applied": entry.applied,
        **entry.proposal.model_dump(),
    }
