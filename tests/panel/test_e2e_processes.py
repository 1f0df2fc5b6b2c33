"""Runs that go on whatever happens to the panel: two visitors, a kill, a panel that is closed."""

import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import Panel, confirm, run_state, say, served, settled, visit, visitor
from playwright.sync_api import Browser, Page, expect

from labelwright.graph.config import load_config
from labelwright.graph.session import create_run
from labelwright.tools.ledger import Directive, Ledger

NAME = "long"
LONG = {
    "texts": 600,
    "selection": {"batch_size": 4},
    "budget": {"usd": 40},
    "stopping": {"max_rounds": 150, "items": 90_000, "error_cost_usd": 1, "stop_set_size": 60},
}
"""A run of many rounds, so that it is not over before somebody has spoken."""


@pytest.fixture
def long_run(make_project: Callable[..., Path], runs_root: Path) -> Path:
    """A run that nobody has begun and that takes a while."""
    config = load_config(make_project(**LONG))
    create_run(config, runs_root / NAME)
    return runs_root / NAME


def directives(folder: Path, kind: str) -> list[Directive]:
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return [d for d in ledger.log.directives() if d.kind == kind]


def start(page: Page) -> None:
    visit(page, "run", NAME)
    page.get_by_role("button", name="Start", exact=True).click()
    under_way(page)


def under_way(page: Page, least: int = 2) -> None:
    """Wait until the run is in a round from which there is something to lose."""
    digits = "|".join(str(number) for number in range(least, 10)) + r"|\d\d"
    expect(page.get_by_text(re.compile(rf"Round ({digits})\b")).first).to_be_visible()


def test_two_visitors_see_the_same_and_nothing_happens_twice(
    long_run: Path, panel: Panel, chromium_browser: Browser
) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(visitor(chromium_browser, panel))
        other = stack.enter_context(visitor(chromium_browser, panel))
        start(one)
        visit(other, "run", NAME)
        expect(run_state(other)).to_have_text("running")
        # What one says, both read, and what became of it.
        say(one, "cap 12 dollars")
        confirm(one)
        for page in (one, other):
            log = page.locator(".st-key-run_chat_log")
            expect(log).to_contain_text("$12.00")
        expect(other.get_by_test_id("stMain")).to_contain_text("$12.00")
        say(other, "pause")
        confirm(other)
        for page in (one, other):
            expect(run_state(page)).to_have_text("paused")
        assert [bool(d.acknowledged) for d in directives(long_run, "cap")] == [True]
        one.get_by_test_id("stChatInputTextArea").fill("half a sen")
        # Both resume: one process has the run, and the other visitor is told so, or sees it run.
        for page in (one, other):
            settled(page)
        buttons = [p.get_by_role("button", name="Resume", exact=True).first for p in (one, other)]
        for button in buttons:
            button.click(no_wait_after=True)
        for page in (one, other):
            expect(run_state(page)).to_have_text("running")
        settled(one)
        expect(one.get_by_test_id("stChatInputTextArea")).to_have_value("half a sen")
        say(one, "finish")
        confirm(one)
        for page in (one, other):
            expect(run_state(page)).to_have_text("finished")
    paid_once(long_run)


def test_a_killed_run_is_seen_as_interrupted_and_goes_on(
    long_run: Path, panel: Panel, chromium_browser: Browser
) -> None:
    with visitor(chromium_browser, panel) as page:
        start(page)
        under_way(page, 3)
        os.kill(holder(long_run), signal.SIGKILL)
        expect(run_state(page)).to_have_text("interrupted")
        expect(page.get_by_text("Its process has ended without a word")).to_be_visible()
        page.reload()
        expect(run_state(page)).to_have_text("interrupted")
        with Ledger(long_run / "ledger.sqlite", create=False) as ledger:
            before = len(ledger.votes.all())
        page.get_by_role("button", name="Resume", exact=True).first.click()
        expect(run_state(page)).to_have_text("running")
        settled(page)
        page.get_by_role("button", name="Finish").click()
        page.get_by_role("button", name="Finish the run").click()
        expect(run_state(page)).to_have_text("finished")
    assert before > 0
    paid_once(long_run)
    assert (long_run / "labels.jsonl").read_text(encoding="utf-8").count("\n") == LONG["texts"]


def test_a_run_outlives_the_panel_and_another_panel_takes_it_up(
    long_run: Path, runs_root: Path, chromium_browser: Browser
) -> None:
    with served(runs_root) as first, visitor(chromium_browser, first) as page:
        start(page)
    with served(runs_root) as second, visitor(chromium_browser, second) as page:
        visit(page, "run", NAME)
        expect(run_state(page)).to_have_text("running")
        page.get_by_role("button", name="Pause", exact=True).first.click()
        expect(run_state(page)).to_have_text("paused")
    paid_once(long_run)


def holder(folder: Path) -> int:
    """The process that has a run."""
    owner = json.loads((folder / "run.lock.owner").read_text(encoding="utf-8"))
    return int(owner["pid"])


def paid_once(folder: Path) -> None:
    """Each question was paid once, and the account is the sum of what was paid."""
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        votes = ledger.votes.all()
        balance = ledger.balance()
    asked = [(vote.item_id, vote.annotator, vote.prompt_hash, vote.attempt) for vote in votes]
    assert len(asked) == len(set(asked)) > 0
    assert sum(vote.cost for vote in votes) == balance.spent > 0
    assert balance.uncertain == balance.reserved == 0


def test_a_change_of_state_leaves_the_reader_on_the_run(
    waiting_run: Path, finished_run: Path, page: Page
) -> None:
    visit(page, "run", waiting_run.name)
    expect(run_state(page)).to_have_text("waiting for people")
    for status, word in (("stopped", "paused"), ("failed", "failed"), ("stopped", "paused")):
        with (waiting_run / "events.jsonl").open("a", encoding="utf-8") as events:
            events.write(json.dumps({"event": "process", "status": status}) + "\n")
        expect(run_state(page)).to_have_text(word)
        settled(page)
        expect(page).to_have_url(re.compile(rf"\?run={waiting_run.name}$"))
        # The whole page is drawn anew, with what the browser knew of the run before.
        page.get_by_role("button", name="Finish").click()
        expect(page.get_by_text(f"This ends the run {waiting_run.name}.")).to_be_visible()
        assert page.get_by_text("There is no run").count() == 0
        page.get_by_role("button", name="Leave it").click()
        settled(page)
