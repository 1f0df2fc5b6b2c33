"""Progress of a run: a live panel in a terminal, plain lines everywhere else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..tools.ledger import Balance, Ledger
from ..tools.money import show, to_nano
from .intake import gold_warning, rejected_lines
from .runs import LEDGER_FILE, check_line, read_state

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Event = dict[str, Any]
_QUIET_S = 10.0
"""Least seconds between two lines on answers."""


@contextmanager
def watching(
    folder: Path, console: Console, usd: float | None = None
) -> Iterator[Callable[[Event], None]]:
    """Show what a run does until the block ends.

    Args:
        folder: The run's folder.
        console: Where to; a panel if it is a terminal, else lines.
        usd: The money cap that is about to be set, if one is.

    Yields:
        What to call with each event; from any thread.
    """
    state = read_state(folder)
    cap = state["cap_usd"] if usd is None else usd
    tally = Tally(folder, None if cap is None else to_nano(cap), state["rounds"])
    live = console.is_terminal and not console.is_dumb_terminal
    screen = Live(tally, console=console, refresh_per_second=4, transient=True)
    lock = threading.Lock()

    def notify(event: Event) -> None:
        with lock:
            tally.update(event)
            # What is wrong with the data, or became of answers, has to outlast the panel.
            if (not live or event["event"] in {"ingested", "people"}) and (
                line := tally.line(event)
            ):
                console.print(line, soft_wrap=True, markup=False)

    try:
        with screen if live else nullcontext():
            yield notify
    finally:
        tally.close()


class Tally:
    """What the events of a run add up to; renders as a panel.

    Args:
        folder: The run's folder; money and requests are read from its ledger.
        cap: The money cap in nanodollars.
        rounds: Batches that were chosen before.
    """

    def __init__(self, folder: Path, cap: int | None, rounds: int = 0) -> None:
        self._folder, self._cap = folder, cap
        self._ledger: Ledger | None = None
        self._began = self._said = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._failed = 0
        self._stage = "starting"
        self._round = rounds
        self._part = f"round {rounds}"
        self._quality = "not trained yet"
        self._decision = "none yet"
        self._spent_by_round: list[int] = []

    def update(self, event: Event) -> None:
        """Take an event in."""
        kind = event["event"]
        if kind == "answers":
            for name in ("votes", "invalid", "not_asked", "skipped"):
                self._counts[name] += event[name]
        elif kind == "reading":
            self._stage = f"reading: {event['texts']:,} texts embedded"
        elif kind == "ingested":
            self._stage = f"read {event['rows']:,} rows, {event['texts']:,} texts"
        elif kind == "selected":
            self._round = event["round"]
            self._part = f"round {self._round}"
            self._stage = f"labelling {event['batch']} texts, {event['audit']} audits"
        elif kind == "generated":
            self._stage = f"generated {event['texts']} texts"
        elif kind == "ruled":
            self._stage = "judging the labels"
            self._failed = sum(entry["failed"] for entry in self._spending())
        elif kind == "trained":
            self._stage = "trained the student"
            self._quality = quality(event)
            self._spent_by_round.append(event["spent"])
        elif kind == "decided":
            self._decision = f"round {event['round']}: {_decision(event)}"
        elif kind == "sweep":
            self._part = "sweep"
            self._stage = f"sweep: {_asked(event['asked'])}"
        elif kind == "cap":
            self._cap = to_nano(event["usd"])
        elif kind == "corrections":
            self._stage = f"people have corrected {event['items']:,} labels"
        elif kind == "last_audit":
            self._part = "last audit"
            self._stage = f"last audit: {event['asked']:,} texts to {event['judge']}"
        elif kind == "rest_escalated":
            self._part = "texts that could not be accepted"
            self._stage = f"{self._part}: {event['asked']:,} to {event['judge']}"

    def line(self, event: Event) -> str | None:
        """An event as a line of a log; ``None`` where there is nothing to say."""
        kind, round_ = event["event"], f"round {self._round}"
        if kind == "reading":
            return self._now_and_then(self._stage)
        if kind == "ingested":
            return _read_line(event)
        if kind == "answers":
            return self._now_and_then(f"{self._part}: {self._answers()}; {self._money()}")
        if kind == "people":
            return _people_line(event)
        if kind == "selected":
            return f"{round_}: {event['batch']} texts chosen, {event['audit']} audits"
        if kind == "generated":
            why = f" ({event['failure']})" if event["failure"] else ""
            return f"{round_}: {event['texts']} texts generated{why}"
        if kind == "proposals":
            return f"{round_}: the critic proposes {len(event['proposals'])}: labelwright proposals"
        if kind == "trained":
            last = event["round"] > self._round
            when = "last training" if last else f"round {event['round']}"
            return f"{when}: {self._quality}; {self._money()}"
        if kind == "decided":
            return self._decision
        told = {"sweep", "corrections", "last_audit", "rest_escalated"}
        return self._stage if kind in told else None

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def __rich__(self) -> RenderableType:
        """The panel."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column()
        seconds = int(time.monotonic() - self._began)
        for name, value in (
            ("Stage", f"{self._stage}   {seconds // 60}:{seconds % 60:02d}"),
            ("Round", str(self._round)),
            ("Requests", f"{self._balance().requests:,} sent, {self._answers()}"),
            ("Tokens", f"{self._balance().tokens:,}"),
            ("Money", self._money()),
            ("Projected", self._projected()),
            ("Student", self._quality),
            ("Last decision", self._decision),
        ):
            table.add_row(name, Text(value))
        return Panel(table, title=Text(self._folder.name), title_align="left")

    def _answers(self) -> str:
        counts = self._counts
        return (
            f"{counts['votes']:,} votes, {counts['skipped']:,} cached, "
            f"{counts['invalid']:,} invalid, {self._failed:,} failed"
        )

    def _money(self) -> str:
        balance = self._balance()
        parts = [f"{show(balance.spent)} spent"]
        if balance.reserved:
            parts.append(f"{show(balance.reserved)} reserved")
        if balance.uncertain:
            parts.append(f"{show(balance.uncertain)} uncertain")
        cap = "" if self._cap is None else f" of the cap of {show(self._cap)}"
        return ", ".join(parts) + cap

    def _projected(self) -> str:
        spent = self._spent_by_round
        if len(spent) < 2:
            return "after two rounds"
        each = (spent[-1] - spent[0]) // (len(spent) - 1)
        if not each or self._cap is None:
            return f"{show(each)} a round"
        left = max(0, self._cap - self._balance().committed) // each
        return f"{show(each)} a round; the cap is {left:,} such rounds away"

    def _now_and_then(self, line: str) -> str | None:
        now = time.monotonic()
        if now - self._said < _QUIET_S:
            return None
        self._said = now
        return line

    def _balance(self) -> Balance:
        ledger = self._opened()
        return ledger.balance() if ledger else Balance()

    def _spending(self) -> list[dict[str, Any]]:
        ledger = self._opened()
        return ledger.spending() if ledger else []

    def _opened(self) -> Ledger | None:
        path = self._folder / LEDGER_FILE
        if self._ledger is None and path.exists():
            self._ledger = Ledger(path, create=False)
        return self._ledger


