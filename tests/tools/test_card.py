"""The card: true, readable as Markdown whatever the names are, with snippets that run."""

import json
import re
from typing import Any

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from labelwright.tools.card import plain, write_card
from labelwright.tools.embedding import EmbedderConfig, build_embedder
from labelwright.tools.student import StudentConfig, fit
from labelwright.tools.student_file import save
from labelwright.tools.task import LabelConfig, TaskConfig

TASK = TaskConfig(
    name="intent",
    labels=[
        LabelConfig(name="refund", description="The customer wants money back."),
        LabelConfig(name="card_lost", description="A card is lost | stolen.\nNot: eaten."),
    ],
    guidelines="One label a text.\n```\nIn doubt: refund.",
)


def made_summary(**changes: Any) -> dict[str, Any]:
    return {
        "name": "bank",
        "status": "finished",
        "stop": {"reason": "certificate", "detail": "so it is"},
        "rounds": 5,
        "best_round": 6,
        "money": {
            "spent_usd": 1.5,
            "uncertain_usd": 0.0,
            "cap_usd": 5.0,
            "value_usd": 100.0,
            "value_from": "1,000 items x $0.10 for a wrong label",
        },
        "tokens": 5000,
        "requests": 310,
        "pool": {"rows": 1020, "synthetic": 12},
        "labels": {
            "texts": 1000,
            "accepted": 990,
            "set_apart": 10,
            "unlabelled": 0,
            "by_source": {"model": 300, "student": 690},
            "by_label": {"refund": 990, "card_lost": 0},
            "calibrated": 500,
        },
        "quality": {
            "labels": {"estimate": 0.95, "low": 0.9, "high": 0.98, "n": 120, "why_not": None},
            "student": {"estimate": 0.9, "low": 0.85, "high": 0.94, "n": 120, "why_not": None},
            "gold": None,
        },
        "annotators": [
            {
                "annotator": "small-model",
                "kind": "chat",
                "trusted": False,
                "votes": 310,
                "invalid": 2,
                "reliability": 0.87,
                "audited": 120,
                "right": {"estimate": 0.9, "low": 0.85, "high": 0.94, "n": 120},
            }
        ],
        "curve": [{"round": 6, "agreement": 0.91, "macro_f1": 0.88}],
        "embedder": "minilm@0123456789abcdef",
        "seed": 3,
        "decisions_sha256": "ab" * 32,
    } | changes


@pytest.fixture
def card(tmp_path):
    def write(summary, task=TASK) -> str:
        write_card(tmp_path / "card.md", summary, task)
        return (tmp_path / "card.md").read_text(encoding="utf-8")

    return write


def body(text: str) -> str:
    return text.split("---\n", 2)[2]


