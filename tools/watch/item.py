"""All that a run's files say of one item."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ledger.records import CHECK_ATTEMPTS
from .reader import RunReader

_BLOCK = 8_192
_MOST_ROWS = 50
_EXAMPLES = 64


@dataclass(frozen=True)
class VoteLine:
    """One answer on the item.

    Attributes:
        invalid: Why there is no label.
        cost: The item's share of the call, in nanodollars.
        call_id: Number of the call that it came by.
        model: As the call named it.
        at: When it was settled, ISO 8601, UTC; empty where it was not.
    """

    annotator: str
    label: str | None
    invalid: str | None
    confidence: float | None
    reason: str | None
    attempt: int
    purpose: str
    round: int
    cost: int
    prompt_hash: str
    call_id: int
    model: str
    at: str

    @property
    def check(self) -> bool:
        """Whether it measures the annotator and is no vote."""
        return self.attempt >= CHECK_ATTEMPTS


@dataclass(frozen=True)
class Held:
    """What the run held to be true of the item after one step; see `ledger.Consensus`."""

    round: int
    label: str | None
    p_correct: float | None
    calibrated: bool
    source: str
    outcome: str
    reason: str
    flags: tuple[str, ...]
    gold: bool
    final: bool


@dataclass(frozen=True)
class Finding:
    """What the critic has said of the item.

    Attributes:
        what: A proposal's kind and number, what was ordered, or the check that was made.
        text: In its words.
    """

    round: int
    by: str
    what: str
    text: str


@dataclass(frozen=True)
class RowLine:
    """One row of the input that takes the item's label; ``same`` where the texts are equal."""

    id: str
    line: int
    same: bool
    fields: dict[str, Any]


def votes(reader: RunReader, item_id: str) -> list[VoteLine]:
    """Every answer on an item, checks included, in the order in which they came."""
    found = reader.rows(
        "SELECT v.annotator, v.label, v.invalid, v.confidence, v.reason, v.attempt, v.purpose, "
        "v.round, v.cost, v.prompt_hash, v.call_id, c.model, coalesce(s.at, '') "
        "FROM votes v JOIN calls c USING(call_id) LEFT JOIN settlements s USING(call_id) "
        "WHERE v.item_id = ? ORDER BY v.vote_id",
        item_id,
    )
    return [VoteLine(*row) for row in found]


def held(reader: RunReader, item_id: str) -> list[Held]:
    """Every consensus that an item ever had, oldest first."""
    found = reader.rows(
        "SELECT round, label, p_correct, calibrated, source, outcome, reason, evidence "
        "FROM consensus WHERE item_id = ? ORDER BY seq",
        item_id,
    )
    history = []
    for *given, evidence in found:
        known = json.loads(evidence)
        round_, label, p, calibrated, source, outcome, reason = given
        history.append(
            Held(
                round_,
                label,
                p,
                bool(calibrated),
                source,
                outcome,
                reason,
                tuple(known.get("flags", ())),
                bool(known.get("gold")),
                bool(known.get("final")),
            )
        )
    return history


def findings(reader: RunReader, item_id: str) -> list[Finding]:
    """What agents decided about an item: chosen, sent on, checked, named in proposals."""
    # Only decisions that name it are read whole.
    rows = reader.rows(
        "SELECT seq, round, agent, kind, decision FROM decisions WHERE kind IN "
        "('batch', 'rulings', 'checks', 'proposals', 'corrections') "
        "AND instr(decision, ?) ORDER BY seq",
        json.dumps(item_id, ensure_ascii=False),
    )
    found = []
    for seq, round_, agent, kind, written in rows:
        decision = json.loads(written)
        if kind == "batch":
            parts = [part for part in decision if item_id in (decision[part] or ())]
            found += [Finding(round_, agent, "chosen", part) for part in parts]
        elif kind == "rulings" and item_id in decision["sent_on"]:
            action, annotator, reason = decision["sent_on"][item_id]
            found.append(Finding(round_, agent, f"{action}: {annotator}", reason))
        elif kind == "checks":
            found.append(Finding(round_, agent, "check", "asked again to see if answers hold"))
        elif kind == "corrections" and item_id in decision["items"]:
            label = decision["items"][item_id]
            by = ", ".join(decision["by"].get(item_id, ()))
            found.append(
                Finding(round_, agent, "corrected", f"{label or 'no label fits'}, by {by}")
            )
        elif kind == "proposals":
            found += _proposals(reader, seq, round_, agent, decision["proposals"], item_id)
    return found


