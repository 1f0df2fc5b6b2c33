"""How consistent the annotators were, in sentences: what the paid checks and their alarms say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..stability import FOLLOWS

Figures: TypeAlias = Mapping[str, Any]


_RANDOM = ("check_order", "check_template", "check_retest")


class Told(NamedTuple):
    """What is said of all annotators.

    Attributes:
        intro: Which questions were put again; empty where none was.
        annotators: (name, sentences) of those that were checked or raised an alarm.
    """

    intro: str
    annotators: list[tuple[str, list[str]]]


def consistency_words(summary: Figures) -> Told:
    """What is to be said of each annotator.

    Args:
        summary: What the run came to; its part ``consistency`` has the figures of each annotator,
            as a record of the ledger has them.
    """
    of = summary.get("consistency") or []
    told = [(one["annotator"], _sentences(one)) for one in of]
    return Told(_intro(of), [(name, sentences) for name, sentences in told if sentences])


def _intro(of: Sequence[Figures]) -> str:
    drawn = any(_checked(one, check) for one in of for check in _RANDOM)
    objected = any(_checked(one, "check_counter") for one in of)
    again = [
        *(["on texts drawn at random"] if drawn else []),
        *(["on disputed texts after an objection to the answer"] if objected else []),
    ]
    if not again:
        return ""
    return (
        f"Some questions were put again, {' and '.join(again)}. What came back is a measurement "
        "and no vote."
    )


def _sentences(figures: Figures) -> list[str]:
    order, reworded = _checked(figures, "check_order"), _checked(figures, "check_template")
    retest, objected = _checked(figures, "check_retest"), _checked(figures, "check_counter")
    same = [
        *([f"{_share(order, changed=True)} with the labels in another order"] if order else []),
        *([f"{_share(reworded, changed=True)} in other words"] if reworded else []),
        *([f"{_share(retest)} when the same question was put twice more"] if retest else []),
    ]
    sentences = [f"Its answer stayed the same for {'; for '.join(same)}."] if same else []
    if order:
        sentences.append(_position(figures.get("position") or {}))
    if (figures.get("retested") or 0) > 1 and not figures.get("unsteady"):
        sentences.append(
            f"No silent change of the model shows over the {figures['retested']} rounds in which "
            "the same question was put again."
        )
    if objected:
        sentences.append(
            f"Told that its answer was wrong it gave in for {_share(objected)}; only disputed "
            "texts were asked about so."
        )
    alarms = [*(figures.get("passing") or [])]
    alarms += [[figures.get("round"), alarm] for alarm in figures.get("alarms") or []]
    return sentences + [f"Alarm in round {at}: {alarm}." for at, alarm in alarms]


def _checked(figures: Figures, check: str) -> Figures:
    """The figures of a check; empty where nothing was checked."""
    found: Figures = figures.get(check) or {}
    return found if found.get("n") else {}


def _share(interval: Figures, *, changed: bool = False) -> str:
    """A share with its interval; of what stayed, where the figures are of what changed."""
    estimate, low, high = interval["estimate"], interval["low"], interval["high"]
    if changed:
        estimate, low, high = 1 - estimate, 1 - high, 1 - low
    n = interval["n"]
    texts = "1 text" if n == 1 else f"{n:,} texts"
    return f"{estimate:.1%} of {texts} (95% interval {low:.1%} to {high:.1%})"


def _position(found: Figures) -> str:
    flips, p_value = found.get("flips") or 0, found.get("p_value")
    if p_value is None:
        return (
            f"Whether answers follow the places of the labels: {flips:,} changed, too few to say."
        )
    verb = "follow" if p_value < FOLLOWS else "do not show a pull of"
    return f"The {flips:,} changed answers {verb} the places of the labels (p = {p_value:.2g})."
