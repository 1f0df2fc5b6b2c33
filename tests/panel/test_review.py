"""The review page, as it runs without a browser."""

import json
import shutil

import pytest
from doubles.going_run import going
from malicious import (
    EVIL,
    GUIDELINES,
    LABELS,
    TEXTS,
    alive,
    item_id,
    texts_shown,
    write_malicious,
)
from streamlit.testing.v1 import AppTest

from labelwright.app.panel.review import going_on
from labelwright.app.panel.review.keys import LABELS as KEYS
from labelwright.app.panel.review.keys import matching
from labelwright.app.panel.review.who import LONGEST_NAME, as_name
from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import wants_second


def opened(run, reviewer="eve", view=None):
    def script():
        from labelwright.app.panel.review.page import page

        page()

    at = AppTest.from_function(script, default_timeout=30)
    at.query_params["run"] = run
    if reviewer:
        at.query_params["reviewer"] = reviewer
    at.run()
    if view:
        at.segmented_control(key="review_view").set_value(view).run()
    assert not at.exception
    return at


def labels(at):
    return [b for b in at.button if (b.key or "").startswith("review_label_")]


def press(at, name):
    """The button of a key, by the beginning of its words."""
    button = next(b for b in at.button if b.label.startswith(name))
    assert not button.disabled
    at = button.click().run()
    assert not at.exception
    return at


def said(run):
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return [d.payload for d in ledger.log.directives() if d.kind == "review"]


def kinds(run):
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return [d.kind for d in ledger.log.directives()]


