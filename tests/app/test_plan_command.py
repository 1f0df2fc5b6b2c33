"""`labelwright plan`: a quote that sends nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.openai_server import OpenAIServer

from labelwright.app.exit_codes import ExitCode


def test_it_quotes_the_loop_and_shows_the_alternatives(
    cli: Callable[..., Any], project: Path
) -> None:
    result = cli("plan", project)
    assert result.exit_code == 0, result.stderr
    for part in (
        "60 different texts",
        "2 rounds of 10 texts",
        "reviewer: annotates",
        "the cap of $3.00",
        "1,000 items x $0.10 for a wrong label",
        "nobody reads a prompt",
        "nearest labels everything",
        "at inference time",
    ):
        assert part in result.stdout
    assert not (project.parent / "runs").exists()


def test_json_is_one_object_in_usd(cli: Callable[..., Any], project: Path) -> None:
    quote = json.loads(cli("plan", project, "--json").stdout)
    assert quote["texts"] == 60
    assert quote["cap_usd"] == 3.0
    assert 0 < quote["low_usd"] <= quote["high_usd"] <= quote["cap_usd"] <= quote["uncut_usd"]
    assert sum(line["usd"][1] for line in quote["lines"]) == pytest.approx(quote["uncut_usd"])
    assert quote["value"]["usd"] == 100.0


def test_the_prompt_is_shown_and_nothing_is_sent(
    cli: Callable[..., Any],
    make_project: Callable[..., Path],
    openai_server: OpenAIServer,
) -> None:
    annotator = {
        "kind": "chat",
        "name": "cheap",
        "model": "m",
        "base_url": openai_server.url,
        "price": {"in": 1, "out": 2},
    }
    result = cli("plan", make_project([annotator]))
    assert result.exit_code == 0, result.stderr
    prompt = result.stdout.split("Prompt example")[1]
    # The first text of the corpus, whole.
    assert "the sale banner flashes and it triggers my migraines/seizures" in prompt
    assert "[system]" in prompt
    assert openai_server.served == []


def test_a_quote_needs_no_key(cli: Callable[..., Any], make_project: Callable[..., Path]) -> None:
    price = {"in": 1, "out": 2}
    config = make_project([{"kind": "chat", "name": "cheap", "model": "m", "price": price}])
    result = cli("plan", config, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["low_usd"] > 0


def test_a_wrong_option_is_named(cli: Callable[..., Any], project: Path) -> None:
    project.write_text(project.read_text(encoding="utf-8") + "budgets: {usd: 1}\n")
    result = cli("plan", project)
    assert result.exit_code == ExitCode.CONFIG
    assert "budgets: no such option" in result.stderr