def _proposals(
    reader: RunReader, seq: int, round_: int, agent: str, made: list[dict[str, Any]], item_id: str
) -> list[Finding]:
    if not any(item_id in proposal["items"] for proposal in made):
        return []
    [(before,)] = reader.rows(
        "SELECT coalesce(sum(json_array_length(decision, '$.proposals')), 0) FROM decisions "
        "WHERE kind = 'proposals' AND seq < ?",
        seq,
    )
    return [
        Finding(
            round_,
            agent,
            f"proposal {before + place}: {proposal['kind']}",
            f"{proposal['text']} ({proposal['evidence']})",
        )
        for place, proposal in enumerate(made, 1)
        if item_id in proposal["items"]
    ]


def input_rows(reader: RunReader, item_id: str) -> list[RowLine]:
    """Rows of the input that an item stands for, itself first; at most 50."""
    found = reader.input_rows(
        "SELECT id, line, near_duplicate_of IS NULL, fields FROM rows "
        "WHERE id = ?1 OR duplicate_of = ?1 OR near_duplicate_of = ?1 "
        "ORDER BY id <> ?1, position LIMIT ?2",
        item_id,
        _MOST_ROWS,
    )
    return [RowLine(id_, line, bool(same), json.loads(fields)) for id_, line, same, fields in found]


def asked_together(reader: RunReader, call_id: int) -> list[tuple[str, int]]:
    """Items of one call in the order in which they were put, with the attempt of each."""
    rows = reader.rows("SELECT items FROM calls WHERE call_id = ?", call_id)
    attempts = dict(reader.rows("SELECT item_id, attempt FROM votes WHERE call_id = ?", call_id))
    ids = json.loads(rows[0][0]) if rows else []
    return [(item, attempts.get(item, 0)) for item in ids]


def examples_at(reader: RunReader) -> list[list[tuple[str, str]]]:
    """Item and label of the examples that chat annotators were shown, one list a correction.

    The latest list comes first, and in a list the latest example last; see `graph.corrections`.
    """
    rows = reader.rows(
        "SELECT decision FROM decisions WHERE kind IN ('corrections', 'examples') ORDER BY step"
    )
    known: dict[str, str] = {}
    lists = []
    for (written,) in rows:
        decision = json.loads(written)
        for item in [*decision["items"], *decision["examples"]]:
            known.pop(item, None)
        known |= {item: decision["items"][item] for item in decision["examples"]}
        lists.append(list(known.items())[-_EXAMPLES:])
    return lists[::-1]


def neighbours(reader: RunReader, position: int, n: int, most: int = 10) -> list[tuple[int, float]]:
    """The nearest items in the pool, by the cosine of their vectors.

    Exact; vectors are read in blocks, so that a large pool costs no memory.

    Args:
        reader: The run.
        position: Place of the item.
        n: How many items there are.
        most: How many neighbours are wanted.

    Returns:
        Place and similarity, the nearest first, without the item itself.
    """
    own = reader.vectors(position, position + 1)
    if not own.size:
        return []
    direction = own[0] / _norm(own)[0]
    places: NDArray[np.int64] = np.empty(0, np.int64)
    near: NDArray[np.float32] = np.empty(0, np.float32)
    for start in range(0, n, _BLOCK):
        block = reader.vectors(start, min(n, start + _BLOCK))
        if not len(block):
            break
        similar = block @ direction / _norm(block)
        if start <= position < start + len(similar):
            similar[position - start] = -np.inf
        near = np.concatenate([near, similar])
        places = np.concatenate([places, np.arange(start, start + len(similar))])
        best = np.argsort(-near, kind="stable")[:most]
        near, places = near[best], places[best]
    return [
        (int(place), round(float(similar), 4))
        for place, similar in zip(places, near, strict=True)
        if np.isfinite(similar)
    ]


def _norm(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(vectors, axis=1), np.float32)
