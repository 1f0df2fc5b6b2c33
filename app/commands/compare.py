"""`labelwright compare`: runs side by side, and where the labels of two of them differ."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...tools.errors import ConfigError
from ..console import print_json, stdout
from ..options import RUNS, Json, Runs
from ..runs import find_run

if TYPE_CHECKING:
    from rich.console import Console

    from ...tools.watch import RunReader
    from ...tools.watch.differences import Differences
    from ...tools.watch.measures import Measures

_PAIRS = 10
"""Pairs of labels that are printed; --json has all."""
_TEXT = 200


def compare(
    runs_: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Names or folders of two or more.")
    ],
    differences: Annotated[
        int | None,
        typer.Option(
            "--differences", metavar="N", min=1, help="Of two runs: list N texts that differ."
        ),
    ] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> None:
    """Put runs side by side: labels, accuracy, money, why they stopped; and two label by label."""
    from ...tools.watch import RunReader
    from ...tools.watch import differences as between
    from ...tools.watch.live import Live
    from ...tools.watch.measures import measures

    folders = [find_run(run, runs) for run in runs_]
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise ConfigError("compare: expected two or more different runs.")
    if differences is not None and len(folders) != 2:
        raise ConfigError("--differences: expected two runs; their labels are put side by side.")
    with ExitStack() as stack:
        readers = [RunReader(folder) for folder in folders]
        for reader in readers:
            stack.callback(reader.close)
        found = [measures(Live(reader)) for reader in readers]
        one, other = readers[:2]
        labels = between.differences(one, other) if len(readers) == 2 else None
        if json:
            rows = [_plain(one, folder) for one, folder in zip(found, folders, strict=True)]
            pair = labels and _plain_labels(one, other, labels, differences or 0)
            print_json({"runs": rows, "labels": pair})
            return
        _show(stdout(), found, folders)
        if labels is not None:
            _show_labels(stdout(), one, other, labels, differences or 0)


def _show(console: Console, found: list[Measures], folders: list[Path]) -> None:
    from rich.table import Table

    from ..plain_text import visible

    table = Table()
    table.add_column("")
    for folder in folders:
        table.add_column(visible(folder.name), overflow="fold")
    columns = [_cells(one) for one in found]
    for name in columns[0]:
        table.add_row(name, *(visible(column[name]) for column in columns))
    console.print(table)


def _cells(found: Measures) -> dict[str, str]:
    from ...tools.money import show
    from ...tools.report import accuracy, count, number, percent
    from ...tools.watch.status import STATES

    gold = found.gold
    stop = f"after round {found.stop[0]}: {found.stop[1]}" if found.stop else "not by itself"
    return {
        "State": STATES[found.state],
        "Replay of": found.replay_of or "-",
        "Texts": count(found.texts),
        "Labelled": f"{count(found.labelled)} ({percent(found.completion)})",
        "Set apart": count(found.set_apart),
        "Label accuracy, audit": accuracy(asdict(found.labels)),
        "Label accuracy, gold": accuracy(asdict(gold.accuracy)) if gold else "-",
        "Label macro-F1, gold": number(gold.macro_f1) if gold else "-",
        "Student accuracy, audit": accuracy(asdict(found.student)),
        "Student macro-F1": number(found.macro_f1),
        "Spent": show(found.spent),
        "Cap": "no cap" if found.cap is None else show(found.cap),
        "Requests": count(found.requests),
        "Rounds": count(found.rounds),
        "Stopped": stop,
    }


def _show_labels(
    console: Console, one: RunReader, other: RunReader, found: Differences, most: int
) -> None:
    from rich.text import Text

    from ...tools.watch.differences import other_texts
    from ..plain_text import visible

    if not found.shared:
        console.print("No text is in both pools, so that labels can not be compared.")
        return
    share = f" ({found.same / found.both:.1%})" if found.both else ""
    alone = f", {found.alone:,} of them labelled by one run only" if found.alone else ""
    console.print(
        f"{found.shared:,} texts in both; {found.both:,} labelled by both, {found.same:,} of them "
        f"alike{share}; {len(found.items):,} differ{alone}",
        soft_wrap=True,
    )
    changed, looked_at = other_texts(one, other, found)
    if changed:
        console.print(
            f"Of {looked_at:,} texts looked at, {changed:,} have the same id and another text: the "
            "runs may be over different data.",
            soft_wrap=True,
        )
    if found.items:
        console.print("Pairs of labels, the commonest first:")
    for (label, theirs), n in found.commonest[:_PAIRS]:
        line = f"{n:>7,}  {_word(label)} / {_word(theirs)}"
        console.print(Text(visible(line)), soft_wrap=True)
    for entry in _listed(one, other, found, most):
        said = f"{_word(entry['labels'][0])} / {_word(entry['labels'][1])}"
        console.print(Text(visible(f"\n{entry['item']}: {said}"), "bold"), soft_wrap=True)
        console.print(Text(visible(entry["text"][:_TEXT])))


def _word(label: str | None) -> str:
    return label or "without a label"


def _listed(
    one: RunReader, other: RunReader, found: Differences, most: int
) -> list[dict[str, Any]]:
    from ...tools.watch.queue import blind_items

    # Whoever is to answer an audit may be at this terminal.
    hidden = blind_items(one.folder) | blind_items(other.folder)
    items = [it for it in found.items if it.item not in hidden][:most]
    texts = one.texts([it.item for it in items])
    return [
        {
            "item": it.item,
            "labels": [it.one or None, it.other or None],
            "sources": [it.one_source or None, it.other_source or None],
            "text": texts.get(it.item, ""),
        }
        for it in items
    ]


def _plain(found: Measures, folder: Path) -> dict[str, Any]:
    from ...tools.money import to_usd

    plain = asdict(found)
    plain["stop"] = found.stop and {"round": found.stop[0], "why": found.stop[1]}
    plain["spent_usd"] = to_usd(plain.pop("spent"))
    cap = plain.pop("cap")
    plain["cap_usd"] = None if cap is None else to_usd(cap)
    return {"name": folder.name, "completion": found.completion, **plain}


def _plain_labels(
    one: RunReader, other: RunReader, found: Differences, most: int
) -> dict[str, Any]:
    from ...tools.watch.differences import other_texts

    return {
        "shared": found.shared,
        "both": found.both,
        "same": found.same,
        "differ": len(found.items),
        "other_texts": other_texts(one, other, found)[0],
        "pairs": [
            {"labels": [label or None, theirs or None], "texts": n}
            for (label, theirs), n in found.commonest
        ],
        "items": _listed(one, other, found, most),
    }
