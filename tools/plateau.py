"""The cost-plateau rule: stop when the next dollar is not worth it.

Cost-normalised churn. Over a window that cost dM, the share d (churn) of the student's predictions
on a fixed unlabelled stop set changed. Accuracy can not have moved by more than d, and moved by
about rho * d, rho being the net improvement among changed predictions. A is the value of accuracy
going from 0 to 1; the objective is the cost of errors and labels (Pullar-Strecker et al. 2022):

    certificate   A * d < dM          the window can not have paid, whatever the labels were
    rule          A * rho * d < dM    on `patience` consecutive checks: propose to stop

Churn is the label-free signal that follows accuracy best (stabilising predictions, Bloodgood &
Vijay-Shanker 2009); this puts a price on it. Stopping at the first window that does not pay is
optimal if gains per dollar do not grow again (monotone case of Chow & Robbins); `gates` guard that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .audit import churn
from .money import NANO, show, to_nano

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]
Verdict: TypeAlias = Literal["continue", "propose_stop", "stop"]


class StoppingConfig(BaseModel):
    """When to stop, and what accuracy is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    point_value_usd: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="USD that one more point (0.01) of accuracy is worth.",
    )
    items: int | None = Field(
        None,
        ge=1,
        description="Items the labels or the student will decide on; with error_cost_usd.",
    )
    error_cost_usd: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="USD that one wrong label costs; with items.",
    )
    window: int = Field(3, ge=1, description="Rounds over which churn and money are compared.")
    prior_rho: float = Field(
        0.15, gt=0, le=1, description="Expected net improvement among changed predictions."
    )
    patience: int = Field(2, ge=1, description="Consecutive checks before a stop is proposed.")
    max_rounds: int = Field(50, ge=1, description="Hard cap on rounds.")
    min_rounds: int = Field(4, ge=1, description="Rounds before a proposal may be accepted.")
    min_labels: int = Field(100, ge=0, description="Labels before a proposal may be accepted.")
    class_min_labels: int = Field(
        10, ge=0, description="Labels that each class needs which is frequent enough."
    )
    class_min_share: float = Field(
        0.01, ge=0, le=1, description="Estimated share from which a class must be covered."
    )
    noise_tolerance: float = Field(
        0.15, gt=0, le=1, description="Greatest audited error of accepted labels (95 % bound)."
    )
    stop_set_size: int = Field(1000, ge=50, description="Items of the stop set.")
    free_churn: float = Field(
        0.01, ge=0, le=1, description="Churn that counts as a plateau when rounds cost nothing."
    )

    @model_validator(mode="after")
    def _one_way_to_price_accuracy(self) -> StoppingConfig:
        by_errors = (self.items is not None, self.error_cost_usd is not None)
        if by_errors[0] != by_errors[1]:
            raise ValueError("'items' and 'error_cost_usd' go together: their product is the value")
        if by_errors[0] and self.point_value_usd is not None:
            raise ValueError("give either 'point_value_usd' or 'items' with 'error_cost_usd'")
        return self


class Value(NamedTuple):
    """What accuracy going from 0 to 1 is worth, and where the figure comes from."""

    nano: int
    explanation: str


def value_of_accuracy(config: StoppingConfig, pool_size: int, human_label_usd: float) -> Value:
    """The A of the rule.

    Args:
        config: a point value, or items and error cost, or neither.
        pool_size: items of the pool, for the default.
        human_label_usd: price of one label by a person, for the default.

    Returns:
        A in nanodollars: 100 point values, or items x error cost, or by default the price of having
        a person correct every wrong label of the pool.
    """
    if config.point_value_usd is not None:
        nano = to_nano(config.point_value_usd) * 100
        return Value(nano, f"one point of accuracy is worth {show(nano // 100)}, as configured")
    if config.items is not None and config.error_cost_usd is not None:
        nano = to_nano(config.error_cost_usd) * config.items
        text = f"{config.items:,} items x {show(to_nano(config.error_cost_usd))} for a wrong label"
        return Value(nano, text)
    nano = to_nano(human_label_usd) * pool_size
    price = show(to_nano(human_label_usd))
    text = f"assumed: {pool_size:,} items x {price} for a person to correct a wrong label"
    return Value(nano, text)


