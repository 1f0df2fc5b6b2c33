"""Money: prices as configured, costs as integers.

Every amount inside the program is an ``int`` of nanodollars (1 USD = 10**9), so that sums are exact
and the same on every machine. One token at 0.05 USD a million is 50 nanodollars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

NANO = 1_000_000_000
_KINDS = (
    "a price is one of: free, {in: USD, out: USD} per million tokens, or {per_label: USD}; "
    "an unknown price is refused, never counted as free"
)


class Price(BaseModel):
    """What an annotator or endpoint charges: per million tokens, per label, or nothing.

    In a run configuration it is written ``free``, ``{in: 0.15, out: 0.60}`` (USD per million
    tokens, optionally ``cached_in``) or ``{per_label: 0.10}`` (USD per answered item). There is no
    default: an unknown price is refused, never counted as free.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        json_schema_extra={"description": "free | {in, out, cached_in?} | {per_label}"},
    )

    input: float | None = Field(
        None, alias="in", ge=0, allow_inf_nan=False, description="USD per million prompt tokens."
    )
    output: float | None = Field(
        None,
        alias="out",
        ge=0,
        allow_inf_nan=False,
        description="USD per million completion tokens.",
    )
    cached_in: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="USD per million cached prompt tokens."
    )
    per_label: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="USD per answered item."
    )
    free: bool = Field(False, description="True where the annotator costs nothing.")

    @model_validator(mode="before")
    @classmethod
    def _accept_free(cls, value: Any) -> Any:
        if value == "free":
            return {"free": True}
        if not isinstance(value, Mapping | Price):
            raise ValueError(_KINDS)
        return value

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Price:
        by_token = self.input is not None or self.output is not None
        if by_token and (self.input is None or self.output is None):
            raise ValueError("a price by tokens needs both 'in' and 'out' (USD per million)")
        kinds = (self.free, by_token, self.per_label is not None)
        if sum(kinds) != 1:
            raise ValueError(_KINDS)
        if self.cached_in is not None and not by_token:
            raise ValueError("'cached_in' goes with 'in' and 'out'")
        # A call is reserved at the price of fresh tokens, which must bound what it can cost.
        if self.cached_in is not None and self.input is not None and self.cached_in > self.input:
            raise ValueError(
                f"'cached_in' is at most 'in': found {self.cached_in:g} and {self.input:g}"
            )
        return self

    def cost(
        self, tokens_in: int = 0, tokens_out: int = 0, labels: int = 0, cached_tokens: int = 0
    ) -> int:
        """Nanodollars for one call.

        Args:
            tokens_in: Prompt tokens, cached ones included.
            tokens_out: Completion tokens.
            labels: Items answered, for a price per label.
            cached_tokens: How many of ``tokens_in`` the server says it had cached.

        Returns:
            The cost, rounded up to a whole nanodollar.
        """
        if self.free:
            return 0
        if self.per_label is not None:
            return math.ceil(labels * Decimal(str(self.per_label)) * NANO)
        assert self.input is not None
        assert self.output is not None
        cached = cached_tokens if self.cached_in is not None else 0
        micro_dollars = (
            (tokens_in - cached) * Decimal(str(self.input))
            + cached * Decimal(str(self.cached_in or 0))
            + tokens_out * Decimal(str(self.output))
        )
        return math.ceil(micro_dollars * 1000)


def to_nano(usd: float) -> int:
    """Nanodollars of an amount in USD, rounded to the nearest.

    >>> to_nano(0.1)
    100000000
    """
    return round(Decimal(str(usd)) * NANO)


def to_usd(nano: int) -> float:
    """USD of an amount in nanodollars, for reports only."""
    return nano / NANO


def show(nano: int) -> str:
    """An amount for people: two decimals from ten cents up, otherwise two significant figures.

    >>> show(1_234_000_000), show(1_500_000), show(0)
    ('$1.23', '$0.0015', '$0.00')
    """
    usd = nano / NANO
    if nano == 0 or abs(usd) >= 0.095:
        return f"${usd:,.2f}"
    digits = 1 - math.floor(math.log10(abs(usd)))
    return f"${usd:.{digits}f}"
