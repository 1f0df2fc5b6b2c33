"""What report and card say of a guarantee and of the classes' shares."""

import pytest

from labelwright.tools.card import write_card
from labelwright.tools.report import guaranteed, share_interval, write_report
from labelwright.tools.task import TaskConfig

PROVEN = {
    "threshold": 0.91,
    "accepted": 1812,
    "audited": 140,
    "wrong": 3,
    "audits": 200,
    "needed": 45,
    "why_not": None,
    "error": 0.05,
    "confidence": 0.95,
}
UNPROVEN = {
    **PROVEN,
    "threshold": None,
    "accepted": 0,
    "audits": 20,
    "why_not": "20 audits are too few to prove an error of 5.0% or less",
}
SHARES = {
    "a": {"estimate": 0.7, "low": 0.651, "high": 0.746, "n": 200},
    "b": {"estimate": None, "low": 0.0, "high": 1.0, "n": 0},
}
TASK = TaskConfig.model_validate({"name": "t", "labels": [{"name": "a"}, {"name": "b"}]})


def test_in_words():
    assert guaranteed({}) == guaranteed({"guarantee": None}) == ""
    assert guaranteed({"guarantee": PROVEN}) == (
        "At most 5% of the 1,812 labels that no trusted annotator has given are wrong, with 95% "
        "confidence, from 200 audits drawn at random at the end. The others were set apart."
    )
    escalated = {**PROVEN, "of": "accepted", "escalated": 140, "escalated_labels": 138}
    assert guaranteed({"guarantee": escalated}).endswith(
        "at the end. The trusted annotator was asked about 140 of the other texts and gave 138 a "
        "label. What is left was set apart."
    )
    delivered = guaranteed({"guarantee": {**escalated, "of": "delivered"}})
    assert delivered.startswith(
        "At most 5% of the 1,950 labels accepted by the guarantee or given by the trusted "
        "annotator afterwards are wrong"
    )
    told = guaranteed({"guarantee": UNPROVEN})
    assert told.startswith("No guarantee that at most 5% of the labels are wrong: 20 audits are")
    assert "It takes 45 audits without a wrong label" in told
    one = guaranteed({"guarantee": {**UNPROVEN, "audits": 0, "needed": 1}})
    assert "It takes 1 audit without" in one
    lone = guaranteed({"guarantee": {**PROVEN, "accepted": 1}})
    assert lone.startswith("At most 5% of the 1 label that no trusted annotator has given")


def test_where_the_escalation_came_back_short_audits_are_not_blamed():
    short = {"threshold": None, "why_not": "too few came", "short_of": "labels"}
    escalated = {"of": "delivered", "escalated": 140, "escalated_labels": 8}
    assert guaranteed({"guarantee": {**PROVEN, **short, **escalated}}) == (
        "No guarantee that at most 5% of the labels are wrong: too few came. The trusted annotator "
        "was asked about 140 of the other texts and gave 8 a label. Labels were kept as they are "
        "without a guarantee."
    )
    told = guaranteed({"guarantee": {**UNPROVEN, "audits": 60, "short_of": "audits"}})
    assert "It takes 45 audits without a wrong label, and more where some are wrong" in told


def test_a_share():
    assert share_interval(SHARES["a"]) == "70.0% (65.1% to 74.6%)"
    assert share_interval(SHARES["b"]) == share_interval(None) == "\N{EN DASH}"


@pytest.mark.parametrize("guarantee", [PROVEN, UNPROVEN, None])
@pytest.mark.parametrize("shares", [SHARES, None])
def test_report_and_card(tmp_path, guarantee, shares):
    summary = {
        "name": "run",
        "labels": {"by_label": {"a": 3, "b": 1}},
        "guarantee": guarantee,
        "class_shares": shares,
    }
    write_report(tmp_path / "r.html", summary)
    write_card(tmp_path / "c.md", summary, TASK)
    for name in ("r.html", "c.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert ("1,812 labels that no trusted" in text) == (guarantee is PROVEN)
        assert ("No guarantee that" in text) == (guarantee is UNPROVEN)
        assert ("65.1% to 74.6%" in text) == (shares is not None)
