"""The page that shows the prompts: source, version, and what a model reads of a text."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ....tools.errors import PromptError
from ....tools.prompts import Message, Prompt, PromptLibrary, packaged_prompts
from .. import formats
from ..plain import escaped, show_text
from ..session import current_run, reader
from .rendering import TOGETHER, difference, library, on_item, reads_pool

PROMPT = "prompt"
"""Parameter of the address: the template that is shown."""
_LONGEST = 100_000


def page() -> None:
    """Show one of the templates."""
    st.title("Prompts")
    run = current_run()
    try:
        found = library(run)
        names = found.names()
    except PromptError as error:
        st.error("The prompts can not be read:")
        show_text(str(error))
        return
    st.write(
        "These are the templates that this run is pinned to."
        if run
        else "These are the templates that come with the program."
    )
    asked = st.query_params.get(PROMPT, "")
    st.session_state["prompts_name"] = asked if asked in names else names[0]
    name = st.selectbox("Prompt", names, key="prompts_name", on_change=_chosen)
    try:
        prompt = found.get(name)
    except PromptError as error:
        st.error("This template is not in order:")
        show_text(str(error))
        return
    _about(prompt, run)
    rendered, source, inputs = st.tabs(["As a model reads it", "Template", "Inputs"])
    with rendered:
        _rendered(prompt, run)
    with source:
        st.code(prompt.source, language="markdown", wrap_lines=True)
        for part, text in prompt.includes.items():
            st.caption(f"It includes {escaped(part)}:")
            st.code(text, language="markdown", wrap_lines=True)
    with inputs:
        st.json(prompt.inputs, expanded=True)
    _how_to_change(run)


def _chosen() -> None:
    st.query_params[PROMPT] = st.session_state["prompts_name"]


def _about(prompt: Prompt, run: Path | None) -> None:
    show_text(prompt.description)
    st.caption(f"Version {prompt.hash[:12]} (SHA-256 of the template and what it includes)")
    if run is None:
        return
    try:
        packaged = PromptLibrary([packaged_prompts()]).get(prompt.name)
    except PromptError:
        st.info("The program has no template of this name: it is the run's own.")
        return
    if packaged.hash == prompt.hash:
        st.caption("It is the template that comes with the program.")
        return
    st.info("It differs from the template that comes with the program.")
    with st.expander("What differs"):
        st.code(difference(packaged, prompt)[:_LONGEST], language="diff", wrap_lines=True)


def _rendered(prompt: Prompt, run: Path | None) -> None:
    try:
        messages = _on_pool(prompt, run) if run and reads_pool(prompt) else _on_sample(prompt)
    except PromptError as error:
        st.error("It can not be filled in:")
        show_text(str(error))
        return
    for message in messages:
        st.caption(escaped(message.role))
        show_text(message.content, _LONGEST)


def _on_pool(prompt: Prompt, run: Path) -> list[Message]:
    files = reader(run)
    found = files.items("SELECT count(*) FROM items")
    count = int(found[0][0]) if found else 0
    if not count:
        st.caption("The run has not read its texts yet, so this is one of the template's samples.")
        return _on_sample(prompt)
    place = st.number_input(
        f"Text of the pool, 1 to {formats.number(count)}",
        min_value=1,
        max_value=count,
        key="prompts_item",
    )
    if "items" in prompt.inputs:
        st.caption(f"With the texts that follow it, {min(TOGETHER, count)} in one request.")
    st.caption("An annotator of a run may also get examples, and the labels in another order.")
    return on_item(prompt, files, int(place) - 1)


def _on_sample(prompt: Prompt) -> list[Message]:
    count = len(prompt.samples)
    at = 0
    if count > 1:
        at = st.selectbox(
            "Sample of the template",
            range(count),
            key="prompts_sample",
            format_func=lambda at: f"{at + 1} of {count}",
        )
    return prompt.render(**prompt.samples[min(at, count - 1)])


def _how_to_change(run: Path | None) -> None:
    with st.expander("Change a prompt"):
        st.write(
            "Prompts are files and are edited as files; a run keeps to the copy that was made when "
            "it began. Copy what you want to change into a folder of your own, under the same "
            "path, and name that folder in the configuration of a new run (New run, Quote and "
            "start, Advanced):"
        )
        st.code("prompts: my_prompts", language="yaml")
        st.write("Then look at what you have written, before anything is sent:")
        st.code("labelwright doctor run.yaml\nlabelwright plan run.yaml", language="bash")
        st.caption("The files that come with the program are in")
        show_text(str(packaged_prompts()))
        if run:
            st.caption("The copies of this run are in")
            show_text(str((run / "prompts").resolve()))
