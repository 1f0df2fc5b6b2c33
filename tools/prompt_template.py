"""One prompt template: from the text of its file to the messages that a model reads.

The body is split at the lines ``# system``, ``# user`` and ``# assistant`` before anything is
rendered, so no data can open a role. Each part is Jinja2 in an immutable sandbox with strict
undefined names; parts share text by ``{% include "_shared/<name>.md.j2" %}``.
"""

import hashlib
import json
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import PromptError
from .prompt_file import (
    ALMOST_ROLE_LINE,
    Part,
    Role,
    front_matter,
    input_validator,
    read_source,
    split_roles,
)

_INCLUDE_NAME = re.compile(r"_shared/[a-z][a-z0-9_]*\.md\.j2")


@dataclass(frozen=True)
class Message:
    """One chat message."""

    role: Role
    content: str


def fenced(text: str, tag: str, **attributes: str) -> str:
    """Put a text between tags that it can not close, without changing a character of it.

    The tags carry a code from the text's SHA-256 that is hashed on until it does not occur in the
    text, so the same text always gets the same fence.

    Args:
        text: The data, verbatim.
        tag: What it is: ``text``, ``item``, ``example``.
        **attributes: Written into the opening tag, such as ``id``.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    while digest[:6] in text.lower():
        digest = hashlib.sha256(digest.encode()).hexdigest()
    name = f"{tag}-{digest[:6]}"
    shown = "".join(f" {key}={_json(value)}" for key, value in attributes.items())
    return f"<{name}{shown}>\n{text}\n</{name}>"


class Prompt:
    """A template with its includes, as they were when it was read.

    Attributes:
        name: ``<agent>/<name>``.
        description: What it is for.
        output: What the model must return, in words.
        inputs: JSON Schema per variable; one with a ``default`` is optional.
        samples: Inputs for checks and snapshots.
        path: The file it was read from.
        source: The file's text, line ends normalised.
        includes: Text of every include it reaches, by name (``_shared/labels.md.j2``).
        hash: SHA-256 (hex) over the front matter, the body and the includes: the prompt's version.
    """

    def __init__(self, name: str, path: Path, find: Callable[[str], Path | None]) -> None:
        """Read and check a template; ``find`` resolves an include's name.

        Raises:
            PromptError: It is malformed: the message names file, line and what was expected.
        """
        self.name = name
        self.path = path
        self.source = read_source(path)
        front, body_line = front_matter(path, self.source)
        if front.name != name:
            raise PromptError(f"{path}: name is '{front.name}', expected '{name}' as in its path.")
        self.description, self.output = front.description, front.output
        self.inputs, self.samples = front.inputs, front.samples
        self._validator = input_validator(path, self.inputs)
        self._parts = split_roles(path, self.source, body_line)
        self._files = {str(n): (part.source, path) for n, part in enumerate(self._parts)}
        self._environment = _environment(self._files)
        self._resolve(find)
        self.includes = {n: text for n, (text, _) in sorted(self._files.items()) if "/" in n}
        identity = json.dumps([self.source, self.includes]).encode()
        self.hash = hashlib.sha256(identity).hexdigest()

    def render(self, /, **inputs: object) -> list[Message]:
        """Fill the template in.

        Args:
            **inputs: A value for each variable of ``inputs`` (JSON types; tuples become lists).

        Raises:
            PromptError: An input is missing, unknown or of the wrong shape, or the template fails;
                the message names the file, the line where there is one, and what was expected.
        """
        values = self._complete(inputs)
        messages = []
        for number, part in enumerate(self._parts):
            try:
                template = self._environment.get_template(str(number))
                content = template.render(values).strip()
            except Exception as error:  # a template is its author's code: it can raise anything
                raise PromptError(f"{self._place(error, part)}: {error}") from error
            if not content:
                raise PromptError(f"{self.path}:{part.line}: '# {part.role}' renders to nothing.")
            messages.append(Message(part.role, content))
        return messages

    def _complete(self, inputs: Mapping[str, object]) -> dict[str, Any]:
        """Add defaults and validate; the copy holds plain JSON values only."""
        defaults = {
            k: schema["default"] for k, schema in self.inputs.items() if "default" in schema
        }
        try:
            values = json.loads(json.dumps({**defaults, **inputs}, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise PromptError(
                f"{self.path}: the inputs are not plain JSON values: {error}"
            ) from error
        for problem in self._validator.iter_errors(values):
            where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in problem.path)
            message = problem.message  # may quote a whole text of the pool
            if len(message) > 300:
                message = f"{message[:120]} … {message[-120:]}"
            raise PromptError(
                f"{self.path}: inputs{where}: {message}. Declared inputs: {', '.join(self.inputs)}."
            )
        return cast(dict[str, Any], values)

    def _resolve(self, find: Callable[[str], Path | None]) -> None:
        """Compile every part, load the includes, and compare used with declared variables."""
        lookups: dict[str, str] = {}
        waiting = list(self._files)
        while waiting:
            source, path = self._files[waiting.pop(0)]
            try:
                self._environment.compile(source)
                tree = self._environment.parse(source)
                undeclared = meta.find_undeclared_variables(tree)
            except jinja2.TemplateSyntaxError as error:
                raise PromptError(f"{path}:{error.lineno}: {error.message}") from error
            for node in tree.find_all(nodes.Name):
                if node.name in undeclared:
                    lookups.setdefault(node.name, f"{path}:{node.lineno}")
            for name in meta.find_referenced_templates(tree):
                if name is None or not _INCLUDE_NAME.fullmatch(name):
                    raise PromptError(
                        f"{path}: includes {name or 'a computed name'}, expected a literal "
                        "'_shared/<name>.md.j2' (lower case, digits, _)."
                    )
                if name not in self._files:
                    self._files[name] = _include(path, name, find)
                    waiting.append(name)
        problems = [
            f"{place}: '{name}' is not an input (an include sees inputs only, not loop variables)"
            for name, place in lookups.items()
            if name not in self.inputs
        ]
        problems += [
            f"{self.path}: input '{name}' is declared and never used (to accept it all the same, "
            f"write {{% set _ = {name} %}})"
            for name in self.inputs
            if name not in lookups
        ]
        if problems:
            declared = ", ".join(self.inputs)
            raise PromptError("; ".join(problems) + f". Declared inputs: {declared}.")

    def _place(self, error: Exception, part: Part) -> str:
        """Name the file and line of the template that raised."""
        files = {str(path) for _, path in self._files.values()}
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
        return (
            f"{frames[-1].filename}:{frames[-1].lineno}" if frames else f"{self.path}:{part.line}"
        )


def _include(path: Path, name: str, find: Callable[[str], Path | None]) -> tuple[str, Path]:
    file = find(name)
    if file is None:
        raise PromptError(f"{path}: include '{name}' is in none of the prompt folders.")
    source = read_source(file)
    for number, line in enumerate(source.split("\n"), 1):
        if ALMOST_ROLE_LINE.fullmatch(line):
            raise PromptError(f"{file}:{number}: '{line.strip()}': an include can not open a role.")
    return source, file


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _printable(value: object) -> object:
    """Refuse what would reach the model as Python source, such as ``None`` or ``<method …>``."""
    if isinstance(value, str | jinja2.Undefined) or type(value) in (int, float):
        return value
    raise jinja2.TemplateRuntimeError(
        f"prints a Python {type(value).__name__}; expected text or a number "
        "(use a loop, an 'if' or the filter json)"
    )


def _environment(files: Mapping[str, tuple[str, Path]]) -> jinja2.Environment:
    """Return a sandbox that sees these files only and renders the same bytes every time."""

    def load(name: str) -> tuple[str, str, None]:
        source, path = files[name]
        return source, str(path), None

    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # a line after an include stays a line of its own
    )
    environment.filters |= {"fenced": fenced, "json": _json}
    del environment.filters["random"], environment.globals["lipsum"]
    return environment
