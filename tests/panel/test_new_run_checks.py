"""What a new run's steps propose, say of the data, and hold against what was entered."""

from pathlib import Path
from typing import Any

import pytest
from drafting import CSV, made, opened, widget, words
from streamlit.testing.v1 import AppTest

from labelwright.app.panel.new_run.sample import Sample, told

LABELS = [{"name": name, "description": name, "examples": []} for name in ("a", "b")]
ANN = {"kind": "human", "name": "ann", "price": {"per_label": 0.25}}
NEAR = {"kind": "embedded", "name": "nearest", "tier": 1}


def pressed(at: AppTest) -> AppTest:
    at.button(key="new_next").click().run()
    assert not at.exception
    return at


# -- ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ticket_no", "message_id", "uid", "ID", "nr", "number"])
def test_an_id_is_proposed_and_can_be_changed(runs_root: Path, name: str) -> None:
    draft = made(f"{name},note\n101,ok\n102,fine\n103,ok\n")
    assert draft.load()["data"]["id"] == name
    assert draft.load()["task"]["text"] == "{{ note }}"
    at = opened(draft, "columns")
    widget(at, "selectbox", "id").select_index(0).run()
    assert "id" not in draft.load()["data"]


def test_an_id_that_repeats_is_told_at_its_field(runs_root: Path) -> None:
    draft = made("ref,text\nA,one\nA,two\n,three\n")
    at = opened(draft, "columns")
    assert "They would be left out" not in words(at)
    widget(at, "selectbox", "id").select_index(1).run()
    assert "2 rows have no value in this column, or one that was there before" in words(at)
    assert "3 rows: 2 have no id of their own and are left out." in words(at)


# -- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["data", "columns"])
def test_what_becomes_of_the_rows_is_told_at_the_preview(runs_root: Path, step: str) -> None:
    content = CSV + "6,a,b,c,d\n7,,x\n"
    at = opened(made(content), step)
    assert not at.exception
    assert (
        "7 rows: 2 have no text and are left out, 1 can not be read and is left out, "
        "1 repeats the text of another row and shares its label."
    ) in words(at)


def test_rows_are_told_of_in_one_sentence() -> None:
    assert told(Sample(rows=1)) == "1 row: all can be used, and no text repeats."
    assert told(Sample(rows=1200)) == "1,200 rows: all can be used, and no text repeats."
    found = Sample(rows=296, rejected=3, empty=3, duplicates=12)
    assert told(found) == (
        "299 rows: 3 have no text and are left out, "
        "12 repeat the text of another row and share its label."
    )
    assert told(Sample(rows=2, rejected=1, idless=1, cut=True)) == (
        "In the beginning of the file 3 rows: 1 has no id of its own and is left out."
    )


# -- the price of a person's label ------------------------------------------------------------


def test_the_price_of_a_person_is_asked_once_and_used_twice(runs_root: Path) -> None:
    draft = made(annotators=[NEAR, ANN])
    # A draft of before: what is paid and what errors are valued at differ by mistake.
    at = opened(draft, "budget")
    assert draft.load()["human"]["label_usd"] == 0.25
    assert not [w for w in at.number_input if w.key.endswith("_label_usd")]
    assert "counts as $0.25: the price of 'ann'" in words(at)
    at = opened(draft, "annotators")
    widget(at, "number_input", "a1_per_label").set_value(0.4).run()
    assert draft.load()["annotators"][1]["price"] == {"per_label": 0.4}
    assert draft.load()["human"]["label_usd"] == 0.4
    widget(at, "number_input", "a1_per_label").set_value(0.1).run()
    assert draft.load()["human"]["label_usd"] == 0.1


def test_without_a_paid_person_the_price_is_asked_under_budget(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "budget")
    asked = widget(at, "number_input", "label_usd")
    assert asked.label == "One label by a person costs (USD)"
    asked.set_value(0.3).run()
    # What was said there is proposed for the first person.
    at = opened(draft, "annotators")
    widget(at, "button", "add_human").click().run()
    widget(at, "selectbox", "a1_price").select("by label").run()
    assert draft.load()["annotators"][1]["price"] == {"per_label": 0.3}
    widget(at, "selectbox", "a1_price").select("free").run()
    asked = widget(opened(draft, "budget"), "number_input", "label_usd")
    assert "time for one label" in asked.label
    assert asked.value == 0.3


def test_a_figure_of_a_file_stays_until_the_price_is_entered_anew(runs_root: Path) -> None:
    draft = made(annotators=[NEAR, ANN, {**ANN, "name": "bob"}], human={"label_usd": 0.5})
    at = opened(draft, "budget")
    assert draft.load()["human"] == {"label_usd": 0.5}
    assert "counts as $0.50 (human.label_usd), and 'ann' is paid $0.25" in words(at)
    widget(opened(draft, "annotators"), "number_input", "a1_per_label").set_value(0.3).run()
    assert draft.load()["human"] == {"label_usd": 0.3}
    # The next person's price takes the place of one who went.
    widget(opened(draft, "annotators"), "button", "a1_remove").click().run()
    assert draft.load()["human"] == {"label_usd": 0.25}


