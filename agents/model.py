"""The chat model behind an agent, and the limits of its tool-calling loop."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from .endpoint import EndpointConfig


class AgentModelConfig(EndpointConfig):
    """A chat model that works for an agent, bounded in steps and in money."""

    structured: Literal["auto"] = Field(
        "auto", description="Leave it out: agents work by tool calls; it is for annotators."
    )
    steps: int = Field(8, ge=2, le=50, description="Most model calls in one decision.")
    usd_per_decision: float = Field(
        0.05, gt=0, description="Most money that one decision may cost."
    )

    @field_validator("structured", mode="before")
    @classmethod
    def _by_tool_calls(cls, structured: Any) -> Any:
        if structured != "auto":
            raise ValueError(
                "agents work by tool calls; structured is for annotators: leave it out here"
            )
        return structured
