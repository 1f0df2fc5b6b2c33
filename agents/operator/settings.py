"""Settings of the operator agent."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ..model import AgentModelConfig


class OperatorConfig(BaseModel):
    """The chat: which model reads what the list of commands does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: AgentModelConfig | None = Field(
        None,
        description="Answers in the chat what is none of its commands. Without one, the chat "
        "says what it understands.",
    )
