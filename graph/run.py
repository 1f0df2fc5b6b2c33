"""The headless API: start a run, take it up again, tell it to stop."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command

from ..agents.paid_call import CallStopped
from ..tools.errors import ConfigError
from ..tools.ledger import Directive, Ledger
from .build import build_graph
from .config import RunConfig, load_config
from .context import Notify, RunContext
from .deliver import deliver, write_summary
from .nodes.ask_human import check_answers
from .people import ANSWERS_FILE, finished_line, match_answers, read_lines, write_questions
from .proposals import awaiting
from .session import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    LEDGER_FILE,
    check_keys,
    create_run,
    open_run,
)
from .state import START, RunState
from .summary import summarise

Status = Literal["finished", "stopped", "waiting_for_people"]
Answer = Callable[[dict[str, Any]], dict[str, str | None] | None]
"""Answers questions: takes ``{annotator, purpose, labels, guidelines, questions}``, gives a label
(or ``None`` where none fits) by item id; what it leaves out stays unanswered. ``None`` instead of
answers lets the run wait."""

_THREAD: RunnableConfig = {"configurable": {"thread_id": "run"}, "max_concurrency": 4}
_POLL_S = 0.3
_AGAIN: RunState = {
    "go": "decide",
    "phase": "loop",
    "passes": 0,
    "streak": 0,
    "out_of_reach": [],
    "order": None,
    "stop": None,
}
"""What takes a finished run back into its loop; rounds, steps and audits count on."""


@dataclass(frozen=True)
class RunResult:
    """How a call to `run` or `resume` ended.

    Attributes:
        status: ``stopped`` and ``waiting_for_people`` can be resumed.
        folder: The run's folder.
        summary: What the run came to so far; see `summary.summarise`.
    """

    status: Status
    folder: Path
    summary: dict[str, Any]


def run(
    config: RunConfig | Path | str,
    *,
    name: str,
    runs: Path | str = "runs",
    answer: Answer | None = None,
    notify: Notify | None = None,
) -> RunResult:
    """Start a run and carry it to its end, to a stop, or to questions that nobody answers.

    Args:
        config: A configuration, or the path of a ``run.yaml``.
        name: Name of the run; its folder inside ``runs``.
        runs: Folder of all runs.
        answer: Answers the questions to people; without it the run waits, with the questions in
            ``questions.jsonl``.
        notify: Called with progress events, from several threads.

    Raises:
        LabelwrightError: What was wrong and what to do; what was paid for is kept.
    """
    if not isinstance(config, RunConfig):
        config = load_config(Path(config))
    folder = run_folder(runs, name)
    create_run(config, folder)
    return resume(folder, answer=answer, notify=notify)


def resume(
    folder: Path | str,
    *,
    answer: Answer | None = None,
    answers: Path | str | None = None,
    notify: Notify | None = None,
    usd: float | None = None,
) -> RunResult:
    """Take a run up where it was left, whatever ended it.

    Args:
        folder: The run's folder.
        answer: As for `run`; without it, answers are read from ``answers.jsonl`` if it is there.
        answers: A file of answers to the questions that are open now, in place of these two; an
            empty one says that nobody answers them.
        notify: As for `run`.
        usd: A new money cap, in USD, from now on. A run that had finished because of a cap goes on
            under a higher one; one that had finished for another reason stays finished.

    Raises:
        LabelwrightError: What was wrong and what to do; what was paid for is kept.
    """
    folder = Path(folder)
    file = None if answers is None else Path(answers)
    if file:
        read_lines(file)  # A name that is wrong is found before anything is done.
    control = RunControl()
    with (
        open_run(
            folder,
            notify=notify or _silent,
            stopping=lambda: control.drain_requested,
            usd=usd,
        ) as ctx,
        _listening(ctx.ledger, control),
        closing(sqlite3.connect(folder / CHECKPOINT_FILE, check_same_thread=False)) as connection,
    ):
        # Nothing but plain values is in the state, so no class needs to be let through.
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=[]))
        graph = build_graph().compile(checkpointer=saver)
        status = _drive(graph, ctx, control, answer, file)
        ctx.step = None
        reached = graph.get_state(_THREAD)
        state: RunState = {**START, **reached.values}  # type: ignore[typeddict-item]
        summary = summarise(ctx, state, status)
        if status == "waiting_for_people":
            payloads = list(_open_questions(reached).values())
            summary["people"] = {
                "questions": sum(len(payload["questions"]) for payload in payloads),
                "finished_line": finished_line(payloads[0]),
            }
        if status == "finished":
            deliver(ctx, summary)
        else:
            write_summary(folder, summary)
    return RunResult(status, folder, summary)


def stop(folder: Path | str) -> int:
    """Tell a run to stop at its next safe point, from whatever process.

    Returns:
        The directive's number in the ledger.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).exists():
        raise ConfigError(f"{folder}: not a run's folder; `labelwright status` lists runs.")
    with Ledger(folder / LEDGER_FILE, create=False) as ledger:
        return ledger.log.direct("stop")


def run_folder(runs: Path | str, name: str) -> Path:
    """The folder of a run.

    Raises:
        ConfigError: The name would leave the folder of runs.
    """
    if not name or name in {".", ".."} or Path(name).name != name or name.startswith("."):
        raise ConfigError(
            f"run name {name!r}: expected letters, digits, '-' and '_', without slashes."
        )
    return Path(runs) / name


