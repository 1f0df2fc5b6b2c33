"""`labelwright init`: the first run.yaml, and the schema that goes with it."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import labelwright.graph
from labelwright.app.demo_run import prepare
from labelwright.app.exit_codes import ExitCode
from labelwright.app.starter import SCHEMA, look_at
from labelwright.graph import load_config
from labelwright.graph.config import dump_config
from labelwright.tools.errors import ConfigError, DataError

SCRIPT = Path(labelwright.graph.__file__).parent.parent / "scripts" / "write_schema.py"


def test_the_published_schema_is_up_to_date() -> None:
    made = runpy.run_path(str(SCRIPT))["schema"]()
    assert SCHEMA.read_text(encoding="utf-8") == made, "run scripts/write_schema.py"


def _check(text: str) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))


def test_the_schema_takes_what_the_program_takes(tmp_path: Path) -> None:
    demo = prepare(tmp_path / "demo", seed=1)
    _check(dump_config(demo))


@pytest.mark.parametrize("price", ["free", {"in": 1, "out": 2}, {"per_label": 0.1}])
def test_the_schema_knows_every_way_to_write_a_price(project: Path, price: Any) -> None:
    raw = yaml.safe_load(project.read_text(encoding="utf-8"))
    raw["annotators"][1]["price"] = price
    _check(yaml.safe_dump(raw))


def test_the_schema_refuses_a_misspelled_option(project: Path) -> None:
    raw = yaml.safe_load(project.read_text(encoding="utf-8"))
    raw["budget"]["used"] = 3
    with pytest.raises(jsonschema.ValidationError, match="used"):
        _check(yaml.safe_dump(raw))


def _label(text: str) -> str:
    """The generated file with names in place of its two blank ones."""
    assert text.count('name: ""') == 2
    return text.replace('name: ""', "name: a", 1).replace('name: ""', "name: b")


def test_without_data_there_is_a_template_that_wants_labels_and_no_more(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    result = cli("init")
    assert result.exit_code == 0, result.stderr
    assert "The labels are blank: write your own" in result.stdout
    text = (tmp_path / "run.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./run.schema.json\n")
    assert (tmp_path / "run.schema.json").read_bytes() == SCHEMA.read_bytes()
    _check(text)
    assert "\nstopping:" not in text
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "run.yaml")
    wrong = str(caught.value).splitlines()
    assert len(wrong) == 2
    assert all("write your labels" in line for line in wrong)
    (tmp_path / "run.yaml").write_text(_label(text), encoding="utf-8")
    load_config(tmp_path / "run.yaml")


# An option in a comment is a key, or an entry of a list; sentences are not.
_COMMENTED = re.compile(r"^( *)# ( *(?:- )?[a-z_]+:(?: .*)?)$", re.MULTILINE)


def test_every_commented_option_can_be_switched_on(cli: Callable[..., Any], tmp_path: Path) -> None:
    cli("init")
    text = _label((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    text = _COMMENTED.sub(r"\1\2", text)
    _check(text)
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    config = load_config(tmp_path / "all.yaml")
    kinds = [annotator.kind for annotator in config.annotators]
    assert kinds == ["chat", "chat", "chat", "human", "embedded", "recorded"]
    assert (config.data.id, config.data.gold) == ("id", "gold")
    assert (config.budget.tokens, config.budget.wall_clock_s) == (2_000_000, 3600)
    assert (config.stopping.items, config.stopping.error_cost_usd) == (10_000, 0.05)
    assert config.selection.batch_size == 100
    assert config.generation.enabled
    assert {"human", "critic"} <= config.model_fields_set


def test_one_commented_annotator_can_be_switched_on_alone(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    cli("init")
    text = _label((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    start = text.index("  # - kind: embedded")
    end = text.index("\n\n", start)
    block = _COMMENTED.sub(r"\1\2", text[start:end])
    (tmp_path / "one.yaml").write_text(text[:start] + block + text[end:], encoding="utf-8")
    kinds = [annotator.kind for annotator in load_config(tmp_path / "one.yaml").annotators]
    assert kinds == ["chat", "embedded"]


def test_a_data_file_that_is_not_there_is_told_by_its_option(cli: Callable[..., Any]) -> None:
    result = cli("init", "--data", "nope.csv")
    assert result.exit_code == ExitCode.DATA
    assert "Error: --data: nope.csv does not exist" in result.stderr
    assert not Path("run.yaml").exists()


def test_a_data_file_fills_columns_and_labels(
    cli: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    result = cli("init", "conf/new.yaml", "--data", "data.jsonl")
    assert result.exit_code == 0, result.stderr
    config = load_config(tmp_path / "conf" / "new.yaml")
    assert config.data.path.resolve() == (tmp_path / "data.jsonl").resolve()
    assert (config.data.id, config.data.gold) == ("id", "gold")
    assert config.task.text == "{{ text }}"
    assert config.task.label_names[0] == "delivery"
    assert "# rows: 16" in (tmp_path / "conf" / "new.yaml").read_text(encoding="utf-8")


def test_it_does_not_overwrite(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("mine", encoding="utf-8")
    result = cli("init")
    assert result.exit_code == ExitCode.CONFIG
    assert "--force" in result.stderr
    assert (tmp_path / "run.yaml").read_text(encoding="utf-8") == "mine"
    assert cli("init", "--force").exit_code == 0
    assert (tmp_path / "run.yaml").read_text(encoding="utf-8") != "mine"


def test_columns_with_odd_names_and_values(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(
        "\ufeffNo.,Review text,Label\n"
        + "".join(
            f'{i},"a long review, number {i}, with words: {{{{ x }}}}",{label}\n'
            for i, label in enumerate(("yes", "1", "n: o", "#5") * 3)
        ),
        encoding="utf-8",
    )
    assert cli("init", "--data", "odd.csv").exit_code == 0
    config = load_config(tmp_path / "run.yaml")
    assert config.task.text == "{{ row['Review text'] }}"
    assert config.data.gold == "Label"
    assert config.data.id == "No."
    assert sorted(config.task.label_names) == ["#5", "1", "n: o", "yes"]


def test_an_id_that_repeats_is_no_id(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,text\n1,one text\n1,another text\n", encoding="utf-8")
    assert look_at(path).id is None


@pytest.mark.parametrize(
    "name", ["id", "ID", "uid", "ticket_no", "message_id", "messageId", "nr", "number", "Order Nr."]
)
def test_a_column_that_is_named_like_an_id_and_never_repeats_is_the_id(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "data.csv"
    # The numbers are longer than the notes: it is the name that tells the text from the id.
    rows = [f"{100_000 + i},ok {i % 2},yes" for i in range(20)]
    path.write_text("\n".join([f"{name},note,paid", *rows]), encoding="utf-8")
    found = look_at(path)
    assert (found.id, found.text) == (name, "note")
    path.write_text("\n".join([f"{name},note,paid", *rows, ",ok,yes"]), encoding="utf-8")
    assert look_at(path).id is None, "not every row has one"


def test_the_only_short_column_that_never_repeats_is_the_id(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"

    def found(header: str, *columns: str) -> str | None:
        rows = [",".join(c.format(i) for c in columns) for i in range(12)]
        path.write_text("\n".join([header, *rows]), encoding="utf-8")
        return look_at(path).id

    assert found("ref,note,year", "A{}", "some words {}", "2024") == "ref"
    assert found("ref,other,note", "A{}", "B{}", "some words {}") is None, "which of the two?"
    assert found("score,note", "0.{}", "some words {}") is None
    assert found("who,note", "Ann B{}", "some words {}") is None
    assert found("paid,note", "yes", "some words {}") is None
    assert found("number", "some words {}") is None, "it is the text"


@pytest.mark.parametrize(
    "form",
    [
        "{n}.5", "1.{n}e-3", "(3.{n})", "1,2{n}", "$2{n}", "€ 1.2{n},00", "2{n} EUR", "2{n}.00 kr",
        "USD 5.{n}", "{n}%", "2024-01-{n}", "{n}.01.2024", "{n}/1/24", "2024-01-{n}T12:30:00Z",
        "2024-01-{n} 12:30", "{n}-Jan-2024", "Jan {n}, 2024", "12:{n}", "12:{n}:01 pm",
        "ann{n}@example.org", "mailto:a.b+{n}@sub.example.org",
    ],
)  # fmt: skip
def test_amounts_dates_and_addresses_name_no_row(tmp_path: Path, form: str) -> None:
    def looked(column: str) -> str | None:
        data = tmp_path / "d.jsonl"
        lines = [
            {"text": f"a longer text of row {n} here", column: form.format(n=n)}
            for n in range(10, 25)
        ]
        data.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return look_at(data).id

    assert looked("extra") is None
    assert looked("Order number") is None


@pytest.mark.parametrize(
    "form", ["{n}", "A-{n}", "2024-{n}", "ab{n}cd", "T{n}@x", "EUR{n}", "00{n}", "{n}abc"]
)
def test_short_values_of_another_kind_may_name_rows(tmp_path: Path, form: str) -> None:
    data = tmp_path / "d.jsonl"
    lines = [{"text": f"a text of row {n} here", "extra": form.format(n=n)} for n in range(10, 25)]
    data.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert look_at(data).id == "extra"


def test_an_id_that_repeats_far_down_is_no_id(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{min(i, 1500)},text {i}\n" for i in range(1502))
    path.write_text(f"uid,text\n{rows}", encoding="utf-8")
    assert look_at(path).id is None
    path.write_text(f"uid,text\n{rows[: rows.rindex('1500,')]}", encoding="utf-8")
    assert look_at(path).id == "uid"


def test_a_column_of_scores_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i}.5,text number {i}\n" for i in range(40))
    path.write_text(f"target,text\n{rows}", encoding="utf-8")
    assert look_at(path).gold is None


def test_a_file_without_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"a": 1, "b": 2}\n', encoding="utf-8")
    with pytest.raises(DataError, match="no column holds text"):
        look_at(path)
