"""The cost-plateau rule: stop when the next dollar is not worth it.

Cost-normalised churn. Over a window that cost dM, the share d (churn) of the student's predictions
on a fixed unlabelled stop set changed. Accuracy can not have moved by more than d, and moved by
about rho * d, rho being the net improvement among changed predictions. A is the value of accuracy
going from 0 to 1; the objective is the cost of errors and labels (Pullar-Strecker et al. 2022):

    certificate   A * d < dM            the window can not have paid, whatever the labels were
    rule          A * rho * d * g < m   on `patience` consecutive checks: propose to stop

The rule looks one batch ahead: m is the price of the next batch, g the share of the window's gain
that it can bring, gains falling as in `decay`. rho is measured without labels, by how much surer
the student is of its new labels than of the old ones, and corrected by an audit where one pays. A
few changes are a noisy count: what the student's expected error leaves to learn is weighed in.

Churn is the label-free signal that follows accuracy best (stabilising predictions, Bloodgood &
Vijay-Shanker 2009); this puts a price on it. Stopping at the first batch that does not pay is
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
from .decay import EXPONENT, learnable, look_ahead
from .money import show, to_nano
from .rho import PRIOR_RHO, Rho, RhoSource, confidence_rho, expected_error, rho_interval

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.floating[Any]]
Verdict: TypeAlias = Literal["continue", "propose_stop", "stop"]

ENOUGH_CHANGES = 50
"""Changed predictions from which the configured window is long enough."""
DOUBT = 5.0
"""Changed predictions that what is left to learn counts for; 3 to 8 do as well."""


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
    target: Literal["accuracy", "macro_f1"] = Field(
        "accuracy",
        description="What a point is of; macro_f1 weighs churn so that all classes count alike.",
    )
    window: int = Field(
        3,
        ge=1,
        description="Rounds over which churn is taken: fewer at first, more where little changes.",
    )
    prior_rho: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Expected net improvement among changed predictions; absent, by the student's "
        "confidence in them.",
    )
    audit_changes: bool = Field(
        True, description="Audit changed predictions at the first proposal, where that pays."
    )
    patience: int = Field(1, ge=1, description="Consecutive checks before a stop is proposed.")
    max_rounds: int = Field(50, ge=1, description="Hard cap on rounds.")
    min_rounds: int = Field(2, ge=1, description="Rounds before a proposal may be accepted.")
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
        churn: share of the stop set that changed; None before there are two rounds and with fewer
            than two items, as are all figures derived from it.
        churn_low: lower end of its 95 % interval.
        churn_high: upper end of its 95 % interval.
        money_window: spent in the window.
        value: A, what accuracy going from 0 to 1 is worth.
        rho: net improvement among changed predictions.
        expected_gain: A * (weight * rho * churn_likely + (1 - weight) * learnable).
        certificate_gain: A * churn_high, the most that the window can have brought.
        certificate: certificate_gain < money_window.
        rule: next_gain < money_next, or the plateau test of free rounds.
        streak: consecutive checks with rule, this one included.
        verdict: what follows.
        why: one sentence for a person.
        churn_likely: churn with half a change added, for a small stop set can not show less.
        rho_low: lower end of the 95 % interval of rho.
        rho_high: upper end of the 95 % interval of rho.
        rho_from: "confidence", "prior" or "audit".
        exponent: c of the learning curve.
        next_share: part of the window's gain that the next batch can bring.
        next_gain: expected_gain * next_share.
        money_next: price of the next batch.
        effort: labels (or nanodollars, `by_money`) at the start of the window, now, and after the
            next batch.
        by_money: whether effort is money.
        weight: of the changed predictions in the expected gain, n / (n + 5) for n of them; 1 where
            the student's probabilities are not known or `prior_rho` is configured.
        error: expected error of the student, by its own probabilities.
        learnable: gain of the window if half of that error could be learned; at most churn_high.
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
    churn_likely: float = 0.0
    rho_low: float = 0.0
    rho_high: float = 1.0
    rho_from: RhoSource = "prior"
    exponent: float = EXPONENT
    next_share: float = 0.0
    next_gain: int | None = None
    money_next: int = 0
    effort: tuple[float, float, float] | None = None
    by_money: bool = False
    weight: float = 1.0
    error: float = 0.0
    learnable: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the ledger; `Check.from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Check:
        """A check out of the ledger."""
        effort = plain.get("effort")
        return cls(**{**plain, "effort": None if effort is None else tuple(effort)})


def check(
    history: Sequence[Ints],
    money: Sequence[int],
    value: int,
    config: StoppingConfig,
    streak: int = 0,
    *,
    rho: Rho | None = None,
    proba: Floats | None = None,
    labels: Sequence[int] | None = None,
    next_cost: int | None = None,
    class_weights: Floats | None = None,
) -> Check:
    """Evaluate the rule after a round.

    Args:
        history: predictions of each finished round on the same stop set, (n,) label indices.
        money: cumulative nanodollars when each of them was made, as many, never falling.
        value: A in nanodollars, from `value_of_accuracy`.
        config: window, patience, caps.
        streak: the streak of the previous check (0 after a gate reset it).
        rho: what an audit of changed predictions came to; None takes the configured prior, else
            the confidence of the student.
        proba: (n, K) probabilities of the last student on the stop set, for its confidence and
            its expected error.
        labels: labels by each round, for the decay of gains; None, or where a round brought none,
            takes money in their place.
        next_cost: nanodollars of the next batch; None takes what the last one cost.
        class_weights: (K,) for class-weighted churn.

    Returns:
        The check. A verdict to stop is still subject to `gates`, except at `max_rounds`.

    Raises:
        ValueError: if lengths or shapes do not match, or money falls.
    """
    rounds = len(history)
    if rounds == 0 or rounds != len(money) or (labels is not None and rounds != len(labels)):
        counts = "" if labels is None else f" and {len(labels)} of labels"
        raise ValueError(f"{rounds} rounds of predictions and {len(money)} of money{counts}")
    window = window_of(history, config)
    spent = money[-1] - money[-1 - window]
    if spent < 0:
        raise ValueError(f"money falls by {show(-spent)} within the window")
    planned = money[-1] - money[-2] if next_cost is None and rounds > 1 else next_cost or 0
    plain: dict[str, Any] = {
        "round": rounds,
        "window": window,
        "stop_set": len(history[-1]),
        "weighted": class_weights is not None,
        "money_window": spent,
        "money_next": planned,
        "value": value,
    }
    measurable = len(history[-1]) >= 2
    if rounds < 2 or not measurable:
        verdict: Verdict = "continue"
        why = (
            "churn needs two rounds"
            if measurable
            else "the pool is too small for a stop set, so churn has no measure"
        )
        if rounds >= config.max_rounds:
            verdict, why = "stop", f"the cap of {config.max_rounds} rounds is reached"
        return Check(
            **plain,
            churn=None,
            churn_low=None,
            churn_high=None,
            expected_gain=None,
            certificate_gain=None,
            rho=0.0 if rho is None else rho.estimate,
            certificate=False,
            rule=False,
            streak=0,
            verdict=verdict,
            why=why,
        )
    before, after = history[-1 - window], history[-1]
    moved = churn(before, after, class_weights)
    d = moved.estimate or 0.0
    rho = rho or expected_rho(config, before, after, proba, class_weights)
    ahead = look_ahead(history, money, labels, window, planned)
    likely = (d * moved.n + 0.5) / (moved.n + 1)
    weight, error, left = 1.0, 0.0, 0.0
    if proba is not None and config.prior_rho is None and ahead.effort is not None:
        changed = int((before != after).sum())
        weight = changed / (changed + DOUBT)
        error = expected_error(after, proba, class_weights)
        left = min(learnable(error, *ahead.effort[:2], ahead.exponent), moved.high)
    gain = weight * rho.estimate * likely + (1 - weight) * left
    expected, most = round(value * gain), round(value * moved.high)
    coming = round(expected * ahead.share)
    # What the next batch costs nothing for may be had, whatever the last one cost.
    certificate = most < spent and planned > 0
    # Without a price money can not decide: then a plateau is a churn that is surely small.
    flat = d == 0 or moved.high <= config.free_churn
    rule = certificate or (coming < planned if planned else flat)
    streak = streak + 1 if rule else 0
    if rounds >= config.max_rounds:
        verdict, why = "stop", f"the cap of {config.max_rounds} rounds is reached"
    else:
        verdict, why = _verdict(config, planned, certificate, rule, streak)
    return Check(
        **plain,
        churn=d,
        churn_low=moved.low,
        churn_high=moved.high,
        churn_likely=likely,
        rho=rho.estimate,
        rho_low=rho.low,
        rho_high=rho.high,
        rho_from=rho.source,
        expected_gain=expected,
        certificate_gain=most,
        certificate=certificate,
        rule=rule,
        streak=streak,
        verdict=verdict,
        why=why,
        exponent=ahead.exponent,
        next_share=ahead.share,
        next_gain=coming,
        effort=ahead.effort,
        by_money=ahead.by_money,
        weight=weight,
        error=error,
        learnable=left,
    )


def window_of(history: Sequence[Ints], config: StoppingConfig) -> int:
    """Rounds to look back: more than configured, to half of all, where few flips would decide."""
    rounds, now = len(history), history[-1]
    window = min(config.window, rounds - 1)
    while window < rounds // 2 and len(history[-1 - window]) == len(now):
        if int((history[-1 - window] != now).sum()) >= ENOUGH_CHANGES:
            break
        window += 1
    return window


def expected_rho(
    config: StoppingConfig,
    before: Ints,
    after: Ints,
    proba: Floats | None = None,
    class_weights: Floats | None = None,
) -> Rho:
    """Rho before any audit: as configured, else by the student's confidence, else the usual one."""
    if config.prior_rho is not None or proba is None:
        return rho_interval(config.prior_rho or PRIOR_RHO, 0, "prior")
    return confidence_rho(before, after, proba, class_weights)


def _verdict(
    config: StoppingConfig, planned: int, certificate: bool, rule: bool, streak: int
) -> tuple[Verdict, str]:
    if certificate:
        return "stop", "even if every changed prediction were now right, the window did not pay"
    often = f"{min(streak, config.patience)} of {config.patience} checks in a row"
    times = f", {often}" if config.patience > 1 else ""
    if planned == 0:
        limit = f"{config.free_churn:.1%} (or nothing changed)"
        if not rule:
            return "continue", f"the next batch is free, and churn is not surely below {limit}"
        why = f"the next batch is free, so money can not decide; churn is surely below {limit}"
    elif rule:
        why = "the next batch costs more than its expected gain"
    else:
        return "continue", "the expected gain of the next batch is worth what it costs"
    return ("propose_stop" if streak >= config.patience else "continue"), why + times
