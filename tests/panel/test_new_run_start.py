import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from drafting import MARKUP, made, opened, said, widget, words

from labelwright.app.panel import processes
from labelwright.app.panel.new_run import draft as drafts
from labelwright.app.panel.new_run.checks import shape_fault
from labelwright.app.panel.processes import Job
from labelwright.tools.errors import ConfigError, LockedError

QUOTE: dict[str, Any] = {
    "low_usd": 1.0, "high_usd": 2.5, "uncut_usd": 9.0, "cap_usd": 5.0, "texts": 3,
    "rounds": [2, 4], "rejected": 1, "reasons": ["line 5: the text is empty"],
    "unknown_gold": {MARKUP: 1}, "thin": None,
    "lines": [{"what": MARKUP, "usd": [1.0, 2.5], "requests": [1, 2], "tokens_in": 10,
               "tokens_out": 2}],
    "value": {"usd": 100.0, "explanation": "3 items"},
    "alternatives": [{"name": "nearest labels everything", "usd": None, "note": MARKUP}],
    "prompt": [{"role": "user", "content": MARKUP}],
    "questions": {"people": ["ann"], "fewest": 10, "expected": 1075, "most": 2140,
                  "remarks": [f"No audits will be asked of {MARKUP}."]},
    "examples": {"tokens": 61, "most": 8},
    "chat": {"model": MARKUP, "tokens_in": 1, "tokens_out": 1, "usd": 0.0049, "most_usd": 0.05},
}  # fmt: skip


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was started; the quote is given at once, and nothing is carried out."""
    made: list[Any] = []
    plan = Job("plan", ("plan",), state="done", code=0, result=QUOTE)
    monkeypatch.setattr(processes, "job", lambda key: plan if key.startswith("plan:") else None)
    monkeypatch.setattr(processes, "command", lambda key, args: made.append(args))
    monkeypatch.setattr(processes, "start_run", lambda file, name: made.append((file, name)))
    return made


def test_the_value_of_accuracy_is_one_of_three(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "budget")
    widget(at, "number_input", "usd").set_value(7.5).run()
    widget(at, "radio", "value").set_value("errors").run()
    assert draft.load()["stopping"] == {"items": 10_000, "error_cost_usd": 0.05}
    widget(at, "radio", "value").set_value("point").run()
    assert draft.load()["stopping"] == {"point_value_usd": 5.0}
    widget(at, "radio", "value").set_value("person").run()
    assert "stopping" not in draft.load()
    assert draft.load()["budget"]["usd"] == 7.5


def test_a_quote_is_shown_as_text_and_the_run_is_started(
    runs_root: Path, started: list[Any]
) -> None:
    draft = made()
    at = opened(draft, "start")
    assert not at.exception
    assert [m.value for m in at.metric][:2] == ["\\$1\\.00 to \\$2\\.50", "\\$5\\.00"]
    assert not any("<img" in block.proto.body for block in at.get("html"))
    assert "\\<img" in at.warning[1].value
    told = words(at)
    assert "You will be asked 10 to 2,140 questions, about 1,075 in the middle" in told
    assert "No audits will be asked of" in told
    assert "about 61 tokens to a request" in told
    assert "A typical question costs about $0.0049" in told
    assert not any("<img" in one.value.replace("\\<img", "") for one in at.markdown)
    widget(at, "text_input", "name").set_value("first").run()
    assert not at.button(key="new_start").disabled
    at.button(key="new_start").click().run()
    file, name = started[-1]
    assert name == "first"
    assert file.is_relative_to(draft.folder)
    config = yaml.safe_load(file.read_text())
    assert config == draft.load()
    # The same file works wherever it is put.
    assert Path(config["data"]["path"]).is_absolute()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "/etc/passwd"])
def test_a_name_that_leads_elsewhere_starts_nothing(
    runs_root: Path, started: list[Any], name: str
) -> None:
    at = opened(made(), "start")
    widget(at, "text_input", "name").set_value(name).run()
    assert "can not be the name" in said(at)
    assert at.button(key="new_start").disabled


def test_yaml_that_is_none_changes_nothing(runs_root: Path, started: list[Any]) -> None:
    draft = made()
    before = draft.load()
    at = opened(draft, "start")
    for text, part in (
        ("a: [", "not readable as YAML"),
        ("- list", "Expected sections"),
        ("task: 5", "is missing, or no section"),
        ("!!python/object/apply:os.system [ls]", "not readable as YAML"),
        (yaml.safe_dump({**before, "annotators": [{"kind": "spell"}]}), "each with a kind"),
    ):
        next(area for area in at.text_area if "_yaml_" in area.key).set_value(text)
        widget(at, "button", "apply").click().run()
        assert part in said(at)
        assert draft.load() == before


def test_a_key_in_the_yaml_is_taken_out_and_never_kept(runs_root: Path, started: list[Any]) -> None:
    draft = made()
    before, key = draft.load(), "gsk_notANameButAKey"
    at = opened(draft, "start")
    chat = {"kind": "chat", "name": "m", "model": "m", "price": "free"}
    for wrong in (
        {"annotators": [{**chat, "api_key_env": key}]},
        {"annotators": [{**chat, "api_key": key}]},
        {"critic": {"model": {"model": "m", "api_key_env": key}}},
    ):
        area = next(area for area in at.text_area if "_yaml_" in area.key)
        area.set_value(yaml.safe_dump({**before, **wrong}))
        widget(at, "button", "apply").click().run()
        assert not at.exception
        assert "Nothing was changed: a key" in said(at)
        assert draft.load() == before
        assert key not in repr(at.session_state)
        assert key not in str(at.main)
        assert not [file for file in draft.folder.rglob("*.yaml") if key in file.read_text()]


def test_a_run_that_is_just_being_started_elsewhere_keeps_the_page(
    runs_root: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(file: Path, name: str) -> Path:
        raise LockedError(f"The run {name!r} is going on, or just being started.")

    monkeypatch.setattr(processes, "start_run", start)
    at = opened(made(), "start")
    at.button(key="new_start").click().run()
    assert not at.exception
    assert "just being started" in said(at)
    assert at.button(key="new_start")


def test_yaml_that_is_right_shows_in_the_steps(runs_root: Path, started: list[Any]) -> None:
    draft = made()
    at = opened(draft, "start")
    config = {**draft.load(), "critic": {"audit_first": 12}, "budget": {"usd": 9}}
    area = next(area for area in at.text_area if "_yaml_" in area.key)
    area.set_value(yaml.safe_dump(config))
    widget(at, "button", "apply").click().run()
    assert not at.exception
    at.query_params["step"] = "budget"
    at.run()
    assert widget(at, "number_input", "usd").value == 9.0
    assert draft.load()["critic"] == {"audit_first": 12}


def test_a_configuration_that_steps_can_not_show_is_named() -> None:
    good = drafts.blank()
    assert not shape_fault(good)
    for change in (
        {"task": {"labels": [{"name": 3}]}},
        {"task": {"labels": [{"name": "a", "examples": "x"}]}},
        {"annotators": [{"name": "x"}]},
        {"budget": None},
        {"stopping": []},
        {"task": {"labels": [], "text": 4}},
        {"data": {"path": 5}},
        {"data": {"path": "x.csv", "id": ["a"]}},
        {"budget": {"usd": "many"}},
        {"budget": {"usd": float("nan")}},
        {"human": {"questions_per_round": "ten"}},
        {"stopping": {"items": None}},
        {"seed": [1]},
        {"annotators": [{"kind": "embedded", "tier": "first"}]},
    ):
        assert shape_fault({**good, **change}), change
    for change in ({"data": {}}, {"budget": {}}, {"budget": {"usd": None}}, {"human": {}}):
        assert not shape_fault({**good, **change}), change


@pytest.mark.parametrize("step", ["data", "columns", "labels", "annotators", "budget", "start"])
def test_a_draft_without_a_file_is_shown_at_every_step(
    runs_root: Path, started: list[Any], step: str
) -> None:
    task = {"name": "t", "labels": [{"name": "a"}, {"name": "b"}]}
    for data in ({"gold": "label"}, {"path": None}):
        draft = drafts.new_draft({**drafts.blank(), "data": data, "task": task})
        at = opened(draft, step)
        assert not at.exception
        if step in {"data", "start"}:
            continue
        at.button(key="new_next").click().run()
        assert not at.exception
    # Its files are counted, too, when another draft is to be deleted.
    drafts.delete_draft(draft.name)
    assert draft not in drafts.drafts()


def test_a_proposals_task_begins_a_draft_with_its_votes(empty_run: Path) -> None:
    folder = empty_run / "proposals"
    folder.mkdir(exist_ok=True)
    task = {"name": "new", "labels": [{"name": "a"}, {"name": "b"}], "guidelines": "g"}
    (folder / "001-task.yaml").write_text(yaml.safe_dump({"task": task}))
    vote = {"item_id": "m0001", "annotator": "reviewer", "label": "a"}
    (folder / "001-votes.jsonl").write_text(json.dumps(vote) + "\n")
    at = opened(task="empty/001-task.yaml")
    assert not at.exception
    (draft,) = drafts.drafts()
    config = draft.load()
    assert config["task"]["guidelines"] == "g"
    draft.save({**config, "seed": 7})
    again = opened(task="empty/001-task.yaml")
    assert again.query_params["draft"] == draft.name
    assert drafts.drafts() == [draft], "the same address leads to the same draft"
    assert draft.load()["seed"] == 7
    assert [one["name"] for one in config["annotators"]] == [
        "reviewer-before", "embedded", "reviewer"
    ]  # fmt: skip
    assert config["annotators"][0]["trusted"]
    assert config["annotators"][0]["tier"] == 2


@pytest.mark.parametrize(
    "task", ["../001-task.yaml", "finished/../../x", "finished/001-task.yaml", "x/run.yaml"]
)
def test_a_task_that_is_none_is_refused(runs_root: Path, task: str) -> None:
    with pytest.raises(ConfigError, match="no task of a run"):
        drafts.from_task(task)
    at = opened(task=task)
    assert "can not be used" in said(at)
    assert not drafts.drafts()


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (Job("t", (), state="running"), "Asking the endpoint"),
        (Job("t", (), state="failed", error=MARKUP), "could not be carried out"),
        (Job("t", (), state="failed", result={"probes": [{"error": MARKUP}]}), "can not be used"),
        (Job("t", (), state="done", result={"probes": [{"error": ""}]}), "The endpoint answers"),
    ],
)
def test_the_report_of_an_endpoint_is_shown(
    runs_root: Path, monkeypatch: pytest.MonkeyPatch, job: Job, words: str
) -> None:
    monkeypatch.setattr(processes, "job", lambda _: job)
    if isinstance(job.result, dict):
        job.result["probes"][0] |= {
            "mode": "json_schema", "limit": "max_tokens", "logprobs": True, "requests": 3,
            "usd": 0.0001, "seconds": 0.5,
        }  # fmt: skip
    model = {"kind": "chat", "name": "m", "model": "m-1", "price": "free"}
    at = opened(made(annotators=[model]), "annotators")
    assert not at.exception
    assert words in said(at) + "".join(success.value for success in at.success)
    assert not any("<img" in block.proto.body for block in at.get("html"))


def test_a_test_of_an_endpoint_is_bounded_and_says_so(runs_root: Path, started: list[Any]) -> None:
    model = {"kind": "chat", "name": "m", "model": "m-1", "price": {"in": 1, "out": 2}}
    draft = made(annotators=[model])
    at = opened(draft, "annotators")
    assert any("at most 16 short requests and costs at most" in c.value for c in at.caption)
    widget(at, "button", "a0_test").click().run()
    (args,) = started
    assert args[0] == "doctor"
    assert args[2:] == ("--probe", "--usd", "0.05", "--json")
    assert yaml.safe_load(Path(args[1]).read_text())["annotators"][0]["model"] == "m-1"
