"""A template filled in with a run's task and texts of its pool, or with one of its own samples."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ....tools.prompts import Message, Prompt, PromptLibrary, packaged_prompts
from ....tools.watch import RunReader

TOGETHER = 3
"""Texts that are put into a prompt which takes several."""
_FROM_POOL = frozenset(("text", "items"))


def library(run: Path | None) -> PromptLibrary:
    """The templates of a run, or the packaged ones.

    Raises:
        PromptError: There is no folder of prompts.
    """
    pinned = run / "prompts" if run else None
    # As the run itself does it: what an earlier version did not pin comes from the package.
    folders = [pinned, packaged_prompts()] if pinned and pinned.is_dir() else [packaged_prompts()]
    return PromptLibrary(folders)


def difference(packaged: Prompt, prompt: Prompt) -> str:
    """What a template and its includes have changed of the packaged ones, as a unified diff."""
    parts = {prompt.name: (packaged.source, prompt.source)}
    for name in sorted({*packaged.includes, *prompt.includes}):
        parts[name] = (packaged.includes.get(name, ""), prompt.includes.get(name, ""))
    lines: list[str] = []
    for name, (before, after) in parts.items():
        lines += difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"packaged {name}", f"here {name}", lineterm=""
        )
    return "\n".join(lines)


def reads_pool(prompt: Prompt) -> bool:
    """Whether a template takes texts of the pool, as those of the annotators do."""
    return prompt.name.startswith("annotator/") and not _FROM_POOL.isdisjoint(prompt.inputs)


def on_item(prompt: Prompt, files: RunReader, position: int) -> list[Message]:
    """What an annotator would read of an item of the pool.

    Args:
        prompt: A template that `reads_pool`.
        files: The run.
        position: Of the item in the pool, from 0.

    Raises:
        PromptError: The template does not accept the task.
    """
    task = files.config["task"]
    many = TOGETHER if "items" in prompt.inputs else 1
    rows = files.items(
        "SELECT text FROM items WHERE position >= ? ORDER BY position LIMIT ?", position, many
    )
    texts = [text for (text,) in rows]
    known: dict[str, Any] = {
        "task_name": task["name"],
        "guidelines": task.get("guidelines", ""),
        "labels": [
            {
                "name": label["name"],
                "description": label.get("description", ""),
                "examples": label.get("examples", []),
            }
            for label in task["labels"]
        ],
        "text": texts[0] if texts else "",
        "items": [{"id": str(n), "text": text} for n, text in enumerate(texts, 1)],
    }
    return prompt.render(**{name: known[name] for name in prompt.inputs if name in known})
