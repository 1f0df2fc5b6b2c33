"""States of runs in words; numbers, money and times as the reader's browser writes them."""

from __future__ import annotations

import math
from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent

from ...tools.money import NANO, to_nano
from ...tools.watch import status

STATES = status.STATES
"""States of a run in words."""
_DEFAULT = "en_US"
_CENTS_FROM = 0.095
"""USD from which cents are exact enough; below, two significant figures are shown."""
_JUST_NOW_S = 5


def money(nano: int) -> str:
    """An amount of nanodollars."""
    usd = nano / NANO
    decimals = 2
    if nano and abs(usd) < _CENTS_FROM:
        decimals = 1 - math.floor(math.log10(abs(usd)))
    place = reader_locale()
    pattern = copy(place.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return str(pattern.apply(Decimal(nano) / NANO, place, currency="USD", currency_digits=False))


def usd(amount: float) -> str:
    """An amount of USD."""
    return money(to_nano(amount))


def number(value: float, decimals: int = 0) -> str:
    """A number with the reader's separators."""
    return format_decimal(
        round(value, decimals), locale=reader_locale(), decimal_quantization=False
    )


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 1 as a percentage; a dash where there is none."""
    if share is None:
        return "\N{EN DASH}"
    pattern = f"#,##0.{'0' * decimals}%" if decimals else "#,##0%"
    return format_percent(share, format=pattern, locale=reader_locale())


def at(when: datetime | str | float) -> str:
    """A moment in the reader's time zone: date and time.

    Args:
        when: A time, in ISO format, or in seconds since 1970; without a zone it is in UTC.
    """
    return format_datetime(
        _moment(when).astimezone(reader_zone()), "medium", locale=reader_locale()
    )


def when(moment: datetime | str | float, now: datetime | None = None) -> str:
    """A moment in the reader's time zone: the time alone where it is of today."""
    zone = reader_zone()
    here = _moment(moment).astimezone(zone)
    if here.date() != (now or datetime.now(UTC)).astimezone(zone).date():
        return at(here)
    return str(format_time(here, "medium", locale=reader_locale()))


def ago(when: datetime | str | float, now: datetime | None = None) -> str:
    """How long ago something was, in words of the panel's language."""
    past = (now or datetime.now(UTC)) - _moment(when)
    if abs(past) < timedelta(seconds=_JUST_NOW_S):
        return "just now"
    return str(format_timedelta(-past, add_direction=True, locale=_DEFAULT))


def duration(seconds: float) -> str:
    """A length of time, short: ``42 s``, ``3:05 min``, ``1:02:03 h``."""
    whole = int(max(0, seconds))
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d} h" if hours else f"{minutes}:{left:02d} min"


def reader_locale() -> Locale:
    """The browser's language and region; American English where it does not say."""
    named = st.context.locale or _DEFAULT
    try:
        return Locale.parse(named, sep="_" if "_" in named else "-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(_DEFAULT)


def reader_zone() -> tzinfo:
    """The browser's time zone; UTC where it does not say."""
    named = st.context.timezone
    if not named:
        return UTC
    try:
        return ZoneInfo(named)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _moment(when: datetime | str | float) -> datetime:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    elif not isinstance(when, datetime):
        when = datetime.fromtimestamp(when, UTC)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
