"""Fixtures that several test folders use."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests have no packages; the doubles are found as `doubles.<name>`.
sys.path.insert(0, str(Path(__file__).parent))

from doubles.openai_server import OpenAIServer

from labelwright.tools.prompts import PromptLibrary


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A test double of an OpenAI-compatible server, on the loopback interface."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def wire_prompts(tmp_path: Path) -> PromptLibrary:
    """The prompts of the wire layer, in the fewest words."""
    folder = tmp_path / "prompts"
    (folder / "wire").mkdir(parents=True)
    for name, inputs, body in (
        ("probe", "{}", "Answer with yes."),
        ("long_answer", "{}", "Count from one to sixty in words."),
        ("json_answer", "{schema: {type: string}}", "Answer in JSON: {{ schema }}"),
        ("reminder", "{submit: {type: string}}", "Call {{ submit }}."),
    ):
        sample = "[{}]" if inputs == "{}" else f"[{{{inputs[1:].split(':')[0]}: x}}]"
        (folder / "wire" / f"{name}.prompt.md").write_text(
            f"---\nname: wire/{name}\ndescription: d\noutput: o\ninputs: {inputs}\n"
            f"samples: {sample}\n---\n# user\n{body}\n"
        )
    return PromptLibrary([folder])
