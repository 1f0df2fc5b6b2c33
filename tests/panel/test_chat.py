"""The chat of a run's page: said, offered, confirmed, and found again after a reload."""

import json
import time
from pathlib import Path

import pytest
from doubles.operator_run import HOSTILE, PROPOSALS, write_run
from streamlit.testing.v1 import AppTest

from labelwright.app.panel import processes
from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.reviews import Review


def script():
    from labelwright.app.panel.run_page.chat import show_chat
    from labelwright.app.panel.session import current_run, reader

    show_chat(reader(current_run()))


@pytest.fixture
def folder(runs_root) -> Path:
    return write_run(runs_root / "talked", state="stopped")


@pytest.fixture
def visit(folder):
    def visit(**query) -> AppTest:
        at = AppTest.from_function(script, default_timeout=30)
        at.query_params["run"] = folder.name
        for name, value in query.items():
            at.query_params[name] = value
        at.run()
        assert not at.exception
        return at

    return visit


def say(at, text):
    at.chat_input[0].set_value(text).run()
    assert not at.exception


def press(at, label):
    next(button for button in at.button if button.label == label).click().run()
    assert not at.exception


def html(at) -> list[str]:
    return [element.proto.body for element in at.get("html")]


def page(at) -> str:
    return "\n".join(html(at))


def directives(folder):
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return [(d.kind, d.payload) for d in ledger.log.directives()]


def test_a_question_is_answered(visit):
    at = visit()
    say(at, "how good are the labels?")
    assert "right for 90.0%" in page(at)
    assert [message.name for message in at.chat_message] == ["user", "ai"]


def test_an_order_is_shown_confirmed_and_in_the_ledger(visit, folder):
    at = visit(reviewer="Ada")
    say(at, "cap 3 dollars")
    assert "cap: $10.00" in page(at)
    assert "budget:\n  usd: 3.0" in page(at)
    assert directives(folder) == []
    press(at, "Confirm")
    assert directives(folder) == [("cap", {"usd": 3.0, "was": 10.0})]
    assert "Confirmed by Ada, ordered (order 1)" in page(at)
    assert "not taken up yet" in page(at)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.acknowledge(1, "the cap is $3")
    at.run()
    assert "taken up: the cap is $3" in page(at)
    assert "Confirm" not in [button.label for button in at.button]


def test_cancelled(visit, folder):
    at = visit()
    say(at, "cap 3 dollars")
    press(at, "Cancel")
    assert directives(folder) == []
    assert "Cancelled by operator" in page(at)


def test_a_second_browser_sees_it_and_a_late_yes_is_told(visit, folder):
    one = visit()
    say(one, "cap 3 dollars")
    other = visit()
    assert "cap: $10.00" in page(other)
    press(other, "Confirm")
    confirm = next(button for button in one.button if button.label == "Confirm")
    confirm.click().run()
    assert not one.exception
    assert "answered before" in page(one)
    assert len(directives(folder)) == 1


def test_buttons_say_what_they_are_called(visit, folder):
    at = visit()
    for label in ("Status", "What would \\$5 buy?", "Help"):
        press(at, label)
    assert "The run is paused." in page(at)
    assert "Another $5.00 buys" in page(at)
    press(at, "Resume")
    assert "Resume the run?" in page(at)
    assert directives(folder) == []


@pytest.mark.parametrize(
    ("status", "at_once", "with_orders"),
    [
        ("stopped", True, True),
        ("failed", True, True),
        ("started", True, True),  # and its process has gone: interrupted
        ("finished", False, True),
        ("waiting_for_people", False, True),
    ],
)
def test_resume_is_offered_where_it_does_something(visit, folder, status, at_once, with_orders):
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "process", "status": status, "pid": 1, "at": ""}) + "\n")

    def offered():
        return "Resume" in [button.label for button in visit().button]

    assert offered() is at_once
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.direct("review", Review(0, "x", "ada", "no_label").payload())
    assert offered() is with_orders


def _with_proposals(at):
    """Unfold them, as a click would; folded, their cards are not drawn."""
    assert [box.label for box in at.expander if "for your word" in box.label]
    assert not [button for button in at.button if "run_proposal_" in str(button.key)]
    at.session_state["run_proposals_unfolded_talked"] = True
    return at.run()


def test_a_proposal_of_the_run_is_accepted_after_its_change_was_shown(visit, folder):
    at = _with_proposals(visit())
    at.button(key="run_proposal_talked_4_yes")  # the newest come first
    assert at.button(key="run_proposal_talked_4_yes").disabled  # a question: nothing follows
    at.button(key="run_proposal_talked_2_no").click().run()
    assert "Dismiss a proposal?" in page(at)
    press(at, "Confirm")
    assert directives(folder) == [("dismiss_proposal", {"number": 2})]
    at.button(key="run_proposal_talked_1_yes").click().run()
    assert "Put them to the next annotator. (about $0.20)" in page(at)
    press(at, "Confirm")
    assert directives(folder)[-1] == ("accept_proposal", {"number": 1})
    assert [button.key for button in at.button if "proposal_talked_1" in button.key] == []


def test_each_of_many_proposals_can_be_accepted_with_a_button(visit, folder):
    more = [{**PROPOSALS[0], "target": f"t{n}"} for n in range(5, 13)]
    with Ledger(folder / "ledger.sqlite") as ledger:
        found = {"by": "rule", "reason": "r"}
        ledger.log.decide(Decision(6, 2, "rule", "proposals", {"proposals": more}, found))
    at = visit()
    assert not at.get("pagination")  # folded, nothing of it is drawn
    at = _with_proposals(at)
    accepted = []
    for page in (1, 2, 3):
        at.session_state["run_proposals_page_talked"] = page
        at.run()
        keys = [str(button.key) for button in at.button]
        accepted.append([int(key.split("_")[3]) for key in keys if key.endswith("_yes")])
    assert accepted == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    # Where the last of a page is decided, the page before is shown.
    for number in (1, 2):
        at.button(key=f"run_proposal_talked_{number}_no").click().run()
        press(at, "Confirm")
    assert not at.exception
    assert at.session_state["run_proposals_page_talked"] == 2


