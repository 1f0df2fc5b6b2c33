"""The chat model behind an agent, and the limits of its tool-calling loop."""

from __future__ import annotations

from pydantic import Field

from .endpoint import EndpointConfig


class AgentModelConfig(EndpointConfig):
    """A chat model that works for an agent, bounded in steps and in money."""

    steps: int = Field(8, ge=2, le=50, description="Most model calls in one decision.")
    usd_per_decision: float = Field(
        0.05, gt=0, description="Most money that one decision may cost."
    )
