"""How far annotators agree with each other, and how often audits found them right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..audit import Interval, wilson_interval
from ..ledger.records import CHECK_ATTEMPTS, Vote
from .reader import RunReader


@dataclass(frozen=True)
class Pair:
    """Two annotators on the items that both have labelled.

    Attributes:
        one: Name; before `other` in the run's order.
        other: Name.
        n: Pairs of labels.
        same: Pairs of equal labels.
        kappa: Agreement beyond chance (Cohen 1960); ``None`` where chance alone would agree always.
    """

    one: str
    other: str
    n: int
    same: int
    kappa: float | None

    @property
    def share(self) -> float:
        """Share of equal labels."""
        return self.same / self.n


@dataclass(frozen=True)
class Audited:
    """What random audits found of one annotator.

    Attributes:
        annotator: Name.
        votes: Its answers so far, answers to checks left out.
        invalid: Answers without a label among them.
        right: Accuracy on audited items with Wilson's interval; no estimate without audits.
        trusted: It is the one whose answers are the truth of an audit.
    """

    annotator: str
    votes: int
    invalid: int
    right: Interval
    trusted: bool


@dataclass(frozen=True)
class Agreement:
    """Annotators in the order of the configuration, their pairs, and what audits found."""

    annotators: tuple[str, ...]
    pairs: tuple[Pair, ...]
    audited: tuple[Audited, ...]


PAIRS = (
    "SELECT n.annotator, m.annotator, n.label, m.label, n.purpose IN ('audit', 'last_audit'), "
    "m.purpose IN ('audit', 'last_audit'), count(*) FROM votes n CROSS JOIN votes m "
    "ON m.item_id = n.item_id "
    "WHERE n.vote_id > ? AND n.vote_id <= ? AND m.vote_id < n.vote_id "
    "AND m.annotator <> n.annotator AND n.label IS NOT NULL AND m.label IS NOT NULL "
    f"AND n.attempt < {CHECK_ATTEMPTS} AND m.attempt < {CHECK_ATTEMPTS} "
    "GROUP BY 1, 2, 3, 4, 5, 6"
)
"""Each new vote with the earlier votes of others on the same item."""


@dataclass
class Votes:
    """Running counts over pairs of votes; each refresh reads only what is new."""

    _seen: int = 0
    _labels: dict[tuple[str, str], Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    _right: Counter[tuple[str, bool]] = field(default_factory=Counter)
    _votes: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def refresh(self, reader: RunReader) -> Agreement:
        """Agreement and audited accuracy at this moment.

        Raises:
            LedgerError: The ledger can not be read.
        """
        configured = reader.config.get("annotators") or []
        trusted = {one["name"] for one in configured if one.get("trusted")}
        last = reader.rows("SELECT max(vote_id) FROM votes")
        until = int(last[0][0] or 0) if last else 0
        self._count(reader, until)
        for one, other, label, theirs, audit, their_audit, n in reader.rows(
            PAIRS, self._seen, until
        ):
            self._pair(one, other, label, theirs, n)
            for judge, judging, named, judged in (
                (one, audit, label, (other, theirs)),
                (other, their_audit, theirs, (one, label)),
            ):
                # Only a random audit is evidence: what was escalated was chosen for being hard.
                if judging and judge in trusted and judged[0] not in trusted:
                    self._right[judged[0], named == judged[1]] += n
        self._seen = until
        names = [one["name"] for one in configured]
        names += sorted({name for name, _ in self._votes} - set(names))
        return Agreement(
            tuple(names),
            tuple(self._pairs(names)),
            tuple(self._audited(name, name in trusted) for name in names),
        )

    def _count(self, reader: RunReader, until: int) -> None:
        for annotator, invalid, n in reader.rows(
            "SELECT annotator, invalid IS NOT NULL, count(*) FROM votes "
            f"WHERE vote_id > ? AND vote_id <= ? AND attempt < {CHECK_ATTEMPTS} GROUP BY 1, 2",
            self._seen,
            until,
        ):
            self._votes[annotator, bool(invalid)] += n

    def _pair(self, one: str, other: str, label: str, theirs: str, n: int) -> None:
        if one > other:
            one, other, label, theirs = other, one, theirs, label
        self._labels[one, other][label, theirs] += n

    def _pairs(self, names: list[str]) -> list[Pair]:
        place = {name: number for number, name in enumerate(names)}
        found = []
        for (one, other), labels in self._labels.items():
            first, second = sorted((one, other), key=lambda name: place[name])
            n, same = labels.total(), sum(k for (a, b), k in labels.items() if a == b)
            found.append(Pair(first, second, n, same, _kappa(labels)))
        return sorted(found, key=lambda pair: (place[pair.one], place[pair.other]))

    def _audited(self, name: str, trusted: bool) -> Audited:
        valid, invalid = self._votes[name, False], self._votes[name, True]
        right, wrong = self._right[name, True], self._right[name, False]
        return Audited(
            name, valid + invalid, invalid, wilson_interval(right, right + wrong), trusted
        )


def right_on_audits(votes: Iterable[Vote], trusted: Collection[str]) -> dict[str, Interval]:
    """Accuracy of annotators on random audits, as `Votes` counts it, for a run that has all votes.

    Args:
        votes: Answers to checks left out.
        trusted: Names of those whose answers are the truth of an audit.

    Returns:
        By annotator, with Wilson's interval; nobody without audits.
    """
    truth: dict[str, list[str]] = defaultdict(list)
    given = [vote for vote in votes if vote.label is not None]
    for vote in given:
        if vote.annotator in trusted and vote.purpose in {"audit", "last_audit"}:
            truth[vote.item_id].append(str(vote.label))
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for vote in given:
        if vote.annotator not in trusted:
            right = [label == vote.label for label in truth.get(vote.item_id, ())]
            counts[vote.annotator][0] += sum(right)
            counts[vote.annotator][1] += len(right)
    return {name: wilson_interval(k, n) for name, (k, n) in counts.items() if n}


def _kappa(labels: Counter[tuple[str, str]]) -> float | None:
    n = labels.total()
    mine: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    same = 0
    for (a, b), k in labels.items():
        mine[a] += k
        theirs[b] += k
        same += k if a == b else 0
    chance = sum(k * theirs[label] for label, k in mine.items()) / (n * n)
    return None if chance >= 1 else (same / n - chance) / (1 - chance)
