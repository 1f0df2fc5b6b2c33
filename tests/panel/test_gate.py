import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from labelwright.app.panel.access import Access
from labelwright.app.panel.gate import SESSION_S, Gate

TOKEN = "correct horse battery"
LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def _app(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(
    gate: Gate,
    method: str = "GET",
    path: bytes = b"/run",
    body: bytes = b"",
    kind: str = "http",
    client: str = "10.0.0.9",
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """One request; a websocket that is let in is 101, one that is not 403."""
    given = {"host": "127.0.0.1:8501", **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": kind,
        "method": method,
        "raw_path": path,
        "query_string": b"run=a",
        "scheme": "http",
        "server": ("127.0.0.1", 8501),
        "client": (client, 1),
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v],
    }
    sent: list[dict[str, Any]] = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    if kind == "websocket":
        return (101 if sent[0]["type"] == "websocket.accept" else 403), {}, b""
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:])


def log_in(gate: Gate, token: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    return ask(
        gate,
        "POST",
        body=urlencode({"token": token}).encode(),
        content_type="application/x-www-form-urlencoded",
        **more,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guarded(clock: Clock) -> Gate:
    return Gate(_app, access=Access(None, token=TOKEN), clock=clock)


@pytest.fixture
def local() -> Gate:
    return Gate(_app, access=Access(LOCAL))


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost", "LOCALHOST:1", "[::1]:8501"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_this_machine_is_let_in_by_its_own_names(local: Gate, host: str, kind: str) -> None:
    assert ask(local, host=host, kind=kind)[0] in (200, 101)


@pytest.mark.parametrize(
    "host", ["evil.example:8501", "127.0.0.1.evil.example", "", "localhost.evil", "[::1", "a@b:x"]
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_name_that_was_bound_to_this_machine_by_others_is_refused(
    local: Gate, host: str, kind: str
) -> None:
    assert ask(local, host=host, kind=kind)[0] == 403


@pytest.mark.parametrize(("kind", "method"), [("http", "POST"), ("http", "PUT"), ("websocket", "")])
def test_the_page_of_another_site_can_not_act(local: Gate, kind: str, method: str) -> None:
    origin = "http://127.0.0.1:3000"
    assert ask(local, method, kind=kind, origin=origin)[0] == 403
    assert ask(local, method, kind=kind, origin="null")[0] == 403
    assert ask(local, method, kind=kind, origin="http://127.0.0.1:8501")[0] in (200, 101)


def test_what_is_answered_fetches_nothing_from_elsewhere(local: Gate) -> None:
    policy = ask(local)[1]["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


def test_without_the_token_nothing_is_let_in(guarded: Gate) -> None:
    status, headers, body = ask(guarded, accept="text/html")
    assert (status, headers["cache-control"]) == (401, "no-store")
    assert b"<form" in body
    assert ask(guarded, path=b"/_stcore/health")[0] == 401
    assert ask(guarded, "PUT", path=b"/_stcore/upload_file/a/b")[0] == 401
    assert ask(guarded, kind="websocket")[0] == 403
    assert ask(guarded, cookie="labelwright_8501=9999999999.00")[0] == 401
    assert ask(guarded, cookie=f"labelwright_8501={TOKEN}")[0] == 401


def test_the_token_lets_in_until_the_session_ends(guarded: Gate, clock: Clock) -> None:
    status, headers, _ = log_in(guarded, TOKEN)
    assert (status, headers["location"]) == (303, "/run?run=a")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    pair = cookie.split(";")[0]
    assert ask(guarded, cookie=pair)[0] == 200
    assert ask(guarded, cookie=f"x=1; {pair}", kind="websocket")[0] == 101
    until, _, signature = pair.partition(".")
    assert ask(guarded, cookie=f"{until}0.{signature}")[0] == 401
    clock.now += SESSION_S
    assert ask(guarded, cookie=pair)[0] == 401


def test_wrong_tokens_are_slowed_down_for_who_sends_them(guarded: Gate, clock: Clock) -> None:
    assert log_in(guarded, "wrong")[0] == 401
    assert log_in(guarded, TOKEN)[0] == 429
    assert log_in(guarded, TOKEN, client="10.0.0.7")[0] == 303
    clock.now += 1.0
    assert log_in(guarded, "wrong")[0] == 401
    clock.now += 1.0
    assert log_in(guarded, TOKEN)[0] == 429
    clock.now += 1.0
    assert log_in(guarded, TOKEN)[0] == 303


def test_a_login_leads_to_no_other_site(guarded: Gate) -> None:
    assert log_in(guarded, TOKEN, path=b"//evil.example/x")[1]["location"] == (
        "/evil.example/x?run=a"
    )
    assert log_in(guarded, TOKEN, origin="https://evil.example")[0] == 403


def test_a_long_body_is_no_token(guarded: Gate) -> None:
    assert log_in(guarded, "x" * 100_000)[0] == 401
