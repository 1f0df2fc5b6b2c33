"""What reviewers said about items, and what that comes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["label", "no_label", "skip", "flag", "undo"]
"""``no_label``: no label fits. ``skip``: left to others. ``flag``: to be talked about; says nothing
of the label. ``undo``: takes the reviewer's last word on the item back."""

REVIEW = "review"
"""The kind of directive that carries one."""


@dataclass(frozen=True)
class Review:
    """One word of one reviewer on one item.

    Attributes:
        seq: Number of the directive that carries it; later ones count.
        label: A label of the label set where the verdict is ``label``.
        example: Whether annotators may be shown the text with its label as an example.
        blind: Whether the reviewer answered without seeing votes.
    """

    seq: int
    item_id: str
    reviewer: str
    verdict: Verdict
    label: str | None = None
    example: bool = False
    blind: bool = False

    def payload(self) -> dict[str, Any]:
        """The directive's payload."""
        return {
            "item_id": self.item_id,
            "reviewer": self.reviewer,
            "verdict": self.verdict,
            "label": self.label,
            "example": self.example,
            "blind": self.blind,
        }

    @classmethod
    def of(cls, seq: int, payload: dict[str, Any]) -> Review:
        """The review that a directive carries."""
        return cls(seq=seq, **payload)


@dataclass(frozen=True)
class Standing:
    """What the reviews of one item come to.

    Attributes:
        label: The label; ``None`` where no label fits or nothing is settled.
        settled: Whether there is an answer: all who gave one agree, or a majority of them.
        said: Each reviewer's last answer; ``None`` for "no label fits".
        flagged: Whether anybody flagged it.
        example: Whether anybody who agrees with the label offered it as an example.
        last: Number of the last directive that counts.
    """

    label: str | None
    settled: bool
    said: dict[str, str | None]
    flagged: bool
    example: bool
    last: int

    @property
    def disputed(self) -> bool:
        """Whether answers differ without a majority."""
        return bool(self.said) and not self.settled


def standing(reviews: Iterable[Review]) -> dict[str, Standing]:
    """What the reviews of each item come to, by item id.

    A reviewer's last word counts, and flags stand beside it; ``undo`` brings back the word before.
    """
    words: dict[str, dict[str, list[Review]]] = defaultdict(lambda: defaultdict(list))
    for review in sorted(reviews, key=lambda one: one.seq):
        said = words[review.item_id][review.reviewer]
        if review.verdict != "undo":
            said.append(review)
        elif said:
            said.pop()
    found = {}
    for item, by_reviewer in words.items():
        left = [review for said in by_reviewer.values() for review in said]
        if left:
            found[item] = _standing(by_reviewer, left)
    return found


def _standing(by_reviewer: dict[str, list[Review]], left: list[Review]) -> Standing:
    last = {}
    for reviewer, said in by_reviewer.items():
        words = [review for review in said if review.verdict != "flag"]
        if words and words[-1].verdict != "skip":
            last[reviewer] = words[-1]
    answers = {reviewer: review.label for reviewer, review in last.items()}
    counted = Counter(answers.values()).most_common(2)
    settled = bool(counted) and counted[0][1] * 2 > len(answers)
    label = counted[0][0] if settled else None
    return Standing(
        label=label,
        settled=settled,
        said=answers,
        flagged=any(review.verdict == "flag" for review in left),
        example=settled and any(r.example and r.label == label for r in last.values()),
        last=max(review.seq for review in left),
    )


def agreement(reviews: Iterable[Review]) -> list[tuple[str, str, int, int]]:
    """How often two reviewers agree: (one, other, items both answered, items they agree on)."""
    pairs: Counter[tuple[str, str]] = Counter()
    same: Counter[tuple[str, str]] = Counter()
    for found in standing(reviews).values():
        names = sorted(found.said)
        for at, one in enumerate(names):
            for other in names[at + 1 :]:
                pairs[one, other] += 1
                same[one, other] += found.said[one] == found.said[other]
    return [(one, other, n, same[one, other]) for (one, other), n in sorted(pairs.items())]
