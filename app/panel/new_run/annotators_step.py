"""The fourth step: who votes, at what price."""

from __future__ import annotations

import streamlit as st

from .annotator_card import KINDS, card
from .annotators_new import new_annotator
from .form import Form
from .prices import carry_over, priced_person


def show(form: Form) -> None:
    """A card for each annotator."""
    st.subheader("Annotators", anchor=False)
    st.write(
        "Tier 1 is asked first about every chosen text; what it leaves in doubt goes to the next "
        "tier. A trusted annotator, usually a person, is taken as right: audits rest on it, and "
        "without one a run says no accuracy."
    )
    before = priced_person(form.config)
    try:
        _cards(form)
    finally:
        # Also where a card came or went, which shows the page anew.
        carry_over(form.config, before)
    form.place("")
    if not any(annotator.get("trusted") for annotator in form.config["annotators"]):
        st.warning(
            "Nobody is trusted, so the run can not say how accurate its labels are. Add a person, "
            "or recorded answers of one."
        )


def _cards(form: Form) -> None:
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
        annotators.append(new_annotator(added[0], annotators))
        form.show_anew()
