"""What the agents are told of the run so far, in plain lines."""

from __future__ import annotations

from collections import Counter

from .checks import flagged_labels
from .context import RunContext
from .rounds import RoundFit

_LISTED = 10
"""Flagged labels that are named; the others are only counted."""


def class_counts(ctx: RunContext) -> dict[str, int]:
    """Accepted labels per class after the last training; zeros before the first."""
    rounds = ctx.ledger.log.rounds()
    counts = rounds[-1][1]["classes"] if rounds else {}
    return {label: int(counts.get(label, 0)) for label in ctx.labels}


def student_summary(ctx: RunContext) -> str:
    """The last student in figures; empty before the first."""
    rounds = ctx.ledger.log.rounds()
    if not rounds:
        return ""
    _, metrics, _ = rounds[-1]
    lines = [
        f"Trained on {metrics['labels']} labels. Out-of-sample agreement with the accepted labels "
        f"{metrics['agreement']:.3f}, macro-F1 {metrics['macro_f1']:.3f}."
    ]
    if metrics["audit_student"] is None:
        lines.append("Its accuracy is not audited (uncalibrated).")
    else:
        lines.append(
            f"Accuracy on {metrics['audited']} audited items {metrics['audit_student']:.3f} "
            f"({metrics['audit_student_low']:.3f} to {metrics['audit_student_high']:.3f})."
        )
    return "\n".join(lines)


def findings(ctx: RunContext, fit: RoundFit | None) -> list[str]:
    """What the checks, the gates and the critic have found up to now."""
    log = ctx.ledger.log
    lines: list[str] = []
    if fit is not None:
        flags = flagged_labels(ctx, fit)
        failed = Counter(name for names in flags.values() for name in names)
        lines += [f"{n} accepted labels fail the check: {name}" for name, n in failed.most_common()]
        lines += [f"{item}: {', '.join(names)}" for item, names in list(flags.items())[:_LISTED]]
    if ruled := log.decisions("rulings"):
        counts = ruled[-1].decision["counts"]
        lines.append("last rulings: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    if checks := log.decisions("stop_check"):
        gates = checks[-1].evidence.get("gates", [])
        lines += [f"gate {g['name']}: {g['detail']}" for g in gates if not g["passed"]]
    for made in log.decisions("proposals")[-1:]:
        lines += [
            f"proposal of round {made.round}, not decided: {p['kind']} {p['target']}: {p['text']}"
            for p in made.decision["proposals"]
        ]
    return lines
