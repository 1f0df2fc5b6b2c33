"""A whole run in the browser: from the demo corpus to the downloaded labels."""

import json
import re
from pathlib import Path
from typing import Any

from browser import Panel, answer, confirm, run_state, say, settled, visit, visitor
from playwright.sync_api import Browser, Page, expect

from labelwright.app.demo_run import FOLDER
from labelwright.graph.proposals import listed
from labelwright.tools.ledger import Directive, Ledger

NAME = "shop"


def state(page: Page, word: str) -> None:
    """Wait until the run page says how the run stands, and find the same after a reload."""
    expect(run_state(page)).to_have_text(word)
    page.reload()
    expect(run_state(page)).to_have_text(word)
    settled(page)


def orders(folder: Path, kind: str) -> list[Directive]:
    """Orders of one kind, as they are in the ledger."""
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return [d for d in ledger.log.directives() if d.kind == kind]


def test_from_the_demo_corpus_to_the_labels(
    runs_root: Path, panel: Panel, chromium_browser: Browser
) -> None:
    folder = runs_root / NAME
    with visitor(chromium_browser, panel) as page:
        begin(page, runs_root)
        pause_and_raise_the_cap(page, folder)
        reviewed = answer_ten(page, folder)
        resume_and_accept(page, folder)
        finish(page, folder)
        check_labels(download(page), reviewed)
    nothing_paid_twice(folder)


def begin(page: Page, runs_root: Path) -> None:
    """The New run page, step by step."""
    visit(page)
    page.get_by_role("button", name="New run").click()
    page.get_by_role("button", name="Use the packaged demo corpus").click()
    following = page.get_by_role("button", name="Next", exact=True)
    rows = page.get_by_test_id("stMetric").filter(has_text=re.compile("^Rows"))
    expect(rows).to_contain_text("962")
    page.reload()
    expect(rows).to_contain_text("962")
    for heading in ("Columns", "Labels", "Annotators", "Budget"):
        following.click()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        settled(page)
    cap = page.get_by_role("spinbutton", name="The run may spend at most")
    expect(cap).to_have_value("30.00")
    cap.fill("20")
    cap.press("Tab")
    settled(page)
    following.click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Cap")).to_contain_text("$20.00")
    # The quote moves what stands below it: what was opened or typed there before would be lost.
    settled(page)
    # Small batches: a run that is not over before it is paused.
    page.get_by_text("Advanced (YAML)").click()
    yaml = page.get_by_role("textbox", name="Configuration")
    expect(yaml).to_have_value(re.compile("batch_size: 40"))
    text = yaml.input_value()
    assert "batch_size: 40" in text
    yaml.fill(text.replace("batch_size: 40", "batch_size: 12"))
    # The field says how to send what is typed as long as it has not been sent.
    unsent = page.get_by_text("Press Ctrl+Enter to apply")
    expect(unsent).to_be_visible()
    yaml.press("Control+Enter")
    expect(unsent).to_have_count(0)
    settled(page)
    expect(yaml).to_have_value(re.compile("batch_size: 12"))
    page.get_by_role("button", name="Apply", exact=True).click()
    applied(page, runs_root)
    settled(page)
    start = page.get_by_role("button", name="Start run")
    expect(page.get_by_test_id("stMetric").filter(has_text="Different texts")).to_contain_text(
        "956"
    )
    name = page.get_by_role("textbox", name="Name of the run")
    name.fill(NAME)
    name.press("Tab")
    settled(page)
    expect(start).to_be_enabled()
    start.click()
    page.wait_for_url(f"**/run?run={NAME}*")
    expect(run_state(page)).to_have_text("running")


def applied(page: Page, runs_root: Path) -> None:
    """Wait until the draft on the disk is the one that was typed."""
    for _ in range(450):
        drafts = runs_root.glob(".panel/drafts/*/run.yaml")
        if any("batch_size: 12" in draft.read_text(encoding="utf-8") for draft in drafts):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the configuration that was typed was never applied")


def pause_and_raise_the_cap(page: Page, folder: Path) -> None:
    """Two orders in words, each shown before it is given."""
    expect(page.get_by_text(re.compile("Round [3-9]")).first).to_be_visible()
    say(page, "pause")
    confirm(page)
    state(page, "paused")
    [stop] = orders(folder, "stop")
    assert stop.acknowledged
    say(page, "cap 25 dollars")
    expect(page.locator(".lw-before").last).to_contain_text("$20.00")
    expect(page.locator(".lw-after").last).to_contain_text("$25.00")
    assert not orders(folder, "cap")
    confirm(page)
    state(page, "paused")
    [cap] = orders(folder, "cap")
    assert cap.payload["usd"] == 25
    visit(page, "run", NAME)
    expect(page.get_by_test_id("stMain")).to_contain_text("$25.00")


def answer_ten(page: Page, folder: Path) -> dict[str, str]:
    """Ten labels by number key; returns what was said, by item."""
    visit(page, "review", NAME)
    page.get_by_role("textbox", name="Your name").fill("eva")
    page.get_by_role("textbox", name="Your name").press("Tab")
    page.get_by_text("Doubtful labels", exact=True).click()
    text = page.locator(".st-key-review_text .lw-text")
    for number in range(10):
        settled(page)
        before = text.inner_text()
        answer(page, str(number % 8 + 1))
        expect(text).not_to_have_text(before)
        expect(page.get_by_text(f"You have spoken on {number + 1} items.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("You have spoken on 10 items.")).to_be_visible()
    said = {d.payload["item_id"]: d.payload["label"] for d in orders(folder, "review")}
    assert len(said) == 10
    return said


def resume_and_accept(page: Page, folder: Path) -> None:
    """Go on, and take up the first proposal that comes."""
    visit(page, "run", NAME)
    page.get_by_role("button", name="Resume", exact=True).first.click()
    state(page, "running")
    accept = page.get_by_role("button", name="Accept", exact=True).first
    accept.click()
    confirm(page)
    [accepted] = orders(folder, "accept_proposal")
    page.reload()
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        entry = listed(ledger)[accepted.payload["number"] - 1]
        assert entry.accepted == "person"


def finish(page: Page, folder: Path) -> None:
    """Stop for good."""
    visit(page, "run", NAME)
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("button", name="Finish the run").click()
    state(page, "finished")
    kinds = ("finish", "cap", "review")
    assert all(d.acknowledged for kind in kinds for d in orders(folder, kind))


def download(page: Page) -> list[dict[str, Any]]:
    """The labels as they are saved by the browser."""
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Labels (JSON Lines)").click()
    assert started.value.suggested_filename == f"{NAME}-labels.jsonl"
    lines = Path(started.value.path()).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def check_labels(rows: list[dict[str, Any]], reviewed: dict[str, str]) -> None:
    """One record a row of the corpus, and a person's word is the label."""
    with (FOLDER / "corpus.jsonl").open(encoding="utf-8") as file:
        assert [row["id"] for row in rows] == [json.loads(line)["id"] for line in file]
    by_id = {row["id"]: row for row in rows}
    for item, label in reviewed.items():
        assert (by_id[item]["label"], by_id[item]["source"]) == (label, "person")


def nothing_paid_twice(folder: Path) -> None:
    """Each question was paid once, and the account is the sum of what was paid."""
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        votes = ledger.votes.all()
        asked = [(v.item_id, v.annotator, v.prompt_hash, v.attempt) for v in votes]
        assert len(asked) == len(set(asked))
        balance = ledger.balance()
    assert sum(vote.cost for vote in votes) == balance.spent
    assert balance.uncertain == balance.reserved == 0
