"""The run configuration: every part's settings, composed once and checked as a whole."""

from __future__ import annotations

import difflib
import math
import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..agents.annotators.settings import AnnotatorConfig
from ..agents.critic import CriticConfig
from ..agents.endpoint import EndpointConfig
from ..agents.ensemble_settings import EnsembleConfig
from ..agents.generator import GenerationConfig
from ..agents.operator.settings import OperatorConfig
from ..agents.selector import SelectionConfig
from ..agents.wire import redact
from ..tools.embedding import EmbedderConfig
from ..tools.errors import ConfigError
from ..tools.ledger import Caps
from ..tools.money import to_nano
from ..tools.plateau import StoppingConfig
from ..tools.pool import PoolConfig
from ..tools.readers import DataConfig
from ..tools.student import StudentConfig
from ..tools.task import TaskConfig
from .plain_yaml import read_yaml, write_yaml


class BudgetConfig(BaseModel):
    """Hard limits: a call whose reservation would pass one of them is not sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    usd: float = Field(ge=0, allow_inf_nan=False, description="Most that the run may spend.")
    tokens: int | None = Field(None, ge=1, description="Most tokens, in and out together.")
    requests: int | None = Field(None, ge=1, description="Most requests to annotators and agents.")
    wall_clock_s: float | None = Field(
        None, gt=0, description="Most seconds of running, over all resumes."
    )

    def caps(self) -> Caps:
        """The caps that the ledger enforces."""
        return Caps(to_nano(self.usd), self.tokens, self.requests)


class HumanConfig(BaseModel):
    """What people cost, and how many questions they are put at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_usd: float = Field(
        0.10,
        ge=0,
        allow_inf_nan=False,
        description="Price of one label by a person; values an error where nothing else does.",
    )
    questions_per_round: int = Field(30, ge=0, description="Most questions to people in a round.")
    second_opinion: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the questions that two reviewers answer before they count as done.",
    )


class RunConfig(BaseModel):
    """All of ``run.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="labelwright run configuration")

    task: TaskConfig
    data: DataConfig
    pool: PoolConfig = PoolConfig()
    embedder: EmbedderConfig = EmbedderConfig()
    annotators: list[AnnotatorConfig] = Field(min_length=1, description="Who votes.")
    ensemble: EnsembleConfig = EnsembleConfig()
    selection: SelectionConfig = SelectionConfig()
    generation: GenerationConfig = GenerationConfig()
    critic: CriticConfig = CriticConfig()
    operator: OperatorConfig = OperatorConfig()
    student: StudentConfig = StudentConfig()
    budget: BudgetConfig
    stopping: StoppingConfig = StoppingConfig()
    human: HumanConfig = HumanConfig()
    prompts: Path | None = Field(
        None, description="Folder of templates that is searched before the packaged ones."
    )
    replay_of: str | None = Field(
        None, description="The run whose recorded votes this one replays; `replay` sets it."
    )
    seed: int = Field(0, ge=0, description="Equal seeds and equal votes give equal runs.")

    @model_validator(mode="after")
    def _agents_are_paid_by_tokens(self) -> RunConfig:
        for section in ("selection", "generation", "critic", "operator"):
            model = getattr(self, section).model
            if model is not None and model.price.per_label is not None:
                raise ValueError(
                    f"{section}.model.price: an agent gives no labels, so a price per label would "
                    "count as free; write free or {in: USD, out: USD} per million tokens"
                )
        return self

    @model_validator(mode="after")
    def _annotators_fit(self) -> RunConfig:
        names = [annotator.name for annotator in self.annotators]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"annotators: the name {twice[0]!r} is used twice; rename one")
        if all(annotator.kind == "human" for annotator in self.annotators):
            raise ValueError(
                "annotators: only people are configured; add a model, recorded votes or "
                "{kind: embedded, name: embedded} to label what people do not reach"
            )
        return self

    @model_validator(mode="after")
    def _guarantee_has_a_judge(self) -> RunConfig:
        if self.ensemble.guarantee and not any(one.trusted for one in self.annotators):
            raise ValueError(
                "ensemble.guarantee: no annotator is trusted, and against whom errors are counted "
                "must be known; set 'trusted: true' for the annotator whose labels you take as "
                "gold (such as {kind: human, name: expert, price: {per_label: 0.10}}), or leave "
                "the guarantee out"
            )
        return self

    def endpoints(self) -> list[tuple[str, EndpointConfig | EmbedderConfig]]:
        """Every endpoint that a run may send requests to, with the name of who uses it."""
        used: list[tuple[str, EndpointConfig | EmbedderConfig]] = [
            (annotator.name, annotator)
            for annotator in self.annotators
            if isinstance(annotator, EndpointConfig)
        ]
        agents = {
            "selector": self.selection.model,
            "critic": self.critic.model,
            "generator": self.generation.model if self.generation.enabled else None,
            "operator": self.operator.model,
        }
        used += [(name, model) for name, model in agents.items() if model is not None]
        if self.embedder.kind == "openai":
            used.append(("embedder", self.embedder))
        return used


def load_config(path: Path) -> RunConfig:
    """Read and check a ``run.yaml``; paths in it are relative to its folder.

    Raises:
        ConfigError: Names the file, the field, the value and what was expected.
    """
    try:
        raw = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `labelwright init` writes one.") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; expected a YAML file.") from None
    # ValueError: bytes that are no UTF-8, or a date that is none.
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {redact(str(error))}") from None
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise ConfigError(f"{path}: expected sections such as 'task:' and 'data:', found {found}.")
    return parse_config(raw, folder=path.parent, source=str(path))


def parse_config(raw: dict[str, Any], *, folder: Path, source: str = "run.yaml") -> RunConfig:
    """Check a configuration that is already read.

    Args:
        raw: The sections.
        folder: What relative paths are relative to.
        source: How error messages call it.

    Raises:
        ConfigError: As `load_config`.
    """
    try:
        return RunConfig.model_validate(_with_absolute_paths(raw, folder.resolve()))
    except ValidationError as error:
        lines = [_explain(detail) for detail in error.errors()]
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines)) from None


def with_cap(config: RunConfig, usd: float) -> RunConfig:
    """The configuration under another money cap.

    Raises:
        ConfigError: The cap is not a finite amount of 0 or more.
    """
    if not (math.isfinite(usd) and usd >= 0):
        raise ConfigError(f"usd: expected a cap in USD of 0 or more, found {usd!r}.")
    return config.model_copy(
        update={"budget": config.budget.model_copy(update={"usd": float(usd)})}
    )


def dump_config(config: RunConfig) -> str:
    """The configuration as YAML, every default written out."""
    plain = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    return write_yaml(plain)


def _with_absolute_paths(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    def absolute(section: Any, *keys: str) -> Any:
        if not isinstance(section, dict):
            return section
        paths = {k: str(folder / section[k]) for k in keys if isinstance(section.get(k), str)}
        return {**section, **paths}

    annotators = raw.get("annotators")
    changed = absolute(raw, "prompts")
    changed["data"] = absolute(raw.get("data"), "path")
    if isinstance(annotators, list):
        changed["annotators"] = [absolute(annotator, "path") for annotator in annotators]
    return {key: value for key, value in changed.items() if key in raw}


_ADVICE = {
    "api_key": "keys come from the environment only: name the variable in 'api_key_env'",
    "price": "is missing; write free, {in: USD, out: USD} per million tokens, or "
    "{per_label: USD}: an unknown price is refused, never counted as free",
}
_SECTION = frozenset(("model_type", "model_attributes_type", "dict_type"))
_EXPECTED = {
    "greater_than_equal": "expected a number of {ge:g} or more",
    "greater_than": "expected a number above {gt:g}",
    "less_than_equal": "expected a number of {le:g} or less",
    "less_than": "expected a number below {lt:g}",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected text; a number or a word such as no needs quotes around it",
    "string_too_short": "expected text that is not empty",
    "list_type": "expected a list",
    "too_short": "expected {min_length} or more of them",
    "literal_error": "expected {expected}",
}
"""The commonest mistakes by pydantic's name of them, in words for who has not read its manual."""
_MAY_BE_SECRET = frozenset(("base_url", "url", "api_key_env"))
_LONGEST_VALUE = 200


