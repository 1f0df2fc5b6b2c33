from datetime import UTC, datetime

import pytest
import streamlit as st

from labelwright.app.panel import formats

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Reader:
    def __init__(self, locale: str | None, timezone: str | None) -> None:
        self.locale, self.timezone = locale, timezone


@pytest.fixture
def read_in(monkeypatch: pytest.MonkeyPatch):
    def set_to(locale: str | None, timezone: str | None = None) -> None:
        monkeypatch.setattr(st, "context", Reader(locale, timezone))

    set_to(None)
    return set_to


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "$0.00"),
        (1_234_000_000, "$1.23"),
        (1_500_000, "$0.0015"),
        (50, "$0.000000050"),
        (12_345_678_000_000_000, "$12,345,678.00"),
        (-2_000_000_000, "-$2.00"),
    ],
)
def test_money_has_the_decimals_that_it_needs(read_in, nano: int, shown: str) -> None:
    assert formats.money(nano) == shown


def test_a_reader_gets_the_separators_of_the_place(read_in) -> None:
    read_in("de-DE", "Europe/Berlin")
    assert plain(formats.usd(1234.5)) == "1.234,50 $"
    assert formats.number(1234567.891, 2) == "1.234.567,89"
    assert plain(formats.percent(0.1234)) == "12,3 %" or formats.percent(0.1234) == "12,3%"
    assert "13:00" in formats.at(NOW)
    # The same in a chat and in a table: the time, and the day where it is another one.
    assert formats.when(NOW, now=NOW) == "13:00:00"
    assert formats.when("2026-03-01T22:59:00", now=NOW) == "23:59:00"
    assert formats.when("2026-03-01T23:01:00", now=NOW) == formats.at("2026-03-01T23:01:00")
    read_in("en-US", "UTC")
    assert plain(formats.when(NOW, now=NOW)) == "12:00:00 PM"


@pytest.mark.parametrize("locale", [None, "", "xx-klingon", "en_GB", "zh-Hant-TW", "../../etc"])
@pytest.mark.parametrize("timezone", [None, "", "Mars/Olympus", "../etc/passwd"])
def test_a_browser_that_says_nonsense_still_gets_an_answer(read_in, locale, timezone) -> None:
    read_in(locale, timezone)
    assert "5" in formats.usd(5)
    assert "2026" in formats.at(NOW)


def test_times_are_told_from_now(read_in) -> None:
    assert formats.ago(NOW, now=NOW) == "just now"
    assert formats.ago("2026-03-01T11:30:00", now=NOW) == "30 minutes ago"
    assert formats.ago(NOW.timestamp() - 7200, now=NOW) == "2 hours ago"


def test_durations_are_short(read_in) -> None:
    spans = [formats.duration(s) for s in (-1, 59.9, 185, 3723)]
    assert spans == ["0 s", "59 s", "3:05 min", "1:02:03 h"]


def test_a_share_that_is_not_known_is_a_dash(read_in) -> None:
    assert formats.percent(None) == "\N{EN DASH}"
    assert formats.percent(0.5, 0) == "50%"
