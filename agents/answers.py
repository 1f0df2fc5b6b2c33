"""From what a model wrote to a validated object, or to the reason why there is none.

Nothing is repaired by guessing: code fences, a reasoning preamble and prose around one JSON object
are tolerated, and a label that differs from exactly one label of the set only in Unicode form, case
or outer space is that label. All else is an invalid answer with a reason.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

InvalidReason = Literal[
    "empty", "truncated", "refusal", "not_json", "schema", "not_in_label_set", "missing_item"
]

_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_LABEL = re.compile(rb'(?<!\\)"label"\s*:\s*"?((?<=")(?:[^"\\]|\\.)*|null)')
_OBJECT_START = re.compile(r'\{\s*["}]')


@dataclass(frozen=True, eq=False)
class Shape(Generic[T]):
    """What an answer must look like.

    Attributes:
        name: Name of the schema, and of the tool where a tool call carries the answer.
        model: Validates the answer.
        schema: The strict JSON Schema that is sent: closed objects, every field required, no
            references.
    """

    name: str
    model: type[T]
    schema: dict[str, Any]


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """A read answer.

    Attributes:
        value: The validated object, ``None`` when invalid.
        invalid: Why it is invalid.
        data: The JSON object as written, label spellings made canonical; kept when validation
            fails, so that the good items of a batch can be used (`split_items`).
    """

    value: T | None
    invalid: InvalidReason | None
    data: dict[str, Any] | None


def shape(model: type[T], name: str = "answer") -> Shape[T]:
    """The shape of a pydantic model; labels are ``Literal`` fields and become enumerations.

    Raises:
        ValueError: The model can not be written as a strict schema (recursive, or a free-form map).
    """
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    return Shape(name, model, _strict(schema, definitions, ()))


def parse(response: Mapping[str, Any], shape: Shape[T]) -> Parsed[T]:
    """Read the answer of a settled call.

    Args:
        response: As `wire.Answer.response` (and the ledger) keeps it.
        shape: What it must look like.
    """
    finish = response.get("finish_reason")
    if response.get("refusal") or finish == "content_filter":
        return Parsed(None, "refusal", None)
    data = _tool_arguments(response, shape.name)
    if data is None:
        content = response.get("content") or ""
        data = find_object(content)
        if data is None:
            if finish == "length":
                return Parsed(None, "truncated", None)
            written = content.strip() or response.get("invalid_tool_calls")
            written = written or response.get("malformed")
            return Parsed(None, "not_json" if written else "empty", None)
    data = canonical_labels(data, shape.schema)
    return _validated(data, shape.model)


def split_items(
    data: Mapping[str, Any] | None, ids: Sequence[str], item: Shape[T], *, field: str, key: str
) -> dict[str, Parsed[T]]:
    """The items of a batch answer, each valid or invalid by itself.

    Args:
        data: The whole answer (`Parsed.data`).
        ids: The items that were asked about.
        item: Shape of one item's answer.
        field: Name of the list in the whole answer.
        key: Name of the id in an item's answer.

    Returns:
        One entry an id, in the order of ``ids``: ``missing_item`` where there is no answer, and
        ``schema`` where several answers differ. Ids that were not asked about are ignored.
    """
    written = (data or {}).get(field)
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in written if isinstance(written, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get(key), str | int):
            same = found.setdefault(str(entry[key]), [])
            entry = canonical_labels(entry, item.schema)
            if entry not in same:
                same.append(entry)
    answers: dict[str, Parsed[T]] = {}
    for item_id in ids:
        entries = found.get(item_id, [])
        if not entries:
            answers[item_id] = Parsed(None, "missing_item", None)
        elif len(entries) > 1:
            answers[item_id] = Parsed(None, "schema", None)
        else:
            answers[item_id] = _validated({**entries[0], key: item_id}, item.model)
    return answers


def label_probabilities(response: Mapping[str, Any]) -> list[float] | None:
    """Probability of each label in an answer, from the log-probabilities of its tokens.

    The product over the tokens that hold the label, given all that was written before: how sure the
    model was of this word, not that it is right.

    Args:
        response: As `wire.Answer.response` keeps it, of a request that asked for log-probabilities.

    Returns:
        One probability a ``"label"`` in the order in which they were written; ``None`` where the
        server gave no log-probabilities, or those of another text.
    """
    content = str(response.get("content") or "")
    entries = (response.get("logprobs") or {}).get("content") or []
    # Tokens may end inside a character, so places are counted in bytes.
    pieces = [_bytes_of(entry) for entry in entries]
    written = b"".join(pieces)
    start = written.find(content.encode()) if content else -1
    if start < 0:
        return None
    ends = list(accumulate(len(piece) for piece in pieces))
    found = []
    for match in _LABEL.finditer(written, start):
        first, last = match.span(1)
        parts = [
            float(entry["logprob"])
            for entry, piece, end in zip(entries, pieces, ends, strict=True)
            if piece and end > first and end - len(piece) < last
        ]
        found.append(min(1.0, math.exp(sum(parts))))
    return found


def find_object(text: str) -> dict[str, Any] | None:
    r"""The one JSON object in a text, or ``None`` when there is none or more than one.

    >>> find_object('Sure: ```json\n{"label": "spam"}\n```')
    {'label': 'spam'}
    """
    text = _THINKING.sub("", text)
    decoder = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant)
    found: list[dict[str, Any]] = []
    start = _OBJECT_START.search(text)
    while start:
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            # Damaged: one of the objects inside it must not pass for the whole answer.
            return None
        found.append(value)
        start = _OBJECT_START.search(text, end)
    return found[0] if len(found) == 1 else None


def canonical_labels(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy with each string of an enumeration in the spelling of its schema.

    Only where NFKC, outer space and case are all that differs, and from one entry only.
    """
    for branch in schema.get("anyOf", ()):
        value = canonical_labels(value, branch)
    if isinstance(value, str) and "enum" in schema:
        names = [name for name in schema["enum"] if isinstance(name, str)]
        alike = [name for name in names if _folded(name) == _folded(value)]
        return alike[0] if value not in names and len(alike) == 1 else value
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        return {k: canonical_labels(v, fields.get(k, {})) for k, v in value.items()}
    if isinstance(value, list):
        return [canonical_labels(v, schema.get("items", {})) for v in value]
    return value


