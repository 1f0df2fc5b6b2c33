"""The headless API: start a run, take it up again, tell it to stop."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
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
from ..tools.ledger import Ledger
from .build import build_graph
from .config import RunConfig, load_config
from .context import Notify, RunContext
from .deliver import deliver, write_summary
from .nodes.ask_human import check_answers
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

QUESTIONS_FILE = "questions.jsonl"
ANSWERS_FILE = "answers.jsonl"
_THREAD: RunnableConfig = {"configurable": {"thread_id": "run"}, "max_concurrency": 4}
_POLL_S = 0.3


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
    notify: Notify | None = None,
    usd: float | None = None,
) -> RunResult:
    """Take a run up where it was left, whatever ended it.

    Args:
        folder: The run's folder.
        answer: As for `run`; without it, answers are read from ``answers.jsonl`` if it is there.
        notify: As for `run`.
        usd: A new money cap, in USD, from now on.

    Raises:
        LabelwrightError: What was wrong and what to do; what was paid for is kept.
    """
    folder = Path(folder)
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
        status = _drive(graph, ctx, control, answer or _answers_from(folder))
        ctx.step = None
        state: RunState = {**START, **graph.get_state(_THREAD).values}  # type: ignore[typeddict-item]
        summary = summarise(ctx, state, status)
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


def _drive(graph: Any, ctx: RunContext, control: RunControl, answer: Answer | None) -> Status:
    begun = graph.get_state(_THREAD)
    # Not by ``begun.next``: it is empty, too, where a kill came between a node and its checkpoint.
    if begun.values.get("go") == "end":
        return "finished"
    check_keys(ctx.config)
    given: Any = None if begun.values else START
    pending = {i.id: i.value for task in begun.tasks for i in task.interrupts}
    while True:
        if pending:
            replies = {key: answer(value) if answer else None for key, value in pending.items()}
            if None in replies.values():
                _write_questions(ctx.folder, list(pending.values()))
                return "waiting_for_people"
            for key, payload in pending.items():
                asked = {question["item_id"] for question in payload["questions"]}
                check_answers(replies[key], asked, payload["labels"])
            given = Command(resume=replies)
        try:
            out = graph.invoke(
                given, _THREAD, context=ctx, durability="sync", control=control, version="v2"
            )
        except (GraphDrained, CallStopped):
            return "stopped"
        pending = {interrupt.id: interrupt.value for interrupt in out.interrupts}
        if not pending:
            return "finished"


def _write_questions(folder: Path, payloads: list[dict[str, Any]]) -> None:
    lines = [
        json.dumps({**question, "labels": payload["labels"]}, ensure_ascii=False)
        for payload in payloads
        for question in payload["questions"]
    ]
    (folder / QUESTIONS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _answers_from(folder: Path) -> Answer | None:
    """Answers out of a file of ``{"item_id", "label"}`` lines; it is read anew for each question.

    The run waits when the file answers none of the questions: they were put after it was written.
    """
    path = folder / ANSWERS_FILE
    if not path.exists():
        return None

    def answer(payload: dict[str, Any]) -> dict[str, str | None] | None:
        wanted = {question["item_id"] for question in payload["questions"]}
        given: dict[str, str | None] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if entry["item_id"] in wanted:
                    given[entry["item_id"]] = entry["label"]
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f'{path}, line {number}: expected {{"item_id": ..., "label": ...}} ({error}).'
                ) from error
        return given or None

    return answer


@contextmanager
def _listening(ledger: Ledger, control: RunControl) -> Iterator[None]:
    """Turn stop directives and signals into a drain at the next safe point."""
    done = threading.Event()
    for directive in ledger.log.directives(pending=True):
        if directive.kind == "stop":
            ledger.log.acknowledge(directive.seq, "the run had ended by itself")

    def poll() -> None:
        while not done.wait(_POLL_S):
            for directive in ledger.log.directives(pending=True):
                if directive.kind == "stop":
                    control.request_drain("operator")
                    ledger.log.acknowledge(directive.seq, "stopping at the next safe point")

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