@dataclass(frozen=True)
class Check:
    """One evaluation of the rule, with every number that went in. Money is in nanodollars.

    Attributes:
        round: rounds that are finished, from 1.
        window: rounds compared.
        stop_set: items of the stop set.
        weighted: whether churn is class-weighted, and so not a plain share.
        churn: share of the stop set that changed; None before the first whole window and with fewer
            than two items, as are all figures derived from it.
        churn_low: lower end of its 95 % interval.
        churn_high: upper end of its 95 % interval.
        money_window: spent in the window.
        value: A, what accuracy going from 0 to 1 is worth.
        rho: net improvement among changed predictions.
        expected_gain: A * rho * churn.
        certificate_gain: A * churn_high, the most that the window can have brought.
        certificate: certificate_gain < money_window.
        rule: expected_gain < money_window, or the plateau test of free rounds.
        streak: consecutive checks with rule, this one included.
        verdict: what follows.
        why: one sentence for a person.
    """

    round: int
    window: int
    stop_set: int
    weighted: bool
    churn: float | None
    churn_low: float | None
    churn_high: float | None
    money_window: int
    value: int
    rho: float
    expected_gain: int | None
    certificate_gain: int | None
    certificate: bool
    rule: bool
    streak: int
    verdict: Verdict
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the ledger; `Check(**d)` reads them back."""
        return asdict(self)


def check(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    streak: int = 0,
    *,
    rho: float | None = None,
    class_weights: Floats | None = None,
) -> Check:
    """Evaluate the rule after a round.

    Args:
        history: predictions of each finished round on the same stop set, (n,) label indices; only
            the last and the one a window before are read.
        money: cumulative nanodollars when each of them was made, as many, never falling.
        value: A in nanodollars, from `value_of_accuracy`.
        config: window, prior, patience, caps.
        streak: the streak of the previous check (0 after a gate reset it).
        rho: from `audit.audited_rho`; None takes the prior.
        class_weights: (K,) for class-weighted churn.

    Returns:
        The check. A verdict to stop is still subject to `gates`, except at `max_rounds`.

    Raises:
        ValueError: if lengths or shapes do not match, or money falls.
    """
    rounds, window = len(history), config.window
    if rounds == 0 or rounds != len(money):
        raise ValueError(f"{rounds} rounds of predictions and {len(money)} of money")
    spent = money[-1] - money[max(-1 - window, -rounds)]
    if spent < 0:
        raise ValueError(f"money falls by {show(-spent)} within the window")
    rho = config.prior_rho if rho is None else rho
    d: float | None = None
    low: float | None = None
    high: float | None = None
    expected: int | None = None
    most: int | None = None
    certificate = rule = False
    measurable = len(history[-1]) >= 2
    if rounds > window and measurable:
        moved = churn(history[-1 - window], history[-1], class_weights)
        d, low, high = moved.estimate or 0.0, moved.low, moved.high
        expected, most = round(value * rho * d), round(value * high)
        certificate = most < spent
        # Without a price money can not decide: then a plateau is a churn that is surely small.
        flat = d == 0 or high <= config.free_churn
        rule = expected < spent if spent else flat
    streak = streak + 1 if rule else 0
    verdict: Verdict
    if rounds >= config.max_rounds:
        verdict, why = "stop", f"the cap of {config.max_rounds} rounds is reached"
    elif not measurable:
        verdict, why = "continue", "the pool is too small for a stop set, so churn has no measure"
    elif d is None:
        verdict, why = "continue", f"a window of {window} rounds needs {window + 1} rounds"
    else:
        verdict, why = _verdict(config, spent, certificate, rule, streak)
    return Check(
        round=rounds,
        window=window,
        stop_set=len(history[-1]),
        weighted=class_weights is not None,
        churn=d,
        churn_low=low,
        churn_high=high,
        money_window=spent,
        value=value,
        rho=rho,
        expected_gain=expected,
        certificate_gain=most,
        certificate=certificate,
        rule=rule,
        streak=streak,
        verdict=verdict,
        why=why,
    )


def _verdict(
    config: StoppingConfig, spent: int, certificate: bool, rule: bool, streak: int
) -> tuple[Verdict, str]:
    if certificate:
        return "stop", "even if every changed prediction were now right, the window did not pay"
    times = f"{min(streak, config.patience)} of {config.patience} checks in a row"
    if spent == 0:
        limit = f"{config.free_churn:.1%} (or nothing changed)"
        if not rule:
            return "continue", f"rounds cost nothing, and churn is not surely below {limit}"
        why = (
            f"rounds cost nothing, so money can not decide; churn is surely below {limit}, {times}"
        )
    elif rule:
        why = f"the window cost more than its expected gain, {times}"
    else:
        return "continue", "the expected gain of the window is worth what it cost"
    return ("propose_stop" if streak >= config.patience else "continue"), why


def explain(check: Check) -> str:
    """The arithmetic of a check with its numbers, for an operator."""
    points = f"{show(check.value // 100)} for each point of accuracy"
    head = f"Round {check.round}: {check.verdict.replace('_', ' ')}, for {check.why}."
    if check.churn is None:
        return f"{head}\nValue A = {show(check.value)}, {points}."
    kind = "Class-weighted churn" if check.weighted else "Churn"
    expected, most = check.expected_gain or 0, check.certificate_gain or 0
    a = show(check.value)
    lines = [
        head,
        f"Window: the last {check.window} rounds, {show(check.money_window)} spent.",
        f"{kind} d of the {check.stop_set:,} stop-set items: {check.churn:.2%} "
        f"(95 % interval {check.churn_low:.2%} to {check.churn_high:.2%}).",
        f"Value A = {a}, {points}. Net improvement rho = {check.rho:.2f}.",
        f"Expected gain: A x rho x d = {a} x {check.rho:.2f} x {check.churn:.4f} = "
        f"{show(expected)}{_against(expected, check.money_window)}.",
        f"At most: A x upper d = {a} x {check.churn_high:.4f} = "
        f"{show(most)}{_against(most, check.money_window)}.",
    ]
    return "\n".join(lines)


def _against(gain: int, spent: int) -> str:
    if spent == 0:
        return ", with nothing spent to compare it with"
    return f", {'less' if gain < spent else 'no less'} than the {show(spent)} spent"


class NextDollars(NamedTuple):
    """What more money would buy, in points (0.01) of accuracy; None where it can not be said."""

    expected_points: float | None
    at_most_points: float | None
    text: str


def next_dollars(check: Check, usd: float) -> NextDollars:
    """What another `usd` would buy, if churn per dollar stayed as in the window.

    Gains per dollar normally fall, so the linear extrapolation is optimistic.

    Args:
        check: the last check.
        usd: further money, above 0.

    Returns:
        Expected points (rho * churn) and at most (upper end of churn), capped at 100, and a text.
    """
    if check.churn is None or check.churn_high is None:
        return NextDollars(None, None, f"Nothing can be said: {check.why}.")
    if check.money_window == 0:
        return NextDollars(None, None, "Rounds cost nothing, so a dollar has no price in accuracy.")
    windows = usd * NANO / check.money_window
    at_most = min(100 * windows * check.churn_high, 100.0)
    expected = max(min(100 * windows * check.rho * check.churn, at_most), -100.0)
    text = (
        f"Another ${usd:,.2f} buys about {expected:.2f} points of accuracy "
        f"(worth {show(round(check.value * expected / 100))}), at most {at_most:.2f}. This "
        f"extends the churn per dollar of the last {check.window} rounds in a straight line; it "
        f"usually falls."
    )
    return NextDollars(expected, at_most, text)


def simulate(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    *,
    rho: Sequence[float] | None = None,
    class_weights: Floats | None = None,
) -> int | None:
    """The round at which the rule would have stopped a recorded run, gates aside.

    Args:
        history: predictions of every round on the stop set.
        money: cumulative nanodollars of every round.
        value: A in nanodollars.
        config: the rule's parameters.
        rho: audited rho known at each round; None takes the prior throughout.
        class_weights: (K,) for class-weighted churn.

    Returns:
        The first round (from 1) with a verdict other than continue, or None.

    Raises:
        ValueError: as `check`.
    """
    streak = 0
    for end in range(1, len(history) + 1):
        result = check(
            history[:end],
            money[:end],
            value,
            config,
            streak,
            rho=None if rho is None else rho[end - 1],
            class_weights=class_weights,
        )
        if result.verdict != "continue":
            return end
        streak = result.streak
    return None


def sensitivity(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    *,
    rho: Sequence[float] | None = None,
    class_weights: Floats | None = None,
) -> dict[str, int | None]:
    """Stop rounds on the same history if accuracy were worth a third, as much, three times as much.

    Everything scales with A, and A is the number people know least; arguments as `simulate`.

    Returns:
        Stop round (None: goes on) under the keys "A/3", "A" and "3A".
    """
    values = {"A/3": value // 3, "A": value, "3A": 3 * value}
    return {
        name: simulate(history, money, worth, config, rho=rho, class_weights=class_weights)
        for name, worth in values.items()
    }
