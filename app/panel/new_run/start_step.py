"""The last step: the quote, the same configuration as a file, and the start."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import streamlit as st

from ....tools.errors import ConfigError, LabelwrightError
from ...runs import CONFIG_FILE
from .. import processes
from ..links import STARTED, open_page
from ..plain import escaped, show_text
from ..session import runs_root
from .checks import misplaced_keys, shape_fault
from .draft import read, written
from .form import Form
from .quote import show_quote

_LONGEST_NAME = 60


def show(form: Form) -> None:
    """Quote the draft; start it, or take it away as a file."""
    st.subheader("Quote", anchor=False)
    form.save()
    text = written(form.config)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    key = f"plan:{form.draft.name}:{digest}"
    # The command reads the file later than this: it gets a copy that nobody edits.
    file = form.draft.folder / f"quoted-{digest}.yaml"
    if processes.job(key) is None:
        file.write_text(text, encoding="utf-8")
        processes.command(key, ("plan", str(file.resolve()), "--json"))
    job = processes.job(key)
    quoted = False
    if job is None or job.state == "running":
        processes.waiting(key, "Reading the file and adding up; nothing is sent")
    elif job.state == "failed":
        st.error("A run can not be started like this:")
        show_text(job.error.replace(str(file.resolve()), "run.yaml"))
        if st.button("Try again", key=form.key("again")):
            processes.forget(key)
            st.rerun()
    else:
        quoted = isinstance(job.result, dict)
        if quoted:
            show_quote(job.result)
    _advanced(form, text)
    _start(form, text, quoted)


def _advanced(form: Form, text: str) -> None:
    with st.expander("Advanced (YAML)"):
        st.caption(
            "All options that this page does not show can be set here; they stay as they are when "
            "the steps are changed. Paths are those of the machine where the panel runs."
        )
        place = form.key(f"yaml_{hashlib.sha256(text.encode()).hexdigest()[:8]}")
        st.session_state.setdefault(place, text)
        edited = st.text_area("Configuration", key=place, height=420, label_visibility="collapsed")
        applied = st.button("Apply", key=form.key("apply"), on_click=_without_keys, args=(place,))
        if st.session_state.pop(f"{place}_refused", False):
            st.error(
                "Nothing was changed: a key, or what is no name of a variable, stood in it and was "
                "taken out. Keys come from the environment only: write the name of the variable, "
                "in capitals, into 'api_key_env'."
            )
            return
        if not applied:
            return
        try:
            config = read(edited)
        except ConfigError as error:
            st.error("Nothing was changed:")
            show_text(str(error))
            return
        if fault := shape_fault(config):
            st.error(escaped(f"Nothing was changed: {fault}", 600))
            return
    form.config.clear()
    form.config.update(config)
    form.show_anew()


def _without_keys(place: str) -> None:
    """Take keys out of what was typed before anything is done with it."""
    text = st.session_state[place]
    try:
        found = misplaced_keys(read(text))
    except ConfigError:
        return
    for key in sorted(found, key=len, reverse=True):
        text = text.replace(key, "") if key else text
    if found:
        st.session_state[place] = text
        st.session_state[f"{place}_refused"] = True


def _start(form: Form, text: str, quoted: bool) -> None:
    st.subheader("Start", anchor=False)
    for missing in _missing_keys(form.config):
        st.warning(
            f"{escaped(missing)} is not set where the panel runs. A server that needs a key will "
            "refuse; then set it and start the panel again."
        )
    name = st.text_input(
        "Name of the run",
        value=_free_name(str(form.config["task"].get("name", ""))),
        key=form.key("name"),
        max_chars=_LONGEST_NAME,
        help="The name of its folder: letters, digits, - and _.",
    ).strip()
    fault = ""
    try:
        processes.new_folder(name)
    except ConfigError as error:
        fault = str(error)
        st.error(escaped(fault, 400))
    with st.container(horizontal=True):
        pressed = st.button(
            "Start run", key="new_start", type="primary", disabled=not quoted or bool(fault)
        )
        st.download_button(
            "Download run.yaml",
            text,
            file_name="run.yaml",
            mime="application/yaml",
            key="new_download",
            help="Starts the same run without the panel: labelwright run run.yaml --name NAME",
        )
    if pressed:
        started = form.draft.folder / "started"
        started.mkdir(exist_ok=True)
        # What another tab is just starting under a like name must not be written over.
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        file = started / f"{_slug(name)}-{digest}.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            processes.start_run(file, name)
        except LabelwrightError as error:
            st.error(escaped(str(error), 400))
        else:
            open_page("", **{STARTED: name})


def _missing_keys(config: dict[str, Any]) -> list[str]:
    named = {
        str(one.get("api_key_env", "OPENAI_API_KEY"))
        for one in config["annotators"]
        if one["kind"] == "chat"
    }
    return sorted(variable for variable in named if not os.environ.get(variable))


def _free_name(task: str) -> str:
    name = free = _slug(task) or "run"
    number = 1
    while (runs_root() / free / CONFIG_FILE).exists():
        number += 1
        free = f"{name}-{number}"
    return free


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[: _LONGEST_NAME - 4]
