"""A person's word on a proposal: an order for the run, or a task that a new run starts from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..agents.critic_bench import Proposal
from ..tools.errors import ConfigError
from ..tools.ledger import CHECK_ATTEMPTS, Ledger
from ..tools.money import show, to_nano
from ..tools.task import LabelConfig, TaskConfig, normalised_label
from ..tools.watch.proposals import TASK_KINDS
from .config import load_config
from .plain_yaml import write_yaml
from .proposals import ACCEPT, DISMISS, RUN_KINDS, Listed, listed
from .session import CONFIG_FILE, LEDGER_FILE

FOLDER = "proposals"


@dataclass(frozen=True)
class Accepted:
    """What came of accepting a proposal.

    Attributes:
        what: What happens next, for the person.
        files: What was written for a new run: the task, and the votes that still hold.
    """

    what: str
    files: tuple[Path, ...] = ()


def accept(
    folder: Path, number: int, *, names: Sequence[str] = (), text: str | None = None
) -> Accepted:
    """Accept a proposal of a run, running or not.

    What the run itself can do is ordered by a directive, taken up at its next safe point or when it
    is resumed. The task is pinned to the run: a change of labels or guidelines is written as a task
    for a new run, with the votes that hold under it.

    Args:
        folder: The run's folder.
        number: The proposal's, counted from 1.
        names: Names of labels, where the proposal leaves them open: one for a new or merged label,
            two or more for a split.
        text: Description of the new label, or the sentence for the guidelines.

    Raises:
        ConfigError: No such proposal, it was accepted or dismissed before, or a name is needed.
    """
    with Ledger(folder / LEDGER_FILE, create=False) as ledger:
        entry = _entry(ledger, folder, number)
        kind = entry.proposal.kind
        if entry.accepted:
            raise ConfigError(f"{folder}: proposal {number} was accepted before.")
        if entry.dismissed:
            raise ConfigError(
                f"{folder}: proposal {number} was dismissed. The critic may make it again; accept "
                "that one."
            )
        if kind in RUN_KINDS:
            if names or text:
                raise ConfigError(
                    f"{folder}: proposal {number} ({kind}) takes no name and no text; leave "
                    "--name and --text out."
                )
            order = ledger.log.direct(ACCEPT, {"number": number})
            return Accepted(
                f"ordered (order {order}); the run takes it up at its next safe point, or when "
                f"it is resumed{_what_resuming_may_cost(folder, ledger)}"
            )
        if kind not in TASK_KINDS:
            raise ConfigError(
                f"{folder}: proposal {number} is a question to you ({kind}); nothing follows from "
                "accepting it. Put the answer into the guidelines of a new run."
            )
        task = load_config(folder / CONFIG_FILE).task
        changed, map_ = changed_task(task, entry.proposal, names, text)
        head = f"Proposal {entry.number} ({kind}) of the run {folder.name}, accepted."
        files = _write(folder, ledger, f"{number:03d}", head, entry.proposal, changed, map_)
        seq = ledger.log.direct(ACCEPT, {"number": number})
        ledger.log.acknowledge(seq, f"written to {files[0].relative_to(folder.resolve())}")
    return Accepted(_for_a_new_run(files[0]), files)


def dismiss(folder: Path, number: int) -> str:
    """Answer a proposal with no; nothing follows from it any more.

    Args:
        folder: The run's folder.
        number: The proposal's, counted from 1.

    Returns:
        What it is answered, for the person.

    Raises:
        ConfigError: No such proposal, or it was accepted before.
    """
    with Ledger(folder / LEDGER_FILE, create=False) as ledger:
        entry = _entry(ledger, folder, number)
        if entry.accepted:
            raise ConfigError(f"{folder}: proposal {number} was accepted before; it stays so.")
        if not entry.dismissed:
            seq = ledger.log.direct(DISMISS, {"number": number})
            ledger.log.acknowledge(seq, "dismissed")
    return "dismissed; nothing follows from it"


def add_guideline(folder: Path, text: str) -> Accepted:
    """Write a task with one more guideline, for a new run, with the votes that were given.

    Raises:
        ConfigError: The text is empty.
    """
    if not text.strip():
        raise ConfigError("a guideline is a text that is not empty.")
    wanted = Proposal(
        kind="edit_guideline", target="guidelines", text=text.strip(), evidence="the operator"
    )
    changed, map_ = changed_task(load_config(folder / CONFIG_FILE).task, wanted, (), None)
    taken = len(list((folder / FOLDER).glob("guideline-*-task.yaml")))
    head = f"A guideline of the operator, for a run after {folder.name}."
    with Ledger(folder / LEDGER_FILE, create=False) as ledger:
        files = _write(folder, ledger, f"guideline-{taken + 1:03d}", head, wanted, changed, map_)
    return Accepted(_for_a_new_run(files[0]), files)


def _for_a_new_run(task_file: Path) -> str:
    return (
        f"the task of a run is pinned; copy 'task' from {task_file} into the configuration of a "
        "new run (the file says how to keep the votes that still hold) and start it"
    )


def _what_resuming_may_cost(folder: Path, ledger: Ledger) -> str:
    """A warning where the run is finished: then it goes on with more than the proposal."""
    if not ledger.log.decisions("deliver"):
        return ""
    left = to_nano(load_config(folder / CONFIG_FILE).budget.usd) - ledger.balance().committed
    return (
        ". It is finished: taken up again it goes on with rounds, sweep and audits until it stops "
        f"by itself, and may spend the {show(max(0, left))} that its cap leaves (a lower cap: "
        "`labelwright resume NAME --usd`)"
    )


def changed_task(
    task: TaskConfig, proposal: Proposal, names: Sequence[str], text: str | None
) -> tuple[TaskConfig, dict[str, str | None]]:
    """The task after a proposal, and what becomes of each label: its new name, or nothing.

    Raises:
        ConfigError: A name that is needed is missing, or the task would not be valid.
    """
    labels = list(task.labels)
    kept: dict[str, str | None] = {label.name: label.name for label in labels}
    targets = [part.strip() for part in proposal.target.split(" | ")]
    guidelines = task.guidelines
    if proposal.kind == "edit_guideline":
        guidelines = f"{guidelines.rstrip()}\n\n{text or proposal.text}".strip()
    elif proposal.kind == "add_label":
        named = [] if proposal.target.startswith("(") else targets
        labels.append(LabelConfig(name=_one(names or named, proposal), description=text or ""))
    elif proposal.kind == "remove_label":
        labels = [label for label in labels if label.name not in targets]
        kept |= dict.fromkeys(targets)
    elif proposal.kind == "merge_labels":
        name = _one(names or targets[:1], proposal)
        parts = [label for label in labels if label.name in targets]
        words = text or " Or: ".join(part.description for part in parts if part.description)
        at = labels.index(parts[0])
        examples = [example for part in parts for example in part.examples]
        labels = [label for label in labels if label not in parts]
        labels.insert(at, LabelConfig(name=name, description=words, examples=examples))
        kept |= dict.fromkeys(targets, name)
    else:
        if len(names) < 2:
            raise ConfigError("a split needs the names of the new labels: --name A --name B")
        at = next(row for row, label in enumerate(labels) if label.name in targets)
        del labels[at]
        labels[at:at] = [LabelConfig(name=name, description=text or "") for name in names]
        kept |= dict.fromkeys(targets)
    try:
        changed = TaskConfig(name=task.name, labels=labels, guidelines=guidelines, text=task.text)
    except ValidationError as error:
        raise ConfigError(f"the task would not be valid: {error.errors()[0]['msg']}") from None
    return changed, kept


def _one(names: Sequence[str], proposal: Proposal) -> str:
    if len(names) != 1 or not normalised_label(names[0]):
        raise ConfigError(f"{proposal.kind} needs one name for the label: --name NAME")
    return names[0]


def _entry(ledger: Ledger, folder: Path, number: int) -> Listed:
    entries = listed(ledger)
    if not 1 <= number <= len(entries):
        there = f"1 to {len(entries)}" if entries else "there are none"
        raise ConfigError(f"{folder}: no proposal {number} (expected {there}).")
    return entries[number - 1]


def _write(
    folder: Path,
    ledger: Ledger,
    stem: str,
    head: str,
    proposal: Proposal,
    task: TaskConfig,
    map_: dict[str, str | None],
) -> tuple[Path, ...]:
    # Whole: a path in a configuration is taken from the configuration's own folder.
    place = folder.resolve() / FOLDER
    place.mkdir(exist_ok=True)
    votes_file = place / f"{stem}-votes.jsonl"
    kept, annotators = _votes_that_hold(ledger, proposal, map_)
    votes_file.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    task_file = place / f"{stem}-task.yaml"
    recorded = [
        {"kind": "recorded", "name": f"{name}-before", "column": name, "path": str(votes_file),
         "price": "free"}
        for name in annotators
    ]  # fmt: skip
    lines = [
        f"# {head}",
        "# Start a new run with this task. To keep what was paid for, put these before the other",
        "# annotators, each with the tier it had; items without a vote here are asked anew.",
        *(f"#   {line}" for line in write_yaml({"annotators": recorded}).splitlines()),
        write_yaml({"task": task.model_dump(mode="json")}),
    ]
    task_file.write_text("\n".join(lines), encoding="utf-8")
    return task_file, votes_file


def _votes_that_hold(
    ledger: Ledger, proposal: Proposal, map_: dict[str, str | None]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Last votes under the new label names; those on the items in question do not hold."""
    doubted = set(proposal.items) if proposal.kind != "merge_labels" else set()
    last: dict[tuple[str, str], str] = {}
    for vote in ledger.votes.all():
        label = map_.get(vote.label or "")
        if vote.attempt < CHECK_ATTEMPTS and label and vote.item_id not in doubted:
            last[vote.annotator, vote.item_id] = label
    rows = [
        {"item_id": item, "annotator": annotator, "label": label}
        for (annotator, item), label in sorted(last.items())
    ]
    return rows, sorted({annotator for annotator, _ in last})
