import io
import json
from pathlib import Path

import pytest
import yaml
from drafting import CSV, MARKUP, made, opened, said, widget

from labelwright.app.panel.new_run import draft as drafts
from labelwright.app.panel.new_run.checks import annotator_faults, label_advice, label_faults
from labelwright.app.panel.new_run.sample import sample
from labelwright.tools.errors import ConfigError, DataError

# -- data -------------------------------------------------------------------------------------


def test_the_demo_corpus_fills_every_step(runs_root: Path) -> None:
    at = opened()
    at.button(key="new_demo").click().run()
    assert not at.exception
    assert [m.value for m in at.metric] == ["962", "962", "0", "6"]
    config = drafts.drafts()[0].load()
    assert len(config["task"]["labels"]) == 8
    assert config["annotators"][1]["trusted"]
    assert Path(config["annotators"][1]["path"]).is_file()
    for step in ("columns", "labels", "annotators", "budget"):
        assert not opened(drafts.drafts()[0], step).exception
        # Looking at a step changes nothing.
        assert drafts.drafts()[0].load() == {**config, "seed": 0}


def test_an_upload_becomes_a_draft(runs_root: Path) -> None:
    at = opened()
    at.file_uploader[0].set_value([("../../evil $(rm).csv", CSV.encode(), "text/csv")]).run()
    assert not at.exception
    (draft,) = drafts.drafts()
    config = draft.load()
    path = Path(config["data"]["path"])
    assert path.parent == draft.folder.resolve()
    assert path.name == "evil_rm.csv"
    assert config["data"]["gold"] == "gold"
    assert [label["name"] for label in config["task"]["labels"]] == ["delivery", "billing"]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "is empty"),
        ("a.jsonl", b"not json\n", "no usable row"),
        ("a.parquet", b"PAR1 not really", "can not be read as Parquet"),
        ("a.csv", b"n\n1\n2\n", "no column"),
        ("a.exe", b"MZ", "of no kind that can be read"),
    ],
)
def test_a_file_that_can_not_be_used_leaves_no_draft(
    runs_root: Path, name: str, content: bytes, part: str
) -> None:
    if name.endswith("exe"):
        draft = drafts.new_draft(drafts.blank())
        with pytest.raises(DataError, match=part):
            draft.keep(name, io.BytesIO(content))
        return
    at = opened()
    at.file_uploader[0].set_value([(name, content, "text/plain")]).run()
    assert not at.exception
    if part != "no column":
        assert part in said(at)
        assert not drafts.drafts()


def test_broken_lines_are_counted_and_shown(runs_root: Path) -> None:
    content = CSV + '5,"open quote\n6,a,b,c,d\n'
    at = opened(made(content))
    assert not at.exception
    assert "can not be used" in said(at)
    assert "Line" in said(at)


def test_texts_of_the_file_are_shown_as_text(runs_root: Path) -> None:
    draft = made(json.dumps({"text": MARKUP}) + "\n" + json.dumps({"text": "x"}), "a.jsonl")
    at = opened(draft, "columns")
    assert "&lt;img src=x" in said(at)
    assert "<img" not in said(at)


@pytest.mark.parametrize("name", ["../x", "nope", "", "A B", "x" * 300, "a\x00"])
def test_a_draft_that_is_not_there_begins_anew(runs_root: Path, name: str) -> None:
    at = opened(draft=name)
    assert not at.exception
    assert at.button(key="new_demo")
    assert drafts.open_draft(name) is None


# -- columns ----------------------------------------------------------------------------------


def test_columns_and_a_template_change_the_texts(runs_root: Path) -> None:
    draft = made("nr,title,body text,tag\n1,A,b,x\n2,C,d,y\n")
    at = opened(draft, "columns")
    widget(at, "selectbox", "text").select("Several columns, by a template").run()
    widget(at, "text_area", "template").set_value('{{ title }}: {{ row["body text"] }}').run()
    assert not at.exception
    assert draft.load()["task"]["text"] == '{{ title }}: {{ row["body text"] }}'
    assert ">A: b<" in said(at)
    widget(at, "text_area", "template").set_value("{{ nothing }").run()
    assert "not valid Jinja2" in said(at)
    widget(at, "text_area", "template").set_value("{{ ''.__class__.__mro__ }}").run()
    assert not at.exception
    assert "fails" in said(at)


def test_a_column_that_is_no_id_is_said(runs_root: Path) -> None:
    draft = made()
    config = draft.load()
    config["data"]["id"] = "text"
    draft.save(config)
    found = sample(draft.load())
    assert found.rejected == 2
    assert "was on line 2 before" in found.reasons[0]


def test_a_reload_finds_what_was_entered(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "columns")
    widget(at, "text_input", "task").set_value("my messages").run()
    again = opened(draft, "columns")
    assert widget(again, "text_input", "task").value == "my messages"


# -- labels -----------------------------------------------------------------------------------


def test_labels_are_added_as_lines_and_checked(runs_root: Path) -> None:
    draft = made("text\na\nb\n")
    at = opened(draft, "labels")
    # Nothing was entered yet, so nothing is wrong yet.
    assert "two labels or more" not in said(at)
    widget(at, "text_area", "lines").set_value("alone").run()
    widget(at, "button", "add_lines").click().run()
    assert "two labels or more" in said(at)
    lines = f"spam: unwanted\nSpam : again\n{MARKUP}\n" + "x" * 200
    widget(at, "text_area", "lines").set_value(lines).run()
    widget(at, "button", "add_lines").click().run()
    assert not at.exception
    assert "same name" in said(at)
    assert "longer than 80" in said(at)
    names = [label["name"] for label in draft.load()["task"]["labels"]]
    assert names[:3] == ["alone", "spam", "Spam"]
    widget(at, "text_area", "guidelines").set_value("# Rules\n- one").run()
    assert draft.load()["task"]["guidelines"] == "# Rules\n- one"


