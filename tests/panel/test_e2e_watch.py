"""The watch over the browser itself: what it is to find, it finds."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import Panel, visitor
from playwright.sync_api import Browser


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.server.body.encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[tuple[Panel, ThreadingHTTPServer]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        process = subprocess.Popen(["true"])
        process.wait()
        yield Panel(f"http://127.0.0.1:{server.server_port}", process), server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<img src='http://192.0.2.7/a.png'>", r"192\.0\.2\.7/a\.png"),
        ("<script>new WebSocket('ws://192.0.2.7/live')</script>", r"ws://192\.0\.2\.7/live"),
        ("<iframe src='http://192.0.2.7/f'></iframe>", r"192\.0\.2\.7/f"),
        ("<script>setTimeout(() => alert('hello'))</script>", "alert dialog: hello"),
        ("<script>throw new Error('broken')</script>", "error of a script: .*broken"),
        ("<script>window.pwned = 1</script>", "pwned is 1"),
        (
            "<meta http-equiv='content-security-policy' content=\"img-src 'self'\">"
            "<img src='http://192.0.2.7/stopped.png'>",
            r"192\.0\.2\.7/stopped\.png.*Content Security Policy",
        ),
        ("<iframe srcdoc='<script>window.pwned = 2</script>'></iframe>", "pwned is 2"),
    ],
)
def test_what_a_page_must_not_do_is_found(
    chromium_browser: Browser, site: tuple[Panel, ThreadingHTTPServer], body: str, found: str
) -> None:
    panel, server = site
    server.body = f"<!doctype html><title>t</title><p>text</p>{body}"  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match=found):
        _visit(chromium_browser, panel)


def _visit(browser: Browser, panel: Panel) -> None:
    with visitor(browser, panel) as page:
        page.goto("/")
        # After this, what the page's own script put off has been done.
        page.evaluate("new Promise(done => setTimeout(done, 50))")


def test_a_page_that_keeps_to_itself_passes(
    chromium_browser: Browser, site: tuple[Panel, ThreadingHTTPServer]
) -> None:
    panel, server = site
    server.body = (  # type: ignore[attr-defined]
        "<!doctype html><title>t</title><p>text</p>"
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
        "<script>fetch('/again')</script>"
    )
    with visitor(chromium_browser, panel) as page:
        page.goto("/")
        page.wait_for_function("performance.getEntriesByName(location.origin + '/again').length")
