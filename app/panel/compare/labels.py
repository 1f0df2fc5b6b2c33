"""Two runs over the same data, text by text: where their labels differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from ....tools.watch import RunReader
from ....tools.watch.differences import (
    UNLABELLED,
    Difference,
    Differences,
    differences,
    other_texts,
)
from .. import formats
from ..plain import text_html, visible
from ..review.desk import desk
from ..review.who import reviewer
from ..run_page import facts
from ..session import born, reader

_PAGE = 10
_SHOWN = 1_500
"""Characters of a text in the list."""
_ALL = ("", "")


def show_labels(folders: Sequence[Path]) -> None:
    """Compare the labels of two of the runs."""
    one, other = _two(folders)
    if one == other:
        st.info("Choose two different runs.")
        return
    with st.spinner("Comparing the labels."):
        found = _differences(one, _mark(reader(one)), other, _mark(reader(other)))
    if not found.shared:
        st.info(
            "These two runs have no text in common, so their labels can not be compared. Runs over "
            "the same data file have."
        )
        return
    differ = len(found.items)
    st.html(
        facts.facts(
            [
                ("Texts in both", formats.number(found.shared), _only(found)),
                ("Labelled by both", formats.number(found.both), ""),
                ("Same label", _share(found.same, found.both), "of those labelled by both"),
                ("Different", formats.number(differ), _alone(found)),
            ]
        )
    )
    if not differ:
        st.success("Every text that both runs have is labelled the same.")
        return
    _warn_of_other_texts(reader(one), reader(other), found)
    pairs = found.commonest
    _table(pairs, one.name, other.name)
    hidden = _hidden(one) | _hidden(other)
    told = [difference for difference in found.items if difference.item not in hidden]
    if len(told) < differ:
        st.caption(
            f"Not listed are {formats.number(differ - len(told))} of them that an audit asks you "
            "about, until you have answered on the review page."
        )
    if told:
        _items(told, pairs, reader(one), reader(other))


def _hidden(folder: Path) -> set[str]:
    """Items of which nothing may be told to this reader: an audit of the run asks about them."""
    at = desk(folder)
    at.log.refresh()
    return at.hidden(reviewer())


def _two(folders: Sequence[Path]) -> tuple[Path, Path]:
    if len(folders) == 2:
        return folders[0], folders[1]
    left, right = st.columns(2)
    names = {folder.name: folder for folder in folders}
    one = left.selectbox("One run", list(names), key="compare_one")
    other = right.selectbox("The other", list(names), index=1, key="compare_other")
    return names[one], names[other]


def _mark(run: RunReader) -> tuple[int, ...]:
    """Changes whenever a label may have changed."""
    rows = run.rows("SELECT max(seq) FROM consensus")
    return (*born(run.folder), int(rows[0][0] or 0) if rows else 0)


@st.cache_resource(max_entries=4, show_spinner=False)
def _differences(
    one: Path,
    mark: tuple[int, ...],  # noqa: ARG001 - part of the key
    other: Path,
    other_mark: tuple[int, ...],  # noqa: ARG001 - part of the key
) -> Differences:
    return differences(reader(one), reader(other))


def _warn_of_other_texts(one: RunReader, other: RunReader, found: Differences) -> None:
    changed, looked_at = other_texts(one, other, found)
    if changed:
        st.warning(
            f"Of {formats.number(looked_at)} texts looked at, {formats.number(changed)} have the "
            "same id and another text: the runs may be over different data."
        )


def _table(pairs: Sequence[tuple[tuple[str, str], int]], one: str, other: str) -> None:
    first, second = visible(one), visible(other)
    if first == second:
        second += " "
    st.dataframe(
        [{first: _word(label), second: _word(theirs), "texts": n} for (label, theirs), n in pairs],
        hide_index=True,
        width="stretch",
        height="auto" if len(pairs) <= 8 else 320,
    )


def _items(
    items: Sequence[Difference],
    pairs: Sequence[tuple[tuple[str, str], int]],
    one: RunReader,
    other: RunReader,
) -> None:
    counts = dict(pairs)
    chosen = st.selectbox(
        "Texts",
        [_ALL, *counts],
        format_func=lambda pair: (
            f"all {formats.number(len(items))}"
            if pair == _ALL
            else f"{_word(pair[0])} / {_word(pair[1])} ({formats.number(counts[pair])})"
        ),
        key="compare_pair",
    )
    shown = items if chosen == _ALL else [i for i in items if (i.one, i.other) == chosen]
    pages = math.ceil(len(shown) / _PAGE)
    page = 1
    if pages > 1:
        page = st.pagination(pages, key=f"compare_page_{counts.get(chosen, 0)}_{len(items)}")
    part = shown[(page - 1) * _PAGE : page * _PAGE]
    texts = other.texts([i.item for i in part]) | one.texts([i.item for i in part])
    for difference in part:
        said = [
            (one.name, _said(difference.one, difference.one_source)),
            (other.name, _said(difference.other, difference.other_source)),
            ("item", difference.item),
        ]
        st.html(text_html(texts.get(difference.item, ""), _SHOWN) + facts.steps(said))


def _word(label: str) -> str:
    return visible(label) if label != UNLABELLED else "without a label"


def _said(label: str, source: str) -> str:
    return f"{_word(label)} ({source})" if source else _word(label)


def _only(found: Differences) -> str:
    alone = found.only_one + found.only_other
    return f"{formats.number(alone)} in one of them only" if alone else ""


def _alone(found: Differences) -> str:
    if not found.alone:
        return ""
    return f"{formats.number(found.alone)} of them labelled by one run only"


def _share(part: int, whole: int) -> str:
    return formats.percent(part / whole) if whole else "\N{EN DASH}"
