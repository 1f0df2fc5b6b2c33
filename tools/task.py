"""What is to be labelled: the label set, the guidelines and how a row becomes one text."""

import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Self

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import ConfigError, DataError

# Any field, also one whose name is no identifier ("review text"), is `row["review text"]`.
WHOLE_ROW = "row"


def normalised_label(name: str) -> str:
    """Return the form in which two label names are the same name (NFKC, no case, no edges)."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


class LabelConfig(BaseModel):
    """One class of the label set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the class, as it is written in the results.")
    description: str = Field(default="", description="What belongs in the class, in a sentence.")
    examples: list[str] = Field(
        default_factory=list, description="Texts that clearly belong in the class."
    )

    @field_validator("name")
    @classmethod
    def _not_blank(cls, name: str) -> str:
        if not normalised_label(name):
            raise ValueError(
                "a label has a blank name: write your labels, each with a name that can be read"
            )
        return name.strip()


class TaskConfig(BaseModel):
    """The labelling task: name, label set, guidelines and text template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Short name of the task.")
    labels: list[LabelConfig] = Field(min_length=2, description="The label set, two or more.")
    guidelines: str = Field(default="", description="Annotation instructions (the codebook).")
    text: str = Field(
        default="{{ text }}",
        description="Jinja2 template that makes one text of a row's fields; `row` is the whole "
        'row, for names that are no identifiers: {{ row["review text"] }}.',
    )

    @field_validator("text")
    @classmethod
    def _compiles(cls, template: str) -> str:
        try:
            render_text(template)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return template

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        seen: dict[str, str] = {}
        for label in self.labels:
            key = normalised_label(label.name)
            if key in seen:
                raise ValueError(
                    f"the labels {seen[key]!r} and {label.name!r} are the same name (case, width "
                    "and outer spaces do not count): rename or remove one"
                )
            seen[key] = label.name
        return self

    @property
    def label_names(self) -> list[str]:
        """Names of the labels in the order of the configuration; index = class number."""
        return [label.name for label in self.labels]


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        # A null field is an absent text, not the word "None".
        finalize=lambda value: "" if value is None else value,
    )
    # Jinja2's globals (range, dict, cycler, ...) would stand in for a missing field of that name.
    environment.globals.clear()
    return environment


def _compile(template: str) -> tuple[ImmutableSandboxedEnvironment, Template]:
    environment = _environment()
    try:
        return environment, environment.from_string(template)
    except TemplateSyntaxError as error:
        raise ConfigError(
            f"The text template is not valid Jinja2 (line {error.lineno}: {error.message}): "
            f"{template!r}. Write a field as {{{{ name }}}}."
        ) from error


def template_fields(template: str) -> set[str]:
    """Return the names of the fields that a text template reads, the whole `row` left out.

    Raises:
        ConfigError: The template is not valid Jinja2.
    """
    environment, _ = _compile(template)
    return meta.find_undeclared_variables(environment.parse(template)) - {WHOLE_ROW}


def render_text(template: str) -> Callable[[Mapping[str, object]], str]:
    """Compile a text template (sandboxed, strict, no escaping) and return its renderer.

    The renderer takes a row's fields and returns the text without outer white space; an empty one
    where the row adds nothing to what stands in the template.

    Args:
        template: Jinja2 source, e.g. `{{ title }}: {{ body }}`.

    Raises:
        ConfigError: The template is not valid Jinja2.
        DataError: (by the renderer) a field is missing or the template fails on the row.
    """
    environment, compiled = _compile(template)
    reads = meta.find_undeclared_variables(environment.parse(template))

    @lru_cache(maxsize=256)
    def bare(names: tuple[str, ...]) -> str:
        blank = dict.fromkeys(names, "")
        try:
            return "".join(compiled.render({WHOLE_ROW: blank, **blank}).split())
        except Exception:  # it needs a number, say: then no row of these names is without a text
            return ""

    def render(fields: Mapping[str, object]) -> str:
        try:
            text = compiled.render({WHOLE_ROW: fields, **fields}).strip()
            adds = not reads or "".join(text.split()) != bare(tuple(fields))
            return text if adds else ""
        # Anything can come out of an expression on unknown data: a filter's TypeError as well.
        except Exception as error:
            raise DataError(
                f"The text template {template!r} fails: {error}. "
                f"Fields there are: {_listed(fields)}. Correct the template, or write "
                "{{ name | default('') }} for a field that may be missing."
            ) from error

    return render


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