# -- going on ---------------------------------------------------------------------------------


def test_next_goes_on_where_nothing_is_missing(runs_root: Path) -> None:
    draft = made(budget={"usd": 1.0})
    at = opened(draft, "data")
    for following in ("columns", "labels", "annotators", "budget", "start"):
        pressed(at)
        assert at.query_params["step"] == following


@pytest.mark.parametrize(
    ("step", "change", "fault"),
    [
        ("data", {"data": {"path": ""}}, "There is no data file yet"),
        ("data", {"data": {"path": "/nowhere/data.csv"}}, "not there any more"),
        ("columns", {"data": {"gold": "empty"}}, "No row has a value in this column"),
        ("columns", {"data": {"gold": "text"}}, "the text to label already"),
        ("columns", {"data": {"gold": "id"}}, "the id already"),
        ("columns", {"task": {"text": "{{ nothing }}"}}, "no column 'nothing'"),
        ("columns", {"task": {"name": " "}}, "The task needs a name"),
        ("labels", {"task": {"labels": []}}, "two labels or more"),
        ("labels", {"task": {"labels": LABELS[:1]}}, "two labels or more"),
        ("annotators", {"annotators": []}, "There is no annotator"),
        (
            "annotators",
            {"annotators": [NEAR, {"kind": "human", "name": "me", "trusted": True}]},
            "'me' has no price",
        ),
        (
            "annotators",
            {"annotators": [{"kind": "chat", "name": "model", "tier": 1, "model": ""}]},
            "'model' has no model",
        ),
        (
            "budget",
            {"budget": {"usd": 0.0}, "annotators": [ANN]},
            "With $0 nobody can be asked",
        ),
    ],
)
def test_next_stays_with_what_is_wrong(
    runs_root: Path, step: str, change: dict[str, Any], fault: str
) -> None:
    draft = made("id,text,gold,empty\n1,late,a,\n2,refund,b,\n")
    config = draft.load()
    for name, section in change.items():
        config[name] = {**config[name], **section} if isinstance(section, dict) else section
    draft.save(config)
    at = pressed(opened(draft, step))
    assert at.query_params["step"] == step
    assert fault in words(at)
    assert "Before the next step" in words(at)
    # The steps at the top lead everywhere all the same.
    at.segmented_control(key="new_step").set_value("budget").run()
    assert at.query_params["step"] == "budget"


def test_what_was_not_begun_is_wrong_only_after_next(runs_root: Path) -> None:
    draft = made("text\na\nb\n")
    at = opened(draft, "labels")
    assert "two labels" not in words(at)
    assert "two labels or more" in words(pressed(at))
    widget(at, "text_area", "lines").set_value("one: first\ntwo: second").run()
    widget(at, "button", "add_lines").click().run()
    assert "two labels or more" not in words(at)
    assert "Before the next step" not in words(at)
    assert pressed(at).query_params["step"] == "annotators"
    widget(at, "button", "add_chat").click().run()
    assert "no model" not in words(at)
    assert "no model" in words(pressed(at))
    widget(at, "button", "a1_remove").click().run()
    assert pressed(at).query_params["step"] == "budget"


def test_a_fault_stands_at_its_field(runs_root: Path) -> None:
    people = [{"kind": "human", "name": name, "trusted": True} for name in ("me", "you")]
    at = pressed(opened(made(annotators=[NEAR, *people]), "annotators"))

    def order(block: Any) -> list[str]:
        found = []
        for child in block.children.values():
            if hasattr(child, "children"):
                found += order(child)
            elif (getattr(child, "key", "") or "").endswith(("_price", "_trusted")):
                found.append(child.key.split("_", 3)[-1])
            elif child.type == "error":
                found.append(child.value.replace("\\", "").partition(".")[0])
        return found

    assert order(at.main) == [
        "a0_trusted",
        "a1_price", "'me' has no price", "a1_trusted",
        "a2_price", "'you' has no price", "a2_trusted",
        "Before the next step: put right what is marked above",
    ]  # fmt: skip


def test_true_labels_outside_the_label_set_are_told_with_the_labels(runs_root: Path) -> None:
    draft = made()
    assert "not in this label set" not in words(opened(draft, "labels"))
    config = draft.load()
    config["task"]["labels"] = [{**LABELS[0], "name": "Delivery "}, LABELS[1]]
    draft.save(config)
    said = words(opened(draft, "labels"))
    assert "The file's true labels 'billing' are not in this label set; their 1 row(s)" in said