def _drive(
    graph: Any, ctx: RunContext, control: RunControl, answer: Answer | None, file: Path | None
) -> Status:
    begun = graph.get_state(_THREAD)
    pending = _open_questions(begun)
    seen = bool(pending)
    if file and not seen:
        note = f"no question was open, so {file} was not used"
        ctx.notify({"event": "people", "annotator": "", "asked": 0, "answered": 0, "note": note})
    orders = [d for d in ctx.ledger.log.directives(pending=True) if d.kind == "cap"]
    # Not by ``begun.next``: it is empty, too, where a kill came between a node and its checkpoint.
    if begun.values.get("go") == "end":
        reason = begun.values["stop"]["reason"]
        raised = orders and orders[-1].payload["usd"] > orders[0].payload["was"]
        ordered = reason != "cap" and bool(awaiting(ctx.ledger))
        if not ordered and (reason != "cap" or not raised):
            _acknowledge(ctx, orders, f"; the run had finished ({reason}) and stays so")
            return "finished"
    check_keys(ctx.config)
    if begun.values.get("go") == "end":
        # What a cap has ended is decided anew, as if the training before had just been done.
        graph.update_state(_THREAD, _AGAIN, as_node="train")
        begun = graph.get_state(_THREAD)
    # Only now: a process that is killed before leaves the order to the next one.
    _acknowledge(ctx, orders, "")
    given: Any = None if begun.values else START
    while True:
        if pending:
            replies = {
                key: _answered(ctx, payload, answer, file, seen) for key, payload in pending.items()
            }
            if None in replies.values():
                write_questions(ctx.folder, list(pending.values()))
                return "waiting_for_people"
            given = Command(resume=replies)
        try:
            out = graph.invoke(
                given, _THREAD, context=ctx, durability="sync", control=control, version="v2"
            )
        except (GraphDrained, CallStopped):
            return "stopped"
        pending = {interrupt.id: interrupt.value for interrupt in out.interrupts}
        seen = False
        if not pending:
            return "finished"


def _acknowledge(ctx: RunContext, caps: list[Directive], note: str) -> None:
    for order in caps:
        ctx.ledger.log.acknowledge(order.seq, f"the cap is ${order.payload['usd']:g}{note}")


def _open_questions(snapshot: Any) -> dict[str, dict[str, Any]]:
    """Questions that wait for answers, by the id of their interrupt."""
    return {i.id: i.value for task in snapshot.tasks for i in task.interrupts}


def _answered(
    ctx: RunContext, payload: dict[str, Any], answer: Answer | None, file: Path | None, seen: bool
) -> dict[str, str | None] | None:
    """The checked answers to an order of questions; ``None`` lets the run wait.

    Args:
        ctx: The run.
        payload: The questions.
        answer: Answers them if no file was given for them.
        file: Answers to the questions that were open when the run was taken up.
        seen: Whether these were.
    """
    asked = {question["item_id"] for question in payload["questions"]}
    standing = ctx.folder / ANSWERS_FILE
    path = file if seen and file else None if answer or not standing.exists() else standing
    given: dict[str, str | None] | None = None
    note = ""
    if path is None:
        given = answer(payload) if answer else None
        if given is None:
            return None
        check_answers(given, asked, payload["labels"])
    elif lines := read_lines(path):
        # The file in the folder may grow from round to round; one that is handed in is of now.
        rows = cache(lambda: frozenset(row.id for row in ctx.rows))
        known = (lambda _: False) if path is file else (lambda i: i in ctx.pool or i in rows())
        given = match_answers(path, lines, payload, other=known) or None
        if given is None:
            note = (
                f"no line of {path} gives a label to an open question, so the run waits; "
                "an empty file says that nobody answers these"
            )
    elif seen:
        given, note = {}, f"{path} is empty, so the run goes on without"
    else:
        # Who left an empty file had not seen these questions.
        return None
    ctx.notify(
        {
            "event": "people",
            "annotator": payload["annotator"],
            "asked": len(asked),
            "answered": len(given or {}),
            "note": note,
        }
    )
    return given


@contextmanager
def _listening(ledger: Ledger, control: RunControl) -> Iterator[None]:
    """Turn stop directives and signals into a drain at the next safe point."""
    done = threading.Event()

    def look() -> None:
        for directive in ledger.log.directives(pending=True):
            if directive.kind == "stop":
                control.request_drain("operator")
                ledger.log.acknowledge(directive.seq, "stopping at the next safe point")

    def poll() -> None:
        while not done.wait(_POLL_S):
            look()

    # A stop may have come while the run was being opened.
    look()
    thread = threading.Thread(target=poll, name="directives", daemon=True)
    thread.start()
    previous: dict[int, Any] = {}

    def drain(number: int, _: Any) -> None:
        control.request_drain("signal")
        # Who asks twice wants out at once, and gets what the signal does without us.
        signal.signal(number, previous[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, drain)
    try:
        yield
    finally:
        for caught, handler in previous.items():
            signal.signal(caught, handler)
        done.set()
        thread.join()


def _silent(_: dict[str, Any]) -> None:
    """Progress that nobody watches."""