def _explain(detail: Any) -> str:
    loc = list(detail["loc"])
    if loc[:1] == ["annotators"]:
        # The union writes the tag of the chosen kind into the path; the file has no such key.
        del loc[2:3]
    where = "".join(f"{part}." for part in loc).removesuffix(".") + ": " if loc else ""
    message = detail["msg"].removeprefix("Value error, ")
    field = str(loc[-1]) if loc else ""
    if detail["type"] == "extra_forbidden":
        return f"{where}{_ADVICE.get(field) or _no_such_option(detail['loc'])}."
    if detail["type"] == "missing":
        return f"{where}{_ADVICE.get(field, 'is missing; expected a value for it')}."
    if detail["type"] in _SECTION:
        message = "expected a section with options of its own"
    if detail["type"] in _EXPECTED:
        message = _EXPECTED[detail["type"]].format(**detail.get("ctx", {}))
    if detail["type"] == "string_pattern_mismatch" and (
        choices := re.fullmatch(r"\^\(([\w|]+)\)\$", detail["ctx"]["pattern"])
    ):
        message = f"expected one of {choices[1].replace('|', ', ')}"
    if field == "api_key_env":
        message = (
            "is the NAME of an environment variable, in capitals, not the key; "
            "such as OPENAI_API_KEY"
        )
    value = detail.get("input")
    if isinstance(value, dict | list) or field in _MAY_BE_SECRET:
        return f"{where}{message}."
    return f"{where}{message}. Found {redact(repr(value))[:_LONGEST_VALUE]}."


def _no_such_option(loc: tuple[str | int, ...]) -> str:
    """What to say of a key that its section does not have, with the option most like it."""
    models: list[type[BaseModel]] = [RunConfig]
    for part in loc[:-1]:
        inner = [
            found
            for model in models
            if part in model.model_fields
            for found in _models(model.model_fields[str(part)].annotation)
        ]
        # A part that is no field is a place in a list, or the kind that chose among a union.
        kinds = [m for m in models if part in get_args(_annotation(m, "kind"))]
        models = inner or kinds or models
    options = [info.alias or name for m in models for name, info in m.model_fields.items()]
    near = difflib.get_close_matches(str(loc[-1]), options, 1)
    if near:
        return f"no such option; did you mean {near[0]!r}? Correct the spelling or remove it"
    return "no such option; check the spelling or remove it"


def _annotation(model: type[BaseModel], name: str) -> Any:
    return model.model_fields[name].annotation if name in model.model_fields else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside a type: in a list, beside None, or as parts of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
