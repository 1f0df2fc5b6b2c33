"""Which key stands for which label."""

from __future__ import annotations

NO_LABEL, SKIP, UNDO, FLAG, EXAMPLE, VOTES = "0", "s", "u", "f", "e", "v"
# C and R belong to Streamlit.
_LETTERS = "abdghijklmnopqtwxyz"
LABELS = "123456789" + _LETTERS
"""Keys of labels, in the order of the label set."""
QUIET_S = 0.6
"""Seconds an item is there before an answer to it is taken: a key that is held down comes again
within them, and would answer items that nobody has read."""


def matching(labels: list[str], wanted: str) -> list[str]:
    """Labels that hold the words of a filter, those that begin with them first; all without one."""
    words = wanted.casefold().split()
    found = [label for label in labels if all(word in label.casefold() for word in words)]
    if not words:
        return found
    return sorted(found, key=lambda label: not label.casefold().startswith(words[0]))
