"""The critic's explanation of the stop rule: it may spend less, it can not overrule the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from ..tools.gates import Gate
from .consult import clip, consult
from .critic import CriticConfig
from .desk import Desk
from .figures import invented, numbers

AGENT, PURPOSE = "critic", "explain stop"
_WORDS = 160
_STEPS = 3


@dataclass(frozen=True)
class Explanation:
    """The verdict in words.

    Attributes:
        text: For the operator; empty without a model.
        spend_less: The run should end although the rule would go on.
        reason: Which number decided ``spend_less``.
        by: ``rule``, ``rule: <why the model did not explain>`` or ``model <name>``.
    """

    text: str
    spend_less: bool
    reason: str
    by: str


class Submission(BaseModel):
    """Submit the explanation. This ends your work."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, description="At most 120 words for the operator.")
    spend_less: bool = Field(description="End the run although the verdict does not.")
    reason: str = Field(min_length=1, description="At most 25 words: which given number decided.")


def explain_stop(
    desk: Desk,
    config: CriticConfig,
    *,
    lines: Sequence[str],
    gates: Sequence[Gate],
    verdict: str,
    round_: int,
) -> Explanation:
    """Have the model explain a check of the stop rule.

    Args:
        desk: The run.
        config: Holds the model.
        lines: The printed arithmetic.
        gates: What must hold before the run stops.
        verdict: continue, propose_stop or stop.
        round_: The round that was checked.

    Returns:
        The explanation. ``spend_less`` only where the verdict is ``continue`` and all gates passed.

    Raises:
        ConfigError, CallStopped, EndpointError: As `consult`.
    """
    if config.model is None:
        return Explanation("", False, "", "rule")
    shown = [
        {"name": g.name, "passed": g.passed, "detail": g.detail, "action": g.action or ""}
        for g in gates
    ]
    may_spend_less = verdict == "continue" and all(gate.passed for gate in gates)
    given = numbers(" ".join([*lines, *(gate.detail for gate in gates)]))
    model = config.model.model_copy(update={"steps": min(config.model.steps, _STEPS)})
    result = consult(
        desk,
        model,
        "critic/explain_stop",
        {"check_lines": list(lines), "gates": shown, "verdict": verdict},
        [],
        Submission,
        submit_name="submit_explanation",
        agent=AGENT,
        purpose=PURPOSE,
        round_=round_,
        validate=lambda said: _fault(said, given, may_spend_less),
    )
    if (said := result.decision) is None:
        return Explanation("", False, "", f"rule: {result.failure}")
    return Explanation(said.text, said.spend_less, clip(said.reason, 300), f"model {model.model}")


def _fault(said: Submission, given: set[float], may_spend_less: bool) -> str | None:
    if len(said.text.split()) > _WORDS:
        return f"text: {len(said.text.split())} words; at most 120 are wanted."
    if said.spend_less and not may_spend_less:
        return "spend_less: must be false unless the verdict is continue and every gate has passed."
    if (number := invented(f"{said.text} {said.reason}", given)) is not None:
        return f"text: the number {number:g} is not among those given; use only those."
    return None
