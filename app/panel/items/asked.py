"""What the reader looks for, kept in the page's address so that a link leads to the same list."""

from __future__ import annotations

import streamlit as st

from ....tools.watch.item_table import ItemTable
from ....tools.watch.items import LONGEST_SEARCH, Origin, Outcome, Reviewed, Search, Sort

PAGE_KEY = "items_page"
# The words are what the address holds as well.
_SORTS: dict[str, Sort] = {
    "input": "input",
    "probability": "p_correct",
    "votes": "votes",
    "round": "round",
    "id": "id",
}
_OUTCOMES: dict[str, Outcome] = {"labelled": "accept", "set apart": "set_apart", "open": "open"}
_REVIEWED: dict[str, Reviewed] = {
    "reviewed": "corrected",
    "flagged": "flagged",
    "disputed": "disputed",
    "not yet taken up": "waiting",
}
_ORIGINS: dict[str, Origin] = {"from the input": "real", "written for the run": "synthetic"}


def asked(table: ItemTable) -> Search:
    """Show the fields of the search; returns what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="items_text",
            bind="query-params",
            max_chars=LONGEST_SEARCH,
            placeholder="part of a text or an id",
            on_change=_first_page,
            width=300,
        )
        label = _choice("Label", "items_label", table.labels)
        sort = st.selectbox(
            "Order",
            list(_SORTS),
            key="items_sort",
            bind="query-params",
            on_change=_first_page,
            width=230,
        )
        descending = st.toggle(
            "Descending", key="items_down", bind="query-params", on_change=_first_page
        )
    with (
        st.expander("More filters", expanded=_narrowed()),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        outcome = _choice("Outcome", "items_outcome", list(_OUTCOMES))
        source = _choice("Label comes from", "items_source", table.sources)
        review = _choice("Reviews", "items_review", list(_REVIEWED))
        origin = _choice("Text", "items_origin", list(_ORIGINS))
        last = int(table.round.max(initial=0))
        round_ = _choice("Round", "items_round", list(map(str, range(1, last + 1))))
        disagree = st.toggle(
            "Annotators differ", key="items_differ", bind="query-params", on_change=_first_page
        )
        doubted = st.toggle(
            "Failed a check", key="items_doubted", bind="query-params", on_change=_first_page
        )
    return Search(
        text=text,
        label=label,
        source=source,
        outcome=_OUTCOMES[outcome] if outcome else None,
        origin=_ORIGINS[origin] if origin else None,
        review=_REVIEWED[review] if review else None,
        round=int(round_) if round_ else None,
        disagree=disagree,
        doubted=doubted,
        sort=_SORTS[sort],
        descending=descending,
    )


def _choice(name: str, key: str, options: list[str]) -> str | None:
    return st.selectbox(
        name,
        options,
        index=None,
        key=key,
        bind="query-params",
        placeholder="any",
        on_change=_first_page,
        width=200,
    )


def _narrowed() -> bool:
    """Whether a filter that is folded away is set: it must be seen."""
    keys = ("outcome", "source", "review", "origin", "round", "differ", "doubted")
    return any(f"items_{key}" in st.query_params for key in keys)


def _first_page() -> None:
    st.session_state[PAGE_KEY] = 1
