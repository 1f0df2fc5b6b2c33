"""A configured endpoint and the one request that is sent to it.

Any server that speaks the OpenAI chat-completions protocol. One `Endpoint` is shared by many
threads and sends each request exactly once: retries are `paid_call.pay`'s, which reserves money for
each try.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from ..tools.errors import ConfigError
from ..tools.money import Price
from .wire import Answer, read_answer, read_failure

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable
    from langchain_openai.chat_models.base import BaseChatOpenAI

OPENAI_URL = "https://api.openai.com/v1"
LimitName = Literal["max_completion_tokens", "max_tokens"]
Structured = Literal["auto", "json_schema", "tool_required", "tool_named", "json_object", "plain"]

_OURS = {
    "model",
    "messages",
    "n",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "response_format",
    "extra_body",
}


class EndpointConfig(BaseModel):
    """One model behind one OpenAI-compatible endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1, description="Model name, or deployment name on Azure.")
    base_url: str | None = Field(
        None,
        description="Root of the API, usually ending in /v1; none: OPENAI_BASE_URL, else OpenAI.",
    )
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="Environment variable that holds the key; never the key itself.",
    )
    azure_api_version: str | None = Field(
        None, description="Set for Azure's dated API; base_url is then the resource's address."
    )
    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Sent in the request body as they are (seed, top_p, logprobs, reasoning_effort "
        "...). temperature is 0 unless given; null leaves it out.",
    )
    max_output_tokens: int = Field(
        512, ge=16, description="Most completion tokens of an answer; part of every reservation."
    )
    price: Price = Field(description="What the endpoint charges; an unknown price is refused.")
    concurrency: int = Field(8, ge=1, description="Most requests in flight at once.")
    timeout_s: float = Field(60, gt=0, description="Seconds to wait for an answer.")
    retries: int = Field(4, ge=0, description="Tries after the first, each reserved by itself.")
    structured: Structured = Field(
        "auto",
        description="How an annotator's answer is held to its schema; auto probes the endpoint "
        "once. Agents work by tool calls and take auto only.",
    )
    limit_parameter: Literal["auto"] | LimitName = Field(
        "auto", description="Name of the token limit in the request; auto finds out."
    )

    @field_validator("base_url")
    @classmethod
    def _usable_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not re.match(r"https?://[^\s/@]+(/[^\s]*)?$", url):
            raise ValueError(
                "base_url must be http(s)://host[:port]/path without a user name or password in it"
            )
        url = url.rstrip("/")
        if url.endswith("/chat/completions"):
            raise ValueError("base_url is the API's root: leave out /chat/completions")
        return url

    @field_validator("params")
    @classmethod
    def _not_ours(cls, params: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_OURS & params.keys()):
            raise ValueError(
                f"params can not set {', '.join(taken)}: each is set from a field of its own or "
                "by the program (what would go into extra_body is written directly in params)"
            )
        return params

    @property
    def url(self) -> str:
        """The API's root that requests go to."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def limit_name(self) -> LimitName:
        """The token limit's name to try first: OpenAI's own takes one, older servers the other."""
        if self.limit_parameter != "auto":
            return self.limit_parameter
        openai = self.url.startswith(OPENAI_URL) or self.azure_api_version is not None
        return "max_completion_tokens" if openai else "max_tokens"

    def key(self) -> str | None:
        """The API key, from the environment only; ``None`` for a server that may need none.

        Raises:
            ConfigError: OpenAI itself is meant and the variable is not set.
        """
        key = os.environ.get(self.api_key_env) or None
        if key is None and self.url == OPENAI_URL:
            raise ConfigError(
                f"model {self.model!r}: the environment variable {self.api_key_env} is not set; "
                "export the key there, or set base_url for a server that needs none."
            )
        return key


def build_chat_model(config: EndpointConfig) -> BaseChatOpenAI:
    """The chat model behind `Endpoint`, which adds the parameters and the token limit.

    It neither retries, streams, caches nor uses the Responses API: each of them would spend money
    that was not reserved, or would not reach every server.

    Raises:
        ConfigError: The key is missing.
    """
    import openai
    from langchain_openai import AzureChatOpenAI, ChatOpenAI

    key = config.key() or "no-key-needed"  # the client insists on one
    # Our own client: it heeds proxy variables and can be closed, unlike langchain's shared one.
    client = openai.DefaultHttpxClient(timeout=config.timeout_s)
    common: dict[str, Any] = {
        "api_key": key,
        "timeout": config.timeout_s,
        "max_retries": 0,
        "cache": False,
        "use_responses_api": False,
        "http_client": client,
        "http_socket_options": (),
    }
    if config.azure_api_version is not None:
        return AzureChatOpenAI(
            azure_endpoint=config.url,
            azure_deployment=config.model,
            api_version=config.azure_api_version,
            **common,
        )
    return ChatOpenAI(model=config.model, base_url=config.url, **common)


class Endpoint:
    """One endpoint, open: sends requests from any number of threads, ``concurrency`` at a time.

    Attributes:
        config: What was configured.
        limit_name: Name under which the token limit is sent; negotiation may change it.
    """

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.limit_name: LimitName = config.limit_name
        self._gate = threading.BoundedSemaphore(config.concurrency)
        self._building = threading.Lock()
        self._chat: BaseChatOpenAI | None = None
        params = {"temperature": 0, **config.params}
        self._params = {name: value for name, value in params.items() if value is not None}

    @property
    def chat(self) -> BaseChatOpenAI:
        """Made when the first request is: a quote needs neither a key nor the library.

        Raises:
            ConfigError: The key is missing.
        """
        # Threads begin together where a ledger has made the probes needless; one is to build it.
        with self._building:
            if self._chat is None:
                self._chat = build_chat_model(self.config)
            return self._chat

    def send(
        self,
        messages: Sequence[BaseMessage],
        body: Mapping[str, Any] | None = None,
        *,
        model: Runnable[LanguageModelInput, AIMessage] | None = None,
        limit: int | None = None,
    ) -> Answer:
        """Send one request, once.

        Args:
            messages: The conversation.
            body: More fields of the request (response_format, tools, tool_choice).
            model: ``chat`` with tools bound to it, where there are tools.
            limit: Most completion tokens; the configured number without.

        Raises:
            ConfigError: The key is missing; nothing was sent.
            WireFailure: No usable answer came.
        """
        chat = model or self.chat
        # In extra_body: the SDK would walk and re-validate each of these at every call, and turn
        # a truncated answer into an exception without its usage.
        extra = {
            **self._params,
            self.limit_name: limit or self.config.max_output_tokens,
            **(body or {}),
        }
        with self._gate:
            try:
                message = chat.invoke(list(messages), extra_body=extra)
            except ValidationError as error:
                # The model wrote tool arguments that langchain can not represent: an answer that
                # was charged and says nothing, not a broken endpoint.
                why = f"{error.error_count()} parts of the answer are malformed"
                return Answer({"content": "", "malformed": why}, None, None)
            except Exception as error:
                raise read_failure(
                    error,
                    where=f"model {self.config.model!r} at {self.config.url}",
                    key=self.config.key(),
                    key_env=self.config.api_key_env,
                    timeout_s=self.config.timeout_s,
                ) from None
        return read_answer(message)

    def close(self) -> None:
        """Close the connections."""
        if self._chat is not None and self._chat.http_client is not None:
            self._chat.http_client.close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
