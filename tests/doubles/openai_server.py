"""A test double, not a language model: an OpenAI-compatible server on the loopback interface.

It speaks enough of the protocol to exercise clients over real HTTP: structured outputs, tools,
token limits, usage, log-probabilities, embeddings, and every way to fail that a script asks for.
Unless a script says otherwise it answers with the smallest object that fits the schema it was sent.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODES = ("json_schema", "tool_required", "tool_named", "json_object", "plain")


@dataclass(frozen=True)
class Reply:
    """How one request is answered.

    Attributes:
        content: The text; a dict is written as JSON.
        tool_calls: (tool, arguments) pairs; arguments given as text are sent as they are.
        status: Not 200: an error with ``content`` as its message.
        code: The error's code.
        headers: More response headers, such as retry-after.
        delay: Seconds before anything is sent.
        drop: Close the connection instead of answering.
        raw: The body, instead of a chat completion.
        finish: The finish reason, instead of what follows from the rest.
        refusal: The refusal text.
        usage: Instead of the true usage; ``{}`` leaves it out.
    """

    content: str | Mapping[str, Any] = ""
    tool_calls: tuple[tuple[str, Any], ...] = ()
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    raw: str | None = None
    finish: str | None = None
    refusal: str | None = None
    usage: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Served:
    """One request that came in and what the server would charge for."""

    path: str
    request: dict[str, Any]
    headers: dict[str, str]
    status: int
    tokens_in: int
    tokens_out: int


def count_tokens(text: str) -> int:
    """The double's tokenizer: a token for every four characters begun, at least one."""
    return len(text) // 4 + 1


def mode_of(request: Mapping[str, Any]) -> str:
    """Which rung of structured output a request asks for."""
    form = (request.get("response_format") or {}).get("type")
    if form:
        return str(form)
    choice = request.get("tool_choice")
    if request.get("tools") and choice == "required":
        return "tool_required"
    if request.get("tools") and isinstance(choice, dict):
        return "tool_named"
    return "plain"


