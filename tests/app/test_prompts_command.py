"""`labelwright prompts`: the templates, those of a run, and a folder of edited ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.openai_server import OpenAIServer

from labelwright.app.exit_codes import ExitCode
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.item import votes

Cli = Callable[..., Any]
NAME = "annotator/classify"
FILE = f"{NAME}.prompt.md"


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A folder with one template, a sentence longer than the packaged one."""
    folder = tmp_path / "mine"
    file = folder / FILE
    file.parent.mkdir(parents=True)
    source = (packaged_prompts() / FILE).read_text("utf-8")
    file.write_text(source.replace("\n# system\n", "\n# system\nTake your time.\n"), "utf-8")
    return folder


def lines(cli: Cli, *arguments: object) -> dict[str, str]:
    result = cli("prompts", *arguments)
    assert result.exit_code == ExitCode.FINISHED, result.stderr
    return {line.split()[0]: line for line in result.stdout.splitlines()}


def test_all_are_listed_with_hash_and_path(cli: Cli) -> None:
    packaged = PromptLibrary([packaged_prompts()])
    listed = lines(cli)
    assert list(listed) == packaged.names()
    for name, line in listed.items():
        prompt = packaged.get(name)
        assert line.split()[1:] == [prompt.hash[:12], "packaged", str(prompt.path)]


def test_one_is_shown_with_what_it_includes(cli: Cli) -> None:
    shown = cli("prompts", NAME).stdout
    prompt = PromptLibrary([packaged_prompts()]).get(NAME)
    assert prompt.hash in shown
    assert prompt.source in shown
    assert all(text in shown for text in prompt.includes.values())
    refused = cli("prompts", "annotator/none")
    assert refused.exit_code == ExitCode.CONFIG
    assert "No prompt 'annotator/none'" in refused.stderr


def test_an_edited_one_is_told_from_the_packaged(cli: Cli, edited: Path) -> None:
    listed = lines(cli, "--prompts", edited)
    assert "differs" in listed[NAME]
    assert str(edited / FILE) in listed[NAME]
    assert "packaged" in listed["annotator/classify_many"]
    shown = cli("prompts", "--diff", "--prompts", edited).stdout.splitlines()
    assert [line for line in shown if line.startswith("+")] == [
        f"+++ here {NAME}",
        "+Take your time.",
    ]
    assert cli("prompts", "--diff").stdout == ""


def test_a_folder_is_checked(cli: Cli, edited: Path) -> None:
    good = cli("prompts", "--prompts", edited, "--check")
    assert good.exit_code == ExitCode.FINISHED
    assert "templates are in order" in good.stdout
    assert f"{NAME}: differs" in good.stdout
    source = (edited / FILE).read_text("utf-8")
    misnamed = edited / "annotator" / "clasify.prompt.md"
    misnamed.write_text(source.replace(f"name: {NAME}", "name: annotator/clasify"), "utf-8")
    assert "annotator/clasify: no packaged template has this name" in (
        cli("prompts", "--prompts", edited, "--check").stdout
    )
    (edited / FILE).write_text(source + "{{ no_such_input }}\n", "utf-8")
    bad = cli("prompts", "--prompts", edited, "--check")
    assert bad.exit_code == ExitCode.CONFIG
    assert "no_such_input" in bad.stdout
    assert f"{FILE}:" in bad.stdout
    listed = lines(cli, "--prompts", edited)
    assert "malformed" in listed[NAME]
    assert cli("prompts", "--prompts", edited / "none").exit_code == ExitCode.CONFIG


def test_samples_are_filled_in(cli: Cli) -> None:
    prompt = PromptLibrary([packaged_prompts()]).get(NAME)
    shown = cli("prompts", NAME, "--render").stdout
    for number, sample in enumerate(prompt.samples, 1):
        assert f"=== {NAME}: sample {number}" in shown
        assert all(message.content in shown for message in prompt.render(**sample))
    every = cli("prompts", "--render").stdout
    for name in PromptLibrary([packaged_prompts()]).names():
        assert f"=== {name}: sample 1" in every


def test_with_a_run_its_texts_are_filled_in(cli: Cli, run_folder: Path, edited: Path) -> None:
    reader = RunReader(run_folder)
    (first, text), (last, other) = reader.items(
        "SELECT id, text FROM items WHERE position IN (0, 7) ORDER BY position"
    )
    reader.close()
    shown = cli("prompts", NAME, "--render", "--run", "a").stdout
    assert f"=== {NAME}: {first}, as an annotator would read it" in shown
    assert text in shown
    tried = cli("prompts", NAME, "--render", "--run", "a", "--item", last, "--prompts", edited)
    assert other in tried.stdout
    assert "Take your time." in tried.stdout
    for arguments, words in {
        (NAME, "--render", "--run", "a", "--item", "none"): "has no text 'none'",
        ("critic/review", "--render", "--run", "a", "--item", last): "reads no text of the pool",
        (NAME, "--item", last): "expected --run RUN and --render",
        (NAME, "--render", "--diff"): "give one of",
    }.items():
        refused = cli("prompts", *arguments)
        assert refused.exit_code == ExitCode.CONFIG
        assert words in refused.stderr


def test_what_a_model_was_sent_is_rendered_again(
    cli: Cli,
    make_project: Callable[..., Path],
    openai_server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    edited: Path,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    config = make_project(
        [
            {
                "kind": "chat", "name": "cheap", "model": "m", "base_url": openai_server.url,
                "price": {"input": 1, "output": 1}, "max_output_tokens": 256, "retries": 0,
            }
        ]
    )  # fmt: skip
    assert cli("run", config, "--name", "chat").exit_code == ExitCode.FINISHED
    reader = RunReader(Path("runs/chat"))
    ids = [row[0] for row in reader.items("SELECT id FROM items")]
    item = next(i for i in ids if any(not vote.attempt for vote in votes(reader, i)))
    text = reader.texts([item])[item]
    reader.close()
    sent = next(
        served.request["messages"]
        for served in openai_server.chats
        if text in str(served.request["messages"][-1]["content"])
    )
    again = cli("prompts", NAME, "--render", "--run", "chat", "--item", item).stdout
    assert f"{item}, to cheap, as it was sent" in again
    assert str(sent[-1]["content"]) in again
    tried = cli("prompts", NAME, "--render", "--run", "chat", "--item", item, "--prompts", edited)
    assert f"{item}, to cheap, not as it was sent" in tried.stdout
    assert "Take your time." in tried.stdout
