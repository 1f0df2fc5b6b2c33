"""Every page in both themes, at both widths, with runs that are finished, waiting, not begun."""

from pathlib import Path

import pytest
from browser import NARROW, PAGES, WIDE, Panel, check_width, settled, visit, visitor
from playwright.sync_api import Browser, Page, expect

FIGURES = ("Learning", "Classes", "Annotators", "Map")
LIGHTNESS = """
() => {
  const colour = getComputedStyle(document.querySelector('[data-testid="stApp"]')).backgroundColor;
  const [red, green, blue] = colour.match(/[0-9.]+/g).map(Number);
  return (red + green + blue) / 3;
}
"""


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"]
)
def test_every_page_fits_and_follows_the_theme(
    finished_run: Path,
    waiting_run: Path,
    empty_run: Path,
    chromium_browser: Browser,
    panel: Panel,
    viewport: dict[str, int],
    scheme: str,
) -> None:
    with visitor(chromium_browser, panel, viewport=viewport, scheme=scheme) as page:
        visit(page)
        for name in ("finished", "waiting", "empty"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
        check_width(page)
        assert (page.evaluate(LIGHTNESS) > 128) == (scheme == "light")
        for path in PAGES:
            visit(page, path, finished_run.name)
            check_width(page)
        for run in (waiting_run, empty_run):
            for path in ("run", "review", "items"):
                visit(page, path, run.name, reviewer="eva")
                check_width(page)
        figures(page, finished_run.name)


def figures(page: Page, run: str) -> None:
    """Each of the figures of the run page."""
    visit(page, "run", run)
    for name in FIGURES:
        page.get_by_role("radio", name=name, exact=True).click()
        expect(page.get_by_role("radio", name=name, exact=True)).to_be_checked()
        settled(page)
        check_width(page)


def test_without_a_run_each_page_says_what_to_do(page: Page) -> None:
    for path in ("", *PAGES):
        visit(page, path)
        said = page.get_by_test_id("stMain").inner_text().lower()
        # The templates that come with the program are there without a run.
        assert ("templates" if path == "prompts" else "run") in said, path
        check_width(page)
    visit(page, "run", "../../etc")
    expect(page.get_by_test_id("stMain")).to_contain_text("There is no run yet")
