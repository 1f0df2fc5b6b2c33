"""Reading answers: what is tolerated, what is refused, and why."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from labelwright.agents.answers import (
    find_object,
    parse,
    shape,
    split_items,
)


class One(BaseModel):
    label: Literal["spam", "not spam", "Straße"]
    sure: bool = True


class Item(BaseModel):
    id: str
    label: Literal["spam", "ham"]


class Batch(BaseModel):
    items: list[Item] = Field(description="one an item")


ONE, BATCH, ITEM = shape(One), shape(Batch, "batch"), shape(Item)


def reading(content, **more):
    return parse({"content": content, "finish_reason": "stop", **more}, ONE)


def test_the_schema_is_strict_and_flat():
    assert BATCH.schema == {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "description": "one an item",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string"},
                        "label": {"type": "string", "enum": ["spam", "ham"]},
                    },
                    "required": ["id", "label"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["items"],
        "additionalProperties": False,
    }
    assert ONE.schema["required"] == ["label", "sure"]


def test_a_label_set_of_one_is_an_enumeration():
    class Only(BaseModel):
        label: Literal["a"]

    assert shape(Only).schema["properties"]["label"]["enum"] == ["a"]


class Tree(BaseModel):
    children: list["Tree"]


class Map(BaseModel):
    votes: dict[str, int]


@pytest.mark.parametrize(("model", "message"), [(Tree, "recursive"), (Map, "free-form")])
def test_what_has_no_strict_schema_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        shape(model)


@pytest.mark.parametrize(
    "content",
    [
        '{"label": "spam"}',
        '  {"label":"spam","sure":true}\n',
        'Here you are:\n```json\n{"label": "spam"}\n```\nAnything else?',
        "```\n{\n}\n```".replace("{\n}", '{"label": "spam"}'),
        '<think>maybe {"label": "not spam"}?</think>{"label": "spam"}',
        'In set {a, b} I choose {"label": "spam"}.',
        '{"label": "  SPAM "}',
        '{"label": "\uff53\uff50\uff41\uff4d"}',  # full width
    ],
)
def test_what_is_tolerated(content):
    answer = reading(content)
    assert answer.invalid is None
    assert answer.value == One(label="spam")


def test_folding_goes_to_the_name_of_the_set():
    assert reading('{"label": "STRASSE"}').value == One(label="Straße")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("spam", "not_json"),
        ('{"label": "spam"', "not_json"),
        ('{"label": "spam",}', "not_json"),
        ('{"label": "spam"} {"label": "not spam"}', "not_json"),
        ('{"label": "spam", "label": "not spam"}', "not_json"),
        ('{"label": NaN}', "not_json"),
        ("{" * 100_000, "not_json"),
        ('{"a":' * 5_000, "not_json"),
        ('{"label": "spa"}', "not_in_label_set"),
        ('{"label": "spam!"}', "not_in_label_set"),
        ('{"label": null}', "not_in_label_set"),
        ('{"sure": true}', "schema"),
        ('{"label": "spam", "sure": "perhaps"}', "schema"),
    ],
)
def test_what_is_refused(content, reason):
    answer = reading(content)
    assert (answer.value, answer.invalid) == (None, reason)


def test_cut_off_answers_are_truncated():
    assert reading('{"label": "sp', finish_reason="length").invalid == "truncated"
    assert reading("", finish_reason="length").invalid == "truncated"
    # the limit fell on the last token: it is whole
    assert reading('{"label": "spam"}', finish_reason="length").value == One(label="spam")


def test_an_object_inside_a_damaged_one_is_not_the_answer():
    content = '{"draft": {"label": "spam"}, "lab'
    assert reading(content, finish_reason="length").invalid == "truncated"


def test_refusals():
    assert reading('{"label": "spam"}', refusal="I can not").invalid == "refusal"
    assert reading("", finish_reason="content_filter").invalid == "refusal"


def test_tool_arguments_are_the_answer():
    call = {"id": "1", "name": "answer", "args": {"label": "Spam"}}
    assert reading("thinking aloud", tool_calls=[call]).value == One(label="spam")
    assert reading("", tool_calls=[{**call, "name": "other"}]).invalid == "empty"


def test_broken_tool_arguments():
    broken = {"id": "1", "name": "answer", "args": '{"label": "sp'}
    assert reading("", invalid_tool_calls=[broken]).invalid == "not_json"
    cut = reading("", invalid_tool_calls=[broken], finish_reason="length")
    assert cut.invalid == "truncated"
    fenced = {**broken, "args": '```{"label": "spam"}```'}
    assert reading("", invalid_tool_calls=[fenced]).value == One(label="spam")


def test_an_answer_that_the_client_could_not_represent():
    assert parse({"malformed": "1 part"}, ONE).invalid == "not_json"


def test_labels_alike_when_folded_are_not_guessed():
    class Close(BaseModel):
        label: Literal["US", "us"]

    close = shape(Close)
    assert parse({"content": '{"label": "us"}'}, close).value == Close(label="us")
    assert parse({"content": '{"label": "Us"}'}, close).invalid == "not_in_label_set"


def test_an_optional_label():
    class Maybe(BaseModel):
        label: Literal["spam"] | None

    maybe = shape(Maybe)
    assert parse({"content": '{"label": "SPAM"}'}, maybe).value == Maybe(label="spam")
    assert parse({"content": '{"label": null}'}, maybe).value == Maybe(label=None)


def test_a_batch_is_judged_item_by_item():
    content = json.dumps(
        {
            "items": [
                {"id": "1", "label": "SPAM"},
                {"id": "2", "label": "eggs"},
                {"id": "4", "label": "spam"},
                {"id": "4", "label": "ham"},
                {"id": 5, "label": "ham"},
                {"id": "5", "label": "Ham"},
                {"id": "99", "label": "ham"},
                "noise",
            ]
        }
    )
    whole = parse({"content": content}, BATCH)
    assert whole.invalid == "schema"
    each = split_items(whole.data, ["1", "2", "3", "4"], ITEM, field="items", key="id")
    assert [(a.value and a.value.label, a.invalid) for a in each.values()] == [
        ("spam", None),
        (None, "not_in_label_set"),
        (None, "missing_item"),
        (None, "schema"),
    ]
    assert list(each) == ["1", "2", "3", "4"]


def test_a_number_for_an_id_and_the_same_answer_twice():
    data = {"items": [{"id": 5, "label": "ham"}, {"id": 5, "label": "HAM"}]}
    assert split_items(data, ["5"], ITEM, field="items", key="id")["5"].value == Item(
        id="5", label="ham"
    )


@pytest.mark.parametrize("data", [None, {}, {"items": None}, {"items": {"id": "1"}}])
def test_no_list_means_every_item_is_missing(data):
    assert split_items(data, ["1"], ITEM, field="items", key="id")["1"].invalid == "missing_item"


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="{"), max_size=20))
def test_any_string_survives_prose_around_it(value, prose):
    data = {"label": value, "note": "{}"}
    assert find_object(f"{prose}{json.dumps(data)}{prose}") == data


@given(st.text(alphabet='{}[]":,ab\\ \n', max_size=60))
def test_no_text_makes_the_parser_raise(text):
    reading(text)
