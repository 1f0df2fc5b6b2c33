"""How a run ended, for people: what is printed after `run`, `resume` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.report import (
    accuracy,
    count,
    guaranteed,
    kept_student,
    number,
    percent,
    usd,
    why_stopped,
)
from ..tools.watch.corrected import learned_words
from ..tools.watch.status import STATES

if TYPE_CHECKING:
    from rich.console import Console

Row = tuple[str, str]
SAVED_BY = "asking no more who was found useless or redundant"


def show(console: Console, summary: dict[str, Any], folder: Path) -> None:
    """Print how a run ended."""
    origin = summary.get("replay_of")
    replay = f" (replay of {origin}: nobody was asked, nothing was paid)" if origin else ""
    name = f"{summary['name']}{replay}"
    console.print(f"{name}: {STATES[summary['status']]}", style="bold")
    for name, value in rows(summary):
        console.print(f"{name:<23} {value}", soft_wrap=True)
    for line in arithmetic(summary):
        console.print(f"  {line}", soft_wrap=True)
    for line in next_steps(summary, folder):
        console.print(line, soft_wrap=True, markup=False)


def rows(summary: dict[str, Any]) -> list[Row]:
    """The figures of a run, as name and value."""
    return [*_label_rows(summary), *_student_rows(summary), *_cost_rows(summary)]


def arithmetic(summary: dict[str, Any]) -> list[str]:
    """The last check of the stop rule with its numbers, line by line."""
    checks = [evidence for evidence in summary["stop_checks"] if evidence.get("explanation")]
    if not checks:
        return []
    return [*checks[-1]["explanation"].splitlines(), checks[-1]["next_dollar"]]


def next_steps(summary: dict[str, Any], folder: Path) -> list[str]:
    """Where the files are, or how the run goes on."""
    if summary["status"] == "finished":
        # Not `summary["files"]`: a run may have been moved since.
        names = [Path(path).name for path in (summary.get("files") or {}).values()]
        return [f"Files in {folder}: {', '.join(names)}"]
    go_on = f"labelwright resume {folder}"
    if summary["status"] == "waiting_for_people":
        people = summary["people"]
        return [
            f"Questions put: {people['questions']}, in {folder / 'questions.jsonl'}.",
            'Add a "label" to each line (null where none fits), leave out those that nobody can '
            "answer, and save it as answers.jsonl. A finished line:",
            f"  {people['finished_line']}",
            f"Go on with: {go_on} --answers answers.jsonl",
        ]
    return [f"Go on with: {go_on}"]


def _label_rows(summary: dict[str, Any]) -> list[Row]:
    labels, quality = summary["labels"], summary["quality"]
    sources = ", ".join(f"{n:,} {source}" for source, n in labels["by_source"].items())
    audit = accuracy(quality["labels"])
    if quality["labels"]["why_not"]:
        audit = f"{audit}: {quality['labels']['why_not']}"
    found = [
        (
            "Labels",
            f"{labels['accepted']:,} of {labels['texts']:,} texts, completion "
            f"{percent(labels['completion'])} ({sources or 'none yet'}); "
            f"{labels['set_apart']:,} set apart, {labels['unlabelled']:,} unlabelled",
        ),
        ("Label accuracy, audit", audit),
    ]
    # Summaries of earlier versions have none.
    if learned := summary.get("learned"):
        found.append(("Corrections", learned_words(learned)))
    if proven := guaranteed(summary):
        found.append(("Guarantee", proven))
    if gold := quality["gold"]:
        found.append(
            (
                "Label accuracy, gold",
                f"{accuracy(gold['accuracy'])} at completion {percent(gold['completion'])}, "
                f"macro-F1 {number(gold['macro_f1'])}",
            )
        )
    if rejected := summary["pool"]["rejected"]:
        found.append(("Rejected rows", f"{rejected:,}, each with its reason in rejected.jsonl"))
    return found


def _student_rows(summary: dict[str, Any]) -> list[Row]:
    student, gold = summary["quality"]["student"], summary["quality"]["gold"]
    if not summary["best_round"]:
        return [("Student", "none was trained")]
    audit = accuracy(student)
    if student["why_not"]:
        audit = f"{audit}: {student['why_not']}"
    found = [("Student accuracy, audit", f"{audit}, of {kept_student(summary)}")]
    if gold and gold["student_accuracy"]:
        found.append(
            (
                "Student accuracy, gold",
                f"{accuracy(gold['student_accuracy'])}, "
                f"macro-F1 {number(gold['student_macro_f1'])}, out of sample",
            )
        )
    return found


def _cost_rows(summary: dict[str, Any]) -> list[Row]:
    money = summary["money"]
    spent = f"{usd(money['spent_usd'])} of the cap of {usd(money['cap_usd'])}"
    unsure = f", {usd(money['uncertain_usd'])} uncertain" if money["uncertain_usd"] else ""
    saved = f"; {usd(money['saved_usd'])} saved by {SAVED_BY}" if money.get("saved_usd") else ""
    who = ", ".join(
        f"{row['annotator']} {row['votes']:,} votes for {usd(row['spent_usd'])}"
        for row in summary["annotators"]
    )
    return [
        ("Money", f"{spent}{unsure}{saved}"),
        ("Annotators", who),
        (
            "Requests",
            f"{count(summary['requests'])}, {count(summary['tokens'])} tokens, "
            f"{summary['seconds']:.0f} s, {summary['rounds']} rounds",
        ),
        ("Why it stopped", _why(summary)),
    ]


def _why(summary: dict[str, Any]) -> str:
    why, stop = why_stopped(summary), summary["stop"]
    if not stop or stop["detail"] in why:
        return why
    return f"{why.removesuffix('.')} ({stop['detail']})."
