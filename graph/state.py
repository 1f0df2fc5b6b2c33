"""State of the graph: ids, counters and decisions.

Texts and vectors are in the pool, votes and money in the ledger, students in the run's folder.
"""

from __future__ import annotations

from operator import add
from typing import Annotated, Any, Literal

# Before Python 3.12 pydantic, and so LangGraph's schemas, can not read typing's own.
from typing_extensions import TypedDict

from ..agents.ensemble import Ask
from ..tools.gates import Action


class Report(TypedDict):
    """What a block of questions came to."""

    annotator: str
    answered: int
    not_asked: list[str]


class Block(TypedDict):
    """Blocks of questions that are put one after the other."""

    orders: list[Ask]
    round: int


class Order(TypedDict):
    """What a failed gate asks of the next round."""

    action: Action
    classes: list[int]


class RunState(TypedDict, total=False):
    """What goes from node to node.

    Attributes:
        step: Counts the nodes that decide; the key under which decisions are kept once.
        round: 0 before the first batch.
        phase: ``loop``; ``audit`` while changed predictions are audited before a stop; then
            ``sweep`` and ``deliver`` once the run has decided to stop.
        passes: How often the critic has seen this round's batch.
        batch: Items this round is about: chosen, audited and rechecked.
        recheck: Items whose labels are to be put to another annotator whatever their probability.
        sent_on: Items of this round that went past the first annotator of the cascade.
        audited: How far the audits have come in the fixed random order of the pool.
        asks: Whom to ask next about what.
        questions: Orders to people, put by ``ask_human``.
        put: How many questions people have been put in this round.
        reports: What the blocks of questions came to since the critic looked last.
        out_of_reach: Annotators that the caps no longer pay for.
        order: What a failed gate asks of the next round, with the classes it is for.
        intended: Labels that this round's synthetic items were written for.
        settled: Items of this round on which the critic's model has the last word.
        tried: What gates have asked for since the streak began.
        lead: Place in the cascade of the annotator that is asked first.
        streak: Checks in a row in which the next dollar was not worth it.
        best_round: The round whose student is kept.
        seconds: Wall time of the run so far, over all resumes.
        go: Where to go next.
        stop: Why the run stops, with its evidence.
        ended: Whether the operator has ended the run: nothing more is bought.
        cap: The money cap in USD when the run decided to stop.
    """

    step: int
    round: int
    phase: Literal["loop", "audit", "sweep", "deliver"]
    passes: int
    batch: list[str]
    recheck: list[str]
    sent_on: list[str]
    audited: int
    asks: list[Ask]
    questions: list[Ask]
    put: int
    reports: Annotated[list[Report], add]
    out_of_reach: list[str]
    order: Order | None
    intended: dict[str, str]
    settled: list[str]
    tried: list[Action]
    lead: int
    streak: int
    best_round: int
    seconds: float
    go: str
    stop: dict[str, Any] | None
    ended: bool
    cap: float | None


AFTER_ANSWERS = {"loop": "critique", "audit": "decide"}
"""Where answers lead in each phase; to ``finish`` in the others."""

START: RunState = {
    "step": 0,
    "round": 0,
    "phase": "loop",
    "passes": 0,
    "batch": [],
    "recheck": [],
    "sent_on": [],
    "audited": 0,
    "asks": [],
    "questions": [],
    "put": 0,
    "out_of_reach": [],
    "order": None,
    "intended": {},
    "settled": [],
    "tried": [],
    "lead": 0,
    "streak": 0,
    "best_round": 0,
    "seconds": 0.0,
    "go": "",
    "stop": None,
    "ended": False,
    "cap": None,
}
