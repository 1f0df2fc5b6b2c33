"""The rounds of a run: what each cost, how good the student was, and how the stop rule saw it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audit import Interval
from .reader import RunReader
from .stop_words import in_plain_words


@dataclass(frozen=True)
class StopCheck:
    """One look of the stop rule; money in nanodollars.

    Attributes:
        verdict: What the rule said by itself, such as ``continue``.
        why: In words.
        churn: Share of the stop set that changed over the window, with its interval; no estimate
            before the second round.
        window: Rounds in the window.
        next_gain: What the next batch is expected to gain; ``None`` before the second round.
        next_price: What it costs.
        at_most: What the window can have gained at most.
        proposed: Whether the rule proposed to stop.
        stop: Why the run stops (reason and detail), where it does.
        order: What a gate asked of the next round instead.
        gates: (name, passed or waived, detail) of every gate.
        explanation: The arithmetic in words.
        next_dollar: What one more dollar buys, in words.
        plain: What follows and why, for somebody who does not want the arithmetic.
    """

    verdict: str
    why: str
    churn: Interval
    window: int
    next_gain: int | None
    next_price: int
    at_most: int | None
    proposed: bool
    stop: tuple[str, str] | None
    order: str | None
    gates: tuple[tuple[str, bool, str], ...]
    explanation: str
    next_dollar: str
    plain: str


@dataclass(frozen=True)
class Round:
    """One closed round; money in nanodollars.

    Attributes:
        round: Its number.
        spent: Money by then.
        votes: Votes by then.
        labels: Labels that the student learned from.
        agreement: With the labels, out of sample.
        macro_f1: Likewise.
        student: Accuracy of the student on the audit sample.
        label_errors: Wrong labels that were found in the audit sample.
        classes: Labels learned from, by class.
        moved: Share of the stop set whose prediction changed in this round.
        predicted: Stop-set items by the class predicted, in the order of the label set.
        check: The stop rule's look at it; ``None`` for the training after the sweep.
        in_round: False for the last training: no batch was chosen for it.
    """

    round: int
    spent: int
    votes: int
    labels: int
    agreement: float
    macro_f1: float
    student: Interval
    label_errors: int
    classes: dict[str, int]
    moved: float | None
    predicted: tuple[int, ...]
    check: StopCheck | None
    in_round: bool = True

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"round {self.round}" if self.in_round else "the last training"


@dataclass
class Curve:
    """The rounds so far; each refresh reads only what has come since."""

    _seen: int = 0
    _checks: dict[int, StopCheck] = field(default_factory=dict)
    _rounds: list[Round] = field(default_factory=list)
    _last: NDArray[np.int32] | None = None

    def refresh(self, reader: RunReader) -> tuple[Round, ...]:
        """All closed rounds in order.

        Raises:
            LedgerError: The ledger can not be read.
        """
        for seq, number, decision, evidence in reader.rows(
            "SELECT seq, round, decision, evidence FROM decisions "
            "WHERE seq > ? AND kind = 'stop_check' ORDER BY seq",
            self._seen,
        ):
            self._seen = seq
            self._checks[number] = _check(json.loads(decision), json.loads(evidence))
        closed = self._rounds[-1].round if self._rounds else 0
        for number, metrics, predictions, in_round in reader.rows(
            "SELECT round, metrics, predictions, EXISTS(SELECT 1 FROM decisions AS d WHERE "
            "d.kind = 'batch' AND d.round = rounds.round) FROM rounds WHERE round > ? "
            "ORDER BY round",
            closed,
        ):
            now = np.frombuffer(predictions, "<i4")
            self._add(number, json.loads(metrics), now, reader.labels, bool(in_round))
        return tuple(
            found if (check := self._checks.get(found.round)) is None else _with(found, check)
            for found in self._rounds
        )

    def _add(
        self,
        number: int,
        metrics: dict[str, Any],
        now: NDArray[np.int32],
        labels: list[str],
        in_round: bool,
    ) -> None:
        before = self._last
        comparable = before is not None and len(now) and before.shape == now.shape
        self._last = now
        self._rounds.append(
            Round(
                number,
                metrics["spent"],
                metrics["votes"],
                metrics["labels"],
                metrics["agreement"],
                metrics["macro_f1"],
                Interval(
                    metrics["audit_student"],
                    metrics["audit_student_low"],
                    metrics["audit_student_high"],
                    metrics["audited"],
                ),
                metrics["audit_label_errors"],
                metrics["classes"],
                float(np.mean(before != now)) if comparable else None,
                tuple(np.bincount(now[now >= 0], minlength=len(labels)).tolist()),
                None,
                in_round,
            )
        )


def proposed_at(rounds: tuple[Round, ...]) -> Round | None:
    """The round after which the run stopped, or the rule last proposed to."""
    found = [r for r in rounds if r.check and (r.check.proposed or r.check.stop)]
    return found[-1] if found else None


def _with(found: Round, check: StopCheck) -> Round:
    return Round(**{**found.__dict__, "check": check})


def _check(decision: dict[str, Any], evidence: dict[str, Any]) -> StopCheck:
    check = evidence.get("check") or {}
    stop, order = decision.get("stop"), decision.get("order")
    verdict = str(check.get("verdict") or "continue")
    return StopCheck(
        verdict,
        str(check.get("why") or "no check yet"),
        Interval(
            check.get("churn"),
            _or(check.get("churn_low"), 0.0),
            _or(check.get("churn_high"), 1.0),
            int(check.get("stop_set") or 0),
        ),
        int(check.get("window") or 0),
        # Rounds that an earlier version has checked say nothing of a next batch.
        check.get("next_gain"),
        int(check.get("money_next") or 0),
        check.get("certificate_gain"),
        verdict != "continue",
        (stop["reason"], stop["detail"]) if stop else None,
        order["action"] if order else None,
        tuple(
            (gate["name"], bool(gate["passed"] or gate.get("waived")), gate["detail"])
            for gate in evidence.get("gates") or []
        ),
        str(evidence.get("explanation") or ""),
        str(evidence.get("next_dollar") or ""),
        in_plain_words(decision, evidence),
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else float(value)
