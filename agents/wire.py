"""What comes back over the wire: an answer with its usage, or a failure without a secret in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

_SECRET = re.compile(r"(?i)bearer\s+\S+|\bsk-[\w*.-]*[\w*-]|(?<=://)[^/@\s]+(?=@)")
_NEVER_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
}


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        response: JSON-able: content, tool_calls, invalid_tool_calls, refusal, finish_reason,
            logprobs, model, fingerprint, id; only those that say something.
        tokens_in: Prompt tokens as reported, cached ones included; ``None``: no usage reported.
        tokens_out: Completion tokens as reported, hidden reasoning included.
        cached_tokens: Prompt tokens that the server had cached.
    """

    response: dict[str, Any]
    tokens_in: int | None
    tokens_out: int | None
    cached_tokens: int = 0


class WireFailure(Exception):
    """No usable answer; the message names the endpoint and says what to do, without secrets.

    Attributes:
        status: HTTP status, ``None`` where no status line came.
        code: The server's own error code, if it gave one.
        retry_after: Seconds that the server asks to wait.
        maybe_served: The request went out and nothing says that it was not served and charged.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        maybe_served: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.maybe_served = maybe_served


def redact(text: str, key: str | None = None) -> str:
    """A text without the key, bearer tokens, OpenAI-style keys and credentials in URLs.

    >>> redact("Incorrect API key provided: sk-abc***xyz. Bearer T0ken, hunter2", key="hunter2")
    'Incorrect API key provided: [redacted]. [redacted] [redacted]'
    """
    if key:
        text = text.replace(key, "[redacted]")
    return _SECRET.sub("[redacted]", text)


def read_answer(message: AIMessage) -> Answer:
    """The answer in a langchain message, as plain JSON values."""
    meta = message.response_metadata
    calls = [{k: c[k] for k in ("id", "name", "args")} for c in message.tool_calls]
    broken = [{k: c[k] for k in ("id", "name", "args")} for c in message.invalid_tool_calls]
    response = {
        "content": message.text,
        "tool_calls": calls,
        "invalid_tool_calls": broken,
        "refusal": message.additional_kwargs.get("refusal"),
        "finish_reason": meta.get("finish_reason"),
        "logprobs": meta.get("logprobs"),
        "model": meta.get("model_name"),
        "fingerprint": meta.get("system_fingerprint"),
        "id": meta.get("id"),
    }
    return Answer({k: v for k, v in response.items() if v}, *_usage(meta.get("token_usage")))


def read_failure(
    error: Exception, *, where: str, key: str | None, key_env: str, timeout_s: float
) -> WireFailure:
    """What an exception of the client means.

    Args:
        error: Raised by the chat model.
        where: Model and address, for the message.
        key: The secret that must not be in the message.
        key_env: Name of the variable that holds it.
        timeout_s: The timeout that was set.
    """
    import openai

    while isinstance(error.__cause__, openai.APIError):  # langchain wraps, and drops the status
        error = error.__cause__
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        said = redact(_server_message(error), key)
        return WireFailure(
            f"{where}: HTTP {status}: {said} {_hint(status, error.code, key_env)}".rstrip(),
            status=status,
            code=error.code,
            retry_after=_retry_after(error.response.headers),
        )
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        name = type(cause).__name__
        said = redact(f"{name}: {cause}".rstrip(": "), key)
        if name in _NEVER_SENT:
            return WireFailure(f"{where}: not reached ({said}). Is the server running there?")
        timeout = isinstance(error, openai.APITimeoutError)
        why = f"no answer within {timeout_s:g} s" if timeout else "connection lost"
        return WireFailure(f"{where}: {why} ({said}).", maybe_served=True)
    said = redact(f"{type(error).__name__}: {error}"[:300], key)
    return WireFailure(
        f"{where}: the answer is not a chat completion ({said}). Is base_url the root of an "
        "OpenAI-compatible API (it usually ends in /v1)?",
        status=200,
        maybe_served=True,
    )


def _usage(usage: Any) -> tuple[int | None, int | None, int]:
    """(prompt, completion, cached) tokens; ``None`` where the server reports nothing sensible."""
    usage = usage if isinstance(usage, Mapping) else {}
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    for count in (tokens_in, tokens_out):
        if not isinstance(count, int) or count < 0:
            return None, None, 0
    # Some servers report hidden reasoning in the total only, and charge for it.
    tokens_out = max(tokens_out, (usage.get("total_tokens") or 0) - tokens_in)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return tokens_in, tokens_out, min(cached, tokens_in)


def _server_message(error: Any) -> str:
    body = error.body
    for part in ("message", "detail", "error"):
        if isinstance(body, Mapping) and body.get(part):
            return str(body[part])[:500]
    return str(error.message)[:500]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / scale)
        except (KeyError, ValueError):  # absent, or an HTTP date: the back-off does
            continue
    return None


def _hint(status: int, code: str | None, key_env: str) -> str:
    if code == "insufficient_quota":
        return "The account has no credit left."
    if status in (401, 403):
        return f"Check the key in the environment variable {key_env}."
    if status == 404:
        return "Check the model's name and base_url (it usually ends in /v1)."
    if status in (400, 422):
        return "Check params, structured and limit_parameter of this endpoint."
    return ""
