"""`labelwright say`: for a person at a terminal, and for scripts."""

import json

import pytest
from doubles.openai_server import Reply
from doubles.operator_run import write_run
from typer.testing import CliRunner

from labelwright.app.cli import app
from labelwright.app.exit_codes import ExitCode
from labelwright.tools.ledger import Ledger


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "runs" / "r")


@pytest.fixture
def say(folder):
    def say(*args, code=0):
        result = CliRunner().invoke(app, ["say", "r", *args, "--runs", str(folder.parent)])
        assert result.exit_code == code, result.output
        return result.output

    return say


def directives(folder):
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return [(d.kind, d.payload) for d in ledger.log.directives()]


def test_a_question(say):
    assert "$2.25 spent of a cap of $10.00" in say("status")
    told = json.loads(say("why m4", "--json"))
    assert told["lines"][0] == {"text": "where is parcel 4", "role": "item", "item": "m4"}
    assert (told["offer"], told["understood"], told["by"]) == (None, True, "grammar")


def test_a_script_without_a_yes_only_sees_the_change(say, folder):
    out = say("cap 3 dollars")
    assert "- cap: $10.00\n  + cap: $3.00" in out
    assert "budget:\n    usd: 3.0" in out
    assert "Nothing was changed. Confirm it with --yes." in out
    assert directives(folder) == []


def test_a_yes_now_or_later(say, folder):
    assert "ordered (order 1)" in say("cap 3", "--yes", "--by", "Ada")
    offer = json.loads(say("a point is worth $2", "--json"))["reply"]
    told = json.loads(say("--confirm", str(offer), "--json"))
    assert told["outcome"] == {
        "status": "confirmed", "directive": 2, "what": "ordered (order 2)", "files": []
    }  # fmt: skip
    assert directives(folder) == [
        ("cap", {"usd": 3.0, "was": 10.0}),
        ("value", {"point_usd": 2.0}),
    ]
    assert "answered before" in say("--cancel", str(offer), code=ExitCode.CONFIG)


def test_a_change_of_the_task(say, folder):
    told = json.loads(say("guideline: Be brief.", "--yes", "--json"))
    assert told["outcome"]["files"][0].endswith("proposals/guideline-001-task.yaml")
    assert directives(folder) == []


def test_resume_is_another_command(say):
    assert "start it with: labelwright resume r" in say("resume", "--yes")


def test_what_was_meant(say, folder):
    assert "Did you mean: status?" in say("statsu")
    assert "say one thing" in say(code=ExitCode.CONFIG)
    assert "say one thing" in say("status", "--confirm", "3", code=ExitCode.CONFIG)
    assert "no offer 99" in say("--confirm", "99", code=ExitCode.CONFIG)


def test_with_a_model(tmp_path, openai_server):
    model = {"model": "m", "base_url": openai_server.url, "price": "free", "retries": 0}
    folder = write_run(tmp_path / "runs" / "r", operator={"model": model})

    def answer(request):
        if "Count from one" in str(request["messages"][-1]["content"]):
            return Reply("one")
        return Reply(tool_calls=(("submit_answer", {"text": "Well.", "order": "cap $3"}),))

    openai_server.script = answer
    args = ["say", "r", "make it cheap", "--json", "--yes", "--runs", str(folder.parent)]
    told = json.loads(CliRunner().invoke(app, args).output)
    assert (told["by"], told["lines"][0]["text"]) == ("model m", "Well.")
    assert directives(folder) == [("cap", {"usd": 3.0, "was": 10.0})]
