"""Where stop rules would have ended a run, on the rounds that its ledger holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tools.errors import ConfigError
from ..tools.money import to_nano, to_usd
from ..tools.stop_rules import STOP_RULES, RunRecord
from .context import RunContext
from .evaluation import against_gold
from .stop_check import Rounds, loop_rounds, stop_set_proba
from .value import value


@dataclass(frozen=True)
class StopRow:
    """Where one rule would have stopped.

    Attributes:
        rule: Its name, with parameters that differ from the defaults.
        round: After which it stops; ``None`` where not within the rounds of the run, whose last
            then counts.
        labels: Labels by then.
        spent_usd: Money by then; what the sweep costs comes on top.
        audit: Accuracy of the student on the audit sample by then.
        gold: Accuracy of the student on gold, each item by a model that has not seen it.
        cost_usd: Money plus what its errors cost, by the better of the two accuracies known.
        why_not: What the rule needs and the run does not have.
    """

    rule: str
    round: int | None
    labels: int | None
    spent_usd: float | None
    audit: float | None
    gold: float | None
    cost_usd: float | None
    why_not: str | None = None


def parse_rule(text: str) -> tuple[str, dict[str, float]]:
    """A rule by name, maybe with parameters: ``kappa`` or ``kappa:threshold=0.97,window=3``.

    Raises:
        ConfigError: No such rule or parameter, or a value that is no number.
    """
    name, _, rest = text.partition(":")
    if name not in STOP_RULES:
        raise ConfigError(f"stop rule {name!r}: expected one of {', '.join(STOP_RULES)}.")
    parameters: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        key, _, given = part.partition("=")
        if key not in STOP_RULES[name].defaults:
            has = ", ".join(STOP_RULES[name].defaults) or "none"
            raise ConfigError(f"stop rule {name!r}: no parameter {key!r}; it has: {has}.")
        try:
            parameters[key] = float(given)
        except ValueError:
            raise ConfigError(
                f"stop rule {name!r}, {key}: expected a number, found {given!r}."
            ) from None
    return name, parameters


def stop_table(
    ctx: RunContext, rules: Iterable[str], point_usd: float | None = None
) -> list[StopRow]:
    """Evaluate rules on the rounds of a run, its sweep left out.

    Args:
        ctx: The run, or a copy of it.
        rules: As `parse_rule` reads them.
        point_usd: What a point of accuracy is worth, in place of the configured value.

    Raises:
        ConfigError: A rule can not be read, or the run has no finished round.
    """
    wanted = [(text, *parse_rule(text)) for text in rules]
    rounds = loop_rounds(ctx)
    if not rounds:
        raise ConfigError(f"the run {ctx.folder.name!r} has no finished round to replay.")
    worth = value(ctx).nano if point_usd is None else 100 * to_nano(point_usd)
    seen = record_of(ctx, rounds, worth)
    gold: dict[int, float | None] = {}
    return [_row(ctx, rounds, seen, gold, text, STOP_RULES[name], ps) for text, name, ps in wanted]


def record_of(ctx: RunContext, rounds: Rounds, worth: int) -> RunRecord:
    """What stop rules may see of a run."""
    audit = [metrics["audit_student"] for _, metrics, _ in rounds]
    return RunRecord(
        predictions=np.stack([predictions for _, _, predictions in rounds]),
        money=np.asarray([metrics["spent"] for _, metrics, _ in rounds], np.int64),
        labels=np.asarray([metrics["labels"] for _, metrics, _ in rounds], np.int64),
        value=worth,
        classes=len(ctx.labels),
        # Its cap on rounds is the run's end, not the rule's.
        config=ctx.config.stopping.model_copy(update={"max_rounds": len(rounds) + 1}),
        proba=np.stack([stop_set_proba(ctx, number) for number, _, _ in rounds]),
        audit_accuracy=np.asarray([np.nan if a is None else a for a in audit], np.float64),
        audited=np.asarray([metrics["audited"] for _, metrics, _ in rounds], np.int64),
    )


def _row(
    ctx: RunContext,
    rounds: Rounds,
    seen: RunRecord,
    gold: dict[int, float | None],
    text: str,
    rule: Any,
    parameters: dict[str, float],
) -> StopRow:
    lacking = rule.lacks(seen)
    if lacking:
        return StopRow(text, None, None, None, None, None, None, f"needs {lacking}")
    found = rule(seen, **parameters)
    number, metrics, _ = rounds[(found or len(rounds)) - 1]
    if number not in gold:
        judged = against_gold(ctx, {}, ctx.round_fit(number))
        student = judged.student_accuracy if judged else None
        gold[number] = student["estimate"] if student else None
    known = gold[number] if gold[number] is not None else metrics["audit_student"]
    spent = metrics["spent"]
    return StopRow(
        text,
        None if found is None else number,
        metrics["labels"],
        to_usd(spent),
        metrics["audit_student"],
        gold[number],
        None if known is None else to_usd(spent + round((1 - known) * seen.value)),
    )


def all_rules(rules: Sequence[str] | str | None) -> list[str]:
    """The rules that are meant: those named, or every one where none is or ``all``."""
    named = [rules] if isinstance(rules, str) else list(rules or ())
    return list(STOP_RULES) if not named or "all" in named else named