def smallest(schema: Mapping[str, Any]) -> Any:
    """The first value that fits a JSON Schema of the strict kind."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return smallest(schema["anyOf"][0])
    if schema.get("type") == "object":
        return {name: smallest(part) for name, part in schema.get("properties", {}).items()}
    blank = {"array": [], "string": "x", "integer": 0, "number": 0.0, "boolean": False}
    return blank.get(str(schema.get("type")))


def obedient(request: Mapping[str, Any]) -> Reply:
    """The smallest answer that does what the request asks for."""
    mode = mode_of(request)
    if mode == "json_schema":
        return Reply(smallest(request["response_format"]["json_schema"]["schema"]))
    if mode in ("tool_required", "tool_named"):
        function = request["tools"][0]["function"]
        return Reply(tool_calls=((function["name"], smallest(function["parameters"])),))
    return Reply("ok")


class OpenAIServer:
    """The double, as a context manager.

    Attributes:
        url: Root of the API, to be used as ``base_url``.
        script: Answers a request that no queued reply answers.
        queue: Replies that are given first, one a request.
        refuse: Structured modes that are refused, with the status to refuse them by.
        heeds: Names of the token limit that are kept to.
        strict_parameters: Answer 400 to a name of the token limit that is not in ``heeds``.
        served: Every request that came in, in order of arrival.
        most_at_once: The largest number of requests that were in work together.
    """

    def __init__(self, script: Callable[[dict[str, Any]], Reply] = obedient) -> None:
        self.script = script
        self.queue: deque[Reply] = deque()
        self.refuse: dict[str, int] = {}
        self.heeds = {"max_completion_tokens", "max_tokens"}
        self.strict_parameters = False
        self.served: list[Served] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.double = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._connections:
                _hang_up(connection)
        self._thread.join()
        self._server.server_close()

    @property
    def chats(self) -> list[Served]:
        """The chat requests among ``served``."""
        return [s for s in self.served if s.path.endswith("/chat/completions")]

    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all that was answered."""
        return sum(s.tokens_in for s in self.served), sum(s.tokens_out for s in self.served)

    # -- used by the handler --------------------------------------------------------------------

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)
            if self._closing.is_set():
                _hang_up(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def answer(
        self, path: str, request: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, str, Mapping[str, str]] | None:
        """(status, body, headers) of one request, or nothing to drop the connection."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._answer(path, request, headers)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(
        self, path: str, request: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, str, Mapping[str, str]] | None:
        if path.endswith("/models"):
            return 200, json.dumps({"object": "list", "data": [{"id": "double"}]}), {}
        if path.endswith("/embeddings"):
            return self._embed(path, request, headers)
        if not path.endswith("/chat/completions"):
            return _error(404, f"no such path: {path}", None, {})
        with self._lock:
            queued = self.queue.popleft() if self.queue else None
        reply = queued or self._refusal(request) or self.script(request)
        if reply.delay:
            self._closing.wait(reply.delay)
        prompt, completion, body = self._complete(request, reply)
        ok = reply.status == 200 and not reply.drop
        served = Served(
            path, request, headers, reply.status, prompt if ok else 0, completion if ok else 0
        )
        with self._lock:
            self.served.append(served)
        if reply.drop:
            return None
        if reply.status != 200:
            return _error(reply.status, str(reply.content), reply.code, reply.headers)
        return 200, body if reply.raw is None else reply.raw, reply.headers

    def _refusal(self, request: Mapping[str, Any]) -> Reply | None:
        named = {"max_tokens", "max_completion_tokens"} & request.keys()
        if self.strict_parameters and (unknown := named - self.heeds):
            return Reply(f"Unsupported parameter: {unknown.pop()}", status=400)
        status = self.refuse.get(mode_of(request))
        return Reply(f"{mode_of(request)} is not supported", status=status) if status else None

    def _complete(self, request: Mapping[str, Any], reply: Reply) -> tuple[int, int, str]:
        content = reply.content
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        calls = [
            {
                "id": f"call-{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
            for number, (name, arguments) in enumerate(reply.tool_calls)
        ]
        finish = reply.finish or ("tool_calls" if calls else "stop")
        limits = [request[name] for name in self.heeds if name in request]
        if limits and not calls and count_tokens(text) > min(limits):
            text, finish = text[: (min(limits) - 1) * 4], "length"
        prompt = count_tokens(
            json.dumps([request.get("messages"), request.get("tools")], ensure_ascii=False)
        )
        completion = count_tokens(text) if not calls else count_tokens(json.dumps(calls))
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = calls
        if reply.refusal:
            message["refusal"] = reply.refusal
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "message": message}
        if request.get("logprobs"):
            pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
            choice["logprobs"] = {"content": [{"token": p, "logprob": -0.125} for p in pieces]}
        usage: Mapping[str, Any] | None = reply.usage
        if usage is None:
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
        body: dict[str, Any] = {
            "id": "chatcmpl-double",
            "object": "chat.completion",
            "created": 0,
            "model": request.get("model"),
            "system_fingerprint": "double",
            "choices": [choice],
        }
        if usage:
            body["usage"] = usage
        return prompt, completion, json.dumps(body, ensure_ascii=False)

    def _embed(
        self, path: str, request: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, str, Mapping[str, str]]:
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        tokens = sum(count_tokens(str(text)) for text in texts)
        data = [
            {"object": "embedding", "index": i, "embedding": _letters(str(text))}
            for i, text in enumerate(texts)
        ]
        with self._lock:
            self.served.append(Served(path, request, headers, 200, tokens, 0))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"object": "list", "model": request.get("model"), "data": data, "usage": usage}
        return 200, json.dumps(body), {}


class _Server(ThreadingHTTPServer):
    # Threads are joined at server_close, so nothing outlives a test.
    daemon_threads = False
    request_queue_size = 256
    double: OpenAIServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one segment
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.double.opened(self.connection)

    def finish(self) -> None:
        self.server.double.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client was killed while it sent
            self.close_connection = True
            return
        self._serve(json.loads(body or b"{}"))

    def _serve(self, request: dict[str, Any]) -> None:
        path = self.path.split("?")[0]
        answer = self.server.double.answer(
            path, request, {k.lower(): v for k, v in self.headers.items()}
        )
        if answer is None:
            self.close_connection = True
            return
        status, body, headers = answer
        data = body.encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        # A client that gave up waiting is what some tests are about.
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def _error(
    status: int, message: str, code: str | None, headers: Mapping[str, str]
) -> tuple[int, str, Mapping[str, str]]:
    error = {"message": message, "type": "double", "param": None, "code": code}
    return status, json.dumps({"error": error}), headers


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)


def _letters(text: str) -> list[float]:
    """A unit vector of letter frequencies."""
    counts = [1.0 + text.lower().count(letter) for letter in "abcdefghijklmnop"]
    norm = sum(c * c for c in counts) ** 0.5
    return [c / norm for c in counts]


def replies(*given: Reply) -> Callable[[dict[str, Any]], Reply]:
    """A script that gives replies in order and fails when there are no more."""
    rest: Iterable[Reply] = iter(given)
    return lambda _: next(rest)  # type: ignore[call-overload,no-any-return]
