"""Prices as configured, costs as whole nanodollars, rounded up."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from labelwright.tools.money import NANO, Price, show, to_nano, to_usd

PRICES = TypeAdapter(Price)
usd = st.decimals(min_value=0, max_value=1000, places=7).map(float)
counts = st.integers(0, 10**7)


def exact(price: float) -> Fraction:
    return Fraction(str(price))


@pytest.mark.parametrize(
    "unknown", [None, "unknown", "cheap", "", 5, 0, True, [], {}, {"free": False}, {"free": None}]
)
def test_an_unknown_price_is_refused(unknown):
    with pytest.raises(ValidationError, match=r"price|valid boolean"):
        PRICES.validate_python(unknown)


@pytest.mark.parametrize("unknown", [None, "unknown", 5, {}])
def test_the_refusal_says_what_a_price_is(unknown):
    with pytest.raises(ValidationError, match=r"one of: free, \{in.*never counted as free"):
        PRICES.validate_python(unknown)


@pytest.mark.parametrize(
    ("price", "says"),
    [
        ({"in": 1}, "needs both 'in' and 'out'"),
        ({"out": 1}, "needs both 'in' and 'out'"),
        ({"in": 1, "out": 1, "per_label": 1}, "one of"),
        ({"free": True, "per_label": 1}, "one of"),
        ({"free": True, "in": 1, "out": 2}, "one of"),
        ({"per_label": 1, "cached_in": 1}, "goes with"),
        ({"free": True, "cached_in": 1}, "goes with"),
        ({"in": 1, "out": 1, "cached_in": 1.5}, "'cached_in' is at most 'in': found 1.5 and 1"),
        ({"cached_in": 1}, "one of"),
        ({"per_label": 0}, "greater than 0"),
        ({"in": -1, "out": 1}, "greater than or equal to 0"),
        ({"in": float("nan"), "out": 1}, "finite"),
        ({"in": float("inf"), "out": 1}, "finite"),
        ({"per_label": float("inf")}, "finite"),
        ({"in": 1, "out": 1, "per_token": 2}, "not permitted"),
    ],
)
def test_a_price_of_two_kinds_or_of_half_a_kind_is_refused(price, says):
    with pytest.raises(ValidationError, match=says):
        PRICES.validate_python(price)


@pytest.mark.parametrize(
    "written", ["free", {"in": 0.15, "out": 0.6, "cached_in": 0.075}, {"per_label": 0.1}]
)
def test_a_dumped_price_is_read_back(written):
    price = PRICES.validate_python(written)
    dumped = price.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert PRICES.validate_python(dumped) == price


def test_free_costs_nothing():
    assert Price(free=True).cost(10**9, 10**9, 10**6) == 0


@given(usd, usd, counts, counts)
def test_tokens_are_charged_exactly_and_rounded_up(p_in, p_out, tokens_in, tokens_out):
    cost = Price(input=p_in, output=p_out).cost(tokens_in, tokens_out)
    true = (tokens_in * exact(p_in) + tokens_out * exact(p_out)) * NANO / 10**6
    assert 0 <= cost - true < 1


@given(st.decimals(min_value=0, max_value=1, places=7).map(float), counts, counts, counts)
def test_cached_tokens_have_their_own_price(p_cached, fresh, cached, tokens_out):
    price = Price(input=1, output=2, cached_in=p_cached)
    true = (fresh + cached * exact(p_cached) + 2 * tokens_out) * 1000
    cost = price.cost(fresh + cached, tokens_out, cached_tokens=cached)
    assert 0 <= cost - true < 1


def test_without_a_cached_price_cached_tokens_cost_what_others_do():
    price = Price(input=1, output=2)
    assert price.cost(100, 10, cached_tokens=90) == price.cost(100, 10)


@given(st.decimals(min_value="1e-12", max_value=10, places=12).map(float), st.integers(0, 1000))
def test_labels_are_charged_exactly_and_rounded_up(per_label, labels):
    cost = Price(per_label=per_label).cost(10, 10, labels=labels)
    assert 0 <= cost - labels * exact(per_label) * NANO < 1


def test_a_price_below_a_nanodollar_is_not_free():
    assert Price(per_label=1e-12).cost(labels=1) == 1
    assert Price(input=0.0001, output=0).cost(1) == 1


@given(usd, usd, counts, counts, counts)
def test_a_bound_covers_what_is_below_it(p_in, p_out, a, b, more):
    price = Price(input=p_in, output=p_out)
    assert price.cost(a, b) <= price.cost(a + more, b) <= price.cost(a + more, b + more)


@given(st.integers(0, 10**15))
def test_nanodollars_survive_usd(nano):
    assert to_nano(to_usd(nano)) == nano


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.0000000010"),
        (1_500_000, "$0.0015"),
        (50_000_000, "$0.050"),
        (99_000_000, "$0.10"),
        (1_234_567_000_000, "$1,234.57"),
    ],
)
def test_amounts_for_people(nano, shown):
    assert show(nano) == shown
