"""The panel as people meet it: its own process, and a real browser that may talk to nobody else."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

PROGRAM = (sys.executable, "-c", "from labelwright.app.cli import main; main()")
WRONG = "Something went wrong in the panel"
"""What a page says when it fails; see `app/panel/trouble.py`."""
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # A request that gets past the tests' own watch still finds nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
PATIENCE_MS = 45_000
"""How long a text may take to appear; the machine may be busy with other tests."""
READING_MS = 750
"""How long somebody looks at an item at least; a key that comes sooner is not taken."""
expect.set_options(timeout=PATIENCE_MS)


def chromium_path() -> str:
    """Chromium's program; without one the test is skipped, and fails where CI must have one."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        reason = "no Chromium: install Debian's with `apt-get install chromium`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium with an empty profile."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Panel:
    """A panel that is being served.

    Attributes:
        url: Where, without a slash at the end.
        process: The process of the command.
    """

    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def served(runs: Path, program: Sequence[str] = PROGRAM) -> Iterator[Panel]:
    """`labelwright panel` on a folder of runs, at a free port, in an empty working folder.

    Args:
        runs: The folder of all runs.
        program: What starts `labelwright`.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        log = Path(elsewhere) / "panel.log"
        command = ["panel", "--runs", str(runs.resolve()), "--port", "0", "--no-open"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*program, *command],
                cwd=elsewhere,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "NO_COLOR": "1", "HOME": elsewhere},
            )
        try:
            yield Panel(_await(process, log), process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said = log.read_text(encoding="utf-8", errors="replace")
        assert "Traceback" not in said, f"the panel has failed:\n{said}"


def _await(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the panel has said where it is, and answers there."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while True:
        said = log.read_text(encoding="utf-8", errors="replace")
        if place := re.search(r"http://[^/\s]+", said):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{place[0]}/_stcore/health", timeout=5),
            ):
                return place[0]
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the panel does not answer:\n{said}")
        time.sleep(0.05)


@dataclass
class Watch:
    """All that a browser's pages did which they must not do.

    Attributes:
        home: Address of the panel.
        requests: Every address that was asked for, by HTTP or as a web socket.
        faults: Dialogs, errors of scripts, and what the panel's policy had to stop.
    """

    home: str
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context, those to come included."""
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("page", self._page)

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda ws: self.requests.append(ws.url))
        page.on("pageerror", lambda error: self.faults.append(f"error of a script: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", self._console)

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"{dialog.type} dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        # What the panel's policy has stopped was tried all the same.
        if message.type == "error" and "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def elsewhere(self) -> list[str]:
        """Requests to anybody but the panel."""
        place = urlsplit(self.home).netloc
        inline = ("data", "blob", "about")
        return [
            url
            for url in self.requests
            if (parts := urlsplit(url)).scheme not in inline and parts.netloc != place
        ]

    def check(self) -> None:
        """Fail if anything happened that must not."""
        assert self.requests, "nothing was watched"
        found = [f"request to {url}" for url in self.elsewhere()] + self.faults
        assert not found, f"the page must not do this: {found}"


@contextlib.contextmanager
def visitor(
    browser: Browser,
    panel: Panel,
    *,
    viewport: dict[str, int] = WIDE,
    scheme: str = "light",
) -> Iterator[Page]:
    """Somebody who looks at the panel with a browser of their own; checked when they leave.

    Args:
        browser: The program that their context is made in.
        panel: The panel.
        viewport: Width and height in CSS pixels.
        scheme: ``light`` or ``dark``.
    """
    watch = Watch(panel.url)
    context = browser.new_context(
        base_url=panel.url,
        viewport=viewport,  # type: ignore[arg-type]
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="en-US",
        timezone_id="UTC",
        accept_downloads=True,
        service_workers="block",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    watch.over(context)
    try:
        yield context.new_page()
        for page in context.pages:
            assert page.get_by_text(WRONG).count() == 0, "a page has failed"
            for frame in page.frames:
                mark = frame.evaluate("window.pwned")
                assert mark is None, f"a text has run as a script: pwned is {mark}"
    finally:
        context.close()
    watch.check()


PAGES = ("new", "run", "review", "items", "compare", "prompts")
"""Paths of the pages, beside the list of runs at the root."""
_SETTLED = """
() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (!app || app.dataset.testScriptState !== "notRunning") return false;
  if (document.querySelector('[data-testid="stSkeleton"]')) return false;
  return [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')]
    .every((chart) => chart.querySelector("canvas, svg"));
}
"""
_TOO_WIDE = """
() => [document.documentElement, document.querySelector('[data-testid="stMain"]')]
  .map((box) => box.scrollWidth - innerWidth)
  .some((more) => more > 0) && [...document.querySelectorAll('[data-testid="stMain"] *')]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => `${e.tagName} ${e.dataset.testid || e.className}: ${e.textContent.slice(0, 60)}`)
"""


def settled(page: Page) -> None:
    """Wait until the page's script has ended and its charts are drawn."""
    page.wait_for_function(_SETTLED)


def visit(page: Page, path: str = "", run: str = "", **parameters: str) -> None:
    """Open a page of the panel and wait until it is all there."""
    query = urlencode({**({"run": run} if run else {}), **parameters})
    page.goto(f"/{path}?{query}" if query else f"/{path}")
    settled(page)


def run_state(page: Page) -> Locator:
    """How the run stands, as the run page says it."""
    return page.locator(".lw-state")


def say(page: Page, text: str) -> None:
    """Say something in the chat of the run page."""
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill(text)
    field.press("Enter")


def confirm(page: Page) -> None:
    """Say yes to the one order that waits for it."""
    button = page.get_by_role("button", name="Confirm", exact=True)
    expect(button).to_have_count(1)
    button.click()
    expect(button).to_have_count(0)


def answer(page: Page, key: str) -> None:
    """Press a key on the review page, once the item has been there for as long as reading takes."""
    settled(page)
    page.wait_for_timeout(READING_MS)
    page.keyboard.press(key)


def check_width(page: Page) -> None:
    """Fail if the page is wider than the window, with what sticks out."""
    wide = page.evaluate(_TOO_WIDE)
    assert not wide, f"{page.url} is wider than the window: {wide}"
