"""Which embedder a run uses."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..errors import ConfigError

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "no-key-needed"

_Price = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class EmbedderConfig(BaseModel):
    """How texts become vectors. All fields but `kind` are for kind `openai`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["minilm", "static", "openai"] = Field(
        "minilm",
        description="minilm: the packaged sentence encoder; static: a token table made from it, "
        "much faster and less exact; openai: any OpenAI-compatible /v1/embeddings.",
    )
    model: str | None = Field(None, min_length=1, description="Name of the embedding model.")
    base_url: str | None = Field(
        None,
        description="Root of the API, usually ending in /v1; none: OPENAI_BASE_URL, else OpenAI.",
    )
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="Environment variable that holds the key; never the key itself.",
    )
    dimensions: int | None = Field(
        None, ge=1, description="Length of the vectors asked for; none: the model's own."
    )
    price_usd_per_mtok: _Price | Literal["free"] | None = Field(
        None, description="USD per million tokens, or free; an unknown price is refused."
    )
    batch_size: int = Field(128, ge=1, le=2048, description="Most texts of a request.")
    timeout_s: float = Field(
        60, gt=0, allow_inf_nan=False, description="Seconds to wait for an answer."
    )

    @field_validator("base_url")
    @classmethod
    def _usable_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        # The value is not shown: what makes it unusable may be a password.
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", url):
            raise ValueError(
                "base_url must be http(s)://host[:port]/path without a user name, password or query"
            )
        url = url.rstrip("/")
        if url.endswith("/embeddings"):
            raise ValueError("base_url is the API's root: leave out /embeddings")
        return url

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> EmbedderConfig:
        if self.kind == "openai":
            if self.model is None:
                raise ValueError("kind openai needs model, the name of the embedding model")
            if self.price_usd_per_mtok is None:
                raise ValueError(
                    "kind openai needs price_usd_per_mtok: USD per million tokens, or free for a "
                    "server of your own; an unknown price is never counted as free"
                )
            return self
        # By value, not by what was set: a dumped configuration must load again.
        given = [
            name
            for name, field in type(self).model_fields.items()
            if name != "kind" and getattr(self, name) != field.default
        ]
        if given:
            raise ValueError(f"{', '.join(given)}: only for kind openai, not for {self.kind}")
        return self

    @property
    def url(self) -> str:
        """The API's root that requests go to."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    def key(self) -> str:
        """The API key, from the environment only.

        Raises:
            ConfigError: OpenAI itself is meant and the variable is not set.
        """
        if key := os.environ.get(self.api_key_env):
            return key
        if self.url == OPENAI_URL:
            raise ConfigError(
                f"embedding model {self.model!r}: the environment variable {self.api_key_env} is "
                "not set; export the key there, or set base_url for a server that needs none."
            )
        return NO_KEY