def test_few_proposals_need_no_pages(visit):
    assert not _with_proposals(visit()).get("pagination")


def test_a_look_of_the_stop_rule_is_a_sentence_with_its_arithmetic_folded(visit):
    (told,) = [block for block in html(visit()) if "It would stop" in block]
    head, _, arithmetic = told.partition("Round 2. It would stop: the next batch costs")
    assert head.endswith("<details><summary>")
    assert "Value A = $100.00" in arithmetic.partition("</summary>")[2]


def test_to_end_a_run_says_what_it_leaves_open(visit, folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.direct("accept_proposal", {"number": 1})
    asked = [{"item_id": f"m{n}", "text": "t", "labels": ["billing"], "annotator": "ann",
              "purpose": "audit"} for n in range(3)]  # fmt: skip
    lines = "".join(json.dumps(question) + "\n" for question in asked)
    (folder / "questions.jsonl").write_text(lines, encoding="utf-8")
    at = visit()
    say(at, "finish")
    assert "3 questions for people are unanswered." in page(at)
    assert "1 accepted proposal has not been carried out yet" in page(at)
    assert "3 proposals wait for a word." in page(at)
    press(at, "Cancel")
    with Ledger(folder / "ledger.sqlite") as ledger:
        for item in ("m0", "m1"):
            ledger.log.direct("review", Review(0, item, "Ada", "label", "billing").payload())
    say(at, "finish")
    # What was answered is not lost, and not counted.
    assert "1 question for people is unanswered." in page(at)


def test_a_change_of_the_task_asks_for_names_and_leaves_a_task(visit, folder):
    at = _with_proposals(visit())
    at.button(key="run_proposal_talked_3_yes").click().run()
    assert "Proposal 3 needs a name" in page(at)
    at.text_input(key="run_proposal_talked_3_names").set_value("Late, Lost")
    at.text_area(key="run_proposal_talked_3_text").set_value("what came\nlate")
    at.button(key="run_proposal_talked_3_yes").click().run()
    assert "split_label delivery, named Late, Lost: what came late" in page(at)
    press(at, "Confirm")
    _wait(lambda: (folder / "proposals" / "003-task.yaml").exists())
    _wait(lambda: all(job.state != "running" for job in _jobs()))
    at.run()
    assert any("003\\-task\\.yaml" in button.label for button in at.button)
    assert "name: Late" in (folder / "proposals" / "003-task.yaml").read_text()


def test_resume_starts_a_process(visit, folder, monkeypatch):
    started = []
    monkeypatch.setattr(processes, "resume_run", lambda run, usd=None: started.append(run))
    at = visit()
    say(at, "go on")
    press(at, "Confirm")
    assert started == [folder]
    assert "its process was started" in page(at)


def test_what_is_no_command_goes_to_the_model_if_there_is_one(visit, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(processes, "command", lambda key, args: asked.append(args))
    at = visit()
    say(at, "wibble")
    assert "Not understood" in page(at)
    assert asked == []
    text = (folder / "run.yaml").read_text()
    (folder / "run.yaml").write_text(
        f"{text}operator:\n  model: {{model: m, price: {{in: 1, out: 1}}}}\n"
    )
    import streamlit as st

    st.cache_resource.clear()
    at = visit()
    say(at, "wibble")
    assert asked[0][:2] == ["say", "--reply"]
    assert asked[0][-2:] == ["--", folder.name]


def test_texts_stay_text(visit, folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.direct("focus", {"labels": [HOSTILE], "rounds": 2})
        ledger.log.decide(Decision(9, 3, "<i>agent</i>", "consistency", {"alarms": [HOSTILE]}, {}))
    at = visit(reviewer="<img src=x>")
    for said in (f"why {HOSTILE}", f"relabel {HOSTILE} as billing", "<script>alert(1)</script>",
                 "guideline: </div><script>alert(2)</script>", "billing vs delivery"):  # fmt: skip
        say(at, said)
    shown = page(at)
    for tag in ("<b>m*9", "<script", "<img", "<i>agent"):
        assert tag not in shown
    assert "&lt;b&gt;m*9&lt;/b&gt;[x](http://evil.example) $E=mc^2$" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    told = [e.value for kind in ("markdown", "caption", "error") for e in at.get(kind)]
    labels = [element.label for element in [*at.button, *at.expander]]
    assert not any("evil" in text and "\\[" not in text for text in [*told, *labels])


def test_earlier_messages_come_on_demand(visit, folder):
    with Ledger(folder / "ledger.sqlite") as ledger:
        for number in range(60):
            ledger.chat.say("operator", {"text": f"old {number}", "by": "Ada", "item": None})
    at = visit()
    assert "old 5<" not in page(at)
    press(at, "Show earlier")
    assert "old 5<" in page(at)


def test_a_broken_ledger_is_said(visit, folder):
    at = visit()
    for file in folder.glob("ledger.sqlite*"):
        file.unlink()
    import streamlit as st

    st.cache_resource.clear()
    say(at, "status")
    assert "has not begun" in page(at)


def _jobs():
    return list(processes._jobs().by_key.values())


def _wait(done, most=60.0):
    end = time.monotonic() + most
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)
