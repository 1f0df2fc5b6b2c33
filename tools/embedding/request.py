"""One try of one embeddings request, and what its failure means."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..errors import EndpointError
from .config import NO_KEY, EmbedderConfig

if TYPE_CHECKING:
    from openai import OpenAIError

_NEVER_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
}
_SECRET = re.compile(r"(?i)(bearer\s+)\S+|\bsk-[\w*.-]{6,}|(?<=://)[^/@\s]+(?=@)")
_WHAT_TO_DO = {
    400: "the request was refused: check model and dimensions, and that no text is longer than "
    "the model's context",
    401: "the key was refused: check the environment variable {env}",
    403: "the key in {env} has no access to this model",
    404: "not found: check base_url (it usually ends in /v1) and the model's name",
    429: "rate limit or quota: wait, lower batch_size, or raise the limit with the provider",
}


class RequestFailed(EndpointError):
    """One try of a request brought no answer.

    Attributes:
        status: HTTP status, `None` where no status line came.
        maybe_served: the request went out and nothing says that it was not served and charged.
        repeatable: another try can help.
        retry_after: seconds that the server asks to wait, 0 where it does not.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        maybe_served: bool,
        repeatable: bool,
        retry_after: float,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.maybe_served = maybe_served
        self.repeatable = repeatable
        self.retry_after = retry_after


class Endpoint:
    """An embeddings endpoint, open.

    Args:
        config: of kind `openai`.

    Raises:
        ConfigError: the key is not in the environment.

    Attributes:
        where: model and address, for messages.
    """

    def __init__(self, config: EmbedderConfig) -> None:
        import openai

        self.where = f"embedding model {config.model!r} at {redact(config.url)}"
        self._config = config
        self._key = config.key()
        # Its own retries would send, and spend, without a reservation.
        self._client = openai.OpenAI(
            api_key=self._key, base_url=config.url, timeout=config.timeout_s, max_retries=0
        )

    def send(self, texts: list[str], bound: int) -> tuple[Any, int]:
        """Send one request, once.

        Args:
            texts: none of them empty.
            bound: the most tokens that the request can use.

        Returns:
            The answer's JSON (`None` if it is not JSON), and the tokens that the server reports,
            or `bound` where it reports none.

        Raises:
            RequestFailed: there is no answer of status 200.
        """
        import openai

        dimensions = self._config.dimensions
        error: OpenAIError
        try:
            # Raw: the parsed form re-validates each number, and can not show what is malformed.
            raw = self._client.embeddings.with_raw_response.create(
                model=str(self._config.model),
                input=texts,
                encoding_format="float",
                dimensions=openai.omit if dimensions is None else dimensions,
            )
        except openai.OpenAIError as caught:
            error = caught
        else:
            try:
                answer = json.loads(raw.http_response.content)
            except ValueError:
                answer = None
            return answer, _tokens_used(answer) or bound
        # Raised outside of the handler: a traceback would show the client's error, which may
        # quote the key.
        raise self._failure(error)

    def _failure(self, error: OpenAIError) -> RequestFailed:
        import openai

        status: int | None = None
        retry_after = 0.0
        said = type(error).__name__
        advice = "check base_url and that the server runs"
        if isinstance(error, openai.APIStatusError):
            status = error.status_code
            retry_after = _seconds(error.response.headers.get("retry-after"))
            advice = _WHAT_TO_DO.get(status, "the server failed: try later, or see its log")
            # What is said about a refused key quotes parts of it.
            said = "" if status in (401, 403) else redact(error.message, self._key)[:300]
        elif isinstance(error, openai.APITimeoutError):
            advice = f"no answer in {self._config.timeout_s:g} s: raise timeout_s, lower batch_size"
        quota = getattr(error, "code", None) == "insufficient_quota"
        return RequestFailed(
            f"{self.where}: {'no answer' if status is None else f'status {status}'}"
            f"{f' ({said})' if said else ''}; {advice.format(env=self._config.api_key_env)}.",
            status=status,
            maybe_served=status is None and type(error.__cause__).__name__ not in _NEVER_SENT,
            repeatable=not quota and (status is None or status in (408, 409, 429) or status >= 500),
            retry_after=retry_after,
        )


def _tokens_used(answer: Any) -> int | None:
    """Tokens as reported; `None` where nothing is, or a number that can not be (0 is a stub's)."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    counts = (usage.get("total_tokens"), usage.get("prompt_tokens"))
    return next((n for n in counts if type(n) is int and n > 0), None)


def _seconds(retry_after: str | None) -> float:
    """Seconds of a Retry-After header; 0 if there is none, or a date."""
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:
        return 0.0


def redact(text: str, key: str = "") -> str:
    """A text without the key, bearer tokens, OpenAI-style keys and credentials in URLs."""
    if key and key != NO_KEY:
        text = text.replace(key, "[redacted]")
    return _SECRET.sub("[redacted]", text)
