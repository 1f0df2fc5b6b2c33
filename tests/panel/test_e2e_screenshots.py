"""Pictures of the pages for the documentation, when LABELWRIGHT_SCREENSHOTS=1 asks for them.

They show the packaged demo, which says of itself that it is no language model.
"""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from browser import NARROW, PROGRAM, WIDE, Panel, answer, say, settled, visit, visitor
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from labelwright.app.demo_run import prepare
from labelwright.graph import run
from labelwright.graph.config import RunConfig

FOLDER = Path(__file__).parents[2] / "docs" / "panel"
MOST_BYTES = 150_000
TALLEST = 1500
"""CSS pixels of a picture."""

pytestmark = pytest.mark.skipif(
    not os.environ.get("LABELWRIGHT_SCREENSHOTS"), reason="pictures are made only when asked for"
)


@pytest.fixture
def runs_root(tmp_path: Path) -> Path:
    """The demo, once more with another seed, and with a person instead of recorded answers."""
    root = tmp_path / "runs"
    for name, seed in (("demo-seed-1", "1"), ("demo", "0")):
        command = ["demo", "--name", name, "--seed", seed, "--runs", str(root)]
        subprocess.run([*PROGRAM, *command], check=True, capture_output=True)
    raw = prepare(tmp_path / "person", 0).model_dump(mode="json", exclude_unset=True)
    raw["annotators"] = [raw["annotators"][0], {"kind": "human", "name": "you", "price": "free"}]
    waits = run(RunConfig.model_validate(raw), name="demo-with-a-person", runs=root)
    assert waits.status == "waiting_for_people"
    return root


def test_pictures_of_every_page(chromium_browser: Browser, panel: Panel) -> None:
    FOLDER.mkdir(exist_ok=True)
    with visitor(chromium_browser, panel) as page:
        _chat(page)
        _run(page, "run")
        _review(page, "review", answers=3)
        visit(page, "items", "demo")
        _item(page)
        _compare(page)
        visit(page, "prompts", "demo")
        _picture(page, "prompts")
        _new(page)
    for name, viewport, scheme in (("dark", WIDE, "dark"), ("390", NARROW, "light")):
        with visitor(chromium_browser, panel, viewport=viewport, scheme=scheme) as page:
            _run(page, f"run-{name}")
            _review(page, f"review-{name}", answers=0)


def _chat(page: Page) -> None:
    visit(page, "run", "demo")
    say(page, "what confuses delivery and return_refund?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    say(page, "cap 40 dollars")
    expect(page.get_by_role("button", name="Confirm", exact=True)).to_be_visible()


def _run(page: Page, name: str) -> None:
    visit(page, "run", "demo")
    _picture(page, name)


def _review(page: Page, name: str, answers: int) -> None:
    visit(page, "review", "demo-with-a-person", reviewer="Ada")
    for key in "123"[:answers]:
        answer(page, key)
        settled(page)
    expect(page.locator(".st-key-review_text .lw-text")).to_be_visible()
    _picture(page, name)


def _item(page: Page) -> None:
    visit(page, "items", "demo", item="m0631")
    _picture(page, "items")


def _compare(page: Page) -> None:
    page.goto("/compare?with=demo&with=demo-seed-1")
    settled(page)
    _picture(page, "compare")


def _new(page: Page) -> None:
    visit(page, "new")
    page.get_by_role("button", name="Use the packaged demo corpus").click()
    page.get_by_text("6 Quote and start").click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Expected cost")).to_be_visible()
    _picture(page, "new")


def _picture(page: Page, name: str) -> None:
    """Save what is to be seen, as long as the page is, in few colours."""
    settled(page)
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({**size, "height": max(size["height"], min(TALLEST, height))})
    settled(page)
    # Charts are drawn anew for the new size.
    page.wait_for_timeout(1000)
    settled(page)
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    page.set_viewport_size(size)
    path = FOLDER / f"{name}.png"
    taken.convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, path.name
