"""A check of the stop rule in words, and what more money would buy, with a band."""

from __future__ import annotations

from typing import NamedTuple

from .decay import share_of_next
from .money import NANO, show
from .plateau import Check


class NextDollars(NamedTuple):
    """What more money would buy, in points (0.01) of accuracy; None where it can not be said.

    Attributes:
        expected_points: the expected gain, falling as the learning curve does.
        low_points: lower end of the band.
        high_points: upper end of the band.
        at_most_points: the churn itself, extended in a straight line; capped at 100.
        text: for a person.
    """

    expected_points: float | None
    low_points: float | None
    high_points: float | None
    at_most_points: float | None
    text: str


def next_dollars(check: Check, usd: float) -> NextDollars:
    """What another `usd` would buy, gains falling as labels are added.

    The band takes the ends of the intervals of churn and of rho together with an exponent of the
    learning curve that is twice and half as great, and none or all of the student's expected error
    for what can be learned, so it is wider than each of them.

    Args:
        check: the last check.
        usd: further money, above 0.

    Returns:
        Expected points, band, and at most; None without churn or without a price.
    """
    if check.churn is None or check.churn_low is None or check.churn_high is None:
        return NextDollars(None, None, None, None, f"Nothing can be said: {check.why}.")
    if check.money_next == 0 or check.money_window == 0:
        why = "Rounds cost nothing, so a dollar has no price in accuracy."
        return NextDollars(None, None, None, None, why)
    batches = usd * NANO / check.money_next
    share = _share_of(check, batches, 1.0)
    ends = (check.rho_low, check.rho_high)
    churns = (check.churn_low, check.churn_high)
    shares = [_share_of(check, batches, times) for times in (2.0, 0.5)]
    steady = usd * NANO / check.money_window
    products = [
        s * (check.weight * rho * d + (1 - check.weight) * left)
        for rho in ends
        for d in churns
        for s in shares
        for left in (0.0, 2 * check.learnable)
    ]
    gain = check.weight * check.rho * check.churn_likely + (1 - check.weight) * check.learnable
    at_most = min(100 * max(steady, share) * check.churn_high, 100.0)
    low, expected, high = (
        max(min(100 * x, at_most), -100.0) for x in (min(products), gain * share, max(products))
    )
    text = (
        f"Another ${usd:,.2f} buys about {expected:.2f} points of {_target(check)} "
        f"({low:.2f} to {high:.2f}), worth {show(round(check.value * expected / 100))}"
    )
    # A bound of 100 points or close to it says nothing: more money than the window has cost.
    text += f"; at most {at_most:.2f}." if steady <= 1 else "."
    return NextDollars(expected, low, high, at_most, text)


def _share_of(check: Check, batches: float, faster: float) -> float:
    """Share of the window's gain that so many batches bring, at a multiple of the exponent."""
    if check.effort is None:
        return batches / check.window
    start, now, then = check.effort
    return share_of_next(start, now, now + (then - now) * batches, faster * check.exponent)


def _target(check: Check) -> str:
    return "macro-F1" if check.weighted else "accuracy"


RHO_FROM = {
    "confidence": "by how much surer the student is of its new labels than of the old ones",
    "prior": "assumed",
    "audit": "by an audit of changed predictions",
}


def explain(check: Check) -> str:
    """The arithmetic of a check with its numbers, for an operator."""
    points = f"{show(check.value // 100)} for each point of {_target(check)}"
    head = f"Round {check.round}: {check.verdict.replace('_', ' ')}, for {check.why}."
    if check.churn is None:
        return f"{head}\nValue A = {show(check.value)}, {points}."
    kind = "Class-weighted churn" if check.weighted else "Churn"
    expected, most = check.expected_gain or 0, check.certificate_gain or 0
    a, m = show(check.value), show(check.money_next)
    counted = round(check.value * check.rho * check.churn_likely)
    rounds = "round" if check.window == 1 else f"{check.window} rounds"
    lines = [
        head,
        f"Window: the last {rounds}, {show(check.money_window)} spent.",
        f"{kind} d of the {check.stop_set:,} stop-set items: {check.churn:.2%} "
        f"(95 % interval {check.churn_low:.2%} to {check.churn_high:.2%}).",
        f"Value A = {a}, {points}. Net improvement rho = {check.rho:.3f} "
        f"({check.rho_low:.2f} to {check.rho_high:.2f}), {RHO_FROM[check.rho_from]}.",
        f"Expected gain of the window: A x rho x d = {a} x {check.rho:.3f} x "
        f"{check.churn_likely:.4f} = {show(counted)} (d with half a change added).",
        *_weighed(check, counted, expected),
        f"Next batch: {_share(check)} = {check.next_share:.3f} of it, "
        f"{show(check.next_gain or 0)}{_against(check.next_gain or 0, check.money_next, m)}.",
        f"At most, for the window: A x upper d = {a} x {check.churn_high:.4f} = "
        f"{show(most)}{_against(most, check.money_window, show(check.money_window))}.",
    ]
    return "\n".join(lines)


def _weighed(check: Check, counted: int, expected: int) -> list[str]:
    """The line on what is left to learn, where it counts for something."""
    if check.weight == 1 or check.effort is None:
        return []
    start, now, _ = _efforts(check)
    left, w = show(round(check.value * check.learnable)), check.weight
    return [
        f"A few changes are a noisy count, so half of the student's expected error e = "
        f"{check.error:.2%} is taken to be learnable: the lesser of upper d and "
        f"e / 2 x (({now} / {start})^{check.exponent:.2f} - 1), {check.learnable:.4f}, x A = "
        f"{left}. Together: {w:.2f} x {show(counted)} + {1 - w:.2f} x {left} = {show(expected)}."
    ]


def _efforts(check: Check) -> list[str]:
    """Effort at the start of the window, now, and after the next batch."""
    return [show(int(e)) if check.by_money else f"{e:,.0f}" for e in check.effort or ()]


def _share(check: Check) -> str:
    if check.effort is None:
        return f"an equal share, 1 / {check.window}"
    start, now, then = _efforts(check)
    unit = "money" if check.by_money else "labels"
    c = f"{check.exponent:.2f}"
    return (
        f"gains fall with {unit} as n^-{c}, so ({now}^-{c} - {then}^-{c}) / "
        f"({start}^-{c} - {now}^-{c})"
    )


def _against(gain: int, spent: int, shown: str) -> str:
    if spent == 0:
        return ", with nothing to pay that it could be compared with"
    return f", {'less' if gain < spent else 'no less'} than the {shown} it costs"
