"""What a run came to, or has come to so far, in the figures that runs are compared by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..audit import Interval, wilson_interval
from ..report import STOPS
from .corrected import in_audit_words
from .curve import Round, proposed_at
from .live import Live
from .stage import finished_seconds
from .status import RunStatus, State, run_status


@dataclass(frozen=True)
class Gold:
    """How delivered labels do against gold that nobody was shown."""

    accuracy: Interval
    macro_f1: float | None


@dataclass(frozen=True)
class Measures:
    """One run in figures; money in nanodollars.

    Attributes:
        replay_of: Name of the run that it replays, empty without one.
        texts: Different texts of the pool.
        labelled: Texts with an accepted label.
        set_apart: Texts that nobody was sure enough of.
        labels: Accuracy of the labels by audits.
        student: Accuracy of the student by audits.
        macro_f1: Of the student against the labels, out of sample; ``None`` before a round.
        gold: Against gold; ``None`` without gold, and before the run has finished.
        cap: ``None`` without one.
        rounds: Batches that were chosen; the training after the last one is no round.
        seconds: Over all resumes; ``None`` before the run has ended once.
        stop: (round, why in words) where the run stopped by itself.
    """

    state: State
    replay_of: str
    texts: int
    labelled: int
    set_apart: int
    labels: Interval
    student: Interval
    macro_f1: float | None
    gold: Gold | None
    spent: int
    cap: int | None
    requests: int
    rounds: int
    seconds: float | None
    stop: tuple[int, str] | None

    @property
    def completion(self) -> float | None:
        """Share of the texts that have a label; ``None`` without texts."""
        return self.labelled / self.texts if self.texts else None


def measures(live: Live) -> Measures:
    """The figures of a run at this moment.

    Raises:
        LedgerError: The ledger or the pool can not be read.
    """
    folder, status = live.reader.folder, run_status(live.reader.folder)
    balance, rounds, money = live.balance(), live.rounds(), live.money()
    labels, student = accuracies(folder, status, rounds)
    return Measures(
        state=status.state,
        replay_of=Path(live.reader.config.get("replay_of") or "").name,
        texts=balance.texts,
        labelled=balance.labelled,
        set_apart=balance.set_apart,
        labels=labels,
        student=student,
        macro_f1=rounds[-1].macro_f1 if rounds else None,
        gold=_gold(folder) if status.state == "finished" else None,
        spent=money.spent,
        cap=money.cap,
        requests=money.requests,
        rounds=_batches(live),
        seconds=finished_seconds(live.reader),
        stop=_stop(rounds),
    )


def accuracies(
    folder: Path, status: RunStatus, rounds: tuple[Round, ...]
) -> tuple[Interval, Interval]:
    """Accuracy of the labels and of the student; as delivered where the run has finished."""
    if status.state == "finished" and (quality := _delivered(folder)):
        return _interval(quality.get("labels")), _interval(quality.get("student"))
    last = rounds[-1] if rounds else None
    if last is None or not last.student.n:
        return wilson_interval(0, 0), wilson_interval(0, 0)
    return (
        wilson_interval(last.student.n - last.label_errors, last.student.n),
        last.student,
    )


def corrections_note(live: Live, status: RunStatus) -> str:
    """How corrected labels stand to the accuracy of the labels; empty where there are none."""
    summary = (_summary(live.reader.folder) if status.state == "finished" else None) or {}
    guarantee = summary.get("guarantee") or {}
    if (guarantee.get("labels") or {}).get("estimate") is not None:
        # What was corrected before the test was tested, or counts as right.
        n = int(guarantee.get("corrected") or 0)
        return in_audit_words(n, tested=True) if n else ""
    n = live.corrected()
    return in_audit_words(n, tested=False) if n else ""


def _batches(live: Live) -> int:
    rows = live.reader.rows("SELECT count(*) FROM decisions WHERE kind = 'batch'")
    return int(rows[0][0]) if rows else 0


def _stop(rounds: tuple[Round, ...]) -> tuple[int, str] | None:
    found = proposed_at(rounds)
    check = found.check if found else None
    if found is None or check is None or check.stop is None:
        return None
    reason, detail = check.stop
    return found.round, STOPS.get(reason, detail)


def _gold(folder: Path) -> Gold | None:
    found = (_delivered(folder) or {}).get("gold")
    return Gold(_interval(found.get("accuracy")), found.get("macro_f1")) if found else None


def _delivered(folder: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (_summary(folder) or {}).get("quality")
    return found


def _summary(folder: Path) -> dict[str, Any] | None:
    path = folder / "summary.json"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=32)
def _read(path: Path, _: int) -> dict[str, Any]:
    whole = json.loads(path.read_text(encoding="utf-8"))
    return {name: whole.get(name) for name in ("quality", "guarantee")}


def _interval(found: dict[str, Any] | None) -> Interval:
    if not found or found.get("estimate") is None:
        return wilson_interval(0, 0)
    return Interval(found["estimate"], found["low"], found["high"], found["n"])
