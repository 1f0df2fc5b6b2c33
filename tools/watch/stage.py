"""What a run is doing: its node, its round, and how far each stage has come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .balance import pool_size
from .decided import ruled
from .reader import RunReader

Event: TypeAlias = dict[str, Any]

NODES = (
    "ingest",
    "select",
    "generate",
    "annotate",
    "critique",
    "ask_human",
    "train",
    "decide",
    "finish",
)
AFTER = {
    "ingest": "select",
    "batch": "annotate",
    "rulings": "critique",
    "consistency": "train",
    "proposals": "train",
    "trained": "decide",
    "audit_change": "annotate",
    "sweep": "annotate",
    "last_audit": "annotate",
    "rest_escalated": "annotate",
    "deliver": "finish",
}
"""The node that is under way after a decision of this kind, for runs that report no nodes."""


@dataclass(frozen=True)
class Step:
    """One stage of a run in words; `done` of `total`, 0 where there is nothing to count."""

    name: str
    detail: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Stage:
    """Where a run is.

    Attributes:
        node: One of `NODES`; empty before the first.
        round: The batch it is about; 0 before the first.
        phase: ``loop``, ``audit``, ``sweep`` or ``deliver``; empty where it is not reported.
        since: When the node began, as an ISO time; empty where it is not reported.
        started: When the process began that is going on, or that was the last.
        now: What is being done, in words.
        done: Answers to the questions under way.
        total: Questions under way; 0 where there is nothing to count.
        steps: Every stage so far, in order.
    """

    node: str
    round: int
    phase: str
    since: str
    started: str
    now: str
    done: int
    total: int
    steps: tuple[Step, ...]


@dataclass
class Stages:
    """What the events of a run add up to; each refresh reads only what has come since."""

    _place: int = 0
    _node: Event = field(default_factory=dict)
    _started: str = ""
    _last: dict[str, Event] = field(default_factory=dict)
    _answers: Counter[str] = field(default_factory=Counter)
    _votes_before: int = 0
    _total: int = 0
    _asked: str = ""
    _seq: int = 0
    _kind: str = ""
    _round: int = 0
    _batch: int = 0

    def refresh(self, reader: RunReader) -> Stage:
        """Where the run is at this moment.

        Raises:
            LedgerError: The ledger or the pool can not be read.
        """
        events, self._place = reader.events(self._place)
        for event in events:
            self._take(event)
        self._decided(reader)
        last = reader.rows("SELECT max(vote_id) FROM votes")
        votes = int(last[0][0] or 0) if last else 0
        answers = max(0, votes - self._votes_before) if self._total else 0
        node = str(self._node.get("node") or AFTER.get(self._kind) or self._by_check())
        round_ = max(int(self._node.get("round") or 0), self._round)
        steps = tuple(self._steps(reader, answers, round_))
        return Stage(
            node if node in NODES else "",
            round_,
            str(self._node.get("phase") or ""),
            str(self._node.get("at") or ""),
            self._started,
            WORDS.get(node, ""),
            min(answers, self._total),
            self._total,
            steps,
        )

    def _take(self, event: Event) -> None:
        kind = str(event.get("event"))
        if kind == "node":
            self._node = event
        elif kind == "process":
            if event.get("status") == "started":
                self._started = str(event.get("at") or "")
            else:
                self._node = {}
        elif kind == "answers":
            self._answers.update({name: int(event.get(name) or 0) for name in _ANSWERS})
        else:
            self._last[kind] = event
            if kind == "trained":
                # What was asked since is measured from here, exactly.
                self._answers.clear()
                self._votes_before, self._total = int(event["votes"]), 0
            elif kind in _QUESTIONS:
                self._votes_before += self._answers["votes"] + self._answers["invalid"]
                self._answers.clear()
                self._total, self._asked = _QUESTIONS[kind](event), kind

    def _decided(self, reader: RunReader) -> None:
        for seq, kind, number in reader.rows(
            "SELECT seq, kind, round FROM decisions WHERE seq > ? ORDER BY seq", self._seq
        ):
            self._seq, self._round = seq, number
            if kind == "batch":
                self._batch = number
            # What is only noted beside a step says nothing of the next.
            if kind in AFTER or kind == "stop_check":
                self._kind = kind
            if kind in _TOLD and not self._place:
                self._last[_TOLD[kind]] = _as_event(reader, seq, number)

    def _by_check(self) -> str:
        if self._kind != "stop_check":
            return ""
        return "finish" if (self._last.get("decided") or {}).get("stop") else "select"

    def _steps(self, reader: RunReader, answers: int, round_: int) -> list[Step]:
        last = self._last
        steps = [Step("Reading", self._reading(reader))]
        if chosen := last.get("selected"):
            parts = [
                f"{chosen[name]:,} {word}"
                for name, word in (("batch", "texts"), ("audit", "audits"), ("recheck", "rechecks"))
                if chosen.get(name)
            ]
            steps.append(Step("Choosing", f"round {chosen['round']}: {', '.join(parts)}"))
        if written := last.get("generated"):
            steps.append(Step("Writing texts", f"{written['texts']:,} texts"))
        if self._asked and self._total:
            about = {
                "sweep": "the rest of the pool",
                "last_audit": "the last audit",
                "rest_escalated": "what could not be accepted",
            }.get(self._asked, f"round {round_}")
            # Some texts are put to several annotators, so answers may outnumber them.
            detail = f"{about}: {answers:,} answers to {self._total:,} texts"
            steps.append(Step("Asking", detail, min(answers, self._total), self._total))
        if judged := last.get("ruled"):
            counts = {
                name: n
                for name, n in judged.items()
                if name not in {"event", "at", "round"} and isinstance(n, int)
            }
            steps.append(Step("Judging", f"round {judged['round']}: {ruled(counts)}"))
        if trained := last.get("trained"):
            when = f"round {trained['round']}"
            if trained["round"] > self._batch:
                when = "the last one"  # after the last batch, and in no round
            steps.append(Step("Training", f"{when}: {trained['labels']:,} labels"))
        if decided := last.get("decided"):
            steps.append(Step("Deciding", f"round {decided['round']}: {_decided(decided)}"))
        if people := last.get("people"):
            steps.append(Step("People", _people(people)))
        return steps

    def _reading(self, reader: RunReader) -> str:
        read = self._last.get("ingested")
        if read:
            return f"{read['rows']:,} rows, {read['texts']:,} different texts"
        size = pool_size(reader)
        return f"{size:,} texts" if size else "not begun"


WORDS = {
    "ingest": "reading the texts",
    "select": "choosing what to ask next",
    "generate": "writing texts of rare classes",
    "annotate": "asking annotators",
    "critique": "judging the answers",
    "ask_human": "asking people",
    "train": "training the student",
    "decide": "weighing whether to go on",
    "finish": "finishing",
}
_ANSWERS = ("votes", "invalid", "not_asked", "skipped")
_QUESTIONS: dict[str, Callable[[Event], int]] = {
    "selected": lambda e: int(e["batch"]) + int(e["audit"]) + int(e.get("recheck") or 0),
    "sweep": lambda e: sum(e["asked"].values()),
    "last_audit": lambda e: int(e["asked"]),
    "rest_escalated": lambda e: int(e["asked"]),
    "audit_change": lambda e: int(e["asked"]),
}
"""How many texts the questions that begin with an event are about."""


_TOLD = {"ingest": "ingested", "trained": "trained", "stop_check": "decided"}
"""Decisions that say the same as an event, for runs that report none."""


def _as_event(reader: RunReader, seq: int, round_: int) -> Event:
    decision, evidence = map(
        json.loads, reader.rows("SELECT decision, evidence FROM decisions WHERE seq = ?", seq)[0]
    )
    why = (evidence.get("check") or {}).get("why")
    return {"why": why, **evidence, **decision, "round": round_}


def _decided(event: Event) -> str:
    if stop := event.get("stop"):
        return f"stop: {str(stop['reason']).replace('_', ' ')}"
    if order := event.get("order"):
        return f"a gate orders {str(order['action']).replace('_', ' ')}"
    return f"go on: {event.get('why') or 'no check yet'}"


def _people(event: Event) -> str:
    asked = int(event.get("asked") or 0)
    parts = [f"{event.get('answered', 0)} of {asked} answered"] if asked else []
    return "; ".join([*parts, *filter(None, [str(event.get("note") or "")])])


def finished_seconds(reader: RunReader) -> float | None:
    """Wall time of a run that wrote a summary, over all resumes."""
    try:
        with (reader.folder / "summary.json").open(encoding="utf-8") as file:
            seconds = json.load(file).get("seconds")
    except (OSError, ValueError):
        return None
    return None if seconds is None else float(seconds)
