"""Open each page of an installed labelwright's panel in Chromium: open_panel.py PROGRAM RUNS.

RUNS holds one run, `demo`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "panel"))

from browser import chromium, served, settled, visitor
from playwright.sync_api import expect

HEADINGS = {
    "Runs": "Runs",
    "New run": "New run",
    "Run": "demo",
    "Review": "Review",
    "Items": "Items",
    "Compare": "Compare runs",
    "Prompts": "Prompts",
}
"""Of each page, by its name in the menu."""

program, runs = sys.argv[1:]
with (
    chromium() as browser,
    served(Path(runs), [program]) as panel,
    visitor(browser, panel) as page,
):
    page.goto("/")
    for name, heading in HEADINGS.items():
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        settled(page)
        sys.stdout.write(f"{name}: {page.url.removeprefix(panel.url)}\n")