def cells(text: str) -> list[list[str]]:
    """Rows of every table, as a reader of the rendered page sees them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(body(text)):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 3:
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


def test_the_card_tells_labels_quality_money_and_limits(card):
    text = card(made_summary())
    for part in (
        "# intent\n",
        "990 of 1,000 texts labelled with 2 labels, by active learning: the run “bank” of",
        "It stopped after 5 rounds: the last rounds can not have been worth their money, whatever "
        "they changed. The student of round 6 classifies texts still to come.",
        "| model | 300 | one annotator |",
        "| set apart | 10 | nobody: no label was given |",
        "| small-model | chat | no | 310 | 2 | 90.0% (95% interval 85.0% to 94.0%, n = 120) |",
        "- Labels: accuracy 95.0% (95% interval 90.0% to 98.0%, n = 120), on texts drawn at random",
        "agreement 91.0%, macro-F1 0.88",
        "$1.50 of a cap of $5.00, in 310 requests and 5,000 tokens.",
        "worth $100.00 (1,000 items x $0.10 for a wrong label).",
        "No text was given the label card_lost.",
        "`p_correct` is an assumption, not a frequency",
        "12 generated texts helped to train the student",
        "seed 3",
        "ab" * 32,
    ):
        assert part in text
    assert "gold" not in text
    assert ["card_lost", "A card is lost | stolen. Not: eaten.", "0"] in cells(text)


def test_the_front_matter_is_yaml_of_a_dataset(card):
    task = TASK.model_copy(update={"name": "x: [y]"})
    head = yaml.safe_load(card(made_summary(name=None), task).split("---\n")[1])
    assert head["pretty_name"] == "x: [y]"
    assert head["size_categories"] == ["1K<n<10K"]
    assert head["configs"] == [{"config_name": "default", "data_files": "labels.parquet"}]


def test_the_student_of_the_last_training_is_of_no_round(card):
    assert "The student of round 6 classifies" in card(made_summary())
    last = [{"round": 6, "in_round": False, "agreement": 0.91, "macro_f1": 0.88}]
    text = card(made_summary(curve=last))
    assert "The student of the last training classifies texts still to come." in text
    assert "round 6" not in text


def test_without_trusted_labels_no_accuracy_is_given(card):
    nothing = {"estimate": None, "low": 0.0, "high": 1.0, "n": 0}
    quality = {
        "labels": {**nothing, "why_not": "uncalibrated: no annotator is trusted"},
        "student": {**nothing, "why_not": "no annotator is trusted"},
        "gold": None,
    }
    summary = made_summary(quality=quality)
    summary["annotators"][0]["right"] = None
    text = card(summary)
    assert "| 2 | not audited |" in text
    assert "- Labels: uncalibrated, because no annotator is trusted." in text
    assert "- Student: uncalibrated, because no annotator is trusted." in text
    assert "No trusted label backs any accuracy or `p_correct` here." in text
    assert "95% interval" not in text


def test_gold_is_marked_as_an_evaluation(card):
    interval = {"estimate": 0.9, "low": 0.88, "high": 0.92, "n": 990}
    gold = {
        "items": 1000,
        "completion": 0.99,
        "accuracy": interval,
        "macro_f1": 0.8,
        "student_accuracy": None,
        "student_macro_f1": None,
    }
    text = card(made_summary(quality={"labels": {}, "student": {}, "gold": gold}))
    assert "Evaluation against 1,000 gold labels that the run never saw" in text


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "a\\|b",
    "*stars* _lines_ `ticks`",
    "[link](https://example.org)",
    "![image](x)",
    "&amp; &#60;",
    "~~gone~~ # head",
    "two\nlines",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_read_as_they_are_and_do_nothing(card, name):
    task = TaskConfig(
        name=name,
        labels=[LabelConfig(name=name, description=name), LabelConfig(name="other")],
        guidelines=f"{name}\n````\n# not a heading",
    )
    summary = made_summary(name=name)
    summary["labels"]["by_label"] = {name: 7, "other": 0}
    text = card(summary, task)
    read = " ".join(name.split())
    assert [read, read, "7"] in cells(text)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body(text))
    inline = [child.type for token in tokens for child in token.children or []]
    assert not {"html_inline", "link_open", "image", "em_open", "strong_open", "s_open"} & {*inline}
    assert "html_block" not in [token.type for token in tokens]
    headings = [t.content for t, o in zip(tokens[1:], tokens, strict=False) if o.tag == "h2"]
    assert [h for h in headings if h][-2:] == ["Limits", "Reproduction"]


def test_every_part_may_be_missing(card):
    summary = made_summary()
    assert "There is no student." in card({})
    for key in summary:
        assert "None" not in card({k: v for k, v in summary.items() if k != key})
        assert "None" not in card(summary | {key: None})


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)\n```", text, re.S)


def test_the_snippets_run(card, tmp_path, monkeypatch, capsys):
    embedder = build_embedder(EmbedderConfig(kind="minilm"))
    texts = ["my money back please", "refund me", "I lost my card", "where is my card"]
    student = fit(
        StudentConfig(),
        embedder.embed(texts),
        np.array([0, 0, 1, 1]),
        np.ones(4),
        ["refund", "card_lost"],
        seed=0,
    ).student
    save(
        student,
        tmp_path / "student.skops",
        embedder_fingerprint=embedder.fingerprint,
        metadata={},
    )
    row = {"id": "1", "text": "hello", "label": "refund", "p_correct": 0.9, "outcome": "accept"}
    apart = {"id": "2", "text": "?", "label": None, "p_correct": None, "outcome": "set_apart"}
    (tmp_path / "labels.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(apart)}\n")
    monkeypatch.chdir(tmp_path)
    labels, classify = snippets(card(made_summary(embedder=embedder.fingerprint)))
    exec(compile(labels, "labels", "exec"), {})
    assert capsys.readouterr().out == "1 labelled of 2\nrefund 0.9 hello\n"
    exec(compile(classify, "classify", "exec"), {})
    assert capsys.readouterr().out.split()[0] in {"refund", "card_lost"}


def test_the_snippet_for_a_remote_embedder_takes_it_from_the_configuration(card):
    _, classify = snippets(card(made_summary(embedder="openai:some-model@0123456789abcdef")))
    compile(classify, "classify", "exec")
    assert 'load_config(Path("run.yaml")).embedder' in classify


def test_a_run_without_student_says_nothing_of_loading_one(card):
    text = card(made_summary(best_round=None))
    assert len(snippets(text)) == 1
    assert "student.skops" not in text


def test_plain_text_keeps_underscores_inside_words():
    assert plain("card_lost _x_ a\n b") == r"card_lost \_x\_ a b"
