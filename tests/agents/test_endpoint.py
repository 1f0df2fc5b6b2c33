"""One request over real HTTP to the double, and what its failures say."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.openai_server import OpenAIServer, Reply
from langchain_core.messages import HumanMessage
from pydantic import ValidationError

from labelwright.agents.endpoint import Endpoint, EndpointConfig
from labelwright.agents.wire import WireFailure, redact
from labelwright.tools.errors import ConfigError

KEY = "hunter2-is-the-key"
HELLO = [HumanMessage("hello")]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def configured(url, **more):
    return EndpointConfig(model="m", base_url=url, price={"in": 1, "out": 2}, **more)


def failure(server, reply, **more) -> WireFailure:
    server.queue.append(reply)
    with Endpoint(configured(server.url, **more)) as endpoint:
        with pytest.raises(WireFailure) as caught:
            endpoint.send(HELLO)
        assert KEY not in str(caught.value)
        return caught.value


def test_an_answer_with_its_usage(openai_server: OpenAIServer):
    openai_server.queue.append(
        Reply(
            "hi there",
            usage={
                "prompt_tokens": 7,
                "completion_tokens": 2,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        )
    )
    with Endpoint(configured(openai_server.url)) as endpoint:
        answer = endpoint.send(HELLO)
    assert answer.response["content"] == "hi there"
    assert answer.response["finish_reason"] == "stop"
    # total - prompt: hidden reasoning that completion_tokens leaves out is charged for
    assert (answer.tokens_in, answer.tokens_out, answer.cached_tokens) == (7, 7, 4)


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": -1, "completion_tokens": 3}])
def test_usage_that_says_nothing_is_none(openai_server, usage):
    openai_server.queue.append(Reply("hi", usage=usage))
    with Endpoint(configured(openai_server.url)) as endpoint:
        answer = endpoint.send(HELLO)
    assert (answer.tokens_in, answer.tokens_out) == (None, None)


def test_the_request_that_is_sent(openai_server: OpenAIServer):
    params = {"seed": 7, "top_k": 3, "chat_template_kwargs": {"enable_thinking": False}}
    with Endpoint(configured(openai_server.url, params=params, max_output_tokens=64)) as endpoint:
        endpoint.send(HELLO, {"response_format": {"type": "json_object"}})
    served = openai_server.served[0]
    assert served.request == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
        "temperature": 0,
        "max_tokens": 64,
        "response_format": {"type": "json_object"},
        **params,
    }
    assert served.headers["authorization"] == f"Bearer {KEY}"


def test_a_null_parameter_is_left_out(openai_server: OpenAIServer):
    with Endpoint(configured(openai_server.url, params={"temperature": None})) as endpoint:
        endpoint.send(HELLO)
    assert "temperature" not in openai_server.served[0].request


def test_azure_paths(openai_server: OpenAIServer):
    root = openai_server.url.removesuffix("/v1")
    with Endpoint(configured(root, azure_api_version="2024-10-21")) as endpoint:
        assert endpoint.send(HELLO).response["content"] == "ok"
    served = openai_server.served[0]
    assert served.path == "/openai/deployments/m/chat/completions"
    assert served.headers["api-key"] == KEY
    assert served.request["max_completion_tokens"] == 512


def test_concurrency_is_bounded_across_threads(openai_server: OpenAIServer):
    # Nobody is answered before two are in work, so a gate narrower than two would time out.
    together = threading.Barrier(2)

    def script(_):
        together.wait(timeout=10)
        return Reply("ok")

    openai_server.script = script
    with (
        Endpoint(configured(openai_server.url, concurrency=2)) as endpoint,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: endpoint.send(HELLO), range(8)))
    assert len(answers) == 8
    assert openai_server.most_at_once == 2


def test_an_error_says_where_what_and_what_to_do(openai_server):
    refused = failure(openai_server, Reply(f"wrong key {KEY} or sk-abcdef123", status=401))
    assert refused.status == 401
    assert not refused.maybe_served
    text = str(refused)
    assert "model 'm' at http://127.0.0.1" in text
    assert "wrong key [redacted] or [redacted]" in text
    assert "OPENAI_API_KEY" in text


def test_retry_after_and_code_are_read(openai_server):
    busy = failure(
        openai_server,
        Reply("slow down", status=429, code="insufficient_quota", headers={"retry-after": "3"}),
    )
    assert (busy.status, busy.code, busy.retry_after) == (429, "insufficient_quota", 3.0)


def test_a_dropped_connection_may_have_been_served(openai_server):
    dropped = failure(openai_server, Reply(drop=True))
    assert dropped.maybe_served
    assert dropped.status is None


def test_a_timeout_may_have_been_served(openai_server):
    late = failure(openai_server, Reply("late", delay=30), timeout_s=0.1)
    assert late.maybe_served
    assert "no answer within 0.1 s" in str(late)


def test_a_server_that_is_not_there_was_not_reached():
    with socket.socket() as held:  # bound, not listening
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with Endpoint(configured(url)) as endpoint, pytest.raises(WireFailure) as caught:
            endpoint.send(HELLO)
    assert not caught.value.maybe_served
    assert "not reached" in str(caught.value)


@pytest.mark.parametrize("raw", ["<html>hello</html>", '{"choices": null}', '{"error": "boom"}'])
def test_a_body_that_is_no_completion(openai_server, raw):
    odd = failure(openai_server, Reply(raw=raw))
    assert odd.status == 200
    assert odd.maybe_served
    assert "not a chat completion" in str(odd)


def test_tool_arguments_that_are_no_object_are_an_answer(openai_server):
    openai_server.queue.append(Reply(tool_calls=(("f", "[1]"),)))
    with Endpoint(configured(openai_server.url)) as endpoint:
        answer = endpoint.send(HELLO)
    assert answer.response["malformed"]
    assert answer.tokens_out is None


def test_openai_itself_needs_a_key_when_it_is_asked_and_not_before(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    config = EndpointConfig(model="m", price={"in": 1, "out": 1})
    with Endpoint(config) as endpoint:
        for asked in (config.key, lambda: endpoint.chat, lambda: endpoint.send(HELLO)):
            with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
                asked()
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert endpoint.chat.openai_api_key.get_secret_value() == KEY


def test_an_endpoint_that_was_never_asked_can_be_closed(openai_server):
    Endpoint(configured(openai_server.url)).close()


def test_threads_that_begin_together_share_one_chat_model(openai_server):
    with (
        Endpoint(configured(openai_server.url)) as endpoint,
        ThreadPoolExecutor(8) as pool,
    ):
        start = threading.Barrier(8)

        def chat(_):
            start.wait(timeout=10)
            return endpoint.chat

        assert len({id(model) for model in pool.map(chat, range(8))}) == 1


def test_a_local_server_needs_none(openai_server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with Endpoint(configured(openai_server.url)) as endpoint:
        assert endpoint.send(HELLO).response["content"] == "ok"


def test_an_unknown_price_is_refused():
    with pytest.raises(ValidationError, match="price"):
        EndpointConfig(model="m", base_url="http://localhost/v1")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("params", {"n": 3}, "can not set n"),
        ("params", {"max_tokens": 3}, "can not set max_tokens"),
        ("api_key_env", "sk-proj-1234", "pattern"),
        ("api_key_env", "MY KEY", "pattern"),
        ("api_key_env", "", "pattern"),
        ("base_url", "localhost:8000/v1", "http"),
        ("base_url", "http://me:secret@host/v1", "user name"),
        ("base_url", "http://host/v1/chat/completions", "leave out"),
    ],
)
def test_unusable_configurations(field, value, message):
    with pytest.raises(ValidationError, match=message):
        EndpointConfig(model="m", price="free", **{field: value})


def test_the_limits_name_follows_the_server():
    assert configured("http://localhost:8000/v1").limit_name == "max_tokens"
    assert configured(None).limit_name == "max_completion_tokens"
    chosen = configured("http://localhost/v1", limit_parameter="max_completion_tokens")
    assert chosen.limit_name == "max_completion_tokens"


def test_redaction():
    text = "Authorization: Bearer abc.def, http://u:p@host/ and k3y; sk-proj-Ab_9***xyz."
    assert redact(text, "k3y") == (
        "Authorization: [redacted] http://[redacted]@host/ and [redacted]; [redacted]."
    )
