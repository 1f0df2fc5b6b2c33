"""The first step: which texts."""

from __future__ import annotations

import shutil
from pathlib import Path

import streamlit as st

from ....tools.errors import DataError
from .. import formats
from ..plain import escaped, show_text, visible
from .draft import SUFFIXES, Draft, blank, drafts, from_data, from_demo, new_draft, uploads
from .form import Form, go
from .removal import offer_removal
from .sample import sample, told

_MOST = 30
"""Drafts and files that are offered."""


def begin() -> None:
    """Offer what a run can begin with."""
    st.write("A run needs a file of texts: one row for each, in CSV, TSV, JSONL or Parquet.")
    given = st.file_uploader(
        "Upload a file", type=[suffix[1:] for suffix in SUFFIXES], key="new_upload"
    )
    if given is not None:
        draft = new_draft(blank())
        try:
            _adopt(draft, draft.keep(given.name, given))
        except DataError as error:
            shutil.rmtree(draft.folder, ignore_errors=True)
            st.error("This file can not be used:")
            show_text(str(error))
        else:
            go("columns", draft)
    if st.button("Use the packaged demo corpus", key="new_demo"):
        draft = new_draft(blank())
        draft.save(from_demo(draft.folder))
        go("data", draft)
    _earlier_files()
    _earlier_drafts()


def show(form: Form) -> None:
    """Show what is in the file."""
    path = Path(str(form.config["data"].get("path") or ""))
    st.subheader("Data", anchor=False)
    if not path.name:
        st.info("This draft has no data file yet; choose one under New run.")
        form.place("file")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"File: {escaped(path.name)}, {_size(path)}", width="content")
        if st.button("Begin with another file", key="new_other", type="tertiary"):
            st.query_params.clear()
            st.rerun()
    form.place("file")
    try:
        found = sample(form.config)
    except (DataError, ValueError) as error:
        st.error("The file can not be read as the columns are set now:")
        show_text(str(error))
        return
    if found.cut:
        st.warning("The file is so large that only its beginning was gone through here.")
    st.write(escaped(told(found), 400))
    with st.container(horizontal=True):
        for name, count in (
            ("Rows", found.rows + found.rejected),
            ("Usable", found.rows),
            ("Without text", found.empty),
            ("Same text again", found.duplicates),
        ):
            st.metric(name, formats.number(count))
    if found.rejected:
        st.warning(
            f"{formats.number(found.rejected)} rows can not be used. They are left out and listed "
            "in rejected.jsonl. The first:"
        )
        show_text("\n".join(found.reasons))
    st.dataframe(
        [{visible(name): value for name, value in row.items()} for row in found.first],
        hide_index=True,
        width="stretch",
    )


def _earlier_files() -> None:
    known = list(dict.fromkeys(uploads()))[:_MOST]
    if not known:
        return
    with st.expander("Use a file that was uploaded before"):
        chosen = st.selectbox(
            "File",
            known,
            key="new_known",
            format_func=lambda path: f"{visible(path.name)} ({path.parent.name}, {_size(path)})",
        )
        if st.button("Use this file", key="new_use"):
            draft = new_draft(blank())
            try:
                _adopt(draft, chosen)
            except DataError as error:
                shutil.rmtree(draft.folder, ignore_errors=True)
                st.error("This file can not be used:")
                show_text(str(error))
            else:
                go("columns", draft)


def _earlier_drafts() -> None:
    known = drafts()[:_MOST]
    if not known:
        return
    with st.expander("Go on with a draft"):
        chosen = st.selectbox("Draft", known, key="new_draft", format_func=_described)
        with st.container(horizontal=True):
            if st.button("Open this draft", key="new_open"):
                go("data", chosen)
            offer_removal(chosen)


def _described(draft: Draft) -> str:
    try:
        task = str(draft.load()["task"]["name"])
    except (LookupError, TypeError, OSError, ValueError):
        task = "?"
    return f"{visible(task)[:60]}, {formats.ago(draft.file.stat().st_mtime)}"


def _adopt(draft: Draft, path: Path) -> None:
    draft.save(from_data(path))


def _size(path: Path) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        return "not there any more"
    if size < 1_000_000:
        return f"{formats.number(size / 1_000, 1)} kB"
    return f"{formats.number(size / 1_000_000, 1)} MB"
