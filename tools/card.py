"""The card of a run: what data set and student are, how they were made, how far to trust them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from .export import write_text
from .report import (
    NOTHING,
    SOURCES,
    accuracy,
    count,
    guaranteed,
    kept_round,
    kept_student,
    number,
    percent,
    share_interval,
    usd,
    why_stopped,
)
from .report.consistency import consistency_words
from .task import TaskConfig

Summary: TypeAlias = Mapping[str, Any]

_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))

_LOAD_LABELS = """\
import json

with open("labels.jsonl", encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
labelled = [row for row in rows if row["outcome"] == "accept"]
print(len(labelled), "labelled of", len(rows))
for row in labelled[:3]:
    print(row["label"], row["p_correct"], row["text"])"""

_LOAD_STUDENT = """\
from pathlib import Path

{imports}
from labelwright.tools.student_file import load

embedder = {embedder}
student, metadata = load(Path("student.skops"), embedder_fingerprint=embedder.fingerprint)
texts = ["a text to classify"]
for text, p in zip(texts, student.predict_proba(embedder.embed(texts), texts)):
    print(student.labels[p.argmax()], round(float(p.max()), 3), text)"""

_LOCAL = ("minilm", "static")


def write_card(path: Path, summary: Summary, task: TaskConfig) -> None:
    """Write dataset card and model card as one Markdown file; the file is replaced at once.

    Args:
        path: the Markdown file.
        summary: what the run came to, as plain values; missing ones are shown as missing.
        task: the task that was labelled.
    """
    sections = [
        _front_matter(summary, task),
        _about(summary, task),
        _labels(summary, task),
        _making(summary),
        *_consistency(summary),
        _quality(summary),
        _money(summary),
        _use(summary),
        _limits(summary),
        _reproduction(summary),
    ]
    write_text(path, "\n\n".join(sections) + "\n")


def _front_matter(summary: Summary, task: TaskConfig) -> str:
    rows = _part(summary, "pool").get("rows") or 0
    size = next((name for most, name in _SIZES if rows < most), "n>1M")
    head = {
        "pretty_name": task.name,
        "task_categories": ["text-classification"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": "labels.parquet"}],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip()}\n---"


def _about(summary: Summary, task: TaskConfig) -> str:
    labels, run = _part(summary, "labels"), plain(summary.get("name") or NOTHING)
    student = (
        f" The student of {kept_student(summary)} classifies texts still to come."
        if summary.get("best_round")
        else " There is no student."
    )
    return (
        f"# {plain(task.name)}\n\n"
        f"{count(labels.get('accepted'))} of {count(labels.get('texts'))} texts labelled with "
        f"{len(task.labels)} labels, by active learning: the run “{run}” of labelwright. "
        f"{why_stopped(summary)}{student} `report.html` shows the run.{_replayed(summary)}"
    )


def _replayed(summary: Summary) -> str:
    origin = summary.get("replay_of")
    if not origin:
        return ""
    return (
        f"\n\nThis is a replay of the run “{plain(origin)}”: its recorded votes under another "
        "configuration. Nobody was asked and nothing was paid; the money below is what it would "
        "have cost."
    )


def _labels(summary: Summary, task: TaskConfig) -> str:
    by_label = _part(summary, "labels").get("by_label") or {}
    shares = _part(summary, "class_shares")
    head: tuple[str, ...] = ("label", "what belongs in it", "texts")
    rows: list[tuple[str, ...]] = [
        (plain(label.name), plain(label.description) or NOTHING, count(by_label.get(label.name)))
        for label in task.labels
    ]
    if shares:
        head = (*head, "share in the pool (95% interval)")
        rows = [
            (*row, share_interval(shares.get(label.name)))
            for row, label in zip(rows, task.labels, strict=True)
        ]
    text = f"## Label set\n\n{_table(head, rows)}"
    if task.guidelines.strip():
        text += f"\n\nThe annotators were given these guidelines:\n\n{_fenced(task.guidelines)}"
    return text


def _making(summary: Summary) -> str:
    labels = _part(summary, "labels")
    sources = labels.get("by_source") or {}
    rows = [(plain(name), count(n), SOURCES.get(name, NOTHING)) for name, n in sources.items()]
    rows += [
        (name.replace("_", " "), count(labels[name]), "nobody: no label was given")
        for name in ("set_apart", "unlabelled")
        if labels.get(name)
    ]
    text = (
        f"## How the labels were made\n\n{_table(('source', 'texts', 'whose label it is'), rows)}"
    )
    voters = [
        (
            plain(row["annotator"]),
            row.get("kind") or NOTHING,
            "yes" if row.get("trusted") else "no",
            count(row.get("votes")),
            count(row.get("invalid")),
            accuracy(row["right"]) if row.get("right") else "not audited",
        )
        for row in summary.get("annotators") or []
    ]
    head = ("annotator", "kind", "trusted", "votes", "invalid", "right on audited texts")
    return f"{text}\n\n{_table(head, voters)}" if voters else text


def _consistency(summary: Summary) -> list[str]:
    """One section, or none where nothing was checked."""
    intro, told = consistency_words(summary)
    if not told:
        return []
    lines = [f"- {plain(name)}: {' '.join(plain(line) for line in lines)}" for name, lines in told]
    parts = ["## How consistent the annotators were", *([intro] if intro else []), "\n".join(lines)]
    return ["\n\n".join(parts)]


def _quality(summary: Summary) -> str:
    quality = _part(summary, "quality")
    lines = [f"- {text}"] if (text := guaranteed(summary)) else []
    for name, key in (("Labels", "labels"), ("Student", "student")):
        part = quality.get(key) or {}
        why = str(part.get("why_not") or "nothing was audited").removeprefix("uncalibrated: ")
        if part.get("estimate") is None:
            lines.append(f"- {name}: uncalibrated, because {plain(why)}.")
        else:
            lines.append(f"- {name}: accuracy {accuracy(part)}, on texts drawn at random.")
    kept = kept_round(summary)
    if kept:
        lines.append(
            f"- Student against the run's own labels, out of sample: agreement "
            f"{percent(kept.get('agreement'))}, macro-F1 {number(kept.get('macro_f1'))}. This is "
            "no accuracy: those labels may be wrong, and hard texts are over-represented."
        )
    gold = quality.get("gold")
    if gold:
        lines.append(
            f"- Evaluation against {count(gold['items'])} gold labels that the run never saw: "
            f"labels {accuracy(gold['accuracy'])}, macro-F1 {number(gold['macro_f1'])}, completion "
            f"{percent(gold['completion'])}; student {accuracy(gold.get('student_accuracy'))}, "
            f"macro-F1 {number(gold.get('student_macro_f1'))}."
        )
    return "## Quality\n\n" + "\n".join(lines)


def _money(summary: Summary) -> str:
    money = _part(summary, "money")
    text = (
        f"## Money\n\n{usd(money.get('spent_usd'))} of a cap of {usd(money.get('cap_usd'))}, in "
        f"{count(summary.get('requests'))} requests and {count(summary.get('tokens'))} tokens."
    )
    if money.get("uncertain_usd"):
        text += (
            f" Calls that never answered may have cost up to {usd(money['uncertain_usd'])} more."
        )
    if money.get("value_usd") is not None:
        text += (
            f" Accuracy going from 0 to 100% was taken to be worth {usd(money['value_usd'])} "
            f"({plain(money.get('value_from') or '')})."
        )
    return text


def _use(summary: Summary) -> str:
    text = (
        "## Use\n\n`labels.jsonl` has one object for each input row; `labels.parquet` is the same "
        "as a table, with the input row as JSON text under `fields`. A row that was set apart has "
        "no `label`; what was most probable stands under `suggestion`.\n\n"
        f"```python\n{_LOAD_LABELS}\n```"
    )
    if not summary.get("best_round"):
        return text
    kind = str(summary.get("embedder") or "").partition("@")[0]
    if kind in _LOCAL:
        imports = "from labelwright.tools.embedding import EmbedderConfig, build_embedder"
        embedder = f'build_embedder(EmbedderConfig(kind="{kind}"))'
    else:
        imports = (
            "from labelwright.graph import load_config\n"
            "from labelwright.tools.embedding import build_embedder"
        )
        embedder = (
            'build_embedder(\n    load_config(Path("run.yaml")).embedder,\n'
            "    charge=lambda key, tokens, send: send()[0],  # counts no money\n)"
        )
    student = _LOAD_STUDENT.format(imports=imports, embedder=embedder)
    return (
        f"{text}\n\n`student.skops` holds arrays and text only, and is loaded without running "
        f"code from it:\n\n```python\n{student}\n```"
    )


def _limits(summary: Summary) -> str:
    labels, quality = _part(summary, "labels"), _part(summary, "quality")
    lines = [
        "Annotators that are models make the same mistakes: that they agree is weak evidence.",
        "The student always answers with a label of the set, also where none fits.",
        "The rights to the texts are those of their source.",
    ]
    if (quality.get("labels") or {}).get("estimate") is None:
        lines.insert(0, "No trusted label backs any accuracy or `p_correct` here.")
    elif (labels.get("calibrated") or 0) < (labels.get("accepted") or 0):
        lines.append("Where `calibrated` is false, `p_correct` is an assumption, not a frequency.")
    if labels.get("set_apart"):
        lines.append(
            f"The {count(labels['set_apart'])} texts that were set apart are the hard ones: "
            "without them the data set is easier than the pool it comes from."
        )
    if rejected := _part(summary, "pool").get("rejected"):
        lines.append(
            f"{count(rejected)} rows of the input could not be used and are not in the data set; "
            "`rejected.jsonl` says why."
        )
    empty = [plain(name) for name, n in (labels.get("by_label") or {}).items() if not n]
    if empty:
        lines.append(f"No text was given the label {', '.join(empty)}.")
    if _part(summary, "pool").get("synthetic"):
        lines.append(
            f"{count(summary['pool']['synthetic'])} generated texts helped to train the student; "
            "they are not in the data set."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _reproduction(summary: Summary) -> str:
    return (
        "## Reproduction\n\n"
        f"- `run.yaml`: the whole configuration, seed {count(summary.get('seed'))}.\n"
        "- `prompts/`: the prompts that the run was pinned to; their SHA-256 are in `run.yaml`.\n"
        f"- Embedder: `{summary.get('embedder') or NOTHING}`.\n"
        "- SHA-256 of the run's decisions, the same for the same configuration and votes: "
        f"`{summary.get('decisions_sha256') or NOTHING}`."
    )


def plain(text: str) -> str:
    """A text as one line of Markdown, table cells included, that reads exactly as it stands."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*\[\]<>|&~#])", r"\\\1", line)
    # Inside a word an underscore is no emphasis, and names are easier to read without the escape.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def _part(summary: Summary, name: str) -> Mapping[str, Any]:
    return summary.get(name) or {}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"
