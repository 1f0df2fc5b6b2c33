"""How consistent the annotators were, as report and card tell it."""

from dataclasses import asdict

import pytest
from doubles.made_run import Page, made_summary, steady

from labelwright.tools.audit import accuracy_interval
from labelwright.tools.card import write_card
from labelwright.tools.report import write_report
from labelwright.tools.report.consistency import consistency_words
from labelwright.tools.task import LabelConfig, TaskConfig

HEADING = "How consistent the annotators were"
TASK = TaskConfig(name="intent", labels=[LabelConfig(name=name) for name in ("a", "b")])


@pytest.fixture
def told(tmp_path):
    """What report and card say of a summary."""

    def told(summary):
        write_report(tmp_path / "report.html", summary)
        write_card(tmp_path / "card.md", summary, TASK)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
        return page, " ".join((tmp_path / "card.md").read_text(encoding="utf-8").split())

    return told


def words(**changes):
    return dict(consistency_words({"consistency": [steady("m", **changes)]}).annotators)["m"]


def test_report_and_card_tell_it_in_sentences(told):
    for text in told(made_summary()):
        assert HEADING in text
        for sentence in (
            "Its answer stayed the same for 96.0% of 50 texts (95% interval 86.3% to 99.5%) with "
            "the labels in another order; for 90.0% of 40 texts (95% interval 76.3% to 97.2%) in "
            "other words; for 100.0% of 25 texts (95% interval 86.3% to 100.0%) when the same "
            "question was put twice more.",
            "Whether answers follow the places of the labels: 2 changed, too few to say.",
            "No silent change of the model shows over the 3 rounds in which the same question was "
            "put again.",
        ):
            assert sentence in text


def test_where_nothing_was_checked_nothing_is_said(told):
    nothing = asdict(accuracy_interval(0, 0)) | {"confusions": []}
    unchecked = steady("m", check_order=nothing, check_template=nothing, check_retest=nothing)
    unchecked |= {"retested": 0}
    for found in (None, [], [unchecked], [{"annotator": "recorded", "alarms": []}]):
        for text in told(made_summary() | {"consistency": found}):
            assert HEADING not in text
    only = words(check_order=nothing, check_template=nothing, retested=1)
    assert [sentence.split(" for ")[0] for sentence in only] == ["Its answer stayed the same"]


def test_only_what_was_put_again_is_said_to_have_been(told):
    nothing = asdict(accuracy_interval(0, 0)) | {"confusions": []}
    none = dict.fromkeys(("check_order", "check_template", "check_retest"), nothing)
    three = asdict(accuracy_interval(3, 10))
    for changes, intro in (
        ({}, "Some questions were put again, on texts drawn at random. What came back"),
        (
            {"check_counter": three},
            "Some questions were put again, on texts drawn at random and on disputed texts after "
            "an objection to the answer. What came back",
        ),
        (
            none | {"check_counter": three, "retested": 0},
            "Some questions were put again, on disputed texts after an objection to the answer. ",
        ),
        (none | {"retested": 0, "alarms": ["9 of 90 answers are no label"]}, None),
    ):
        summary = made_summary() | {"consistency": [steady("m", **changes)]}
        for text in told(summary):
            assert HEADING in text
            assert (intro or HEADING) in text
            assert ("put again, " in text) == (intro is not None)


def test_a_pull_of_the_order_is_told_with_its_proof():
    def said(p_value, flips=12):
        return words(position={"flips": flips, "shares": [], "p_value": p_value})[1]

    assert said(0.002) == ("The 12 changed answers follow the places of the labels (p = 0.002).")
    assert "do not show a pull of the places" in said(0.3)


def test_a_change_of_the_model_is_told_with_its_round(told):
    fell = "agreement with itself fell from 0.98 to 0.60"
    changed = steady("m", passing=[[4, fell]], alarms=["9 of 90 answers are no label"])
    summary = made_summary() | {"consistency": [changed | {"unsteady": True}]}
    for text in told(summary):
        assert f"Alarm in round 4: {fell}." in text
        assert "Alarm in round 9: 9 of 90 answers are no label." in text
        assert "No silent change" not in text


def test_giving_in_is_told_where_it_was_asked():
    gave_in = words(check_counter=asdict(accuracy_interval(3, 10)))
    assert any("it gave in for 30.0% of 10 texts" in sentence for sentence in gave_in)
    assert not any("gave in" in sentence for sentence in words())
