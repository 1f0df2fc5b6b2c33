"""The remote embedder against a real HTTP server on loopback."""

import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from labelwright.tools.embedding import EmbedderConfig, RequestFailed, build_embedder
from labelwright.tools.embedding.remote import RemoteEmbedder
from labelwright.tools.errors import EmbeddingError, EndpointError

KEY = "hunter2-very-secret"


class Server:
    """Answers with `script` (status, body, headers), one a request; then with vectors."""

    def __init__(self):
        self.script = []
        self.requests = []
        self.authorizations = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append((self.path, body))
                outer.authorizations.append(self.headers.get("authorization"))
                if outer.script:
                    status, answer, headers = outer.script.pop(0)
                else:
                    status, answer, headers = 200, vectors(body["input"]), {}
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def vector(text):
    return [3.0 * len(text), 4.0 * len(text), 0.5]


def vectors(texts, **more):
    data = [{"index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    usage = {"prompt_tokens": 2 * len(texts), "total_tokens": 2 * len(texts)}
    return {"object": "list", "model": "m", "data": data, "usage": usage, **more}


def fails(status, message="no", headers=None, code=None):
    return status, {"error": {"message": message, "code": code}}, headers or {}


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMBED_KEY", KEY)
    server = Server()
    yield server
    server.close()


class Till:
    """Records what it was asked to pay."""

    def __init__(self):
        self.paid = []
        self.failed = []

    def __call__(self, key, bound_tokens, send):
        try:
            result, tokens = send()
        except RequestFailed as failure:
            self.failed.append((key, bound_tokens, failure))
            raise
        self.paid.append((key, bound_tokens, tokens))
        return result


def connect(server, *, charge=None, sleep=None, **fields):
    config = EmbedderConfig(
        **{
            "kind": "openai",
            "model": "m",
            "base_url": server.url,
            "api_key_env": "EMBED_KEY",
            "price_usd_per_mtok": 0.02 if charge else "free",
            **fields,
        }
    )
    return RemoteEmbedder(config, charge=charge, sleep=sleep or (lambda seconds: None))


def test_texts_become_unit_vectors_in_order(server):
    embedder = connect(server, batch_size=2)
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    got = embedder.embed(texts)
    expected = np.array([vector(text) for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert embedder.dim == 3
    assert embedder.embed([]).shape == (0, 3)
    assert [body["input"] for _, body in server.requests] == [texts[:2], texts[2:4], texts[4:]]
    path, body = server.requests[0]
    assert path == "/v1/embeddings"
    assert body == {"model": "m", "input": texts[:2], "encoding_format": "float"}
    assert server.authorizations[0] == f"Bearer {KEY}"


def test_rows_are_put_in_the_order_of_their_index(server):
    answer = vectors(["a", "bb"])
    server.script = [(200, {**answer, "data": answer["data"][::-1]}, {})]
    embedder = connect(server)
    np.testing.assert_array_equal(embedder.embed(["a", "bb"]), embedder.embed(["a", "bb"]))


def test_an_empty_text_goes_as_a_space(server):
    assert connect(server).embed(["", "a"]).shape == (2, 3)
    assert server.requests[0][1]["input"] == [" ", "a"]


def test_long_texts_are_spread_over_requests(server):
    connect(server).embed(["é" * 100_000, "b" * 150_000, "c"])
    sizes = [[len(text) for text in body["input"]] for _, body in server.requests]
    assert sizes == [[100_000], [150_000, 1]]


def test_dimensions_are_asked_for_and_checked(server):
    embedder = connect(server, dimensions=3)
    assert embedder.dim == 3
    embedder.embed(["a"])
    assert server.requests[0][1]["dimensions"] == 3
    with pytest.raises(EndpointError, match="vectors of length 3, expected 4"):
        connect(server, dimensions=4).embed(["a"])


def test_dim_is_unknown_before_the_first_answer(server):
    embedder = connect(server)
    with pytest.raises(EmbeddingError, match="set dimensions"):
        _ = embedder.dim
    assert server.requests == []


def test_a_model_that_changes_its_length_is_refused(server):
    embedder = connect(server)
    embedder.embed(["a"])
    server.script = [(200, {"data": [{"index": 0, "embedding": [1.0, 2.0]}]}, {})]
    with pytest.raises(EndpointError, match="vectors of length 2, expected 3"):
        embedder.embed(["a"])


def test_each_request_is_paid_for(server):
    till = Till()
    connect(server, charge=till, batch_size=2).embed(["a", "é", "ccc"])
    assert [(bound, tokens) for _, bound, tokens in till.paid] == [(1 + 2 + 16, 4), (3 + 8, 2)]
    assert len({key for key, _, _ in till.paid}) == 2
    again = Till()
    connect(server, charge=again, batch_size=2).embed(["a", "é", "ccc"])
    assert again.paid == till.paid


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 0}, {"total_tokens": "9"}, "x"])
def test_without_usage_the_bound_is_paid(server, usage):
    till = Till()
    server.script = [(200, vectors(["a"], usage=usage), {})]
    connect(server, charge=till).embed(["a"])
    assert [(bound, tokens) for _, bound, tokens in till.paid] == [(9, 9)]


def test_a_refused_reservation_sends_nothing(server):
    class Broke(Exception):
        pass

    def charge(key, bound_tokens, send):
        raise Broke

    with pytest.raises(Broke):
        connect(server, charge=charge).embed(["a"])
    assert server.requests == []


def test_a_rate_limit_is_waited_for_and_each_try_is_reserved(server):
    till, waits = Till(), []
    server.script = [fails(429, headers={"retry-after": "7"}), fails(429), fails(503)]
    embedder = connect(server, charge=till, sleep=waits.append)
    assert embedder.embed(["a"]).shape == (1, 3)
    assert waits == [7, 2, 4]
    keys = {key for key, _, _ in till.failed + till.paid}
    assert len(keys) == 1
    assert len(till.failed) == 3
    assert [f.maybe_served for _, _, f in till.failed] == [False] * 3


def test_a_server_can_not_make_us_wait_for_ever(server):
    waits = []
    server.script = [
        fails(429, headers={"retry-after": "86400"}),
        fails(429, headers={"retry-after": "soon"}),
    ]
    connect(server, sleep=waits.append).embed(["a"])
    assert waits == [120, 2]


def test_a_server_that_keeps_failing_is_given_up(server):
    waits = []
    server.script = [fails(500)] * 10
    with pytest.raises(RequestFailed, match="status 500") as caught:
        connect(server, sleep=waits.append).embed(["a"])
    assert caught.value.status == 500
    assert len(server.requests) == 5
    assert waits == [1, 2, 4, 8]


def test_a_slow_answer_may_have_been_served(server):
    till, release = Till(), threading.Event()
    original = server.http.RequestHandlerClass.do_POST

    def late(handler):
        release.wait(5)
        original(handler)

    server.http.RequestHandlerClass.do_POST = late
    try:
        with pytest.raises(RequestFailed, match="raise timeout_s") as caught:
            connect(server, charge=till, timeout_s=0.05).embed(["a"])
    finally:
        release.set()
    assert caught.value.status is None
    assert [f.maybe_served for _, _, f in till.failed] == [True] * 5
    assert till.paid == []


def test_a_server_that_is_not_there_was_not_served(server):
    till = Till()
    embedder = connect(server, charge=till, base_url="http://127.0.0.1:1/v1")
    with pytest.raises(RequestFailed, match="check base_url and that the server runs"):
        embedder.embed(["a"])
    assert [f.maybe_served for _, _, f in till.failed] == [False] * 5


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (fails(400, "input too long"), r"status 400 \(.*input too long.*\); .*longer than"),
        (fails(401, f"Incorrect API key: {KEY[:6]}***"), "status 401; .*variable EMBED_KEY"),
        (fails(403), "status 403; the key in EMBED_KEY"),
        (fails(404, "no such model"), r"status 404 .*base_url \(it usually ends in /v1\)"),
        (fails(429, "quota", code="insufficient_quota"), "status 429 .*quota"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(server, failure, message):
    server.script = [failure] * 2
    with pytest.raises(RequestFailed, match=message) as caught:
        connect(server).embed(["a"])
    assert f"embedding model 'm' at {server.url}" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_the_key_is_never_shown(server, status):
    server.script = [fails(status, f"you sent Bearer {KEY}, that is {KEY}")] * 5
    with pytest.raises(EndpointError) as caught:
        connect(server).embed(["a"])
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)


def data(*embeddings):
    return {"data": [{"index": i, "embedding": e} for i, e in enumerate(embeddings)]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (vectors(["a"]), "1 vectors .* for 2 texts"),
        (vectors(["a", "b", "c"]), "3 vectors .* for 2 texts"),
        (data([1.0, float("nan")], [1.0, 2.0]), "zero or not finite"),
        (data([1.0, 1e308], [1e308, 1e308]), "zero or not finite"),
        (data([0.0, 0.0], [1.0, 2.0]), "zero or not finite"),
        (data([], []), "zero or not finite"),
        (data([1.0, 2.0], [1.0]), "all of one length"),
        (data([1.0, "x"], [1.0, 2.0]), "lists of numbers"),
        (data("AACAPw==", "AACAPw=="), "lists of numbers"),
        (data(None, None), "lists of numbers"),
        ({"data": [{"embedding": [1.0], "index": 5}] * 2}, r"numbered \[5, 5\]"),
        ({"error": "none"}, "expected JSON with data"),
        ([], "expected JSON with data"),
        (b"<html>hello</html>", "expected JSON with data"),
    ],
)
def test_an_unusable_answer_is_paid_for_and_refused(server, answer, message):
    till = Till()
    server.script = [(200, answer, {})]
    with pytest.raises(EndpointError, match=message):
        connect(server, charge=till).embed(["a", "b"])
    assert len(till.paid) == len(server.requests) == 1


def test_a_local_server_needs_no_key(server, monkeypatch):
    monkeypatch.delenv("EMBED_KEY")
    assert connect(server).embed(["a"]).shape == (1, 3)


def test_build_embedder_makes_it(server):
    config = EmbedderConfig(
        kind="openai", model="m", base_url=server.url, price_usd_per_mtok="free"
    )
    assert build_embedder(config).embed(["a"]).shape == (1, 3)
