"""The proposals of a run with what became of each, without opening more than the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from .reader import RunReader

RUN_KINDS = ("relabel_items", "generate_for_class", "drop_annotator")
"""What the run itself can carry out."""
TASK_KINDS = ("edit_guideline", "add_label", "remove_label", "merge_labels", "split_label")
"""What changes the task, and so needs a new run."""

State = Literal["open", "accepted", "applied", "dismissed"]


@dataclass(frozen=True)
class Suggestion:
    """One proposal.

    Attributes:
        number: Counted from 1, as `labelwright accept` takes it.
        seq: Number of the decision that made it.
        by: ``rule`` or ``model <name>``.
        price_usd: ``None`` where arithmetic can not tell.
        state: What became of it.
        became: What was said when it was taken up; empty before.
    """

    number: int
    seq: int
    round: int
    at: str
    by: str
    kind: str
    target: str
    text: str
    evidence: str
    items: tuple[str, ...]
    price_usd: float | None
    effect: str
    state: State
    became: str

    @property
    def changes_task(self) -> bool:
        """Whether it needs a new run."""
        return self.kind in TASK_KINDS

    @property
    def acceptable(self) -> bool:
        """Whether anything follows from accepting it."""
        return self.kind in RUN_KINDS or self.changes_task


def read_proposals(reader: RunReader) -> list[Suggestion]:
    """All proposals of a run, in order of their numbers."""
    answers: dict[int, tuple[State, str]] = {}
    said: set[int] = set()
    for decision, what in reader.rows(
        "SELECT json_extract(decision, '$.number'), '' FROM decisions WHERE kind = 'accepted'"
    ):
        answers[decision] = ("accepted", what)
    for kind, number, note in reader.rows(
        "SELECT d.kind, json_extract(d.payload, '$.number'), a.note FROM directives d "
        "LEFT JOIN acknowledgements a ON a.directive = d.seq "
        "WHERE d.kind IN ('accept_proposal', 'dismiss_proposal') ORDER BY d.seq"
    ):
        # A person's first word counts; of those on what the policy accepted, an acceptance.
        if number in said or (kind == "dismiss_proposal" and number in answers):
            continue
        said.add(number)
        accepted = kind == "accept_proposal"
        answers[number] = ("accepted", note or "") if accepted else ("dismissed", "")
    for number, what in reader.rows(
        "SELECT json_extract(decision, '$.number'), json_extract(decision, '$.what') "
        "FROM decisions WHERE kind = 'applied' ORDER BY seq"
    ):
        answers[number] = ("applied", str(what))
    found: list[Suggestion] = []
    for seq, round_, at, decision, by in reader.rows(
        "SELECT seq, round, at, decision, json_extract(evidence, '$.by') FROM decisions "
        "WHERE kind = 'proposals' ORDER BY seq"
    ):
        for written in json.loads(decision)["proposals"]:
            number = len(found) + 1
            state, became = answers.get(number, ("open", ""))
            found.append(
                Suggestion(
                    number=number,
                    seq=seq,
                    round=round_,
                    at=at,
                    by=str(by),
                    kind=written["kind"],
                    target=written["target"],
                    text=written["text"],
                    evidence=written["evidence"],
                    items=tuple(written["items"]),
                    price_usd=written.get("price_usd"),
                    effect=written.get("effect", ""),
                    state=state,
                    became=became,
                )
            )
    return found
