"""What the agents of a run have decided, each decision in a line and its reasons in some more."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..report import guaranteed
from .corrected import learned_words
from .reader import RunReader
from .stop_words import in_plain_words

# Long lists are counted by SQLite and not read.
_DECISIONS = """
SELECT seq, round, agent, kind, at,
  CASE WHEN kind IN ('batch') THEN json_object(
    'batch', json_array_length(decision, '$.batch'),
    'audit', json_array_length(decision, '$.audit'),
    'recheck', json_array_length(decision, '$.recheck'))
  WHEN kind IN ('rulings') THEN json_object('counts', json_extract(decision, '$.counts'))
  WHEN kind IN ('audit_change', 'last_audit', 'rest_escalated', 'generated') THEN json_object(
    'items', json_array_length(decision, '$.items'), 'failure', json_extract(decision, '$.failure'))
  WHEN kind IN ('applied') THEN json_object('number', json_extract(decision, '$.number'),
    'what', json_extract(decision, '$.what'))
  ELSE decision END,
  CASE WHEN kind IN ('batch') THEN json_object('mix', json_extract(evidence, '$.mix'),
    'reason', json_extract(evidence, '$.reason'), 'by', json_extract(evidence, '$.by'))
  WHEN kind IN ('consistency', 'membership', 'applied', 'sweep') THEN 'null'
  WHEN kind = 'rulings' THEN json_object('by', json_extract(evidence, '$.by'))
  WHEN kind = 'trained' THEN json_set(evidence, '$.in_round', {in_round})
  WHEN kind = 'deliver' THEN json_object('stop', json_extract(evidence, '$.stop'),
    'in_round', {best_in_round}, 'again', EXISTS(SELECT 1 FROM decisions AS d
      WHERE d.kind = 'deliver' AND d.seq < decisions.seq))
  ELSE evidence END
FROM decisions WHERE kind IN ({kinds})
ORDER BY seq DESC LIMIT ?
"""
# The trainings after the last batch have numbers too, and are no rounds.
_IN_ROUND = "EXISTS(SELECT 1 FROM decisions AS b WHERE b.kind = 'batch' AND b.round = {})"


@dataclass(frozen=True)
class _Made:
    round_: int
    decision: dict[str, Any]
    evidence: dict[str, Any]


_Told = tuple[str, list[str]] | None


def decided(reader: RunReader, most: int) -> list[tuple[int, str, str, str, str, list[str]]]:
    """The latest decisions that say something to people, newest first.

    Args:
        reader: The run.
        most: How many are looked at.

    Returns:
        (number, time, agent, kind, title, lines) of each.
    """
    kinds = ", ".join(repr(kind) for kind in _TOLD)
    found = []
    for seq, round_, agent, kind, at, decision, evidence in reader.rows(
        _DECISIONS.format(
            kinds=kinds,
            in_round=_IN_ROUND.format("decisions.round"),
            best_in_round=_IN_ROUND.format("json_extract(decisions.decision, '$.best_round')"),
        ),
        most,
    ):
        told = _TOLD[kind](_Made(round_, json.loads(decision), json.loads(evidence) or {}))
        if told is not None:
            who = "critic" if agent.startswith("proposal ") else agent
            found.append((seq, at, who, kind, told[0], told[1]))
    return found


def many(number: int, what: str, many: str = "") -> str:
    """A number and what it counts."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def _ingest(made: _Made) -> _Told:
    counts: defaultdict[str, int] = defaultdict(int)
    counts.update({name: n for name, n in made.evidence.items() if isinstance(n, int)})
    lines = [
        f"{counts['duplicates']:,} duplicates and {counts['near_duplicates']:,} near-duplicates, "
        f"{counts['rejected']:,} rows left out.",
        f"{counts['stop_set']:,} texts are kept apart to measure change on: the stop set.",
    ]
    return f"{counts['items']:,} texts read", lines


