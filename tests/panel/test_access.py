"""The panel as a process, over real HTTP and websockets on the loopback interface."""

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from labelwright.app.cli import app
from labelwright.app.panel.access import access_to
from labelwright.tools.errors import ConfigError

TOKEN = "a token of some length"
LINE = [sys.executable, "-P", "-c", "from labelwright.app.cli import main; main()", "panel"]


@pytest.fixture
def own_settings() -> Iterator[None]:
    """Takes back what a command has set in this process."""
    from streamlit import config

    yield
    config.get_config_options(force_reparse=True, options_from_flags={})


@contextmanager
def panel(runs: Path, *options: str, **env: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [*LINE, "--runs", str(runs), "--port", "0", "--no-open", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=runs,
        env={**os.environ, **env},
    )
    try:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, (said, process.communicate(timeout=10))
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with panel(tmp_path_factory.mktemp("runs")) as (url, _):
        yield url


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runs = tmp_path_factory.mktemp("runs")
    with panel(runs, "--address", "0.0.0.0", "--token-env", "PANEL_TOKEN", PANEL_TOKEN=TOKEN) as (
        url,
        _,
    ):
        yield url.replace("localhost", "127.0.0.1")


def ask(url: str, method: str = "GET", path: str = "/", body: str | None = None, **headers: str):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def socket_of(url: str, **headers: str):
    return connect(
        url.replace("http", "ws") + "_stcore/stream",
        additional_headers={**headers},
        subprotocols=["streamlit"],
        proxy=None,
    )


def test_the_panel_answers_on_this_machine(local: str) -> None:
    assert ask(local)[0] == 200
    assert ask(local, path="/_stcore/health")[0] == 200
    with socket_of(local, Origin=local.rstrip("/")):
        pass


def test_a_rebound_name_gets_nothing(local: str) -> None:
    port = urlsplit(local).port
    assert ask(local, Host=f"evil.example:{port}")[0] == 403
    with pytest.raises(InvalidStatus) as refused, socket_of(local, Origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/_stcore/health"),
        ("GET", "/_stcore/host-config"),
        ("GET", "/static/js/index.js"),
        ("GET", "/media/a.csv"),
        ("PUT", "/_stcore/upload_file/session/file"),
    ],
)
def test_every_request_needs_the_token(guarded: str, method: str, path: str) -> None:
    assert ask(guarded, method, path)[0] == 401


def test_a_websocket_needs_the_token_and_gets_in_with_it(guarded: str) -> None:
    with pytest.raises(InvalidStatus) as refused, socket_of(guarded):
        pass
    assert refused.value.response.status_code == 403
    status, headers, _ = ask(
        guarded,
        "POST",
        "/new",
        urlencode({"token": TOKEN}),
        Content_Type="application/x-www-form-urlencoded",
    )
    assert (status, headers["location"]) == (303, "/new")
    cookie = headers["set-cookie"].split(";")[0]
    assert ask(guarded, Cookie=cookie)[0] == 200
    with socket_of(guarded, Cookie=cookie):
        pass


def test_an_interrupt_ends_the_panel_without_a_traceback(tmp_path: Path) -> None:
    with panel(tmp_path) as (_, process):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    assert "runs go on" in said
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--address", "0.0.0.0"], "--token-env"),
        (["--address", "no.such.name.invalid"], "no such address"),
        (["--address", "203.0.113.7"], "can not listen"),
        (["--runs", "elsewhere"], "does not exist"),
        (["--token-env", "NOT_SET_ANYWHERE"], "is not set"),
        (["--token-env", "SHORT"], "16 or more"),
    ],
)
def test_what_can_not_be_is_said_and_refused(
    options: list[str],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_settings: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHORT", "only a few char")
    result = CliRunner().invoke(app, ["panel", "--port", "0", "--no-open", *options])
    assert result.exit_code == 2
    assert part in result.stderr
    assert "only a few" not in result.output


def test_a_port_that_is_taken_is_said(local: str, tmp_path: Path) -> None:
    port = str(urlsplit(local).port)
    result = CliRunner().invoke(app, ["panel", "--port", port, "--runs", str(tmp_path)])
    assert result.exit_code == 2
    assert "can not listen" in result.stderr


def test_the_token_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_TOKEN", TOKEN)
    access = access_to("0.0.0.0", "PANEL_TOKEN")
    assert access.token == TOKEN
    assert TOKEN not in repr(access)
    assert "PANEL_TOKEN" not in os.environ


def test_addresses_of_this_machine_need_no_token() -> None:
    for address in ("127.0.0.1", "localhost", "::1", "127.0.0.5"):
        assert address in (access_to(address, None).hosts or ())
    with pytest.raises(ConfigError, match="token"):
        access_to("::", None)