def _tool_arguments(response: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    calls = [c["args"] for c in response.get("tool_calls", []) if c["name"] == name]
    if not calls:
        broken = [c["args"] for c in response.get("invalid_tool_calls", []) if c["name"] == name]
        calls = [find_object(args or "") for args in broken]
    return calls[0] if len(calls) == 1 else None


def _validated(data: dict[str, Any], model: type[T]) -> Parsed[T]:
    try:
        return Parsed(model.model_validate(data), None, data)
    except ValidationError as error:
        kinds = {problem["type"] for problem in error.errors(include_url=False)}
        labels_only = kinds <= {"literal_error", "enum"}
        return Parsed(None, "not_in_label_set" if labels_only else "schema", data)


def _strict(node: Any, definitions: Mapping[str, Any], seen: tuple[str, ...]) -> Any:
    """Inline references and close every object, as strict structured output wants it."""
    if isinstance(node, list):
        return [_strict(part, definitions, seen) for part in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        name = reference.removeprefix("#/$defs/")
        if name in seen:
            raise ValueError(f"{name}: a recursive model has no strict schema")
        beside = {k: v for k, v in node.items() if k != "$ref"}
        return _strict({**definitions[name], **beside}, definitions, (*seen, name))
    fields = node.get("properties")
    kept = {
        k: _strict(v, definitions, seen)
        for k, v in node.items()
        if k not in ("title", "default", "properties")
    }
    if "const" in kept:  # a Literal of one: servers know enum better
        kept["enum"] = [kept.pop("const")]
    if fields is not None:
        kept["properties"] = {k: _strict(v, definitions, seen) for k, v in fields.items()}
        kept["required"] = list(fields)
        kept["additionalProperties"] = False
    elif node.get("type") == "object":
        raise ValueError("a free-form map has no strict schema; use a list of closed objects")
    return kept


def _bytes_of(entry: Mapping[str, Any]) -> bytes:
    return bytes(entry["bytes"]) if entry.get("bytes") else str(entry["token"]).encode()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