def _batch(made: _Made) -> _Told:
    parts = [many(made.decision["batch"] or 0, "text") + " chosen"]
    if made.decision["audit"]:
        parts.append(f"{made.decision['audit']:,} random for the audit")
    if made.decision["recheck"]:
        parts.append(f"{made.decision['recheck']:,} labels to be checked again")
    mix = made.evidence.get("mix") or {}
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.0%}" for name, share in mix.items() if share
    )
    lines = [
        f"Query strategies: {shares}." if shares else "",
        str(made.evidence.get("reason") or ""),
    ]
    if (by := str(made.evidence.get("by") or "rule")) != "rule":
        lines.append(f"By {by}.")
    return f"Round {made.round_}: {', '.join(parts)}", [line for line in lines if line]


def _generated(made: _Made) -> _Told:
    lines = [f"{count} for {name}: {why}" for name, count, why in made.evidence.get("wanted", [])]
    if made.decision.get("failure"):
        lines.append(f"Not all: {made.decision['failure']}")
    return f"Round {made.round_}: {many(made.decision['items'] or 0, 'text')} written", lines


_ACTIONS = {
    "accept": "accepted",
    "soft": "accepted though unsure",
    "set_apart": "set apart",
    "re_ask": "asked again",
    "escalate": "put to the next annotator",
    "ask_person": "put to a person",
    "return": "back to the pool",
    "drop": "dropped",
}


def ruled(counts: Mapping[str, int]) -> str:
    """What became of labels, such as ``41 labels accepted, 3 put to the next annotator``."""
    done = [(n, _ACTIONS.get(name, name.replace("_", " "))) for name, n in counts.items() if n]
    return ", ".join(
        f"{n:,} {words}" if place else f"{many(n, 'label')} {words}"
        for place, (n, words) in enumerate(done)
    )


def _rulings(made: _Made) -> _Told:
    said = ruled(made.decision.get("counts") or {})
    if not said:
        return None
    by = str(made.evidence.get("by") or "rule")
    return f"Round {made.round_}: {said}", [] if by == "rule" else [f"By {by}."]


def _consistency(made: _Made) -> _Told:
    alarms = [str(alarm) for alarm in made.decision.get("alarms", [])]
    return (
        (f"Round {made.round_}: {many(len(alarms), 'alarm')} of the checks", alarms)
        if alarms
        else None
    )


_MEMBERS = {
    "drop": "is asked no more",
    "restrict": "is asked only where the label so far is one of",
    "admit": "is asked again",
}
_TAGS = frozenset(("broken", "bad", "redundant", "restricted", "back"))


def _membership(made: _Made) -> _Told:
    lines = []
    for member in made.decision.get("members", []):
        action = _MEMBERS.get(member["action"], member["action"])
        labels = f" {', '.join(member['labels'])}" if member.get("labels") else ""
        # A reason begins with a word for what was done, which is said already.
        tag, _, why = str(member["reason"]).partition(": ")
        reason = why if tag in _TAGS else member["reason"]
        lines.append(f"{member['annotator']} {action}{labels}: {reason}.")
    return f"Round {made.round_}: who is asked has changed", lines


def _trained(made: _Made) -> _Told:
    metrics = made.evidence
    when = f"Round {made.round_}" if metrics["in_round"] else "After the rounds"
    title = f"{when}: student trained on {many(metrics['labels'], 'label')}"
    lines = [
        f"Agrees with {metrics['agreement']:.1%} of them out of sample, macro-F1 "
        f"{metrics['macro_f1']:.2f}."
    ]
    if metrics.get("audit_student") is None:
        unmeasured = "How right it is was not measured: nobody who is trusted was asked."
        return f"{title}, not audited", [*lines, unmeasured]
    lines.append(
        f"On {metrics['audited']} audited texts right for {metrics['audit_student']:.1%} (95 % "
        f"interval {metrics['audit_student_low']:.1%} to {metrics['audit_student_high']:.1%})."
    )
    return f"{title}, {metrics['audit_student']:.0%} right in the audit", lines


