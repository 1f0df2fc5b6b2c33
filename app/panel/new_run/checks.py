"""What is wrong, or could be better, with labels and annotators, in words, while they are written.

The last word has `labelwright plan`, which reads the whole configuration.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from ....tools.task import normalised_label

ALIKE = 0.6
"""Share of the words of two descriptions that are common to both, from which they are alike."""
_FEWEST_WORDS = 4
_LONGEST_NAME = 80
_MOST_PAIRS = 200
_SHOWN = 5
_WORD = re.compile(r"\w{3,}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
"""Names of environment variables that hold keys; few keys look like one."""
_ANNOTATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,79}")
Label = Mapping[str, Any]
Faults: TypeAlias = dict[str, list[str]]
"""What is wrong, by the field at which it is told."""


def label_faults(labels: Sequence[Label]) -> list[str]:
    """What keeps a run from being started with this label set."""
    faults = []
    blank = sum(not normalised_label(str(label["name"])) for label in labels)
    if blank:
        faults.append(f"{blank} label(s) have no name: write one, or remove the row.")
    names: dict[str, list[str]] = {}
    for label in labels:
        names.setdefault(normalised_label(str(label["name"])), []).append(str(label["name"]))
    for key, same in names.items():
        if key and len(same) > 1:
            shown = " and ".join(repr(name[:_LONGEST_NAME]) for name in dict.fromkeys(same))
            faults.append(f"{len(same)} labels have the same name ({shown}): rename or remove one.")
    if len(labels) < 2:
        faults.append("A label set has two labels or more.")
    return faults


def label_advice(labels: Sequence[Label]) -> list[str]:
    """What would make the label set better."""
    advice = []
    empty = [label for label in labels if not str(label.get("description") or "").strip()]
    if empty:
        advice.append(
            f"{len(empty)} of {len(labels)} labels have no description. Descriptions do most of "
            "the work: write what belongs in each, in a sentence."
        )
    long = [label for label in labels if len(str(label["name"])) > _LONGEST_NAME]
    if long:
        advice.append(
            f"{len(long)} label name(s) are longer than {_LONGEST_NAME} characters. Put what they "
            "explain into the description."
        )
    words = [(label, _words(label)) for label in labels[:_MOST_PAIRS]]
    for (one, these), (other, those) in combinations(words, 2):
        if min(len(these), len(those)) < _FEWEST_WORDS:
            continue
        if len(these & those) >= ALIKE * len(these | those):
            advice.append(
                f"{one['name']!r} and {other['name']!r} are described in nearly the same words: "
                "say what sets them apart."
            )
    examples = Counter(
        normalised_label(str(text)) for label in labels for text in label.get("examples") or []
    )
    twice = sum(count > 1 for count in examples.values())
    if twice:
        advice.append(f"{twice} example(s) stand under more than one label.")
    return advice


def gold_advice(labels: Sequence[Label], gold: Mapping[str, int]) -> list[str]:
    """What to say of true labels that are not in the label set.

    Args:
        labels: The label set.
        gold: Rows by true label.
    """
    known = {normalised_label(str(label["name"])) for label in labels}
    unknown = [name for name in gold if normalised_label(name) not in known]
    if not unknown:
        return []
    rows = sum(gold[name] for name in unknown)
    shown = ", ".join(repr(name[:_LONGEST_NAME]) for name in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return [
        f"The file's true labels {shown}{more} are not in this label set; their {rows} row(s) "
        "count as without a true label."
    ]


def annotator_faults(
    annotators: Sequence[Mapping[str, Any]], untouched: Sequence[Mapping[str, Any]] = ()
) -> Faults:
    """What keeps a run from being started with these annotators.

    Args:
        annotators: All of them.
        untouched: Those that were just added: what they lack is not said yet.

    Returns:
        Faults by field, such as ``a0_price`` for the first one's price; "" for all together.
    """
    if not annotators:
        return {"": ["There is no annotator: add one."]}
    faults: Faults = {}
    if all(annotator["kind"] == "human" for annotator in annotators):
        faults[""] = [
            "Only people are there: add a model or the embedded annotator to do the bulk."
        ]
    names: list[str] = []
    for at, annotator in enumerate(annotators):
        name = str(annotator.get("name", ""))
        if not _ANNOTATOR.fullmatch(name):
            faults[f"a{at}_name"] = [
                f"The name {name[:_LONGEST_NAME]!r} can not be an annotator's: expected letters, "
                "digits and _ . @ : - and a letter or digit at the beginning."
            ]
        elif name in names:
            faults[f"a{at}_name"] = [f"Another annotator is named {name!r}: rename one."]
        names.append(name)
        if annotator not in untouched:
            faults |= {f"a{at}_{field}": [fault] for field, fault in _lacking(annotator)}
    return faults


def _lacking(annotator: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What one annotator lacks, by field."""
    name, kind = str(annotator.get("name", ""))[:_LONGEST_NAME], annotator["kind"]
    if kind != "embedded" and "price" not in annotator:
        yield "price", f"{name!r} has no price. An unknown price is refused, never taken as 0."
    if kind == "chat" and not annotator.get("model"):
        yield "model", f"{name!r} has no model."
    if kind == "chat" and (fault := _url_fault(annotator.get("base_url"))):
        yield "url", fault
    if kind == "recorded" and not annotator.get("path"):
        yield "path", f"{name!r} has no file of votes."
    elif kind == "recorded" and not Path(str(annotator["path"])).is_file():
        yield "path", f"The file of votes of {name!r} is not there any more: upload it again."


