"""Open each page of an installed labelwright's panel in Chromium: open_panel.py PROGRAM RUNS."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "panel"))

from browser import chromium, served, visitor
from playwright.sync_api import expect

program, runs = sys.argv[1:]
TITLES = ("Runs", "New run", "Run", "Review", "Items", "Compare", "Prompts")

with (
    chromium() as browser,
    served(Path(runs), [program]) as panel,
    visitor(browser, panel) as page,
):
    page.goto("/")
    for title in TITLES:
        link = page.get_by_role("link", name=title, exact=True).first
        link.click()
        expect(
            page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
        ).to_be_visible()
        expect(page).to_have_title(title)
        sys.stdout.write(f"{title}: {page.url.removeprefix(panel.url)}\n")
