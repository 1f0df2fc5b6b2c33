"""Settings of the annotator ensemble."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ..tools.guarantee import GuaranteeConfig
from .aggregators import Aggregation


class EnsembleConfig(BaseModel):
    """How the votes of several annotators become labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aggregation: Aggregation = Field(
        "auto",
        description="How votes are added up: weighted by what the audit sample shows (weighted), "
        "by audited accuracy alone (one_coin), or by methods that learn from no audit (majority, "
        "crowdlab, dawid_skene; mace needs the extra 'aggregation'). auto is weighted, unless "
        "one_coin, dawid_skene or the best annotator alone is surely better on 50 or more audited "
        "items.",
    )
    guarantee: GuaranteeConfig | None = Field(
        None,
        description="Prove by a last audit that few of the accepted labels are wrong; needs a "
        "trusted annotator.",
    )
    membership: bool = Field(
        True,
        description="Ask broken, bad and redundant annotators no more; never drops the reference, "
        "a trusted annotator, a person or the last one.",
    )
    membership_audits: int = Field(
        30, ge=10, description="Audited items from which annotators are judged."
    )
    tolerance: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Accuracy that is not missed: an annotator that adds surely no more is "
        "redundant.",
    )
