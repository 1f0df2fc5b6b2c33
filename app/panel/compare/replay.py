"""Where other stop rules would have ended a run: a replay in a process of its own, at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from ....tools.watch import run_status
from ...rules_in_words import NO_GATES, RULES
from .. import formats, processes
from ..plain import escaped, show_text
from ..run_page import facts


def show_replay(folders: Sequence[Path]) -> None:
    """Offer a replay of one of the runs, and show what it found."""
    st.html(
        facts.note(
            "Every stop rule is put to the rounds that the run's ledger holds. Nobody is asked and "
            "nothing is paid; the run is not changed."
        )
    )
    names = {folder.name: folder for folder in folders}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Run", list(names), key="compare_replayed")
        folder = names[chosen]
        key = f"replay:{folder.resolve()}"
        job = processes.job(key)
        running = job is not None and job.state == "running"
        st.button(
            "Replay",
            key="compare_replay",
            disabled=running or run_status(folder).state == "running",
            on_click=_replay,
            args=(key, folder),
        )
    if run_status(folder).state == "running":
        st.caption("A run that is going on can be replayed when it is paused or finished.")
    elif running:
        processes.waiting(key, "The rules are put to the rounds")
    elif job is None:
        st.caption("Nothing has been replayed yet.")
    elif job.state == "failed":
        st.error(f"The replay of {escaped(chosen)} ended with an error.")
        show_text(job.error)
    elif job.result:
        _stops(job.result["stops"])


def _replay(key: str, folder: Path) -> None:
    processes.forget(key)
    processes.command(key, ("replay", str(folder.resolve()), "--json"))


def _stops(rows: Sequence[dict[str, Any]]) -> None:
    head = ["rule", "stops after round", "labels", "spent", "audit", "gold", "spent and errors"]
    names = [row["rule"] for row in rows]
    st.html(facts.table(head, map(_row, rows)))
    st.html(
        facts.note(
            "Spent is the money by then; what the sweep costs comes on top. Spent and errors adds "
            "what wrong labels cost at the value that was stated."
        )
    )
    st.html(facts.note(NO_GATES))
    st.html(facts.note("When each rule ends a run:"))
    st.html(facts.steps((name, RULES.get(name, "")) for name in dict.fromkeys(names)))


def _row(row: dict[str, Any]) -> list[str]:
    if row["why_not"]:
        return [row["rule"], row["why_not"]]
    ended, cost = row["round"], row["cost_usd"]
    return [
        row["rule"],
        "goes on" if ended is None else formats.number(ended),
        formats.number(row["labels"]),
        formats.usd(row["spent_usd"]),
        formats.percent(row["audit"]),
        formats.percent(row["gold"]),
        "\N{EN DASH}" if cost is None else formats.usd(cost),
    ]
