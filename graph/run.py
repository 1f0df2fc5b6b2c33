"""The headless API: start a run, take it up again, tell it to stop."""

from __future__ import annotations

import sqlite3
from contextlib import closing
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
from ..tools.ledger import Directive, Ledger
from .answers import Answer, by_value, find_answers
from .build import build_graph
from .config import RunConfig, load_config
from .context import Notify, RunContext
from .corrections import corrections_wait
from .deliver import deliver, write_summary
from .directives import (
    CAP,
    FINISH,
    FOCUS,
    HAND_IN,
    VALUE,
    acknowledge_caps,
    amount,
    listening,
    turn_away,
)
from .events import EventLog
from .people import finished_line, read_lines, write_questions
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
_THREAD: RunnableConfig = {"configurable": {"thread_id": "run"}, "max_concurrency": 4}
_AGAIN: RunState = {
    "go": "decide",
    "phase": "loop",
    "passes": 0,
    "streak": 0,
    "out_of_reach": [],
    "order": None,
    "stop": None,
    "ended": False,
}
"""What takes a finished run back into its loop; rounds, steps and audits count on."""

_DELIVER_AGAIN: RunState = {"go": "finish", "phase": "deliver", "ended": True}
"""What lets a finished run learn corrections and deliver again, and buy nothing."""


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
        answer: As for `run`; without it, answers are read from ``answers.jsonl`` if it is there,
            and else from the reviews in the ledger.
        answers: A file of answers to the questions that are open now, in place of these two; an
            empty one says that nobody answers them.
        notify: As for `run`.
        usd: A new money cap, in USD, from now on. A run that had finished because of a cap goes on
            under a higher one; one that had finished for another reason stays finished. Where
            people have corrected labels since, it learns them and delivers again, for nothing.

    Raises:
        LabelwrightError: What was wrong and what to do; what was paid for is kept.
    """
    folder = Path(folder)
    file = None if answers is None else Path(answers)
    if file:
        read_lines(file)  # A name that is wrong is found before anything is done.
    control = RunControl()
    events = EventLog(folder)
    with (
        open_run(
            folder,
            notify=events.beside(notify or _silent),
            stopping=lambda: control.drain_requested,
            usd=usd,
            events=events,
        ) as ctx,
        listening(ctx, control),
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
            write_questions(folder, [])
            deliver(ctx, summary)
        else:
            write_summary(folder, summary)
        events.outcome = status
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
    caps = [d for d in ctx.ledger.log.directives(CAP, pending=True) if d.seq <= ctx.opened_at]
    # Not by ``begun.next``: it is empty, too, where a kill came between a node and its checkpoint.
    over = begun.values.get("go") == "end"
    again = over and _goes_on(ctx, begun.values, caps)
    if over and not again and not corrections_wait(ctx):
        note = f"the run had finished ({begun.values['stop']['reason']}) and stays so"
        acknowledge_caps(ctx, caps, f"; {note}")
        turn_away(ctx, note, {FINISH, FOCUS, VALUE, HAND_IN})
        return "finished"
    if again or not over:
        check_keys(ctx.config)
    if over:
        turn_away(ctx, "the run had finished", {FINISH, HAND_IN})
        # It is decided anew, or delivered anew, as if the training before had just been done.
        graph.update_state(_THREAD, _AGAIN if again else _DELIVER_AGAIN, as_node="train")
        begun = graph.get_state(_THREAD)
    # Only now: a process that is killed before leaves the order to the next one.
    acknowledge_caps(ctx, caps, "")
    given: Any = None if begun.values else START
    while True:
        if pending:
            step = graph.get_state(_THREAD).values["step"]
            replies = {
                key: find_answers(ctx, payload, answer, file, seen, step)
                for key, payload in pending.items()
            }
            if None in replies.values():
                state = graph.get_state(_THREAD).values
                write_questions(ctx.folder, [by_value(ctx, state, p) for p in pending.values()])
                return "waiting_for_people"
            write_questions(ctx.folder, [])
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
            # They would else be taken for orders to the run that goes on from here one day.
            turn_away(ctx, "the run has finished", {FINISH, FOCUS, VALUE, HAND_IN})
            return "finished"
        turn_away(ctx, "no question was open", {HAND_IN})


def _goes_on(ctx: RunContext, ended: dict[str, Any], caps: list[Directive]) -> bool:
    """Whether a run that is over goes on: under a higher cap, or for an accepted proposal."""
    if ended["stop"]["reason"] != "cap":
        return bool(awaiting(ctx.ledger))
    was = ended.get("cap")
    if was is None:
        # It was ended by an earlier version.
        was = next((w for cap in caps if (w := amount(cap.payload, "was")) is not None), None)
    return was is not None and ctx.config.budget.usd > was


def _open_questions(snapshot: Any) -> dict[str, dict[str, Any]]:
    """Questions that wait for answers, by the id of their interrupt."""
    return {i.id: i.value for task in snapshot.tasks for i in task.interrupts}


def _silent(_: dict[str, Any]) -> None:
    """Progress that nobody watches."""
