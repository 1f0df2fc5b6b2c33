"""How good labels and student are, as far as audits prove it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.audit import Interval, wilson_interval
from ....tools.watch.balance import Balance
from ....tools.watch.curve import Round
from ....tools.watch.live import Live
from ....tools.watch.status import RunStatus
from .. import formats
from . import facts


def show_quality(live: Live, status: RunStatus) -> None:
    """Draw accuracies with their intervals, and how much of the pool has a label."""
    rounds, balance = live.rounds(), live.balance()
    labels, student = accuracies(live.reader.folder, status, rounds)
    entries = [
        ("Labels right", *facts.accuracy(labels)),
        ("Student right", *facts.accuracy(student)),
        _share("Labelled", balance.labelled, balance),
        _share("Set apart", balance.set_apart, balance),
        _share("Without a label", balance.unlabelled, balance),
    ]
    st.html(facts.facts(entries))


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


def _delivered(folder: Path) -> dict[str, Any] | None:
    path = folder / "summary.json"
    try:
        return _quality(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


@st.cache_data(max_entries=32, show_spinner=False)
def _quality(path: Path, _: int) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")).get("quality")
    return found


def _interval(found: dict[str, Any] | None) -> Interval:
    if not found or found.get("estimate") is None:
        return wilson_interval(0, 0)
    return Interval(found["estimate"], found["low"], found["high"], found["n"])


def _share(name: str, n: int, balance: Balance) -> tuple[str, str, str]:
    share = formats.percent(n / balance.texts) if balance.texts else "\N{EN DASH}"
    return name, share, f"{formats.number(n)} of {formats.number(balance.texts)} texts"