def test_what_is_wrong_with_a_label_set_is_said() -> None:
    alike = "charges refunds invoices and payment methods"
    labels = [
        {"name": "a", "description": alike, "examples": ["same"]},
        {
            "name": "\N{FULLWIDTH LATIN CAPITAL LETTER A} ",
            "description": f"{alike} too",
            "examples": ["Same "],
        },
        {"name": " ", "description": ""},
    ]
    faults, advice = "\n".join(label_faults(labels)), "\n".join(label_advice(labels))
    assert "1 label(s) have no name" in faults
    assert "2 labels have the same name" in faults
    assert "1 of 3 labels have no description" in advice
    assert "nearly the same words" in advice
    assert "under more than one label" in advice
    assert not label_faults([{"name": "a"}, {"name": "b"}])


# -- annotators -------------------------------------------------------------------------------


def test_a_model_needs_a_price_that_somebody_stated(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "annotators")
    widget(at, "button", "add_chat").click().run()
    # It was just added: what it lacks is said once somebody has begun with it.
    assert "no price" not in said(at)
    assert "no model" not in said(at)
    assert widget(at, "button", "a1_test").disabled
    widget(at, "text_input", "a1_model").set_value("m-1").run()
    assert "no price" in said(at)
    widget(at, "selectbox", "a1_price").select("by tokens").run()
    assert "Both prices" in said(at)
    widget(at, "number_input", "a1_price_in").set_value(0.15).run()
    widget(at, "number_input", "a1_price_out").set_value(0.6).run()
    assert "no price" not in said(at)
    assert draft.load()["annotators"][1] == {
        "kind": "chat", "name": "model", "tier": 1, "model": "m-1",
        "price": {"in": 0.15, "out": 0.6},
    }  # fmt: skip


def test_a_key_in_place_of_its_variable_is_refused(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "annotators")
    widget(at, "button", "add_chat").click().run()
    # Some keys could be names of variables elsewhere.
    for key in ("sk-this-is-a-key", "gsk_aKeyOfLettersAndDigits1", "my_key"):
        widget(at, "text_input", "a1_env").set_value(key).run()
        assert "not the name of a variable" in said(at)
        assert key not in draft.file.read_text()
        assert widget(at, "text_input", "a1_env").value == "OPENAI_API_KEY"
        assert key not in repr(at.session_state)
        assert key not in str(at.main)
    widget(at, "text_input", "a1_env").set_value("MY_KEY_2").run()
    assert "not the name" not in said(at)
    assert draft.load()["annotators"][1]["api_key_env"] == "MY_KEY_2"


def test_a_draft_is_deleted_with_its_files(runs_root: Path) -> None:
    draft, other = made(), made()
    at = opened(draft)
    at.button(key="new_delete").click().run()
    assert not at.exception
    assert not draft.folder.exists()
    assert not at.query_params
    assert [one.name for one in drafts.drafts()] == [other.name]
    at.button(key="new_delete").click().run()
    assert not drafts.drafts()
    for name in ("../drafts", "", "x/../y"):
        with pytest.raises(ConfigError, match="no draft"):
            drafts.delete_draft(name)


def test_files_that_something_needs_are_not_deleted(empty_run: Path) -> None:
    draft = made()
    path = draft.load()["data"]["path"]
    copy = drafts.new_draft(drafts.blank(Path(path)))
    at = opened(draft)
    at.button(key="new_delete").click().run()
    assert copy.name in at.error[0].value.replace("\\", "")
    drafts.delete_draft(copy.name)
    config = yaml.safe_load((empty_run / "run.yaml").read_text())
    config["data"]["path"] = path
    (empty_run / "run.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="the run empty"):
        drafts.delete_draft(draft.name)
    assert Path(path).is_file()


def test_annotators_come_and_go(runs_root: Path) -> None:
    draft = made()
    at = opened(draft, "annotators")
    for kind in ("human", "embedded", "recorded"):
        widget(at, "button", f"add_{kind}").click().run()
    names = [one["name"] for one in draft.load()["annotators"]]
    assert names == ["nearest", "me", "nearest-2", "earlier"]
    uploader = at.file_uploader[0]
    uploader.set_value([("v.csv", b"item_id,earlier\n1,delivery\n", "text/csv")]).run()
    assert Path(draft.load()["annotators"][3]["path"]).is_file()
    widget(at, "button", "a0_remove").click().run()
    assert [one["name"] for one in draft.load()["annotators"]] == names[1:]


def test_what_is_wrong_with_annotators_is_said() -> None:
    human = {"kind": "human", "name": "me", "price": "free"}
    gone = {"kind": "recorded", "name": "r", "price": "free", "path": "/nowhere/votes.csv"}
    model = {"kind": "chat", "name": "m", "model": "m", "price": "free"}
    local = "http://localhost:1/v1"
    found = annotator_faults(
        [
            human, human, {"kind": "recorded", "name": "../x"}, gone,
            {**model, "base_url": "http://user:secret@host/v1"}, {**model, "name": "n"},
            {**model, "name": "o", "base_url": local},
        ]
    )  # fmt: skip
    parts = {
        "a1_name": "Another annotator is named 'me'",
        "a2_name": "can not be an annotator's",
        "a2_path": "no file of votes",
        "a2_price": "no price",
        "a3_path": "not there any more",
        "a4_url": "without a user name or password",
    }
    assert set(found) == set(parts)
    for field, part in parts.items():
        assert part in "\n".join(found[field])
    assert "secret" not in str(found)
    assert "Only people" in annotator_faults([human])[""][0]
    assert annotator_faults([])
