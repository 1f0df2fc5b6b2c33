"""The consistency record of a round: how far labels and annotators can be relied on.

Written into the ledger's log as a decision ``consistency``; `consistency_so_far` sums them up for
the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..agents.annotators.orders import check_of
from ..agents.checks import Checked, checked_answers
from ..agents.ensemble import Voter
from ..tools.audit import Interval, accuracy_interval, lower_bound
from ..tools.consistency import confident_learning
from ..tools.ledger import Decision, Vote
from ..tools.stability import (
    FOLLOWS,
    flip_rate,
    model_changed,
    position_bias,
    prior_drift,
    total_agreement,
)
from .context import RunContext
from .doubt import audits_so_far, doubt
from .rounds import RoundFit

KIND = "consistency"
INVALID = 0.02
"""Share of invalid answers above which the prompt is to be mended before anything else."""
_CONFUSIONS = 3


def write_consistency(ctx: RunContext, step: int, round_: int, fit: RoundFit | None) -> None:
    """Write the round's record: noise of each class, and each annotator's checks, with alarms.

    Args:
        ctx: The run.
        step: Key under which it is kept once.
        round_: The round.
        fit: The student that the round began with.
    """
    votes = ctx.ledger.votes.all()
    annotators = {
        voter.name: _annotator(ctx, voter, votes, round_, fit)
        for voter in ctx.voters
        if any(vote.annotator == voter.name for vote in votes)
    }
    alarms = [
        f"{name}: {alarm}" for name, figures in annotators.items() for alarm in figures["alarms"]
    ]
    record = {"noise": _noise(ctx, fit), "annotators": annotators}
    ctx.ledger.log.decide(Decision(step, round_, "critic", KIND, {"alarms": alarms}, record))


def consistency_so_far(ctx: RunContext) -> list[dict[str, Any]]:
    """What all records come to: each annotator's last figures, and what was of one round alone.

    Returns:
        ``annotator``, its figures in the last record and their ``round``, ``passing``: [round,
        alarm] of alarms that an earlier round alone has raised, ``retested``: in how many rounds
        calls were repeated, and ``unsteady``: whether agreement with itself was low in one of them.
    """
    records = list({made.round: made for made in ctx.ledger.log.decisions(KIND)}.values())
    found = []
    for name, last in records[-1].evidence["annotators"].items() if records else ():
        of = [(made.round, made.evidence["annotators"].get(name, {})) for made in records]
        found.append(
            {
                "annotator": name,
                **last,
                "round": records[-1].round,
                "passing": [[at, said] for at, was in of[:-1] for said in _passing(was).values()],
                "retested": sum(_repeated(was) for _, was in of),
                "unsteady": any("agreement" in _passing(was) for _, was in of),
            }
        )
    return found


def _passing(figures: dict[str, Any]) -> dict[str, str]:
    """Alarms about the round alone; records of earlier versions do not tell them apart."""
    alarms: dict[str, str] = figures.get("of_round", {})
    return alarms


def _repeated(figures: dict[str, Any]) -> bool:
    return bool(figures.get("check_retest", {}).get("round", {}).get("n"))


def _noise(ctx: RunContext, fit: RoundFit | None) -> dict[str, dict[str, Any]]:
    """Share of wrong labels by class: audited with an interval, and estimated by the student."""
    audit = doubt(ctx, ctx.audit_ids(audits_so_far(ctx)), fit)
    asked = (audit.truth >= 0) & (audit.ballot.votes >= 0).any(axis=1)
    learned = confident_learning(fit.labels, fit.out_of_sample) if fit and len(fit.labels) else None
    noise = {}
    for k, label in enumerate(ctx.labels):
        mine = asked & (audit.labels == k)
        wrong = int((audit.labels != audit.truth)[mine].sum())
        held = int((fit.labels == k).sum()) if fit else 0
        noise[label] = {
            **_interval(accuracy_interval(wrong, int(mine.sum()))),
            "student": round(float(learned.noise[k]), 4) if learned and held else None,
            "labels": held,
        }
    return noise


def _annotator(
    ctx: RunContext, voter: Voter, votes: Sequence[Vote], round_: int, fit: RoundFit | None
) -> dict[str, Any]:
    mine = [vote for vote in votes if vote.annotator == voter.name]
    first = [vote for vote in mine if vote.attempt == 0]
    bad = sum(vote.label is None for vote in first)
    figures: dict[str, Any] = {
        "answers": len(first),
        "invalid": _interval(accuracy_interval(bad, len(first))),
        "alarms": [],
        "of_round": {},
    }
    # Some invalid answers are chance: the bound must leave no other reading.
    if lower_bound(bad, len(first)) > INVALID:
        figures["alarms"].append(
            f"{bad} of {len(first)} answers are no label; mend prompt or label set first"
        )
    if voter.repeats:
        _add_checks(ctx, voter, mine, round_, figures)
    if fit is not None:
        _add_drift(ctx, first, round_, fit, figures)
    return figures


def _add_checks(
    ctx: RunContext, voter: Voter, mine: Sequence[Vote], round_: int, figures: dict[str, Any]
) -> None:
    checked = checked_answers(mine, voter.name, ctx.labels)
    random = _random(ctx, voter.name)
    for purpose in ("check_order", "check_template"):
        answers = checked[purpose]
        fair = answers.only(random[purpose])
        figures[purpose] = _interval(flip_rate(fair.first, fair.again[:, 0]))
        figures[purpose]["confusions"] = _confusions(answers, ctx.labels)
    objected = checked["check_counter"]
    # A reply that is no label is neither giving in nor standing firm.
    told = zip(objected.items, objected.again[:, 0].tolist(), strict=True)
    objected = objected.only([item for item, label in told if label >= 0])
    if objected.items:
        gave_in = flip_rate(objected.first, objected.again[:, 0])
        figures["check_counter"] = _interval(gave_in)
        figures["check_counter"]["confusions"] = _confusions(objected, ctx.labels)
    # The orders of the others were chosen with an eye on the answers: they can not test themselves.
    order = checked["check_order"].only(random["check_order"])
    bias = position_bias(order.first, order.again[:, 0], *order.places(len(ctx.labels)))
    figures["position"] = {"flips": bias.flips, "shares": bias.shares, "p_value": bias.p_value}
    if bias.p_value is not None and bias.p_value < FOLLOWS:
        figures["alarms"].append(
            f"its answers follow the order of the labels (p = {bias.p_value:.2g})"
        )
    retest = checked["check_retest"]
    when = {vote.item_id: vote.round for vote in mine if check_of(vote.attempt) == "check_retest"}
    now = _agreement(retest.only([item for item in retest.items if when[item] == round_]))
    before = _agreement(retest.only([item for item in retest.items if when[item] < round_]))
    both = _agreement(retest)
    figures["check_retest"] = {**_interval(both), "round": _interval(now)}
    # A fall is looked for in this round; that it never was stable shows over all of them.
    none = accuracy_interval(0, 0)
    fell, never = model_changed(now, before), model_changed(both, none)
    figures["of_round"] |= {"agreement": fell} if fell else {}
    figures["alarms"] += dict.fromkeys(alarm for alarm in (fell, never) if alarm)


def _add_drift(
    ctx: RunContext, first: Sequence[Vote], round_: int, fit: RoundFit, figures: dict[str, Any]
) -> None:
    """Labels of the round against what the last student expected of the very same items."""
    number = {label: position for position, label in enumerate(ctx.labels)}
    synthetic = ctx.pool.origins()
    given = [
        vote
        for vote in first
        if vote.round == round_
        and vote.label in number
        and not synthetic[ctx.pool.index(vote.item_id)]
    ]
    expected = ctx.student_view([vote.item_id for vote in given], fit) if given else None
    if expected is None:
        return
    counts = np.bincount([number[str(vote.label)] for vote in given], minlength=len(ctx.labels))
    drift = prior_drift(counts, expected.mean(axis=0))
    figures["drift"] = {
        "divergence": drift.divergence,
        "p_value": round(drift.p_value, 6),
        "n": len(given),
    }
    if drift.alarm:
        alarm = (
            f"the classes' shares are {drift.divergence:.2f} nats from what was expected of the "
            "chosen items; look at guidelines and prompt"
        )
        figures["alarms"].append(alarm)
        figures["of_round"]["drift"] = alarm


def _random(ctx: RunContext, annotator: str) -> dict[str, set[str]]:
    """Items that each check drew at random."""
    found: dict[str, set[str]] = {"check_order": set(), "check_template": set()}
    for made in ctx.ledger.log.decisions("checks"):
        for purpose, items in made.decision["random"].get(annotator, {}).items():
            found.setdefault(purpose, set()).update(items)
    return found


def _agreement(answers: Checked) -> Interval:
    if not answers.items:
        return accuracy_interval(0, 0)
    return total_agreement(np.column_stack([answers.first, answers.again]))


def _confusions(answers: Checked, labels: Sequence[str]) -> list[list[Any]]:
    names = [*labels, None]
    changed = Counter(
        (one, other)
        for one, other in zip(answers.first.tolist(), answers.again[:, 0].tolist(), strict=True)
        if one != other
    )
    most = sorted(changed.items(), key=lambda entry: (-entry[1], entry[0]))[:_CONFUSIONS]
    return [[names[one], names[other], count] for (one, other), count in most]


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "estimate": None if interval.estimate is None else round(interval.estimate, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "n": interval.n,
    }
