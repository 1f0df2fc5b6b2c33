"""Write the tables of docs/configuration.md from the configuration's models."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from labelwright.agents.endpoint import EndpointConfig
from labelwright.graph.config import RunConfig

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN = "<!-- begin: written by scripts/write_configuration.py -->\n"
END = "<!-- end -->\n"

Schema = dict[str, Any]

# A model that several places use has one table, under these words.
SHARED = {
    "Price": "a price",
    "LabelConfig": "a label",
    "ChatAnnotatorConfig": "chat",
    "RecordedAnnotatorConfig": "recorded",
    "EmbeddedAnnotatorConfig": "embedded",
    "HumanAnnotatorConfig": "human",
    "AgentModelConfig": "an agent's model",
    "GuaranteeConfig": "a guarantee",
    "CheckShares": "shares of checks",
}
ENDPOINT = " Beside these it has the options of [an endpoint](#an-endpoint)."


def page(text: str) -> str:
    """The page with its tables as they follow from the models."""
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}{''.join(_tables())}{END}{tail}"


def main() -> int:
    """Write the page, or with ``--check`` say whether it is up to date."""
    text = TARGET.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        return int(text != page(text))
    TARGET.write_text(page(text), encoding="utf-8", newline="\n")
    return 0


def _tables() -> Iterator[str]:
    schema = RunConfig.model_json_schema(by_alias=True)
    models, sections = schema["$defs"], schema["properties"]
    required = schema["required"]
    for name, section in sections.items():
        if "$ref" in section:
            model = models[_model(section["$ref"])]
            yield _table(f"`{name}`", model, " Required." if name in required else "")
            if name == "task":
                yield _table("A label, in `task.labels`", models["LabelConfig"])
            elif name == "ensemble":
                yield _table("A guarantee, in `ensemble.guarantee`", models["GuaranteeConfig"])
            elif name == "critic":
                yield _table("Shares of checks, in `critic.checks`", models["CheckShares"])
        elif name == "annotators":
            yield "\n## `annotators`\n\nA list, at least one. Required.\n"
            for kind, ref in section["items"]["discriminator"]["mapping"].items():
                remark = ENDPOINT if kind == "chat" else ""
                yield _table(f"`kind: {kind}`", models[_model(ref)], remark, level=3)
            yield _table("A price", models["Price"], level=3)
    yield _table("An agent's model", models["AgentModelConfig"], ENDPOINT)
    yield _table("An endpoint", EndpointConfig.model_json_schema(by_alias=True))
    plain = {k: v for k, v in sections.items() if "$ref" not in v and k != "annotators"}
    yield "\n## Top level\n\n" + _rows({"properties": plain, "required": required})


def _table(title: str, model: Schema, remark: str = "", level: int = 2) -> str:
    about = " ".join(model.get("description", "").replace("``", "`").split())
    left_out = EndpointConfig.model_fields if remark == ENDPOINT else ()
    return f"\n{'#' * level} {title}\n\n{about}{remark}\n\n{_rows(model, left_out)}"


def _rows(model: Schema, left_out: Container[str] = ()) -> str:
    lines = ["| Option | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, option in model["properties"].items():
        if name in left_out:
            continue
        needed = name in model.get("required", [])
        default = "required" if needed else _default(option)
        about = option.get("description", "What it costs.")
        cells = (f"`{name}`", _type(option), default, about)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(option: Schema) -> str:
    value = option.get("default", [] if option.get("type") == "array" else {})
    if value is None:
        return "none"
    if isinstance(value, dict) and "free" in value:
        return "`free`"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(option: Schema) -> str:
    if "$ref" in option:
        return SHARED.get(_model(option["$ref"]), "any JSON")
    if "anyOf" in option:
        kinds = [_type(part) for part in option["anyOf"] if part.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in option:
        return f"`{option['const']}`"
    if "enum" in option:
        return ", ".join(f"`{value}`" for value in option["enum"])
    kind = option.get("type", "any")
    if kind == "array":
        return f"list of {_type(option['items'])}"
    if kind == "object":
        inside = option.get("additionalProperties")
        return f"map to {_type(inside)}" if isinstance(inside, dict) else "map"
    if choices := re.fullmatch(r"\^\(([a-z_|]+)\)\$", option.get("pattern", "")):
        return ", ".join(f"`{choice}`" for choice in choices[1].split("|"))
    names = {"number": "number", "integer": "whole number", "string": "text", "boolean": "yes/no"}
    return names[kind] + _range(option)


def _range(option: Schema) -> str:
    bounds = [
        f"{sign} {option[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in option
    ]
    return f" {', '.join(bounds)}" if bounds else ""


def _model(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


if __name__ == "__main__":
    sys.exit(main())
