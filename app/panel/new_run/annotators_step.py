"""The fourth step: who votes, at what price."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ..plain import escaped
from .annotator_card import KINDS, card
from .checks import annotator_faults
from .form import Form

_NEW: dict[str, dict[str, Any]] = {
    "chat": {"kind": "chat", "name": "model", "tier": 1, "model": ""},
    "human": {"kind": "human", "name": "me", "trusted": True},
    "embedded": {"kind": "embedded", "name": "nearest", "tier": 1},
    "recorded": {"kind": "recorded", "name": "earlier", "tier": 1},
}
_AS_NEW = list(_NEW.values())


def show(form: Form) -> None:
    """A card for each annotator."""
    st.subheader("Annotators", anchor=False)
    st.write(
        "Tier 1 is asked first about every chosen text; what it leaves in doubt goes to the next "
        "tier. A trusted annotator, usually a person, is taken as right: audits rest on it, and "
        "without one a run says no accuracy."
    )
    annotators = form.config["annotators"]
    for at, annotator in enumerate(annotators):
        with st.container(border=True):
            if card(form, at, annotator):
                del annotators[at]
                form.show_anew()
    st.markdown("**Add**")
    with st.container(horizontal=True):
        added = [kind for kind in KINDS if st.button(KINDS[kind], key=form.key(f"add_{kind}"))]
    if added:
        annotators.append(_named(_NEW[added[0]], annotators))
        form.show_anew()
    untouched = [one for one in annotators if {**one, "name": _NEW[one["kind"]]["name"]} in _AS_NEW]
    for fault in annotator_faults(annotators, untouched):
        st.error(escaped(fault, 600))
    if not any(annotator.get("trusted") for annotator in annotators):
        st.warning(
            "Nobody is trusted, so the run can not say how accurate its labels are. Add a person, "
            "or recorded answers of one."
        )


def _named(new: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    taken = {other.get("name") for other in others}
    name, number = new["name"], 1
    while name in taken:
        number += 1
        name = f"{new['name']}-{number}"
    return {**new, "name": name}
