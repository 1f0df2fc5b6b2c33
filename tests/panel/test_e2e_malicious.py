"""A pool that would like to be more than text: nothing of it runs, nothing is fetched."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import NARROW, PAGES, Panel, answer, check_width, settled, visit, visitor
from malicious import EVIL, LABELS, TEXTS, item_id, write_malicious
from playwright.sync_api import Browser, Page, expect

EMBEDDED = {"kind": "embedded", "name": "embedded", "tier": 1}
PERSON = {"kind": "human", "name": "eva", "tier": 2, "price": "free"}
NAME = "$x$ <b>=1+1"
"""A run may be called this; a link, an image or a formula it is not."""


@pytest.fixture(scope="session")
def made_malicious(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs on the malicious pool: one that has finished, one that has questions."""
    from labelwright.graph import run

    home = tmp_path_factory.mktemp("malicious")
    done = write_malicious(home / "done", [EMBEDDED])
    asks = write_malicious(home / "asks", [EMBEDDED, PERSON])
    runs = home / "runs"
    return run(done, name=NAME, runs=runs).folder, run(asks, name="asks", runs=runs).folder


@pytest.fixture
def runs_root(made_malicious: tuple[Path, Path]) -> Path:
    """They are only looked at here, so they are not copied."""
    return made_malicious[0].parent


def toggle(page: Page, name: str) -> None:
    """Open what only shows more when it is asked."""
    for found in page.get_by_text(name, exact=True).all():
        found.click()
        settled(page)


def test_every_page_shows_it_as_text(made_malicious: tuple[Path, Path], page: Page) -> None:
    visit(page)
    expect(page.get_by_role("button", name=NAME)).to_be_visible()
    for run in made_malicious:
        for path in PAGES:
            visit(page, path, run.name, reviewer="<b>eva</b>")
        visit(page, "run", run.name)
        for figure in ("Classes", "Annotators", "Map"):
            page.get_by_role("radio", name=figure, exact=True).click()
            settled(page)


def test_each_item_is_shown_as_text(made_malicious: tuple[Path, Path], page: Page) -> None:
    for name in ("script", "img", "closing", "one_line", "formula_equals", "quotes"):
        visit(page, "items", NAME, item=item_id(name))
        shown = page.locator(".lw-text").first
        expect(shown).to_be_visible()
        if name in ("script", "img", "closing"):
            expect(page.locator(".lw-text").filter(has_text=TEXTS[name]).first).to_be_visible()


def test_it_is_reviewed_as_text(
    made_malicious: tuple[Path, Path], chromium_browser: Browser, panel: Panel
) -> None:
    asks = made_malicious[1]
    lines = (asks / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    with visitor(chromium_browser, panel, viewport=NARROW, scheme="dark") as page:
        visit(page, "review", "asks", reviewer="eva")
        for _ in lines[:6]:
            expect(page.locator(".st-key-review_text .lw-text")).to_be_visible()
            check_width(page)
            answer(page, "s")
            settled(page)


def test_what_is_downloaded_is_safe(made_malicious: tuple[Path, Path], page: Page) -> None:
    visit(page, "run", NAME)
    saved = _download(page, "Labels (CSV)").decode("utf-8-sig")
    limit = csv.field_size_limit(10_000_000)
    table = list(csv.DictReader(io.StringIO(saved, newline="")))
    csv.field_size_limit(limit)
    rows = [json.loads(line) for line in _download(page, "Labels (JSON Lines)").splitlines()]
    assert len(table) == len(rows) >= len(TEXTS) - 1
    for row in table:
        for cell in row.values():
            # What a spreadsheet would take for a formula has a mark before it.
            assert not re.match(r"[=+@\t\r]|-(?!\d+(\.\d+)?$)", cell), cell
    # The lines are for programs: they hold the texts as they were.
    texts = {str(row["id"]): row["text"] for row in rows}
    for name, text in TEXTS.items():
        if item_id(name) in texts:
            assert texts[item_id(name)] == text.strip(), name
    report = _download(page, "Report").decode()
    assert "<script>window.pwned" not in report
    assert "<img src=x" not in report


def _download(page: Page, title: str) -> bytes:
    button = page.get_by_role("button", name=title, exact=True)
    if not button.is_visible():
        page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as started:
        button.click()
    saved: Any = started.value
    assert "/" not in saved.suggested_filename
    return Path(saved.path()).read_bytes()


def test_labels_are_buttons_and_nothing_else(made_malicious: tuple[Path, Path], page: Page) -> None:
    visit(page, "review", "asks", reviewer="ada")
    expect(page.locator(".st-key-review_text .lw-text")).to_be_visible()
    settled(page)
    buttons = page.get_by_test_id("stMain").get_by_role("button").all_inner_texts()
    # Addresses are parted by a mark that nobody sees, so that they are no links.
    named = " ".join(buttons).replace("\N{WORD JOINER}", "")
    assert all(label["name"] in named for label in LABELS[:4])
    hosts = (
        page.get_by_test_id("stMain").get_by_role("link").evaluate_all("a => a.map(e => e.host)")
    )
    assert EVIL not in hosts
