"""How consistent the annotators were, in sentences: what the paid checks and their alarms say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ..stability import FOLLOWS

Figures: TypeAlias = Mapping[str, Any]


def consistency_words(summary: Figures) -> list[tuple[str, list[str]]]:
    """What is to be said of each annotator.

    Args:
        summary: What the run came to; its part ``consistency`` has the figures of each annotator,
            as a record of the ledger has them.

    Returns:
        (name, sentences), without those that were not checked and raised no alarm.
    """
    told = [(one["annotator"], _sentences(one)) for one in summary.get("consistency") or []]
    return [(name, sentences) for name, sentences in told if sentences]


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
