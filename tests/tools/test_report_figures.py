"""The charts of the report: nothing outside, the stop marked, no money without evidence."""

import re

from doubles.made_run import Page, made_summary
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.tools.money import NANO
from labelwright.tools.report.figures import HEIGHT, WIDTH, churn, learning_curve, stop_evidence


def coordinates(svg) -> list[float]:
    """Numbers of every position in the drawing."""
    drawn = re.findall(r' (?:d|x|y|cx|cy|width|height)="([^"]*)"', svg)
    return [float(n) for part in drawn for n in re.findall(r"-?[\d.]+(?:e-?\d+)?|nan|inf", part)]


def test_the_stop_is_marked_in_every_chart_and_the_sweep_stands_apart():
    curve = made_summary()["curve"]
    for chart in (learning_curve, stop_evidence, churn):
        assert chart([], None) is None
        assert "stop, round 9" in chart(curve, 9)
        assert "stop, round" not in chart(curve, None)
    assert "after sweep" in learning_curve(curve, 9)
    # Agreement and audit of ten rounds; the first has no gain, for churn needs two.
    assert learning_curve(curve, 9).count("<circle") == 20
    assert stop_evidence(curve, 9).count("<circle") == 16
    # The training after the sweep is in no round, and churn is drawn by round.
    tips = learning_curve(curve, 9)
    assert "the last training: agreement" in tips
    assert "round 9: agreement" in tips
    assert "round 10" not in tips
    assert "round 10" not in churn(curve, 9)
    before = [{**row, "in_round": True} for row in curve]
    assert "round 10: changed" in churn(before, 9)


share = st.floats(0, 1) | st.none()
money = st.integers(0, 10**15)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 12))
def test_everything_drawn_is_inside_the_chart(data, rounds):
    curve = []
    for number in range(1, rounds + 1):
        low, middle, high = sorted(data.draw(st.tuples(*[st.floats(0, 1)] * 3)))
        known = data.draw(st.booleans())
        checked = {"churn": middle, "churn_low": low, "churn_high": high}
        checked |= {"next_gain": data.draw(money), "certificate_gain": data.draw(money)}
        checked = {k: v if known else None for k, v in checked.items()}
        checked["money_next"] = data.draw(money)
        curve.append(
            {
                "round": number,
                "labels": data.draw(st.integers(0, 10**6)),
                "agreement": data.draw(st.floats(0, 1)),
                "audit_student": middle if known else None,
                "audit_student_low": low,
                "audit_student_high": high,
                "spent_usd": data.draw(money) / NANO,
                "moved": data.draw(share),
                "check": data.draw(st.sampled_from([checked, None])),
            }
        )
    stop_round = data.draw(st.none() | st.integers(1, rounds))
    for chart in (learning_curve, stop_evidence, churn):
        svg = chart(curve, stop_round)
        if svg is not None:
            Page(svg)
            assert all(-1 <= at <= max(WIDTH, HEIGHT) + 1 for at in coordinates(svg))
