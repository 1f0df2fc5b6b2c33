"""The review page by keyboard, in a browser."""

import json
from pathlib import Path

from browser import READING_MS, answer, settled, visit
from playwright.sync_api import Page, expect

from labelwright.tools.ledger import Ledger


def said(run: Path) -> list[dict[str, str]]:
    """What reviewers said so far, in order."""
    with Ledger(run / "ledger.sqlite", create=False) as ledger:
        return [d.payload for d in ledger.log.directives() if d.kind == "review"]


def shows(page: Page, text: str) -> None:
    """Wait until the page puts the question about a text."""
    expect(page.locator(".st-key-review_text .lw-text")).to_have_text(text)
    settled(page)


def test_keys_answer_skip_flag_and_take_back(waiting_run: Path, page: Page) -> None:
    lines = (waiting_run / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    labels = questions[0]["labels"]
    visit(page, "review", waiting_run.name, reviewer="eva")
    for number, key in enumerate(("1", "2", "8", "0", "s")):
        text = questions[number]["text"]
        shows(page, text)
        answer(page, key)
    shows(page, questions[5]["text"])
    spoken = [(word["item_id"], word["verdict"], word["label"]) for word in said(waiting_run)]
    ids = [question["item_id"] for question in questions]
    assert spoken == [
        (ids[0], "label", labels[0]),
        (ids[1], "label", labels[1]),
        (ids[2], "label", labels[7]),
        (ids[3], "no_label", None),
        (ids[4], "skip", None),
    ]
    assert {word["reviewer"] for word in said(waiting_run)} == {"eva"}
    page.keyboard.press("u")
    shows(page, questions[4]["text"])
    page.keyboard.press("f")
    expect(page.get_by_text("flagged by you")).to_be_visible()
    page.reload()
    shows(page, questions[4]["text"])
    assert [word["verdict"] for word in said(waiting_run)][-2:] == ["undo", "flag"]


def test_who_has_typed_a_name_answers_with_the_next_key(waiting_run: Path, page: Page) -> None:
    lines = (waiting_run / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    visit(page, "review", waiting_run.name)
    page.get_by_role("textbox", name="Your name").fill("Ulla")
    page.get_by_role("textbox", name="Your name").press("Enter")
    expect(page.get_by_text("Your name: Ulla")).to_be_visible()
    shows(page, questions[0]["text"])
    page.wait_for_timeout(READING_MS)
    page.keyboard.press("2")
    shows(page, questions[1]["text"])
    [word] = said(waiting_run)
    assert (word["reviewer"], word["label"]) == ("Ulla", questions[0]["labels"][1])


def test_a_key_that_is_held_down_answers_once(waiting_run: Path, page: Page) -> None:
    lines = (waiting_run / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    visit(page, "review", waiting_run.name, reviewer="eva")
    shows(page, texts[0])
    page.wait_for_timeout(READING_MS)
    page.keyboard.down("1")
    expect(page.locator(".st-key-review_text .lw-text")).to_have_text(texts[1])
    for _ in range(12):
        page.keyboard.down("1")  # sent as a repetition while the key has not come up
        page.wait_for_timeout(30)
    page.keyboard.up("1")
    shows(page, texts[1])
    answer(page, "s")
    shows(page, texts[2])
    assert [word["verdict"] for word in said(waiting_run)] == ["label", "skip"]


def test_who_hands_in_sees_the_run_go_on_without_a_reload(waiting_run: Path, page: Page) -> None:
    [first, *_] = (waiting_run / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    visit(page, "review", waiting_run.name, reviewer="eva")
    shows(page, json.loads(first)["text"])
    heading = "getComputedStyle(document.querySelector('h1')).fontSize"
    before = page.evaluate(heading)
    answer(page, "1")
    page.get_by_role("button", name="Hand in what there is").click()
    page.get_by_role("button", name="Hand in and go on").click()
    going_on = page.get_by_text("The run is going on; questions come here when it needs them.")
    expect(going_on).to_be_visible()
    # The look of the page is not lost with what a part of it has to say.
    assert page.evaluate(heading) == before
    expect(going_on).to_be_hidden(timeout=120_000)
    expect(page.get_by_text("All questions are answered")).to_be_hidden()
