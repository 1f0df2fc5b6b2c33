"""Words in the figures of a run can be read: none over another, none left out."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from labelwright.app.panel.run_page import charts
from labelwright.app.panel.run_page.learning import _proposals
from labelwright.tools.audit import Interval
from labelwright.tools.watch.agreement import Agreement, Audited
from labelwright.tools.watch.curve import Round, StopCheck

NOBODY = Interval(None, 0.0, 1.0, 0)


def closed(number: int, spent: int, *, proposed: bool = False, stop: bool = False) -> Round:
    check = StopCheck(
        "propose_stop" if proposed else "continue", "w", NOBODY, 1, 0, 0, 0, proposed,
        ("cost_plateau", "d") if stop else None, None, (), "", "", "",
    )  # fmt: skip
    return Round(number, spent, 0, 10, 0.9, 0.9, NOBODY, 0, {}, None, (), check)


MARKS = st.lists(
    st.tuples(st.floats(0, 100), st.just("tip"), st.text("abc ", max_size=40)), max_size=12
)


@given(MARKS)
def test_no_words_are_written_over_others(marks: list[tuple[float, str, str]]) -> None:
    rows = charts.placed(marks, 0, 100)
    assert [(row["x"], row["tip"], row["word"]) for row in rows] == marks
    lines: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if not row["word"]:
            continue
        # Six pixels a character are more than the letters take, on the narrowest figure of 270.
        at, width = 2.7 * row["x"], 5.9 * len(row["word"])
        span = (at - width, at) if row["right"] else (at, at + width)
        for start, end in lines.setdefault(row["level"], []):
            assert span[1] <= start or end <= span[0]
        lines[row["level"]].append(span)
    assert charts.words_above(rows) >= len(lines)


def test_where_there_are_no_words_no_room_is_kept() -> None:
    assert charts.words_above(charts.placed([], 0, 1)) == 0
    spec = charts.lines({"a": charts.ONE}, x={}, y={})
    assert charts.lines({"a": charts.ONE}, x={}, y={}, marks=()) == spec
    one = charts.placed([(1.0, "a", "a")], 0, 1)
    room = charts.lines({"a": charts.ONE}, x={}, y={}, marks=one)
    before, now = (
        found["layer"][-1]["encoding"]["color"]["legend"]["offset"] for found in (spec, room)
    )
    assert now - before == charts.WORDS


def test_marks_that_are_near_each_other_share_their_words() -> None:
    rounds = [
        closed(n, n * 10**9, proposed=n in {2, 4, 11, 13, 15, 17, 19}, stop=n == 20)
        for n in range(1, 41)
    ]
    marks = _proposals(rounds, "rounds")
    assert [mark["x"] for mark in marks] == [2, 4, 11, 13, 15, 17, 19, 20]
    assert [mark["word"] for mark in marks if mark["word"]] == [
        "stop proposed, rounds 2, 4",
        "stop proposed, rounds 11, 13",
        "stop proposed, rounds 15, 17",
        "stop proposed, round 19; stops, round 20",
    ]
    # Each of them says by itself what it is, to those who point at it.
    assert [mark["tip"] for mark in marks][-2:] == ["stop proposed, round 19", "stops, round 20"]


def test_very_many_marks_near_each_other_are_counted() -> None:
    rounds = [closed(n, n, proposed=n % 2 == 0) for n in range(1, 201)]
    words = [mark["word"] for mark in _proposals(rounds, "rounds") if mark["word"]]
    assert words[0] == "stop proposed 10 times, rounds 2 to 20"
    assert len(words) == 10


def annotators() -> None:
    from unittest import mock

    import streamlit

    from labelwright.app.panel.run_page.people_and_models import show_annotators

    found = streamlit.session_state["found"]
    show_annotators(mock.Mock(agreement=lambda: found, spending=list))


@pytest.mark.parametrize("many", [2, 40])
def test_the_name_of_every_annotator_is_to_be_read(many: int) -> None:
    audited = [
        Audited(f"annotator {n}", 9, 0, Interval(0.8, 0.7, 0.9, 50), False) for n in range(many)
    ]
    at = AppTest.from_function(annotators, default_timeout=20)
    at.session_state["found"] = Agreement([one.annotator for one in audited], [], audited)
    at.run()
    assert not at.exception
    (drawn,) = at.get("vega_lite_chart")
    spec = drawn.proto.spec
    assert '"labelOverlap": false' in spec
    assert Counter(f"annotator {n}" in spec for n in range(many)) == {True: many}
    # A row each, whatever their number: what is too tall for the page scrolls.
    assert json.loads(spec)["height"] == 60 + 34 * many