def asked(run):
    lines = (run / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def ask_for(run, purpose, **changes):
    """Give the open questions another purpose."""
    lines = [{**question, "purpose": purpose, **changes} for question in asked(run)]
    text = "\n".join(map(json.dumps, lines)) + "\n"
    (run / "questions.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture
def resumed(monkeypatch):
    calls = []
    monkeypatch.setattr(going_on, "resume_run", calls.append)
    return calls


def test_ten_answers_in_order_each_written_at_once(waiting_run):
    questions = asked(waiting_run)
    at = opened("waiting")
    wanted = []
    for number, question in enumerate(questions[:10]):
        assert question["text"] in texts_shown(at)
        at = labels(at)[number % 8].click().run()
        wanted.append((question["item_id"], "label", question["labels"][number % 8], "eve"))
        words = [(w["item_id"], w["verdict"], w["label"], w["reviewer"]) for w in said(waiting_run)]
        assert words == wanted
    assert f"10 of {len(questions)} answered" in at.get("progress")[0].proto.text
    assert any("You have spoken on 10 items." in caption.value for caption in at.caption)


def test_the_keys_of_the_labels_and_of_everything_else(waiting_run):
    at = opened("waiting")
    assert [b.proto.shortcut for b in labels(at)] == list("12345678")
    keys = {b.label: b.proto.shortcut for b in at.button}
    assert (keys["No label fits"], keys["Skip"], keys["Undo"]) == ("0", "s", "u")
    assert (keys["Flag"], keys["Example: no"]) == ("f", "e")
    assert len(set(KEYS)) == len(KEYS)
    assert not set(KEYS) & set("0sufevcr")


def test_skip_flag_no_label_undo(waiting_run):
    first, second, *_ = asked(waiting_run)
    at = press(opened("waiting"), "Skip")
    assert second["text"] in texts_shown(at)
    at = press(at, "Flag")
    assert any("flagged by you" in caption.value for caption in at.caption)
    at = press(at, "Flag")
    at = press(at, "No label fits")
    verdicts = [(w["item_id"], w["verdict"]) for w in said(waiting_run)]
    one, two = first["item_id"], second["item_id"]
    assert verdicts == [(one, "skip"), (two, "flag"), (two, "no_label")]
    at = press(at, "Undo")
    assert second["text"] in texts_shown(at), "what was taken back is put again"
    at = press(at, "Undo")
    assert not any("flagged by you" in caption.value for caption in at.caption)
    press(at, "Undo")
    assert [w["verdict"] for w in said(waiting_run)][3:] == ["undo"] * 3
    assert first["text"] in texts_shown(opened("waiting"))


def test_skipped_ones_come_again_when_they_are_wanted(waiting_run):
    questions = asked(waiting_run)
    at = opened("waiting")
    for _ in questions:
        at = press(at, "Skip")
    assert "skipped" in at.info[0].value
    at = press(at, "Show what I have skipped")
    assert questions[0]["text"] in texts_shown(at)
    at = labels(at)[0].click().run()
    assert questions[1]["text"] in texts_shown(at)
    assert said(waiting_run)[-1]["label"] == questions[0]["labels"][0]


def test_an_example_is_offered_for_one_answer(waiting_run):
    at = press(opened("waiting"), "Example: no")
    at = labels(at)[0].click().run()
    at = labels(at)[0].click().run()
    assert [w["example"] for w in said(waiting_run)] == [True, False]
    press(press(at, "Example: no"), "No label fits")
    assert said(waiting_run)[-1]["example"] is False, "no label is no example"


@pytest.mark.parametrize("purpose", ["audit", "last_audit", "audit_change", ""])
def test_nothing_is_told_of_an_audit_before_the_answer(waiting_run, purpose):
    ask_for(waiting_run, purpose)
    item = asked(waiting_run)[0]["item_id"]
    press(opened("waiting", "bob"), "No label fits")
    press(press(opened("waiting", "bob"), "Undo"), "Flag")
    at = opened("waiting")
    with Ledger(waiting_run / "ledger.sqlite", create=False) as ledger:
        assert {vote.annotator for vote in ledger.votes.of_items([item])[item]} == {"embedded"}
    assert not any("votes" in b.label for b in at.button)
    assert "embedded" not in texts_shown(at)
    assert "bob" not in texts_shown(at) + "".join(c.value for c in at.caption)
    at = labels(at)[1].click().run()
    assert said(waiting_run)[-1]["blind"] is True
    # In the meantime the votes could be looked at.
    at = press(at, "Undo")
    assert any("kept as not blind" in caption.value for caption in at.caption)
    labels(at)[1].click().run()
    assert [word["blind"] for word in said(waiting_run)[-3:]] == [True, False, False]
    assert said(waiting_run)[-2]["undoes"] > 0


def test_votes_of_others_are_shown_when_asked_for_and_written_down(waiting_run):
    ask_for(waiting_run, "escalate")
    at = opened("waiting")
    assert "embedded" not in texts_shown(at)
    at = press(at, "Show votes")
    assert "embedded" in texts_shown(at)
    at = labels(at)[0].click().run()
    assert "embedded" not in texts_shown(at), "the next one is hidden again"
    labels(at)[0].click().run()
    assert [w["blind"] for w in said(waiting_run)] == [False, True]


def test_two_tabs_and_double_clicks_give_one_answer(waiting_run):
    one, other = opened("waiting"), opened("waiting")
    one_button, other_button = labels(one)[2], labels(other)[2]
    one_button.click().run()
    other_button.click().run()
    assert len(said(waiting_run)) == 1
    other = press(other, "Undo")
    assert [w["verdict"] for w in said(waiting_run)] == ["label", "undo"]
    press(one, "Skip")
    stale = labels(opened("waiting"))[0]
    assert stale.key.startswith("review_label_")


def test_a_key_that_comes_late_changes_the_item_that_was_seen(waiting_run):
    first = asked(waiting_run)[0]
    one, late = opened("waiting"), opened("waiting")
    labels(one)[0].click().run()
    labels(late)[1].click().run()
    words = said(waiting_run)
    assert [w["item_id"] for w in words] == [first["item_id"]] * 2
    assert [w["label"] for w in words] == first["labels"][:2]


def test_reviewers_who_look_at_once_get_different_items(waiting_run):
    first, second, *_ = asked(waiting_run)
    assert first["text"] in texts_shown(opened("waiting", "eve"))
    assert second["text"] in texts_shown(opened("waiting", "bob"))
    assert first["text"] in texts_shown(opened("waiting", "eve"))


def test_several_reviewers_their_agreement_and_disputes(waiting_run):
    human = (waiting_run / "run.yaml").read_text(encoding="utf-8")
    questions = asked(waiting_run)
    wanted = [q for q in questions if wants_second(q["item_id"], 0.5)]
    assert "second_opinion: 0.0" in human
    human = human.replace("second_opinion: 0.0", "second_opinion: 0.5")
    (waiting_run / "run.yaml").write_text(human, encoding="utf-8")
    at = opened("waiting", "eve")
    for _ in questions:
        at = labels(at)[0].click().run()
    assert f"{len(wanted)} questions wait for another reviewer" in at.info[0].value
    bob = opened("waiting", "bob")
    for number, question in enumerate(wanted):
        assert question["text"] in texts_shown(bob)
        bob = labels(bob)[min(number, 1)].click().run()
    others = opened("waiting", "kim", "Reviewers")
    shown = texts_shown(others)
    n = len(wanted)
    assert f"bobeve{n}{round(100 / n)}%" in shown.replace("\n", "")
    disputed = [b.label for b in others.button if b.key.startswith("review_open_")]
    assert disputed == [q["item_id"] for q in wanted[1:]]
    kim = opened("waiting", "kim")
    assert wanted[1]["text"] in texts_shown(kim)


def test_all_answered_goes_back_to_the_run(waiting_run, resumed):
    at = opened("waiting")
    for _ in asked(waiting_run):
        at = labels(at)[0].click().run()
    assert at.success[0].value == "All questions are answered."
    press(at, "Hand in and go on")
    assert resumed == [waiting_run]
    assert "hand_in" not in kinds(waiting_run)


def test_handing_in_early_is_asked_twice(waiting_run, resumed):
    at = labels(opened("waiting"))[0].click().run()
    at = press(at, "Hand in what there is")
    left = len(asked(waiting_run)) - 1
    assert f"{left} of the questions have no settled answer" in at.warning[0].value
    assert resumed == []
    at = press(at, "Not yet")
    assert not at.warning
    press(press(at, "Hand in what there is"), "Hand in and go on")
    assert kinds(waiting_run) == ["review", "hand_in"]
    assert resumed == [waiting_run]


def test_a_name_is_needed_and_made_decent(waiting_run):
    at = opened("waiting", reviewer=None)
    assert not labels(at)
    assert "your name" in at.info[0].value
    at.text_input[0].set_value("  Eve \u202e  of\tthe shop ").run()
    labels(at)[0].click().run()
    assert said(waiting_run)[0]["reviewer"] == "Eve of the shop"
    assert as_name("x" * 99) == "x" * LONGEST_NAME
    assert as_name(" \n\u200b ") == ""


def test_a_name_that_is_known_is_text_until_it_is_to_be_changed(waiting_run):
    at = opened("waiting", reviewer=None)
    at.text_input[0].set_value("Ulla").run()
    assert not at.text_input
    assert "Your name: Ulla" in [one.value for one in at.markdown]
    at = press(press(at, "Change"), "Keep it")
    assert not at.text_input
    at = press(at, "Change")
    assert at.text_input[0].value == "Ulla"
    at.text_input[0].set_value("Ola *b*").run()
    assert not at.text_input
    assert "Your name: Ola \\*b\\*" in [one.value for one in at.markdown]
    labels(at)[0].click().run()
    assert said(waiting_run)[0]["reviewer"] == "Ola *b*"
    press(at, "Change").text_input[0].set_value("").run()
    assert at.text_input[0].label == "Your name"
    assert not labels(at)


def test_a_run_that_is_going_on_has_no_questions_now(waiting_run):
    with going(waiting_run):
        at = opened("waiting")
        assert "going on" in at.info[0].value
        assert not labels(at)


def test_a_run_without_people_has_doubtful_labels(finished_run, resumed):
    at = opened("finished")
    assert "No person is among the annotators" in at.info[0].value
    at = opened("finished", view="Doubtful labels")
    assert any(m.value.startswith(("The label in doubt", "It is set")) for m in at.markdown)
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        held = ledger.votes.concluded()
    doubts = sorted(
        (c.p_correct, item)
        for item, c in held.items()
        if c.source != "person" and not c.evidence["final"]
    )
    at = labels(at)[0].click().run()
    at = labels(at)[0].click().run()
    corrected = [word["item_id"] for word in said(finished_run) if not word["blind"]]
    lowest = {item for p, item in doubts if p <= doubts[1][0]}
    assert set(corrected) <= lowest
    assert held[corrected[0]].p_correct == doubts[0][0]
    assert any("Reviews of 2 texts wait" in caption.value for caption in at.caption)
    press(at, "Take them up now")
    assert resumed == [finished_run]


def test_the_page_says_what_is_missing(runs_root, empty_run):
    at = opened("nothing")
    assert "Choose a run" in at.info[0].value
    at = opened("empty", view="Doubtful labels")
    assert at.success[0].value == "No doubtful label is left for you."
    assert "Nobody has reviewed anything" in opened("empty", view="Reviewers").info[0].value


def test_many_labels_have_a_field_to_find_them(waiting_run):
    many = [f"label {number:02d}" for number in range(77)]
    ask_for(waiting_run, "escalate", labels=many)
    at = opened("waiting")
    assert len(labels(at)) == 77
    assert [b.proto.shortcut for b in labels(at)][: len(KEYS)] == list(KEYS)
    assert all(not b.proto.shortcut for b in labels(at)[len(KEYS) :])
    field = next(f for f in at.text_input if f.label == "Find a label")
    at = field.set_value("7 LABEL").run()
    assert [b.label for b in labels(at)] == [label for label in many if "7" in label]
    assert [b.proto.shortcut for b in labels(at)][:3] == ["1", "2", "3"]
    labels(at)[1].click().run()
    assert said(waiting_run)[-1]["label"] == "label 17"
    assert matching(["xa", "ab", "b"], "A") == ["ab", "xa"]
    assert matching(["xa"], "nothing") == []


# -- a pool that would like to be more than text --------------------------------------------------


@pytest.fixture(scope="module")
def made_evil(tmp_path_factory):
    from labelwright.graph import run

    home = tmp_path_factory.mktemp("evil")
    annotators = [
        {"kind": "embedded", "name": "embedded", "tier": 1},
        {"kind": "human", "name": "ann", "tier": 2, "price": {"per_label": 0.1}},
    ]
    config = write_malicious(home, annotators)
    return run(config, name="evil", runs=home / "runs").folder


@pytest.fixture
def evil(made_evil, runs_root):
    return shutil.copytree(made_evil, runs_root / "evil")


def test_texts_labels_and_names_are_shown_as_text(evil):
    names = [label["name"] for label in LABELS]
    lines = [
        {"item_id": item_id(name), "text": text, "labels": names, "purpose": f"{EVIL} <b>*x*</b>"}
        for name, text in TEXTS.items()
    ]
    text = "\n".join(map(json.dumps, lines))
    (evil / "questions.jsonl").write_text(text, encoding="utf-8")
    mallory = "<img src=x> *m* $x$"
    at = opened("evil", mallory)
    seen = ""
    for number in range(len(asked(evil))):
        assert alive(at) == []
        seen += texts_shown(at)
        if number < 2:
            at = press(at, "Show votes")
            assert alive(at) == []
        # The last label is the plain one: the others are pressed as well.
        at = labels(at)[number % len(LABELS)].click().run()
    assert alive(at) == []
    assert all(TEXTS[name] in seen for name in ("script", "markdown_image", "entities", "latex"))
    assert GUIDELINES in seen
    assert "\x1b" not in seen
    assert "\u202e" not in seen
    assert alive(opened("evil", mallory, "Reviewers")) == []
    assert alive(opened("evil", mallory, "Doubtful labels")) == []
    at = opened("evil", "bob")
    assert alive(labels(at)[0].click().run()) == []
    assert alive(opened("evil", "kim", "Reviewers")) == []
    assert {word["reviewer"] for word in said(evil)} == {as_name(mallory), "bob"}
