import pytest
from pydantic import ValidationError

from labelwright.tools.errors import ConfigError, DataError
from labelwright.tools.task import LabelConfig, TaskConfig, render_text, template_fields


def task(*names: str, **values: str) -> TaskConfig:
    return TaskConfig(name="t", labels=[LabelConfig(name=name) for name in names], **values)


def test_label_names_keep_their_order_and_lose_outer_spaces():
    assert task("b", " a ", "Ünï").label_names == ["b", "a", "Ünï"]


@pytest.mark.parametrize(
    "names", [(), ("one",), ("a", "A"), ("a", " a"), ("A", "\uff21"), ("a", " "), ("a", "")]
)
def test_label_sets_that_can_not_be_told_apart_are_refused(names):
    with pytest.raises(ValidationError):
        task(*names)


def test_the_refusal_names_both_spellings():
    with pytest.raises(ValidationError, match="'Spam' and 'SPAM' are the same name"):
        task("Spam", "ham", "SPAM")


def test_unknown_configuration_fields_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        task("a", "b", template="{{ text }}")


def test_a_broken_template_is_refused_with_its_line():
    with pytest.raises(ValidationError, match="not valid Jinja2 \\(line 2"):
        task("a", "b", text="{{ a }}\n{{ b }")
    with pytest.raises(ConfigError, match="unknown tag"):
        render_text("{% nothing %}")


def test_a_template_joins_fields_without_escaping():
    render = render_text("  {{ title }}: {{ body }}\n")
    assert render({"title": "<b>", "body": "a & b"}) == "<b>: a & b"


def test_null_is_an_empty_text():
    assert render_text("{{ a }}{{ b }}")({"a": None, "b": 0}) == "0"


def test_a_row_that_adds_nothing_to_the_template_has_no_text():
    render = render_text("Subject {{ title }}: {{ body }}")
    assert render({"id": 7, "title": "", "body": None}) == ""
    assert render({"id": 7, "title": " \n", "body": ""}) == ""
    assert render({"id": 7, "title": "Hello", "body": ""}) == "Subject Hello:"
    assert render_text("{{ n + 1 }}")({"n": 1}) == "2"
    assert render_text("the same for all")({"n": 1}) == "the same for all"


def test_nested_fields_and_names_that_are_no_identifiers():
    render = render_text("{{ meta.tags[0] }} {{ row['review text'] }}")
    assert render({"meta": {"tags": ["x"]}, "review text": "y"}) == "x y"


def test_a_missing_field_is_named_with_those_there_are():
    with pytest.raises(DataError, match=r"'body' is undefined.*'title', 'id'"):
        render_text("{{ body }}")({"title": "", "id": "1"})


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "cycler"])
def test_a_missing_field_is_never_a_global_of_the_template_language(name):
    with pytest.raises(DataError, match=f"'{name}' is undefined"):
        render_text("{{ " + name + " }}")({"text": "a"})


@pytest.mark.parametrize(
    "template",
    [
        "{{ text.__class__.__mro__ }}",
        "{{ ''.format.__globals__ }}",
        "{{ row.update({'text': 1}) }}",
        "{{ text | round }}",
    ],
)
def test_what_a_template_may_not_do_is_a_data_error(template):
    with pytest.raises(DataError, match="fails"):
        render_text(template)({"text": "a"})


def test_the_fields_of_a_template_are_known_before_any_row_is_read():
    assert template_fields("{{ a.b }} {{ row['c'] }} {% if d %}{% endif %}") == {"a", "d"}
