"""What every request passes before Streamlit sees it, be it a page, an upload or a websocket."""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .access import Access

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

SESSION_S = 7 * 24 * 3600
_LONGEST_BODY = 4096
_LONGEST_PAUSE_S = 30.0
_CALLERS = 4096
"""Callers whose failures are remembered; the oldest is forgotten first."""
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# Whatever a text of the pool might talk the browser into, it fetches nothing from elsewhere.
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]
_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labelwright</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 22rem; margin: 18vh auto; padding: 0 1rem; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; }}
button {{ margin-top: .75rem; }}
</style></head><body>
<h1>labelwright</h1>
<form method="post">
<p><label for="token">Token of this panel</label></p>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
<p role="alert">{message}</p>
</form></body></html>
"""


class Gate:
    """ASGI middleware: the name that is called, the page that calls, and the token.

    Args:
        app: What is guarded.
        access: How.
        clock: Seconds, for pauses after wrong tokens and the age of a login.
    """

    def __init__(
        self, app: Asgi, *, access: Access, clock: Callable[[], float] = time.time
    ) -> None:
        self._app = app
        self._access = access
        self._clock = clock
        # Of this process: with it, nobody can try tokens against a cookie, and a restart ends all.
        self._key = secrets.token_bytes(32)
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        fault = self._fault(scope, headers)
        if fault:
            await _refuse(scope, receive, send, 403, fault)
        elif self._access.token is None or self._known(headers, scope):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http" and _is_login(scope, headers):
            await self._log_in(scope, receive, send)
        elif scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            await _page(send, 401, _FORM.format(message=""))
        else:
            await _refuse(scope, receive, send, 401, "Log in to this panel first.")

    def _fault(self, scope: Scope, headers: dict[str, str]) -> str:
        host = headers.get("host", "")
        hosts = self._access.hosts
        if hosts is not None and _name(host) not in hosts:
            # A foreign name that leads here: its pages would be of one origin with the panel.
            return "This panel does not answer to that name; open it by the address it has printed."
        origin = headers.get("origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in _SAFE):
            return ""
        if urlsplit(origin).netloc.lower() != host.lower():
            return "This request comes from the page of another site."
        return ""

    def _known(self, headers: dict[str, str], scope: Scope) -> bool:
        # Read by hand: a parser gives up on all of them where another server of this machine has
        # left a cookie that is malformed.
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        found = {name: value for name, _, value in pairs}.get(_cookie_name(scope), "")
        until, _, signature = found.partition(".")
        right = hmac.compare_digest(signature.encode(), self._sign(until).encode())
        return right and until.isascii() and until.isdecimal() and int(until) > self._clock()

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = str((scope.get("client") or ("unknown",))[0])
        failures, free_at = self._failures.get(caller, (0, 0.0))
        wait = free_at - self._clock()
        if wait > 0:
            message = f"Too many wrong tokens. Wait {int(wait) + 1} seconds and try again."
            await _page(send, 429, _FORM.format(message=message))
            return
        given = parse_qs((await _body(receive)).decode("utf-8", "replace")).get("token", [""])[0]
        token = self._access.token or ""
        if not hmac.compare_digest(_digest(given), _digest(token)):
            pause = min(_LONGEST_PAUSE_S, 2.0**failures)
            self._failures[caller] = (min(failures + 1, 16), self._clock() + pause)
            self._failures.move_to_end(caller)
            while len(self._failures) > _CALLERS:
                self._failures.popitem(last=False)
            await _page(send, 401, _FORM.format(message="This is not the token of this panel."))
            return
        self._failures.pop(caller, None)
        until = str(int(self._clock()) + SESSION_S)
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = (
            f"{_cookie_name(scope)}={until}.{self._sign(until)}; Path=/; Max-Age={SESSION_S}; "
            f"HttpOnly; SameSite=Strict{secure}"
        )
        extra = [(b"set-cookie", cookie.encode()), (b"location", _same_place(scope))]
        await _answer(send, 303, b"", b"text/plain", extra)

    def _sign(self, until: str) -> str:
        token = self._access.token or ""
        return hmac.new(self._key, f"{until}:{token}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _cookie_name(scope: Scope) -> str:
    """Cookies are shared by all ports of a host; two panels must not log each other out."""
    server = scope.get("server") or (None, 0)
    return f"labelwright_{server[1]}"


def _is_login(scope: Scope, headers: dict[str, str]) -> bool:
    form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return scope["method"] == "POST" and form


def _same_place(scope: Scope) -> bytes:
    """Where the form was shown; never another host, which `//name` would be."""
    path: bytes = b"/" + bytes(scope.get("raw_path") or b"/").lstrip(b"/\\")
    query: bytes = scope.get("query_string") or b""
    return path + b"?" + query if query else path


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return body
        if len(body) > _LONGEST_BODY:
            return b""


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)

    return sent


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Before it was accepted, this is an HTTP answer of 403.
        await send({"type": "websocket.close", "code": 4403, "reason": why[:100]})
        return
    await _answer(send, status, f"{html.escape(why)}\n".encode(), b"text/plain; charset=utf-8")


async def _page(send: Send, status: int, page: str) -> None:
    await _answer(send, status, page.encode(), b"text/html; charset=utf-8")


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    kind: bytes,
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *_HEADERS,
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
