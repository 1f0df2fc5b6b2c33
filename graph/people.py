"""Questions to people and their answers, by file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..tools.errors import DataError

QUESTIONS_FILE = "questions.jsonl"
ANSWERS_FILE = "answers.jsonl"


def write_questions(folder: Path, payloads: Sequence[Mapping[str, Any]]) -> None:
    """Leave the open questions in a run's folder, one a line; without any there is no file."""
    path = folder / QUESTIONS_FILE
    lines = [
        json.dumps(
            {
                **question,
                "labels": payload["labels"],
                "annotator": payload["annotator"],
                "purpose": payload["purpose"],
            },
            ensure_ascii=False,
        )
        for payload in payloads
        for question in payload["questions"]
    ]
    if not lines:
        path.unlink(missing_ok=True)
        return
    # Whole at once: somebody may be looking.
    partial = path.with_name(f"{QUESTIONS_FILE}.partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(path)


def finished_line(payload: Mapping[str, Any]) -> str:
    """What an answer to the first question could look like."""
    entry = {"item_id": payload["questions"][0]["item_id"], "label": payload["labels"][0]}
    return json.dumps(entry, ensure_ascii=False)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file of answers that are not blank, with their numbers from 1.

    Raises:
        DataError: There is no such file, or it is no text.
    """
    try:
        # "-sig": some editors begin a file with a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it as UTF-8 text.") from None
    except OSError as error:
        raise DataError(f"{path}: can not be read: {error.strerror}.") from None
    # Not splitlines(): a text may hold line separators that JSON leaves as they are.
    lines = enumerate(text.split("\n"), 1)
    return [(number, line) for number, line in lines if line.strip()]


def match_answers(
    path: Path,
    lines: Sequence[tuple[int, str]],
    payload: Mapping[str, Any],
    *,
    other: Callable[[str], bool],
) -> dict[str, str | None]:
    """The answers of a file to open questions; all of it is checked before any is given out.

    Args:
        path: The file, for messages.
        lines: Of `read_lines`. The last one on an item counts; one without ``label`` is no answer.
        payload: The open questions, with their label set.
        other: Whether an id that is not among them may be in the file.

    Returns:
        A label by item id, ``None`` where the person found that no label fits.

    Raises:
        DataError: Names every line that can not be used.
    """
    asked = {question["item_id"] for question in payload["questions"]}
    given: dict[str, str | None] = {}
    wrong: list[str] = []
    for number, line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            found = "not JSON" if entry is None else "not an object"
            wrong.append(
                f"line {number}: {found}; one object a line, e.g. {finished_line(payload)}"
            )
            continue
        item, label = entry.get("item_id"), entry.get("label")
        if isinstance(item, int):
            item = str(item)
        if not isinstance(item, str):
            wrong.append(
                f"line {number}: no item_id; expected an object like {finished_line(payload)}"
            )
        elif item not in asked:
            if not other(item):
                wrong.append(
                    f"line {number}: {item!r} is not among the {len(asked)} open questions "
                    "(an older answers file?)"
                )
        elif label is not None and label not in payload["labels"]:
            shown = json.dumps(label, ensure_ascii=False) if not isinstance(label, str) else label
            wrong.append(
                f"line {number}: {item!r}: {shown!r} is not in the label set; expected one of "
                f"{payload['labels']}, or null where no label fits"
            )
        elif "label" in entry:
            given[item] = label
    if wrong:
        few = "1 line" if len(wrong) == 1 else f"{len(wrong)} lines"
        raise DataError(
            "\n  ".join([f"{path}: {few} can not be used, so no answer was taken.", *wrong])
        )
    return given
