"""`labelwright plan`: a quote that sends nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.openai_server import OpenAIServer

from labelwright.app.exit_codes import ExitCode
from labelwright.app.quoted import remarks


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
        "you label everything yourself",
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


def test_questions_examples_and_the_chat_are_told(
    cli: Callable[..., Any], make_project: Callable[..., Path]
) -> None:
    price = {"in": 1, "out": 2}
    chat = {"kind": "chat", "name": "cheap", "model": "m", "price": price}
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    config = make_project([chat, person])
    config.write_text(
        config.read_text(encoding="utf-8")
        + "operator: {model: {model: big, price: {in: 1, out: 4}}}\n",
        encoding="utf-8",
    )
    said = " ".join(cli("plan", config).stdout.split())
    quote = json.loads(cli("plan", config, "--json").stdout)
    asked, later, chat = quote["questions"], quote["examples"], quote["chat"]
    assert f"You will be asked {asked['fewest']} to {asked['most']} questions" in said
    assert f"about {asked['expected']} in the middle of the range." in said
    assert "can end a run before" in said
    assert f"Each adds about {later['tokens']} tokens to a request" in said
    assert "The chat's model (big) is paid from the cap" in said
    assert 0 < chat["usd"] < chat["most_usd"] == 0.05
    assert f"about ${chat['usd']:.4f}" in said
    assert "than $0.050." in said


def test_remarks_are_made_only_where_there_is_something_to_say() -> None:
    def said(**quote: Any) -> list[str]:
        return remarks(quote, str, "${:.2f}".format)

    assert said() == said(questions=None, examples=None, chat=None) == []
    two = {"people": ["ann", "bob"], "fewest": 3, "expected": 3, "most": 3, "remarks": []}
    assert said(questions=two) == ["The people (ann, bob) will be asked 3 questions."]
    told = said(questions={**two, "remarks": ["No audits.", "No doubts."]})
    assert told[1:] == ["No audits.", "No doubts."]
    free = {"model": "m", "usd": 0.0, "most_usd": 0.0}
    assert said(chat=free) == ["The chat's model (m) is free."]


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