def _url_fault(url: Any) -> str:
    """What is wrong with the address of a server, as the run itself would say it."""
    from ....agents.endpoint import EndpointConfig

    if not url:
        return ""
    try:
        EndpointConfig.model_validate({"model": "m", "price": "free", "base_url": url})
    except ValidationError as error:
        # Without the value: a password may stand in it.
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return ""


def misplaced_keys(config: Any) -> list[str]:
    """What stands, anywhere in a configuration, where a key was written in place of its variable.

    Never to be shown or kept: it may be the key.
    """
    found, waiting = [], [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "api_key" or (
                    name == "api_key_env" and not VARIABLE.fullmatch(str(value))
                ):
                    found.append(str(value))
                else:
                    waiting.append(value)
        elif isinstance(node, list):
            waiting += node
    return found


def shape_fault(config: Mapping[str, Any]) -> str:
    """What the steps of this page could not show; empty if they can."""
    for name in ("task", "data", "budget"):
        if not isinstance(config.get(name), dict):
            return f"'{name}:' is missing, or no section with options of its own."
    for name in ("stopping", "human", "ensemble", "critic", "selection"):
        if not isinstance(config.get(name, {}), dict):
            return f"'{name}:' is no section with options of its own."
    labels = config["task"].get("labels")
    if not isinstance(labels, list) or not all(_is_label(label) for label in labels):
        return "'task.labels' is not a list of labels, each with a name."
    annotators = config.get("annotators")
    if not isinstance(annotators, list) or not all(
        isinstance(one, dict) and one.get("kind") in ("chat", "human", "embedded", "recorded")
        for one in annotators
    ):
        return "'annotators' is not a list of annotators, each with a kind."
    texts = (config["task"].get("text", ""), config["task"].get("guidelines", ""))
    if not all(isinstance(text, str) for text in texts):
        return "'task.text' and 'task.guidelines' are texts."
    for name in ("path", "id", "gold", "encoding"):
        if not isinstance(config["data"].get(name) or "", str):
            return f"'data.{name}' is no text."
    return _number_fault(config)


def _number_fault(config: Mapping[str, Any]) -> str:
    """The first option that is no number where a step shows one; empty without such."""
    tiers = {f"annotators.{at}": one for at, one in enumerate(config["annotators"])}
    sections = {**config, **tiers, "the file": config}
    for section, name in [*_NUMBERS, *((tier, "tier") for tier in tiers)]:
        value = sections.get(section, {}).get(name, 0)
        if value is None and name in _MAY_BE_NOTHING:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            where = name if section == "the file" else f"{section}.{name}"
            return f"'{where}' is no number."
    return ""


_NUMBERS = (
    ("budget", "usd"),
    ("human", "questions_per_round"),
    ("human", "label_usd"),
    ("stopping", "point_value_usd"),
    ("stopping", "items"),
    ("stopping", "error_cost_usd"),
    ("the file", "seed"),
)
_MAY_BE_NOTHING = frozenset(("usd", "seed"))


def _is_label(label: Any) -> bool:
    if not isinstance(label, dict) or not isinstance(label.get("name"), str):
        return False
    examples = label.get("examples") or []
    return isinstance(examples, list) and all(isinstance(text, str) for text in examples)


def _words(label: Label) -> set[str]:
    return set(_WORD.findall(normalised_label(str(label.get("description") or ""))))
