"""The third step: the label set and the guidelines."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ..plain import escaped
from .checks import gold_advice, label_advice
from .form import Form
from .step_checks import sample_or_fault

_BLANK = {"name": "", "description": "", "examples": []}
_FEWEST = 2


def show(form: Form) -> None:
    """Edit the labels and the guidelines, with what is wrong with them said below."""
    st.subheader("Labels", anchor=False)
    st.write(
        "One row for each label. The description decides how well models and people label: write "
        "what belongs there, and what does not. Examples are optional."
    )
    task = form.config["task"]
    task["labels"] = _table(form, task["labels"])
    form.place("labels")
    _paste(form)
    for advice in [*label_advice(task["labels"]), *_unknown(form)]:
        st.warning(escaped(advice, 600))
    task["guidelines"] = st.text_area(
        "Guidelines",
        value=task.get("guidelines", ""),
        key=form.key("guidelines"),
        height=240,
        help="The codebook: rules for cases on the border between labels. Everybody reads them.",
    )
    if not task["guidelines"].strip():
        st.caption("Without guidelines, annotators have only the descriptions to go by.")


def _unknown(form: Form) -> list[str]:
    """True labels of the file that the label set does not have, once there is one."""
    labels = form.config["task"]["labels"]
    if not labels or not form.config["data"].get("gold"):
        return []
    found = sample_or_fault(form.config)
    return [] if isinstance(found, str) else gold_advice(labels, found.gold)


def _table(form: Form, labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # The rows that the table began with: edits are counted from them as long as it is shown.
    kept = form.key("rows_begun")
    if kept not in st.session_state:
        st.session_state[kept] = [_row(label) for label in labels] or [dict(_BLANK)] * _FEWEST
    edited = st.data_editor(
        st.session_state[kept],
        key=form.key("rows"),
        num_rows="dynamic",
        hide_index=True,
        width="stretch",
        column_order=("name", "description", "examples"),
        column_config={
            "name": st.column_config.TextColumn("Name", width="small", required=True),
            "description": st.column_config.TextColumn("Description", width="large"),
            "examples": st.column_config.ListColumn("Examples", width="medium"),
        },
    )
    return [_label(row) for row in edited if any(row.values())]


def _paste(form: Form) -> None:
    with st.expander("Add labels as lines of text"):
        lines = st.text_area(
            "One label a line: name, or name: description", key=form.key("lines"), height=110
        )
        if not st.button("Add these labels", key=form.key("add_lines")) or not lines.strip():
            return
    added = []
    for line in lines.splitlines():
        name, _, description = line.partition(":")
        if name.strip():
            added.append({"name": name.strip(), "description": description.strip(), "examples": []})
    known = [label for label in form.config["task"]["labels"] if label["name"].strip()]
    form.config["task"]["labels"] = [*known, *added]
    form.show_anew()


def _row(label: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": label["name"],
        "description": str(label.get("description") or ""),
        "examples": list(label.get("examples") or []),
    }


def _label(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(row.get("name") or "").strip(),
        "description": str(row.get("description") or "").strip(),
        "examples": [str(text) for text in row.get("examples") or [] if str(text).strip()],
    }
