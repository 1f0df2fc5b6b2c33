"""run.yaml: what is wrong is named, and a dumped configuration is the same configuration."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from labelwright.graph.config import dump_config, load_config, parse_config
from labelwright.tools.errors import ConfigError
from labelwright.tools.money import NANO

CHAT = {
    "kind": "chat",
    "name": "cheap",
    "model": "small",
    "base_url": "http://localhost:1/v1",
    "price": {"in": 0.15, "out": 0.6},
}
BASE: dict[str, Any] = {
    "task": {"name": "mail", "labels": [{"name": "spam"}, {"name": "ham"}]},
    "data": {"path": "mail.csv"},
    "annotators": [CHAT],
    "budget": {"usd": 1.5},
}
AGENT = {"model": "big", "base_url": "http://localhost:1/v1", "price": {"in": 1, "out": 2}}


def changed(where: str, value: Any) -> dict[str, Any]:
    """The base with one value put in, or taken out by ``...``."""
    raw = copy.deepcopy(BASE)
    *path, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    node: Any = raw
    for part in path:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return raw


def written(folder: Path, raw: dict[str, Any]) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


def refusal(folder: Path, raw: dict[str, Any]) -> str:
    path = written(folder, raw)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    return message.removeprefix(f"{path}: ")


def test_the_base_is_fine(tmp_path):
    config = load_config(written(tmp_path, BASE))
    assert config.budget.caps().money == 1.5 * NANO
    assert [a.name for a in config.annotators] == ["cheap"]


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("seed", "x", "seed: expected a whole number. Found 'x'."),
        (
            "sead",
            1,
            "sead: no such option; did you mean 'seed'. Correct the spelling or remove it.",
        ),
        ("zzz", 1, "zzz: no such option; check the spelling or remove it."),
        ("budget.used", 1, "budget.used: no such option; did you mean 'usd'."),
        ("critic.model", {**AGENT, "modle": 1}, "critic.model.modle: .* did you mean 'model'."),
        ("annotators.0.tear", 1, "annotators.0.tear: no such option; did you mean 'tier'."),
        ("task.labels.0.exmaples", 1, "task.labels.0.exmaples: .* did you mean 'examples'."),
        ("task", ..., "task: is missing"),
        ("task", 3, "task: expected a section with options of its own. Found 3."),
        ("task.nmae", 3, "task.nmae: no such option"),
        ("task.labels.0.name", " ", "task.labels.0.name: a label has a blank name.* Found ' '."),
        ("task.labels.0.name", False, "task.labels.0.name: expected text; .* Found False."),
        ("task.labels.1.name", "SPAM ", "task: the labels 'spam' and 'SPAM' are the same name"),
        ("task.labels", [{"name": "a"}], "task.labels: expected 2 or more"),
        ("task.text", "{{ oops", "task.text: .*not valid Jinja2 .line 1.* Found '{{ oops'."),
        ("data.path", ..., "data.path: is missing"),
        ("budget", ..., "budget: is missing"),
        ("budget.usd", -1, "budget.usd: expected a number of 0 or more. Found -1."),
        ("budget.usd", float("nan"), "budget.usd: expected a finite number. Found nan."),
        ("budget.tokens", 0, "budget.tokens: expected a number of 1 or more. Found 0."),
        ("human.label_usd", -1, "human.label_usd: expected a number of 0 or more. Found -1."),
        ("human", 3, "human: expected a section with options of its own. Found 3."),
        ("annotators", [], "annotators: expected 1 or more"),
        ("annotators", 3, "annotators: expected a list. Found 3."),
        ("annotators", [3], "annotators.0: expected a section with options.* Found 3."),
        ("annotators.0.kind", "gpt", "annotators.0: .*'gpt'.*'chat', 'recorded', 'embedded'"),
        ("annotators.0.kind", ..., "annotators.0: .*'kind'"),
        ("annotators.0.name", "a b", "annotators.0.name: .*match pattern.* Found 'a b'."),
        ("annotators.0.tier", 0, "annotators.0.tier: expected a number of 1 or more. Found 0."),
        ("annotators.0.price", ..., "annotators.0.price: is missing; write free, {in: USD.*never"),
        ("annotators.0.price", None, "annotators.0.price: a price is one of.*never.* Found None."),
        ("annotators.0.price", "low", "annotators.0.price: a price is one of.* Found 'low'."),
        ("annotators.0.price", {"in": 1}, "annotators.0.price: .*needs both 'in' and 'out'"),
        ("annotators.0.price.in", "x", "annotators.0.price.in: expected a number. Found 'x'."),
        (
            "annotators.0",
            {"kind": "embedded", "name": "near", "price": {"per_label": 0.1}},
            "annotators.0: an annotator of kind embedded runs here: its price is 'free'",
        ),
        ("annotators.0.api_key", "hush", "annotators.0.api_key: keys come from the environment"),
        ("annotators.0.api_key_env", "sk-12", "annotators.0.api_key_env: is the NAME of an env"),
        ("annotators.0.params", {"model": "x"}, "annotators.0.params: params can not set model"),
        ("stopping", {"point_value_usd": 1, "items": 5, "error_cost_usd": 1}, "stopping: give eit"),
        ("stopping.point_value_usd", float("inf"), "stopping.point_value_usd: .*finite number"),
        ("stopping.items", 5, "stopping: 'items' and 'error_cost_usd' go together"),
        ("generation.enabled", True, "generation: generation is enabled and has no 'model'"),
        (
            "selection.strategy",
            "best",
            "selection.strategy: expected one of random, margin.* Found .best..",
        ),
    ],
)
def test_a_mistake_is_named_with_file_field_value_and_what_was_expected(
    tmp_path, where, value, message
):
    assert re.match(message, refusal(tmp_path, changed(where, value)), re.DOTALL)


@pytest.mark.parametrize("section", ["selection", "critic", "generation"])
def test_an_agent_is_not_priced_by_the_label(tmp_path, section):
    model = {**AGENT, "price": {"per_label": 0.1}}
    message = refusal(tmp_path, changed(f"{section}.model", model))
    assert message.startswith(f"{section}.model.price: an agent gives no labels")
    parse_config(changed(f"{section}.model", AGENT), folder=tmp_path)


def test_two_annotators_of_one_name(tmp_path):
    message = refusal(tmp_path, {**BASE, "annotators": [CHAT, {**CHAT, "model": "other"}]})
    assert message == "annotators: the name 'cheap' is used twice; rename one."


def test_people_alone_are_not_enough(tmp_path):
    ann = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    assert "only people are configured" in refusal(tmp_path, {**BASE, "annotators": [ann]})
    by_tokens = {**ann, "price": {"in": 1, "out": 1}}
    message = refusal(tmp_path, {**BASE, "annotators": [CHAT, by_tokens]})
    assert message.startswith("annotators.1: a person is paid {per_label: USD}")


def test_every_mistake_is_told_at_once(tmp_path):
    raw = changed("budget.usd", -1)
    raw["seed"] = -3
    assert len(refusal(tmp_path, raw).splitlines()) == 2


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("annotators.0.api_key", "sk-hunter2"),
        ("annotators.0.api_key", ["sk-hunter2"]),
        ("annotators.0.base_url", "https://me:hunter2@host/v1"),
        ("annotators.0.base_url", "https://me:hunt@hunter2@host/v1"),
        ("pool.url", "http://me:hunter2@host:8000"),
        ("annotators.0.api_key_env", ["hunter2"]),
        ("annotators.0.model", ["Bearer hunter2"]),
        ("annotators.0.timeout_s", "Bearer hunter2"),
        ("task.name", ["sk-hunter2"]),
    ],
)
def test_a_secret_is_not_repeated(tmp_path, where, value):
    assert "hunter2" not in refusal(tmp_path, changed(where, value))


def test_a_secret_beside_a_slip_in_the_yaml_is_not_repeated(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("task: {name: a}\nkey: 'it''s' sk-hunter2\n")
    with pytest.raises(ConfigError, match="line 2") as caught:
        load_config(path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_long_value_is_cut(tmp_path):
    assert len(refusal(tmp_path, changed("seed", "x" * 10_000))) < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [1, 2\n", "not readable as YAML: .*line 2"),
        ("a: 1\n\tb: 2\n", "not readable as YAML: .*line 2"),
        ("budget: {usd: 1}\nseed: 1\nbudget: {usd: 9}\n", "key 'budget' is given twice.*line 3"),
        ("task:\n  name: a\n  name: b\n", "key 'name' is given twice.*line 3"),
        ("seed: 2024-99-99\n", "not readable as YAML: month must be"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("", "expected sections such as 'task:' and 'data:', found nothing"),
        ("- a\n- b\n", "expected sections .*found a list"),
        ("just words\n", "expected sections .*found a str"),
        ("1: x\n", "1: Keys should be strings"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert re.search(message, str(caught.value), re.DOTALL)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file; `labelwright init` writes one"):
        load_config(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match=r"(?i)is a directory; expected a YAML file"):
        load_config(tmp_path)


def test_another_encoding(tmp_path):
    (tmp_path / "run.yaml").write_bytes("task: {name: Küche}".encode("latin-1"))
    with pytest.raises(ConfigError, match="not readable as YAML: 'utf-8'"):
        load_config(tmp_path / "run.yaml")


def test_anchors_and_merges_are_no_repetition(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "task: {name: t, labels: [{name: a}, {name: b}]}\n"
        "data: {path: x.csv}\n"
        "budget: {usd: 1}\n"
        "annotators:\n"
        "  - &first {kind: chat, name: one, model: m, base_url: 'http://h/v1', price: free}\n"
        "  - {<<: *first, name: two, tier: 2}\n"
        "  - {<<: *first, name: three}\n"
    )
    assert [(a.name, a.tier) for a in load_config(path).annotators] == [
        ("one", 1), ("two", 2), ("three", 1),
    ]  # fmt: skip


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    raw = {
        **BASE,
        "data": {"path": "../data/mail.csv"},
        "prompts": "mine",
        "annotators": [
            {"kind": "recorded", "name": "r", "path": "votes.csv", "price": "free"},
            {"kind": "recorded", "name": "s", "path": "/abs/votes.csv", "price": "free"},
        ],
    }
    written(project, raw)
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("project/run.yaml"))
    assert config.data.path.is_absolute()
    assert config.data.path.resolve() == tmp_path / "data" / "mail.csv"
    assert config.prompts == project / "mine"
    assert [a.path for a in config.annotators] == [project / "votes.csv", Path("/abs/votes.csv")]


def everything(tmp_path: Path) -> dict[str, Any]:
    chat = {
        **CHAT,
        "price": {"in": 0.1, "out": 1e-7, "cached_in": 0},
        "params": {"temperature": None, "top_p": 0.5, "nested": {"a": [None, 1]}},
    }
    return {
        **BASE,
        "annotators": [
            chat,
            {"kind": "recorded", "name": "r", "path": "v.csv", "price": {"per_label": 0.1}},
            {"kind": "embedded", "name": "e"},
            {"kind": "human", "name": "ann", "price": "free"},
        ],
        "budget": {"usd": 0.1, "wall_clock_s": float("inf")},
        "critic": {"model": {**AGENT, "timeout_s": float("inf")}},
        "generation": {"enabled": True, "model": AGENT, "attributes": {"spam": {"tone": ["a"]}}},
        "embedder": {"kind": "openai", "model": "e", "price_usd_per_mtok": "free"},
        "prompts": "mine",
    }


ODD = ["no", "1", "1e3", "~", "null", "0x1", "a: b", "#", "- x", "'", "é\x85"]


def reloaded(text: str) -> Any:
    return parse_config(yaml.safe_load(text), folder=Path("/elsewhere"))


def test_a_dumped_configuration_is_the_same_one(tmp_path):
    config = parse_config(everything(tmp_path), folder=tmp_path)
    text = dump_config(config)
    again = reloaded(text)
    assert again == config
    assert again.annotators[0].params["temperature"] is None  # null leaves it out, absent is 0
    assert dump_config(again) == text


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from(ODD), min_size=2, max_size=5, unique=True),
    st.floats(0, 1e12, allow_nan=False),
)
def test_any_text_survives_the_dump(name, guidelines, labels, usd):
    raw = {
        **BASE,
        "task": {
            "name": name, "guidelines": guidelines, "labels": [{"name": n} for n in labels],
        },
        "budget": {"usd": usd},
    }  # fmt: skip
    config = parse_config(raw, folder=Path("/x"))
    assert reloaded(dump_config(config)) == config


def test_a_dumped_file_is_read_as_it_was_written(tmp_path):
    config = parse_config({**BASE, "task": {**BASE["task"], "guidelines": "a\r\nb\x85\u2028c"}},
                          folder=tmp_path)  # fmt: skip
    path = tmp_path / "copy.yaml"
    path.write_text(dump_config(config) + "# hashes\n", encoding="utf-8")
    assert load_config(path) == config


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system"]
)
def test_a_file_that_asks_for_python_objects_is_refused(tmp_path, tag):
    path = tmp_path / "run.yaml"
    path.write_text(f"task: {tag}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load_config(path)
