"""What an order is read and checked against: the run as it stands at this moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tools.ledger import OPERATOR, Balance
from ...tools.money import to_nano
from ...tools.reviews import REVIEW
from ...tools.watch import RunReader, run_status
from ...tools.watch.money import cap_in_force, ordered_usd
from ...tools.watch.proposals import Suggestion, read_proposals
from ...tools.watch.queue import QUESTIONS_FILE, blind_items, unanswered
from ...tools.watch.status import State


@dataclass(frozen=True)
class Facts:
    """A run, as far as orders concern it. Money in nanodollars.

    Attributes:
        cap: The cap that counts from the next reservation on; ``None`` where none is known.
        point: What a point of accuracy is worth, and where the figure comes from, if that is known.
        questions: Open questions to people.
        unanswered: Counts those of them that have no settled answer.
        waiting: Whether an order waits that a resume would carry out.
        only_reviews: Whether all that wait are corrections, for which nothing is bought.
        an_item: Id of an item of the pool, for an example.
        item: The item that the page is about, for "this".
        by: Name of the operator.
        same_text: Item that has the text of an input row which repeats it.
    """

    name: str = "run"
    labels: tuple[str, ...] = ()
    state: State = "running"
    cap: int | None = None
    balance: Balance = field(default_factory=Balance)
    point: tuple[int, str] | None = None
    proposals: tuple[Suggestion, ...] = ()
    questions: int = 0
    waiting: bool = False
    only_reviews: bool = False
    an_item: str = ""
    guidelines: str = ""
    item: str | None = None
    by: str = OPERATOR
    has_item: Callable[[str], bool] = lambda _: True
    same_text: Callable[[str], str | None] = lambda _: None
    label_of: Callable[[str], str] = lambda _: "no label yet"
    unanswered: Callable[[], int] = lambda: 0

    @property
    def running(self) -> bool:
        """Whether a process carries the run."""
        return self.state == "running"


def read_facts(reader: RunReader, *, item: str | None = None, by: str = OPERATOR) -> Facts:
    """The facts of a run, by a handful of small queries."""
    task = reader.config["task"]
    pending = reader.rows(
        "SELECT DISTINCT kind FROM directives WHERE kind <> 'stop' "
        "AND seq NOT IN (SELECT directive FROM acknowledgements)"
    )
    known = bool(item) and _has_item(reader, str(item))
    return Facts(
        name=reader.name,
        labels=tuple(reader.labels),
        state=run_status(reader.folder).state,
        cap=cap_of(reader),
        balance=balance_of(reader),
        point=_point(reader),
        proposals=tuple(read_proposals(reader)),
        questions=_questions(reader.folder),
        waiting=bool(pending),
        only_reviews={kind for (kind,) in pending} == {REVIEW},
        an_item=_first_item(reader),
        guidelines=task.get("guidelines") or "",
        item=item if known else None,
        by=by or OPERATOR,
        has_item=lambda wanted: _has_item(reader, wanted),
        same_text=reader.same_text,
        label_of=lambda wanted: label_now(reader, wanted),
        unanswered=lambda: unanswered(reader),
    )


def balance_of(reader: RunReader) -> Balance:
    """The account as it stands."""
    rows = reader.rows(
        "SELECT spent, reserved, uncertain, tokens, tokens_reserved, requests "
        "FROM journal ORDER BY seq DESC LIMIT 1"
    )
    return Balance(*rows[0]) if rows else Balance()


def cap_of(reader: RunReader) -> int | None:
    """The money cap that was ordered last, else the configured one."""
    return cap_in_force(reader)[0]


def last_check(reader: RunReader) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Decision and evidence of the last check of the stop rule."""
    rows = reader.rows(
        "SELECT decision, evidence FROM decisions WHERE kind = 'stop_check' "
        "ORDER BY seq DESC LIMIT 1"
    )
    return (json.loads(rows[0][0]), json.loads(rows[0][1])) if rows else None


def label_now(reader: RunReader, item: str) -> str:
    """The label that an item has, in words; kept back while an audit asks for it blind."""
    if item in blind_items(reader.folder):
        return "an open question of an audit"
    rows = reader.rows(
        "SELECT label, p_correct, source, outcome FROM consensus WHERE item_id = ? "
        "ORDER BY seq DESC LIMIT 1",
        item,
    )
    if not rows:
        return "no label yet"
    label, p_correct, source, outcome = rows[0]
    sure = "" if p_correct is None else f", p_correct {p_correct:.2f}"
    if outcome != "accept":
        return f"set apart, {label or 'no label'} suggested{sure}"
    return f"{label or 'no label fits'}, by {source}{sure}"


def _point(reader: RunReader) -> tuple[int, str] | None:
    for (payload,) in reader.rows(
        "SELECT payload FROM directives WHERE kind = 'value' ORDER BY seq DESC"
    ):
        if (usd := ordered_usd(payload, "point_usd")) is not None:
            return to_nano(usd), "as ordered"
    stopping = reader.config.get("stopping", {})
    if stopping.get("point_value_usd") is not None:
        return to_nano(stopping["point_value_usd"]), "as configured"
    checked = last_check(reader)
    if checked is not None and checked[1].get("value"):
        return int(checked[1]["value"]) // 100, str(checked[1].get("value_from") or "")
    if stopping.get("items") and stopping.get("error_cost_usd"):
        each = to_nano(stopping["error_cost_usd"])
        return stopping["items"] * each // 100, "items x cost of an error, as configured"
    return None


def _questions(folder: Path) -> int:
    try:
        with (folder / QUESTIONS_FILE).open("rb") as file:
            return sum(1 for line in file if line.strip())
    except FileNotFoundError:
        return 0


def _first_item(reader: RunReader) -> str:
    found = reader.items("SELECT id FROM items ORDER BY position LIMIT 1")
    return str(found[0][0]) if found else ""


def _has_item(reader: RunReader, item: str) -> bool:
    return bool(reader.items("SELECT 1 FROM items WHERE id = ?", item))
