"""What the run is doing, its money and what it comes to: drawn anew every second."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from ....tools.watch.live import Live
from ....tools.watch.money import WINDOW_S, Money
from ....tools.watch.queue import people
from ....tools.watch.stage import Stage, finished_seconds
from ....tools.watch.status import RunStatus
from .. import formats
from . import facts
from .drawing import machine
from .orders import pending_orders
from .quality import show_quality

_ORDERS = {
    "stop": "Pause was ordered: the run pauses at the next safe point.",
    "finish": "Finishing was ordered: nothing is bought after the batch under way.",
}


def show_money(live: Live, status: RunStatus) -> None:
    """Draw the account, and what was ordered and not yet taken up."""
    running = status.state == "running"
    pending, money = pending_orders(live.reader), live.money()
    if running and "finish" in pending:
        money = replace(money, over=True)
    with st.container(border=True):
        st.html(_money(money, running, bool(people(live.reader))))
    for kind in pending:
        if running and kind in _ORDERS:
            st.info(_ORDERS[kind])


def show_stage(live: Live, status: RunStatus) -> None:
    """Draw how right the labels are, and what the run is doing."""
    with st.container(border=True):
        show_quality(live, status)
    with st.container(border=True):
        st.html(_stage(live, live.stage(), status.state))


def _stage(live: Live, stage: Stage, state: str) -> str:
    running, waiting = state == "running", state == "waiting_for_people"
    node = stage.node if running else "ask_human" if waiting else ""
    words = stage.now if running else "it waits for people" if waiting else "nothing is under way"
    title = f"The stages of a run; {words or 'about to begin'}"
    parts = []
    if running:
        # The trainings after the last batch have numbers too, and are no rounds.
        in_round = stage.round and stage.phase not in {"sweep", "deliver"}
        head = [f"Round {stage.round}" if in_round else "", words or "about to begin"]
        since = _seconds_since(stage.since)
        head.append("" if since is None else f"for {formats.duration(since)}")
        parts.append(facts.note(" \N{MIDDLE DOT} ".join(filter(None, head))))
        if stage.total:
            parts.append(facts.bar(stage.done / stage.total))
    parts.append(facts.steps([(step.name, step.detail) for step in stage.steps]))
    parts.append(facts.note(_time(live, stage, running)))
    return (
        f'<div class="lw-beside"><div>{machine(node, title)}</div><div>{"".join(parts)}</div></div>'
    )


def _time(live: Live, stage: Stage, running: bool) -> str:
    if running:
        since = _seconds_since(stage.started)
        return "" if since is None else f"This process has worked for {formats.duration(since)}."
    seconds = finished_seconds(live.reader)
    return "" if seconds is None else f"It worked for {formats.duration(seconds)} in all."


def _seconds_since(moment: str) -> float | None:
    if not moment:
        return None
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def _money(money: Money, running: bool, asks_people: bool) -> str:
    entries = [
        ("Spent", formats.money(money.spent), _of_cap(money)),
        ("Reserved", formats.money(money.reserved), "for calls under way"),
        (
            "Cap",
            "none" if money.cap is None else formats.money(money.cap),
            "ordered, not yet taken by the run" if money.cap_pending else "",
        ),
    ]
    if money.uncertain:
        entries.append(("Uncertain", formats.money(money.uncertain), "calls without an answer"))
    if running or not money.over:
        entries.append(_pace(money, running))
    if not money.over:
        entries.append(_projected(money, running))
    # The ledger counts a question to a person as a request, and so does its cap.
    note = "answers of people are counted, too" if asks_people else ""
    entries.append(("Requests", formats.number(money.requests), note))
    bar = ""
    if money.cap:
        bar = facts.bar(money.spent / money.cap, (money.reserved + money.uncertain) / money.cap)
    return bar + facts.facts(entries, "9rem")


def _of_cap(money: Money) -> str:
    if not money.cap:
        return ""
    return f"{formats.percent(money.spent / money.cap)} of the cap"


def _pace(money: Money, running: bool) -> tuple[str, str, str]:
    window = f"over the last {round(WINDOW_S / 60)} minutes"
    if not running or money.per_minute is None:
        return "Per minute", "\N{EN DASH}", "no call has ended lately" if running else ""
    requests = formats.number(money.requests_per_minute or 0.0)
    return "Per minute", formats.money(money.per_minute), f"{requests} requests, {window}"


def _projected(money: Money, running: bool) -> tuple[str, str, str]:
    if money.next_batch is None:
        return "Next batch", "\N{EN DASH}", "known after round 2"
    notes = []
    if money.batches_left is not None and money.next_batch:
        notes.append(f"the cap pays for {formats.number(money.batches_left)} such batches")
    if running and money.minutes_left is not None:
        notes.append(f"and is {formats.duration(60 * money.minutes_left)} away at this pace")
    return "Next batch", formats.money(money.next_batch), ", ".join(notes)
