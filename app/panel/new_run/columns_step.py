"""The second step: which column is the text, the id, the true label."""

from __future__ import annotations

import re

import streamlit as st

from ...starter import text_template
from .. import formats
from ..plain import escaped, show_text, visible
from .form import Form, optional
from .sample import Sample, told
from .step_checks import sample_or_fault

_SEVERAL = "Several columns, by a template"
_NONE = "None"
_MOST_LABELS = 200
_ENCODINGS = ("utf-8", "cp1252", "latin-1", "utf-16", "shift_jis", "gb18030")
_FORMATTED = (".csv", ".tsv", ".jsonl", ".ndjson")


def show(form: Form) -> None:
    """Ask for the columns; show the texts that come of them."""
    st.subheader("Columns", anchor=False)
    task, data = form.config["task"], form.config["data"]
    found = sample_or_fault(form.config)
    columns = _columns_anyway(form) if isinstance(found, str) else found.columns
    if not columns:
        st.info("The file shows no columns; look at the step Data.")
        return
    task["name"] = st.text_input(
        "Name of the task",
        value=str(task.get("name", "")),
        key=form.key("task"),
        max_chars=120,
        help="Models read it, and reports are headed with it: such as customer messages.",
    ).strip()
    form.place("task")
    _text(form, columns)
    form.place("text")
    _special(
        form,
        columns,
        "id",
        "Column with a unique id",
        "Proposed where every row has a value and none repeats; choose another one if it is wrong. "
        "Without one, ids are derived from the texts.",
    )
    ids = st.container()
    _special(
        form,
        columns,
        "gold",
        "Column with the true label",
        "Only the evaluation sees it; leave it out where there is none.",
    )
    form.place("gold")
    if str(data.get("path", "")).lower().endswith(_FORMATTED):
        choices = list(dict.fromkeys([str(data.get("encoding", "utf-8")), *_ENCODINGS]))
        chosen = st.selectbox("Encoding of the file", choices, key=form.key("encoding"))
        optional(data, "encoding", chosen, "utf-8")
    found = sample_or_fault(form.config)
    if isinstance(found, str):
        return  # told at the text
    if found.idless:
        ids.warning(
            f"{formats.number(found.idless)} rows have no value in this column, or one that was "
            "there before. They would be left out: choose another column, or None."
        )
    st.markdown("**Texts as they will be read**")
    st.write(escaped(told(found), 400))
    if found.rejected:
        with st.expander("Why rows are left out"):
            show_text("\n".join(found.reasons))
    for text in found.texts[:3]:
        show_text(text, 600)
    if data.get("gold"):
        _labels_of(form, found)


def _columns_anyway(form: Form) -> list[str]:
    """The columns where the template of now does not fit the file."""
    found = sample_or_fault(
        {"task": {"text": "."}, "data": {"path": form.config["data"].get("path", "")}}
    )
    return [] if isinstance(found, str) else found.columns


def _text(form: Form, columns: list[str]) -> None:
    task = form.config["task"]
    by_template = {text_template(column): column for column in columns}
    now = by_template.get(re.sub(r"\s+", " ", task.get("text", "")).strip(), _SEVERAL)
    choices = [*columns, _SEVERAL]
    chosen = st.selectbox(
        "Text to label",
        choices,
        index=choices.index(now),
        key=form.key("text"),
        format_func=visible,
    )
    if chosen != _SEVERAL:
        task["text"] = text_template(chosen)
        return
    task["text"] = st.text_area(
        "Template",
        value=task.get("text") or "{{ text }}",
        key=form.key("template"),
        help='Jinja2: {{ title }}: {{ body }}; a name with spaces is {{ row["review text"] }}.',
    )


def _special(form: Form, columns: list[str], name: str, label: str, hint: str) -> None:
    data = form.config["data"]
    now = data.get(name)
    choices = [_NONE, *columns] if now in (None, *columns) else [_NONE, now, *columns]
    chosen = st.selectbox(
        label,
        range(len(choices)),
        index=0 if now is None else choices.index(now, 1),
        format_func=lambda at: visible(str(choices[at])),
        key=form.key(name),
        help=hint,
    )
    optional(data, name, choices[chosen] if chosen else None)


def _labels_of(form: Form, found: Sample) -> None:
    names = {label["name"] for label in form.config["task"]["labels"]}
    new = [value for value in found.gold if value not in names]
    if not new or len(found.gold) > _MOST_LABELS:
        return
    if st.button(
        f"Take the {len(found.gold)} values of this column as the label set",
        key=form.key("take"),
    ):
        kept = [one for one in form.config["task"]["labels"] if one["name"] in found.gold]
        form.config["task"]["labels"] = [
            *kept,
            *({"name": value, "description": "", "examples": []} for value in new),
        ]
        form.show_anew()
