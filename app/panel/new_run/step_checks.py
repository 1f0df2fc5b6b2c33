"""What is wrong with a step, at which of its fields, told when the reader wants to go on.

The last word has `labelwright plan`, which reads the whole configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....tools.errors import DataError
from ...starter import text_template
from .annotators_new import untouched
from .checks import Faults, annotator_faults, label_faults
from .sample import Sample, sample

_NO_FILE = "There is no data file yet: begin with another file."


def step_faults(step: str, config: dict[str, Any], *, early: bool = False) -> Faults:
    """What keeps a run from being started with what was entered in a step.

    Args:
        step: Its name.
        config: The draft.
        early: Whether the reader is still at work: what was not begun yet is no mistake then.

    Returns:
        Faults by the field that they are told at; "" where it is the step as a whole.
    """
    return _CHECKS[step](config, early) if step in _CHECKS else {}


def _data(config: dict[str, Any], _: bool) -> Faults:
    path = str(config["data"].get("path") or "")
    if not path:
        return {"file": [_NO_FILE]}
    if not Path(path).is_file():
        return {"file": ["The data file is not there any more: begin with another file."]}
    return {}


def _columns(config: dict[str, Any], _: bool) -> Faults:
    faults: Faults = {}
    task, data = config["task"], config["data"]
    if not str(task.get("name", "")).strip():
        faults["task"] = ["The task needs a name."]
    gold = data.get("gold")
    if gold is not None and gold == data.get("id"):
        faults["gold"] = ["This column is the id already: choose another one, or None."]
    elif gold is not None and task.get("text", "").strip() == text_template(str(gold)):
        faults["gold"] = ["This column is the text to label already: choose another one, or None."]
    else:
        found = sample_or_fault(config)
        if isinstance(found, str):
            faults["text"] = [f"With these columns the file can not be read. {found}"]
        elif gold is not None and not found.gold and not found.cut:
            faults["gold"] = ["No row has a value in this column: choose another one, or None."]
    return faults


def _labels(config: dict[str, Any], early: bool) -> Faults:
    labels = config["task"]["labels"]
    if early and not labels:
        return {}
    return {"labels": found} if (found := label_faults(labels)) else {}


def _annotators(config: dict[str, Any], early: bool) -> Faults:
    annotators = config["annotators"]
    return annotator_faults(annotators, untouched(annotators) if early else ())


def _budget(config: dict[str, Any], _: bool) -> Faults:
    unpaid = [
        one["kind"] == "embedded" or one.get("price") == "free" for one in config["annotators"]
    ]
    if not config["budget"].get("usd") and unpaid and not any(unpaid):
        return {"usd": ["With $0 nobody can be asked: every annotator has a price. Set an amount."]}
    return {}


def sample_or_fault(config: dict[str, Any]) -> Sample | str:
    """What is in the data file, or why it can not be read as configured."""
    if not config["data"].get("path"):
        return _NO_FILE
    try:
        return sample(config)
    except (DataError, ValueError) as error:
        details = getattr(error, "errors", None)
        if callable(details):
            return "\n".join(str(one["msg"]).removeprefix("Value error, ") for one in details())
        return str(error)


_CHECKS: dict[str, Callable[[dict[str, Any], bool], Faults]] = {
    "data": _data,
    "columns": _columns,
    "labels": _labels,
    "annotators": _annotators,
    "budget": _budget,
}
