"""Configuration of the annotators, one model for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...tools.money import Price
from ..endpoint import EndpointConfig

TOKENS_OF_ANSWER = {True: 48, False: 16}
"""Completion tokens of one answer, with and without a reason."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,79}$"


class _Voter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=_NAME, description="Unique name, as it appears in the ledger.")
    tier: int = Field(1, ge=1, le=9, description="1 is asked first; higher tiers cost more.")
    trusted: bool = Field(
        False, description="Take its labels as gold; audits and escalations end with it."
    )


class ChatAnnotatorConfig(EndpointConfig):
    """A chat model behind an OpenAI-compatible endpoint."""

    kind: Literal["chat"] = Field(description="A chat model.")
    name: str = Field(pattern=_NAME, description="Unique name, as it appears in the ledger.")
    tier: int = Field(1, ge=1, le=9, description="1 is asked first; higher tiers cost more.")
    trusted: bool = Field(
        False, description="Take its labels as gold; audits and escalations end with it."
    )
    items_per_request: int = Field(
        1, ge=1, le=50, description="Items put into one request; more is cheaper and less careful."
    )
    reasons: bool = Field(
        True, description="Ask for a short reason with each label; without, answers are cheaper."
    )
    confidence: Literal["none", "stated", "logprobs"] = Field(
        "stated",
        description="How sure an answer is, for calibration only: stated by the model, from the "
        "probabilities of the label's tokens where the endpoint gives them, or not asked for.",
    )

    @model_validator(mode="after")
    def _answer_fits(self) -> ChatAnnotatorConfig:
        needed = self.items_per_request * TOKENS_OF_ANSWER[self.reasons]
        if needed > self.max_output_tokens:
            raise ValueError(
                f"max_output_tokens is {self.max_output_tokens}, and {self.items_per_request} "
                f"answers in one take about {needed}: every answer would be cut off, and paid"
            )
        return self


class RecordedAnnotatorConfig(_Voter):
    """Votes that somebody gave before, read from a file and charged as if asked now.

    Long files have the columns ``item_id, annotator, label``; wide ones (CSV) have ``item_id`` and
    one column for each annotator. ``?`` is an answer outside the label set; an empty cell of a wide
    file means that the item was not asked, an empty label of a long one that none was given.
    """

    kind: Literal["recorded"] = Field(description="Votes from a file.")
    path: Path = Field(description="CSV (wide or long) or JSONL (long); relative to run.yaml.")
    column: str | None = Field(
        None, description="Annotator's name inside the file; its own name where absent."
    )
    price: Price
    person: bool = Field(
        False, description="They are a person's votes; `evaluate --alt-test` holds models to them."
    )
    answer_tokens: int = Field(
        12, ge=1, description="Completion tokens that one answer is assumed to have taken."
    )


class EmbeddedAnnotatorConfig(_Voter):
    """Nearest label description by embedding: free, offline, weak, and not a language model."""

    kind: Literal["embedded"] = Field(description="Nearest label description; no model needed.")
    price: Price = Field(Price(free=True), description="It runs here and costs nothing.")

    @model_validator(mode="after")
    def _free(self) -> EmbeddedAnnotatorConfig:
        if not self.price.free:
            raise ValueError("an annotator of kind embedded runs here: its price is 'free'")
        return self


class HumanAnnotatorConfig(_Voter):
    """A person, asked through an interrupt of the run: by a callback or by a file."""

    kind: Literal["human"] = Field(description="A person.")
    tier: int = Field(9, ge=1, le=9, description="1 is asked first; people come last.")
    trusted: bool = Field(True, description="Take the person's labels as gold.")
    price: Price

    @model_validator(mode="after")
    def _priced_per_label(self) -> HumanAnnotatorConfig:
        if self.price.input is not None:
            raise ValueError("a person is paid {per_label: USD} or works free, not by tokens")
        return self


AnnotatorConfig = Annotated[
    ChatAnnotatorConfig | RecordedAnnotatorConfig | EmbeddedAnnotatorConfig | HumanAnnotatorConfig,
    Field(discriminator="kind"),
]
