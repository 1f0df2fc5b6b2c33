"""What reviewers said about items, and what that comes to."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

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
        undoes: What an ``undo`` takes back, by its ``seq``, so that two of them take back one word;
            ``None``, as in earlier versions, is the reviewer's last word on the item.
    """

    seq: int
    item_id: str
    reviewer: str
    verdict: Verdict
    label: str | None = None
    example: bool = False
    blind: bool = False
    undoes: int | None = None

    def payload(self) -> dict[str, Any]:
        """The directive's payload."""
        written: dict[str, Any] = {
            "item_id": self.item_id,
            "reviewer": self.reviewer,
            "verdict": self.verdict,
            "label": self.label,
            "example": self.example,
            "blind": self.blind,
        }
        return written if self.undoes is None else {**written, "undoes": self.undoes}

    @classmethod
    def of(cls, seq: int, payload: dict[str, Any]) -> Review:
        """The review that a directive carries."""
        return cls(seq=seq, **payload)


def read_review(seq: int, payload: Any, labels: Sequence[str]) -> Review | str:
    """The review in the payload of a directive, which anybody may have written.

    Args:
        seq: The directive's number.
        payload: As `Review.payload` writes it; further keys are passed over.
        labels: The label set.

    Returns:
        The review, or what is wrong with it.
    """
    if not isinstance(payload, dict):
        return "expected {item_id, reviewer, verdict, label}"
    item, reviewer = payload.get("item_id"), payload.get("reviewer")
    verdict: Any = payload.get("verdict")
    if not isinstance(item, str) or not item:
        return "no item_id"
    if not isinstance(reviewer, str) or not reviewer.strip():
        return "no reviewer: whose word it is must be known"
    if verdict not in get_args(Verdict):
        return f"verdict: expected one of {', '.join(get_args(Verdict))}"
    label = payload.get("label")
    if verdict == "label" and label not in labels:
        return f"no such label: {str(label)[:80]!r}; the labels are {', '.join(labels)}"
    undoes = payload.get("undoes") if verdict == "undo" else None
    if undoes is not None and (isinstance(undoes, bool) or not isinstance(undoes, int)):
        return "undoes: expected the number of the review that is taken back"
    return Review(
        seq=seq,
        item_id=item,
        reviewer=reviewer,
        verdict=verdict,
        label=label if verdict == "label" else None,
        example=payload.get("example") is True,
        blind=payload.get("blind") is True,
        undoes=undoes,
    )


def taken_back(undo: Review, said: Sequence[Review]) -> Review | None:
    """The word that an ``undo`` takes back; ``None`` where that was taken back before.

    Args:
        undo: The review.
        said: The reviewer's words on the item that stand, in order.
    """
    if undo.undoes is None:
        return said[-1] if said else None
    return next((word for word in said if word.seq == undo.undoes), None)


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

    A reviewer's last word counts, and flags stand beside it; ``undo`` brings back the word before,
    and does nothing where its own word is taken back already.
    """
    words: dict[str, dict[str, list[Review]]] = defaultdict(lambda: defaultdict(list))
    for review in sorted(reviews, key=lambda one: one.seq):
        said = words[review.item_id][review.reviewer]
        if review.verdict != "undo":
            said.append(review)
        elif word := taken_back(review, said):
            said.remove(word)
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


def wants_second(item_id: str, share: float) -> bool:
    """Whether a question is one of those that two reviewers answer; the same in every process.

    Args:
        item_id: The item that it is about.
        share: Share of the questions that are chosen, 0 to 1.
    """
    digest = hashlib.sha256(f"second opinion:{item_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def answered(found: Standing | None, item_id: str, share: float) -> bool:
    """Whether a question has its answer: one that is settled, by two where two are wanted.

    Args:
        found: What the reviews of the item come to; ``None`` without any.
        item_id: The item.
        share: As for `wants_second`.
    """
    if found is None or not found.settled:
        return False
    return len(found.said) >= (2 if wants_second(item_id, share) else 1)
