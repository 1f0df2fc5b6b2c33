"""The file of a prompt template: front matter, schemas of its inputs, body split into roles."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import yaml
from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import PromptError

Role = Literal["system", "user", "assistant"]

_ROLE_LINE = re.compile(r"# (system|user|assistant)[ \t]*")
ALMOST_ROLE_LINE = re.compile(r"\s*#\s*(system|user|assistant)\s*:?\s*", re.IGNORECASE)


class FrontMatter(BaseModel):
    """The YAML block at the head of a template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="<agent>/<name>; the same as the path of the file.")
    description: str = Field(min_length=1, description="What the prompt is for.")
    output: str = Field(min_length=1, description="What the model must return, in words.")
    inputs: dict[str, dict[str, Any]] = Field(
        description="A JSON Schema per variable. One with a `default` is optional."
    )
    samples: list[dict[str, Any]] = Field(
        min_length=1, description="Inputs that the checks and the snapshots render."
    )


class Part(NamedTuple):
    """One role of the body: where its heading stands, and the Jinja2 source below it."""

    role: Role
    line: int
    source: str


def read_source(path: Path) -> str:
    """Return a template file's text, line ends normalised to one newline.

    Raises:
        PromptError: The file can not be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # universal newlines: \r\n and \r become \n
    except OSError as error:
        raise PromptError(f"{path}: can not be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from error


def front_matter(path: Path, source: str) -> tuple[FrontMatter, int]:
    """Return the front matter and the number of the body's first line.

    Raises:
        PromptError: It is missing, not YAML, or a field is missing, unknown or of the wrong type.
    """
    end = source.find("\n---\n")
    if not source.startswith("---\n") or end < 0:
        raise PromptError(
            f"{path}:1: expected YAML front matter between two lines '---', with "
            f"{', '.join(FrontMatter.model_fields)}."
        )
    try:
        front = FrontMatter.model_validate(yaml.safe_load(source[4 : end + 1]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or error
        line = mark.line + 2 if mark else 1
        raise PromptError(f"{path}:{line}: not valid YAML: {reason}.") from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'front matter'}: {e['msg']}" for e in error.errors()
        ]
        raise PromptError(f"{path}: {'; '.join(problems)}.") from error
    return front, source.count("\n", 0, end) + 3


def input_validator(path: Path, inputs: Mapping[str, dict[str, Any]]) -> Any:
    """Compile the inputs' schemas into one validator (JSON Schema 2020-12) of all inputs.

    Raises:
        PromptError: A schema is malformed, would let a misspelt field pass, or refuses its default.
    """
    for name, schema in inputs.items():
        if not name.isidentifier():
            raise PromptError(f"{path}: input '{name}': expected a name of letters, digits and _.")
        for where in _open_objects(schema, f"inputs.{name}"):
            raise PromptError(
                f"{path}: {where}: an object needs 'additionalProperties' (false, or the schema of "
                "a map's values), or a misspelt field would pass."
            )
    whole = {
        "type": "object",
        "properties": dict(inputs),
        "required": [name for name, schema in inputs.items() if "default" not in schema],
        "additionalProperties": False,
    }
    try:
        Draft202012Validator.check_schema(whole)
    except SchemaError as error:
        where = ".".join(["inputs", *map(str, list(error.absolute_path)[1:])])
        raise PromptError(f"{path}: {where}: not a JSON Schema: {error.message}.") from error
    for name, schema in inputs.items():
        for problem in Draft202012Validator(schema).iter_errors(schema.get("default")):
            if "default" in schema:
                raise PromptError(f"{path}: inputs.{name}.default: {problem.message}.")
    return Draft202012Validator(whole)


def _open_objects(schema: object, where: str) -> Iterator[str]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            yield where
        for key, value in schema.items():
            yield from _open_objects(value, f"{where}.{key}")


def split_roles(path: Path, source: str, body_line: int) -> list[Part]:
    """Split the body at its role lines.

    A part is padded with the lines before it, so that Jinja2 counts lines as the file does.

    Raises:
        PromptError: A role is empty, unknown, misspelt or out of place.
    """
    parts: list[Part] = []
    for number, line in enumerate(source.split("\n")[body_line - 1 :], body_line):
        if match := _ROLE_LINE.fullmatch(line):
            parts.append(Part(cast(Role, match[1]), number, "\n" * number))
        elif almost := ALMOST_ROLE_LINE.fullmatch(line):
            raise PromptError(
                f"{path}:{number}: '{line.strip()}' looks like a role; "
                f"write '# {almost[1].lower()}'."
            )
        elif parts:
            parts[-1] = parts[-1]._replace(source=f"{parts[-1].source}{line}\n")
        elif line.strip():
            raise PromptError(f"{path}:{number}: text before the first role, expected '# system'.")
    roles = [part.role for part in parts]
    if not roles or roles[-1] != "user" or "system" in roles[1:]:
        raise PromptError(
            f"{path}:{body_line}: roles are {roles}, expected '# system' first (once, or "
            "not at all) and '# user' last."
        )
    for part in parts:
        if not part.source.strip():
            raise PromptError(f"{path}:{part.line}: '# {part.role}' is empty.")
    return parts
