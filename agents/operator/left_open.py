"""What is still open in a run that somebody is about to end, and what becomes of it."""

from __future__ import annotations

from ...tools.watch.proposals import RUN_KINDS
from .facts import Facts


def left_open(facts: Facts) -> list[str]:
    """Sentences on unanswered questions, and on proposals that are not settled; none without."""
    found = []
    if not facts.running and (left := facts.unanswered()):
        head, again = f"{left:,} questions for people are unanswered.", "those answers"
        if left == 1:
            head, again = "1 question for people is unanswered.", "that answer"
        found.append(
            f"{head} The run ends without {again} and does not ask again: the other annotators "
            "and the student give the label, or the text is set apart. Answers that were given "
            "count."
        )
    late = sum(one.state == "accepted" and one.kind in RUN_KINDS for one in facts.proposals)
    if late:
        has = "1 accepted proposal has" if late == 1 else f"{late} accepted proposals have"
        found.append(f"{has} not been carried out yet; what is not by then is left out.")
    if waiting := sum(one.state == "open" for one in facts.proposals):
        wait = "1 proposal waits" if waiting == 1 else f"{waiting} proposals wait"
        found.append(
            f"{wait} for a word. Ending the run carries nothing of that out; it can still be "
            "accepted afterwards."
        )
    return found