def quality(metrics: Event) -> str:
    """What a round's training says of the student, in a line."""
    line = (
        f"agrees with {metrics['agreement']:.1%} of {metrics['labels']:,} labels, "
        f"macro-F1 {metrics['macro_f1']:.2f}"
    )
    if metrics["audit_student"] is None:
        return f"{line}, not audited"
    return (
        f"{line}; audit {metrics['audit_student']:.1%} "
        f"({metrics['audit_student_low']:.1%} to {metrics['audit_student_high']:.1%}, "
        f"n = {metrics['audited']})"
    )


def _read_line(event: Event) -> str:
    rejected = event["rejected"]
    lines = [
        f"read {event['rows'] + rejected:,} rows: {event['texts']:,} texts, "
        f"{event['duplicates']:,} duplicates, {event['near_duplicates']:,} near-duplicates, "
        f"{rejected:,} rejected",
        *rejected_lines(rejected, event["reasons"], event["rejected_file"]),
    ]
    if warning := gold_warning(event["gold_outside_label_set"]):
        lines.append(f"Note: {warning}")
    return "\n".join(lines)


def _people_line(event: Event) -> str:
    answered = f"{event['answered']} of {event['asked']} answered"
    who = f"{event['annotator']}: {answered}" if event["asked"] else ""
    return "; ".join(part for part in (who, event["note"]) if part)


def _decision(event: Event) -> str:
    # The explanation begins "Round 3: continue, for <why>."
    why = str(event["explanation"] or "").partition("\n")[0].partition(", for ")[2]
    check = {"why": why.removesuffix(".")}
    return check_line({"stop": event["stop"], "order": event["order"]}, {"check": check})


def _asked(counts: dict[str, int]) -> str:
    asked = [f"{name} about {count:,} texts" for name, count in counts.items()]
    return ", ".join(asked) or "nothing more is worth its price"
