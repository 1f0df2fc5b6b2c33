"""Reviews in words."""

from __future__ import annotations

from ....tools.reviews import Review

_SAID = {
    "no_label": "no label fits",
    "skip": "skipped",
    "flag": "flagged",
    "undo": "took the last word back",
}

BLIND = "votes stay hidden until you have answered"
NOT_BLIND = "you have answered it before, so this answer is kept as not blind"


_PURPOSES = {
    "": "not said why",
    "audit_change": "audit of changed predictions",
    "escalate": "doubtful labels",
    "rest_escalated": "texts that could not be accepted",
}


def why_asked(purpose: str) -> str:
    """Why something is asked; not safe where Markdown is read."""
    return _PURPOSES.get(purpose) or purpose.replace("_", " ")


def spoken(word: Review) -> str:
    """What somebody said; it holds the label as it is, so it is not safe where Markdown is read."""
    said = _SAID.get(word.verdict) or word.label or ""
    return said + (", offered as an example" if word.example else "")
