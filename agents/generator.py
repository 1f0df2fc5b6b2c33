"""The generator's settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .model import AgentModelConfig


class GenerationConfig(BaseModel):
    """When and how texts are written for what the pool lacks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(False, description="Write texts for classes that the pool lacks.")
    max_share: float = Field(
        0.2, ge=0, lt=1, description="Most of the labelled set that may be synthetic."
    )
    weight: float = Field(
        0.5, ge=0, le=1, description="Training weight of a synthetic item; a real one has 1."
    )
    per_class: int = Field(10, ge=1, le=50, description="Texts asked for a class in a round.")
    duplicate_at: float = Field(
        0.92,
        gt=0,
        le=1,
        description="Cosine similarity to another text from which a written one is thrown away.",
    )
    max_words: int = Field(120, ge=1, description="Longest text that is kept.")
    attributes: dict[str, dict[str, list[str]]] = Field(
        default_factory=dict,
        description="Per label: attributes of a text and the values they can have; each text is "
        "asked for with values drawn at random.",
    )
    model: AgentModelConfig | None = Field(None, description="Chat model that writes the texts.")

    @model_validator(mode="after")
    def _has_a_writer(self) -> GenerationConfig:
        if self.enabled and self.model is None:
            raise ValueError(
                "generation is enabled and has no 'model'; name a chat model that writes the "
                "texts, or set enabled: false"
            )
        for label, attributes in self.attributes.items():
            if empty := [name for name, values in attributes.items() if not values]:
                raise ValueError(f"attributes.{label}.{empty[0]}: needs at least one value")
        return self
