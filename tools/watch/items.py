"""Items of a run: searched, put in order and shown by pages, and those that deserve a look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..ledger.records import CHECK_ATTEMPTS
from .item_table import OUTCOMES, Bools, Ints, ItemTable
from .reader import RunReader
from .review_log import ReviewLog

Sort = Literal["input", "p_correct", "id", "round", "votes"]
Outcome = Literal["accept", "set_apart", "open"]
"""``open``: the run has not come to it."""
Origin = Literal["real", "synthetic"]
Reviewed = Literal["flagged", "corrected", "disputed", "waiting"]
"""``corrected``: a reviewer has given it a label, or said that none fits. ``waiting``: the run has
not yet taken a review up."""

PAGE = 50
LONGEST_SEARCH = 200
_PREVIEW = 240


@dataclass(frozen=True)
class Search:
    """Which items are wanted, and in which order; ``None`` and false leave a filter out.

    Attributes:
        text: Part of the text or of the id; case does not count.
        label: The label that is held to be true; of an item that was set apart, the likeliest.
        round: In which the label was last weighed.
        disagree: Annotators differ.
        doubted: The last consensus has failed a check of the critic.
        sort: Items without a value come last, whatever the direction.
    """

    text: str = ""
    label: str | None = None
    source: str | None = None
    outcome: Outcome | None = None
    origin: Origin | None = None
    review: Reviewed | None = None
    round: int | None = None
    disagree: bool = False
    doubted: bool = False
    sort: Sort = "input"
    descending: bool = False


@dataclass(frozen=True)
class ItemRow:
    """One item as a list shows it.

    Attributes:
        preview: The beginning of its text.
        outcome: accept, set_apart, open, or hidden.
    """

    id: str
    position: int
    preview: str
    label: str | None
    p_correct: float | None
    source: str | None
    outcome: str
    round: int | None
    votes: int
    disagree: bool
    synthetic: bool


def find(
    table: ItemTable, search: Search, log: ReviewLog, *, hidden: Collection[str] = ()
) -> list[int]:
    """Places of the items that are wanted, in order.

    Args:
        table: The run's items, fresh.
        search: Which, and in which order.
        log: What reviewers have said, fresh.
        hidden: Ids whose labels and votes must not be told: a filter or an order by them leaves
            these items out.
    """
    if search.disagree or search.sort == "votes":
        table.refresh_votes()
    with table.lock:
        mask = np.ones(len(table), bool)
        telling = search.sort == "p_correct"
        if needle := search.text.strip()[:LONGEST_SEARCH]:
            mask &= table.containing(needle)
        if search.origin is not None:
            mask &= table.synthetic == (search.origin == "synthetic")
        if search.review is not None:
            mask &= table.mask(_reviewed(log, search.review))
        for wanted in _told(table, search):
            mask, telling = mask & wanted, True
        if telling:
            mask &= ~table.mask(hidden)
        places: list[int] = _ordered(table, np.flatnonzero(mask), search).tolist()
        return places


def rows(
    reader: RunReader,
    table: ItemTable,
    places: Collection[int],
    *,
    hidden: Collection[str] = (),
) -> list[ItemRow]:
    """Items at given places, with the beginnings of their texts; for a page, not for thousands."""
    if not places:
        return []
    marks = ",".join("?" * len(places))
    # As bytes: SQLite's functions on text end at a NUL.
    found = reader.items(
        f"SELECT position, substr(CAST(text AS BLOB), 1, ?) FROM items WHERE position IN ({marks})",
        4 * _PREVIEW,
        *places,
    )
    previews = dict(found)
    given: dict[str, dict[str, str | None]] = defaultdict(dict)
    count: Counter[str] = Counter()
    with table.lock:
        ids = [table.ids[at] for at in places]
        for item, annotator, label in reader.rows(
            f"SELECT item_id, annotator, label FROM votes WHERE item_id IN ({marks}) "
            "AND attempt < ? ORDER BY vote_id",
            *ids,
            CHECK_ATTEMPTS,
        ):
            given[item][annotator] = label
            count[item] += 1
        return [
            _row(
                table,
                at,
                previews.get(at, b""),
                count[item],
                len({label for label in given[item].values() if label is not None}) > 1,
                item in hidden,
            )
            for at, item in zip(places, ids, strict=True)
        ]


def doubtful(table: ItemTable, log: ReviewLog, reviewer: str, most: int) -> list[str]:
    """Ids of the items that a reviewer should look at, the most doubtful first.

    Those that somebody flagged, then labels of no person and items set apart, by rising
    probability. What this reviewer has spoken on, or others have settled, is left out.

    Args:
        table: The run's items, fresh.
        log: What reviewers have said, fresh.
        reviewer: The name.
        most: How many at most.
    """
    with table.lock:
        flagged = table.mask(item for item, stands in log.standing.items() if stands.flagged)
        closed = table.mask(
            item
            for item, stands in log.standing.items()
            if (stands.settled and not stands.flagged) or log.words(item, reviewer)
        )
        person = table.source == table.sources.index("person")
        # A trusted annotator's word that no label fits is no doubt.
        doubts = (table.outcome >= 0) & ~person & ~table.final & ~np.isnan(table.p)
        candidates = np.flatnonzero((doubts | flagged) & ~closed)
        value = np.where(flagged[candidates], -1.0, table.p[candidates])
        if len(value) > most:
            near = np.argpartition(value, most - 1)[:most]
            candidates, value = candidates[near], value[near]
        order = np.lexsort((candidates, value))
        return [table.ids[place] for place in candidates[order].tolist()]


def _told(table: ItemTable, search: Search) -> list[Bools]:
    """The filters by what was said of an item."""
    masks: list[Any] = []
    if search.label is not None:
        masks.append(table.label == _number(table.labels, search.label))
    if search.source is not None:
        masks.append(table.source == _number(table.sources, search.source))
    if search.outcome is not None:
        number = -1 if search.outcome == "open" else OUTCOMES.index(search.outcome)
        masks.append(table.outcome == number)
    if search.round is not None:
        masks.append(table.round == search.round)
    if search.disagree:
        masks.append(table.disagree())
    if search.doubted:
        masks.append(table.doubted)
    return masks


def _number(names: list[str], name: str) -> int:
    return names.index(name) if name in names else -2


def _ordered(table: ItemTable, places: Ints, search: Search) -> Ints:
    if search.sort == "input":
        return places[::-1] if search.descending else places
    keys: NDArray[np.floating[Any]] | Ints
    if search.sort == "id":
        keys = table.rank_of_ids()[places]
    else:
        column = {"p_correct": table.p, "round": table.round, "votes": table.votes}
        values = column[search.sort][places].astype(np.float64)
        keys = np.where(values < 0, np.nan, values)
    # NaN sorts last, and stays last when the sign is turned.
    return places[np.argsort(-keys if search.descending else keys, kind="stable")]


def _reviewed(log: ReviewLog, kind: Reviewed) -> list[str]:
    if kind == "waiting":
        return list(log.pending())
    return [
        item
        for item, stands in log.standing.items()
        if (kind == "flagged" and stands.flagged)
        or (kind == "corrected" and stands.said)
        or (kind == "disputed" and stands.disputed)
    ]


def _row(
    table: ItemTable, at: int, preview: bytes, votes: int, differs: bool, hidden: bool
) -> ItemRow:
    known = bool(table.outcome[at] >= 0) and not hidden
    p, label = float(table.p[at]), int(table.label[at])
    outcome = OUTCOMES[int(table.outcome[at])] if known else "hidden" if hidden else "open"
    return ItemRow(
        id=table.ids[at],
        position=at,
        preview=preview.decode("utf-8", "ignore")[:_PREVIEW],
        label=table.labels[label] if known and label >= 0 else None,
        p_correct=round(p, 6) if known and not np.isnan(p) else None,
        source=table.sources[int(table.source[at])] if known else None,
        outcome=outcome,
        round=int(table.round[at]) if known else None,
        votes=votes,
        disagree=differs and not hidden,
        synthetic=bool(table.synthetic[at]),
    )