def _stop_check(made: _Made) -> _Told:
    # The arithmetic begins with the verdict, which the title has in plain words.
    arithmetic = str(made.evidence.get("explanation") or "").splitlines()[1:]
    check = made.evidence.get("check") or {}
    holds = "would hold a stop" if check.get("verdict") == "continue" else "holds it"
    lines = [
        f"Gate {gate['name'].replace('_', ' ')} {holds} back: {gate['detail']}."
        for gate in made.evidence.get("gates", [])
        if not gate["passed"] and not gate.get("waived")
    ]
    if (stop := made.decision.get("stop")) and stop["reason"] == "spend_less":
        lines.append(f"{stop['detail']}.")
    said = made.evidence.get("model_explanation") or {}
    lines += [str(said["text"])] if isinstance(said, dict) and said.get("text") else []
    if made.evidence.get("next_dollar"):
        lines.append(str(made.evidence["next_dollar"]))
    lines += [line for line in arithmetic if line]
    return f"Round {made.round_}. {in_plain_words(made.decision, made.evidence)}", lines


def _audit_change(made: _Made) -> _Told:
    judge = made.evidence.get("judge", "the trusted annotator")
    changed = many(made.decision["items"] or 0, "changed prediction")
    title = f"Round {made.round_}: {changed} put to {judge}"
    return title, ["Did changing help? The stop rule counts with what comes back (its rho)."]


def _sweep(made: _Made) -> _Told:
    asked = [f"{name} about {n:,} texts" for name, n in made.decision.items() if isinstance(n, int)]
    if not asked:
        return "Sweep: nothing more is worth its price", []
    return f"Sweep of the rest: {', '.join(asked)}", []


def _last_audit(made: _Made) -> _Told:
    judge = made.evidence.get("judge", "the trusted annotator")
    return f"Last audit: {many(made.decision['items'] or 0, 'text')} put to {judge}", []


def _rest(made: _Made) -> _Told:
    judge = made.evidence.get("judge", "the trusted annotator")
    asked = made.decision["items"] or 0
    wanted = made.evidence.get("of") or 0
    lines = []
    if wanted > asked:
        lines.append(f"There are {wanted:,} such texts; the cap pays for no more of them.")
    return f"{many(asked, 'text')} that could not be accepted, put to {judge}", lines


def _guarantee(made: _Made) -> _Told:
    # As report and card have it.
    said = guaranteed({"guarantee": made.decision})
    return "Guarantee" if made.decision["threshold"] is not None else "No guarantee", [said]


def _deliver(made: _Made) -> _Told:
    stop = made.evidence.get("stop") or {}
    lines = [f"It stopped: {stop['detail']}."] if stop.get("detail") else []
    # Deliveries of earlier versions say nothing of it.
    if learned := made.decision.get("learned"):
        lines.insert(0, learned_words(learned))
    if best := made.decision.get("best_round"):
        whose = f"of round {best}" if made.evidence["in_round"] else "trained after the rounds"
        lines.append(f"The student {whose} is delivered.")
    last = made.decision.get("labelled_last") or {}
    if last:
        counts = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in last.items())
        lines.append(f"Labelled at the end: {counts}.")
    return f"Labels delivered{' again' if made.evidence['again'] else ''}", lines


def _applied(made: _Made) -> _Told:
    return f"Proposal {made.decision.get('number')}: {made.decision.get('what')}", []


_TOLD: dict[str, Callable[[_Made], _Told]] = {
    "ingest": _ingest,
    "batch": _batch,
    "generated": _generated,
    "rulings": _rulings,
    "consistency": _consistency,
    "membership": _membership,
    "trained": _trained,
    "stop_check": _stop_check,
    "audit_change": _audit_change,
    "sweep": _sweep,
    "last_audit": _last_audit,
    "rest_escalated": _rest,
    "guarantee": _guarantee,
    "deliver": _deliver,
    "applied": _applied,
}
