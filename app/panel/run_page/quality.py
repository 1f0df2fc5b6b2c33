"""How good labels and student are, as far as audits prove it."""

from __future__ import annotations

import streamlit as st

from ....tools.watch.balance import Balance
from ....tools.watch.live import Live
from ....tools.watch.measures import accuracies, corrections_note
from ....tools.watch.status import RunStatus
from .. import formats
from . import facts


def show_quality(live: Live, status: RunStatus) -> None:
    """Draw accuracies with their intervals, and how much of the pool has a label."""
    rounds, balance = live.rounds(), live.balance()
    labels, student = accuracies(live.reader.folder, status, rounds)
    right, note = facts.accuracy(labels)
    if labels.estimate is not None and (corrected := corrections_note(live, status)):
        note = f"{note}; {corrected}"
    entries = [
        ("Labels right", right, note),
        ("Student right", *facts.accuracy(student)),
        _share("Labelled", balance.labelled, balance),
        _share("Set apart", balance.set_apart, balance),
        _share("Without a label", balance.unlabelled, balance),
    ]
    st.html(facts.facts(entries))


def _share(name: str, n: int, balance: Balance) -> tuple[str, str, str]:
    share = formats.percent(n / balance.texts) if balance.texts else "\N{EN DASH}"
    return name, share, f"{formats.number(n)} of {formats.number(balance.texts)} texts"
