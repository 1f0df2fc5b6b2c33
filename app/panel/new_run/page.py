"""The page on which a run is described, quoted and started, step by step."""

from __future__ import annotations

import streamlit as st

from ....tools.errors import LabelwrightError
from ..plain import escaped, show_text
from . import annotators_step, budget_step, columns_step, data_step, labels_step, start_step
from .checks import shape_fault
from .draft import draft_of_task, open_draft, written
from .form import DRAFT, STEP, Form, Step, go
from .prices import carry_over, priced_person
from .removal import offer_removal
from .step_checks import step_faults

STEPS: dict[str, tuple[str, Step]] = {
    "data": ("Data", data_step.show),
    "columns": ("Columns", columns_step.show),
    "labels": ("Labels", labels_step.show),
    "annotators": ("Annotators", annotators_step.show),
    "budget": ("Budget", budget_step.show),
    "start": ("Quote and start", start_step.show),
}
TASK = "task"
"""Parameter of the address: a task that an accepted proposal left, ``RUN/NNN-task.yaml``."""


def page() -> None:
    """Show the step that the address names, or the beginning."""
    st.title("New run")
    _take_task()
    draft = open_draft(st.query_params.get(DRAFT, ""))
    if draft is None:
        if st.query_params.get(DRAFT):
            st.warning("There is no draft of this name any more; begin anew.")
        data_step.begin()
        return
    try:
        config = draft.load()
    except LabelwrightError as error:
        st.error("The draft can not be read:")
        show_text(str(error))
        return
    if fault := shape_fault(config):
        st.error(f"The draft can not be shown: {escaped(fault)}")
        return
    form = Form(draft, config)
    _show(form, st.query_params.get(STEP, "data"))


def _show(form: Form, asked: str) -> None:
    names = list(STEPS)
    current = asked if asked in STEPS else names[0]
    st.session_state["new_step"] = current
    st.segmented_control(
        "Step",
        names,
        key="new_step",
        format_func=lambda name: f"{names.index(name) + 1} {STEPS[name][0]}",
        on_change=_stepped,
        label_visibility="collapsed",
        required=True,
    )
    form.saved = written(form.config)
    carry_over(form.config, priced_person(form.config))
    try:
        STEPS[current][1](form)
    finally:
        # Also where the step ends in a rerun: that is how Streamlit leaves a script.
        form.save()
    checked = f"new_checked_{form.draft.name}_{current}"
    form.tell(step_faults(current, form.config, early=checked not in st.session_state))
    _onwards(form, names, names.index(current), checked)


def _stepped() -> None:
    st.query_params[STEP] = st.session_state["new_step"]


def _onwards(form: Form, names: list[str], at: int, checked: str) -> None:
    """Go to another step; to the next one only if what this one asks for is there."""
    faults = step_faults(names[at], form.config) if checked in st.session_state else {}
    if faults:
        st.error("Before the next step: put right what is marked above.")
    with st.container(horizontal=True):
        back = at > 0 and st.button("Back", key="new_back")
        following = at + 1 < len(names) and st.button(
            "Next", key="new_next", type="primary", on_click=_check, args=(checked,)
        )
        offer_removal(form.draft)
    if back:
        go(names[at - 1], form.draft)
    if following and not faults:
        del st.session_state[checked]
        go(names[at + 1], form.draft)


def _check(checked: str) -> None:
    """Have the step say all that is wrong with it, from now on."""
    st.session_state[checked] = True


def _take_task() -> None:
    """Begin with the task of an accepted proposal, if the address names one."""
    given = st.query_params.get(TASK, "")
    if not given or st.query_params.get(DRAFT):
        return
    try:
        draft = draft_of_task(given)
    except LabelwrightError as error:
        st.error("The proposal's task can not be used:")
        show_text(str(error))
        return
    go("labels", draft)
