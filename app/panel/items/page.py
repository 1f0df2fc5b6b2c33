"""The items page."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from ....tools.watch.desk import Desk
from ....tools.watch.items import PAGE, ItemRow, Search, find, rows
from .. import formats
from ..plain import escaped, shortened, visible
from ..review.desk import desk
from ..review.who import reviewer
from ..session import current_run
from .asked import PAGE_KEY, asked
from .detail import detail

ITEM_PARAMETER = "item"
_CELL = 160
_CSS = """<style>
/* What it would save as a table of values is not made safe for spreadsheets. */
.st-key-items_table [data-testid="stElementToolbar"] { display: none; }
</style>"""
_OUTCOMES = {
    "accept": "has a label",
    "set_apart": "set apart",
    "open": "open",
    "hidden": "hidden: an audit asks you",
}


def page() -> None:
    """Show the page."""
    st.title("Items")
    folder = current_run()
    if folder is None:
        st.info("Choose a run first: the list of runs is on the first page.")
        return
    at = desk(folder)
    with st.spinner("Reading the items of the run ..."):
        at.log.refresh()
        at.table.refresh()
    if not len(at.table):
        st.info("This run has not read its texts yet. They appear here as soon as it has.")
        return
    hidden = at.hidden(reviewer())
    spot = st.container()
    search = asked(at.table)
    places = find(at.table, search, at.log, hidden=hidden)
    item = st.query_params.get(ITEM_PARAMETER)
    if item is not None:
        with spot:
            _one(at, item, places, hidden)
    _list(at, search, places, hidden)


def _one(at: Desk, item: str, places: Sequence[int], hidden: set[str]) -> None:
    position = at.table.at.get(item)
    if position is None and (first := at.reader.same_text(item)) is not None:
        st.caption(_same(item, first))
        item, position = first, at.table.at.get(first)
    before, after = _around(places, position)
    with st.container(horizontal=True):
        for name, place in (("Previous", before), ("Next", after)):
            st.button(
                name,
                key=f"items_{name.lower()}",
                disabled=place is None,
                on_click=show_item,
                args=(at.table.ids[place] if place is not None else None,),
            )
        st.button("Close", key="items_close", on_click=show_item, args=(None,))
    if position is None:
        st.warning(f"This run has no item {escaped(item)}. Look for it in the list below.")
    else:
        detail(at, item, position, hidden, show_item)
    st.divider()


def _same(row: str, first: str) -> str:
    return f"Row {escaped(row)} has the same text as item {escaped(first)}, and so its label."


def _around(places: Sequence[int], position: int | None) -> tuple[int | None, int | None]:
    if position is None or position not in places:
        return None, None
    at = places.index(position)
    return (
        places[at - 1] if at else None,
        places[at + 1] if at + 1 < len(places) else None,
    )


def _list(at: Desk, search: Search, places: Sequence[int], hidden: set[str]) -> None:
    pages = max(1, -(-len(places) // PAGE))
    if int(st.session_state.get(PAGE_KEY) or 1) > pages:
        st.session_state[PAGE_KEY] = pages
    few = "1 item" if len(places) == 1 else f"{formats.number(len(places))} items"
    st.caption(f"{few} of {formats.number(len(at.table))}. Click a row for all that is known.")
    named = search.text.strip()
    if named and named not in at.table.at and (first := at.reader.same_text(named)) is not None:
        st.caption(_same(named, first))
    if not places:
        st.info("No item is like this. Leave out a filter, or search for fewer words.")
        return
    above = st.container()
    number = st.pagination(pages, key=PAGE_KEY, bind="query-params")
    listed = rows(at.reader, at.table, places[(number - 1) * PAGE : number * PAGE], hidden=hidden)
    # Another list has another key, so that a cell stays chosen in its own list only.
    mark = hashlib.sha256(repr((at.folder.name, search, number)).encode()).hexdigest()[:12]
    key = f"items_rows_{mark}"
    with above, st.container(key="items_table"):
        st.html(_CSS)
        st.dataframe(
            _columns(at, listed),
            key=key,
            hide_index=True,
            height="content",
            on_select=lambda: _chosen(key, [row.id for row in listed]),
            selection_mode="single-cell",
            column_config={
                "Text": st.column_config.TextColumn(width="large"),
                "Label": st.column_config.TextColumn(width="medium"),
            },
        )


def _columns(at: Desk, listed: Sequence[ItemRow]) -> dict[str, list[Any]]:
    stands = at.log.standing
    waiting = at.log.pending()
    marks = []
    for row in listed:
        said = stands.get(row.id)
        words = []
        if row.disagree:
            words.append("differ")
        if said and said.flagged:
            words.append("flagged")
        if row.id in waiting:
            words.append("review waits")
        elif said and said.said:
            words.append("reviewed")
        marks.append(", ".join(words))
    return {
        "Text": [_cell(row.preview) for row in listed],
        "Label": [_cell(row.label or "") for row in listed],
        "Right": [formats.percent(row.p_correct) for row in listed],
        "From": [_cell(row.source or "") for row in listed],
        "Outcome": [_OUTCOMES[row.outcome] for row in listed],
        "Votes": [row.votes for row in listed],
        "Round": [row.round for row in listed],
        "Notes": marks,
        "Id": [_cell(row.id) for row in listed],
    }


def _cell(text: str) -> str:
    return shortened(visible(text).replace("\n", " "), _CELL)


def _chosen(key: str, ids: Sequence[str]) -> None:
    picked = st.session_state[key].selection.cells
    if picked:
        show_item(ids[picked[0][0]])


def show_item(item: str | None) -> None:
    """Put an item into the page's address, or none."""
    if item is None:
        st.query_params.pop(ITEM_PARAMETER, None)
    else:
        st.query_params[ITEM_PARAMETER] = item
