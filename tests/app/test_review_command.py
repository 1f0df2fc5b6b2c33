"""`labelwright review`: keys from a script, and from a real terminal."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from doubles.going_run import going
from doubles.operator_run import write_run
from rich.console import Console

from labelwright.app.demo_run import FOLDER
from labelwright.app.exit_codes import ExitCode
from labelwright.app.panel.review import keys
from labelwright.app.review_terminal import Sitting
from labelwright.tools.ledger import Ledger
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.desk import open_desk

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def made_waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run that has put its first audits to a person."""
    from labelwright.graph import run

    home = tmp_path_factory.mktemp("asking")
    lines = (FOLDER / "corpus.jsonl").read_text("utf-8").splitlines()[:60]
    (home / "data.jsonl").write_text("\n".join(lines), "utf-8")
    config = {
        "task": {
            "name": "messages",
            "labels": yaml.safe_load((FOLDER / "labels.yaml").read_text("utf-8")),
            "guidelines": "Judge what is written.",
        },
        "data": {"path": "data.jsonl", "id": "id"},
        "annotators": [
            {"kind": "embedded", "name": "nearest"},
            {"kind": "human", "name": "ann", "tier": 2, "price": {"per_label": 0.1}},
        ],
        "selection": {"batch_size": 10},
        "critic": {"audit_first": 4, "escalate_share": 0},
        "budget": {"usd": 3},
        "stopping": {"max_rounds": 1, "items": 1000, "error_cost_usd": 0.1},
    }
    (home / "run.yaml").write_text(yaml.safe_dump(config), "utf-8")
    return run(home / "run.yaml", name="w", runs=home / "runs").folder


@pytest.fixture
def waiting(made_waiting: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_waiting, tmp_path / "runs" / "w"))


def asked(folder: Path) -> list[str]:
    lines = (folder / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["item_id"] for line in lines]


def said(folder: Path) -> list[tuple[str, str, str | None]]:
    return [(word["item_id"], word["verdict"], word["label"]) for word in payloads(folder)]


def payloads(folder: Path) -> list[dict[str, Any]]:
    with Ledger(folder / "ledger.sqlite", create=False) as ledger:
        return [d.payload for d in ledger.log.directives() if d.kind == "review"]


def test_answers_are_kept_at_once_and_the_run_goes_on_with_them(cli: Cli, waiting: Path) -> None:
    items = asked(waiting)
    labels = RunReader(waiting).labels
    first = cli("review", "w", "--by", " Ada  L ", typed="1\n0\n\ns\n")
    assert first.exit_code == ExitCode.FINISHED, first.output
    assert said(waiting) == [
        (items[0], "label", labels[0]), (items[1], "no_label", None), (items[2], "skip", None)
    ]  # fmt: skip
    assert {(word["reviewer"], word["blind"]) for word in payloads(waiting)} == {("Ada L", True)}
    left = len(items) - 2
    words = f"{left} questions have no settled answer ({left - 1} left for you, 1 skipped by you)"
    assert words in first.stdout
    assert 'labelwright say runs/w "hand in", then labelwright resume runs/w' in first.stdout
    # What was skipped comes again, last.
    rest = cli("review", "w", "--by", "Ada L", typed="2\n" * left)
    assert "All questions are answered. Go on with: labelwright resume runs/w" in rest.stdout
    assert [item for item, _, _ in said(waiting)[3:]] == [*items[3:], items[2]]
    resumed = cli("resume", "w", "--json")
    assert resumed.exit_code == ExitCode.FINISHED, resumed.output
    by_source = json.loads(resumed.stdout)["summary"]["labels"]["by_source"]
    assert by_source["person"] == len(items) - 1
    assert "has no questions now" in cli("review", "w", "--by", "Ada").stdout


def test_an_answer_can_be_taken_back_and_flagged(cli: Cli, waiting: Path) -> None:
    items = asked(waiting)
    labels = RunReader(waiting).labels
    out = cli("review", "w", "--by", "ann", typed="u\n1\nu\nf\nf\n3\nq\n4\n").stdout
    assert "there is nothing to take back" in out
    assert f"taken back: {items[0]}: {labels[0]}" in out
    assert "it is flagged already" in out
    assert said(waiting) == [
        (items[0], "label", labels[0]),
        (items[0], "undo", None),
        (items[0], "flag", None),
        (items[0], "label", labels[2]),
    ]
    assert "1 text answered or skipped." in out


def test_a_limit_and_two_reviewers(cli: Cli, waiting: Path) -> None:
    items = asked(waiting)
    cli("review", "w", "--by", "ann", "--limit", "2", typed="1\n" * 9)
    cli("review", "w", "--by", "bob", "--limit", "1", typed="1\n" * 9)
    assert [(word["item_id"], word["reviewer"]) for word in payloads(waiting)] == [
        (items[0], "ann"), (items[1], "ann"), (items[2], "bob")
    ]  # fmt: skip


def test_a_script_that_is_out_of_step_is_stopped(cli: Cli, waiting: Path) -> None:
    result = cli("review", "w", "--by", "ann", typed="1\nbilling\n2\n")
    assert result.exit_code == ExitCode.CONFIG
    assert "'billing' is no key here; expected one of 1, 2," in result.stderr
    assert len(said(waiting)) == 1
    assert "expected a name" in cli("review", "w", "--by", " \u200b ").stderr


def test_audits_are_blind_and_doubtful_labels_are_not(cli: Cli, waiting: Path) -> None:
    blind = cli("review", "w", "--by", "ann", typed="v\n").stdout
    assert "votes stay hidden until you have answered" in blind
    assert "nearest" not in blind
    assert "held to be true" not in blind
    hidden = asked(waiting)
    out = cli("review", "w", "--by", "ann", "--doubtful", typed="v\ne\n2\ns\n").stdout
    assert re.search(r"nearest: \w+", out)
    assert "held to be true" in out
    first, second = payloads(waiting)
    assert (first["blind"], first["example"], first["verdict"]) == (False, True, "label")
    # The label in doubt is told with the text, so that nobody answers blind.
    told = r"The label in doubt: \w+, by \w+, \d+% sure\.|It is set apart;"
    assert len(re.findall(told, out)) >= 2
    assert (second["blind"], second["example"], second["verdict"]) == (False, False, "skip")
    assert not {first["item_id"], second["item_id"]} & set(hidden)


def test_a_run_that_is_going_on_has_no_questions(cli: Cli, waiting: Path) -> None:

    with going(waiting):
        out = cli("review", "w", "--by", "ann", typed="1\n").stdout
    assert "The run is going on" in out
    assert said(waiting) == []


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A hand-written run with one question that would like to be more than text."""
    folder = write_run(tmp_path / "runs" / "r", state="waiting_for_people")
    question = {
        "item_id": "m1\x1b[2J", "text": "\x1b]0;title\x07[bold]pay[/bold] \u202egnp.exe :smile:",
        "labels": ["billing", "delivery"], "annotator": "ann", "purpose": "audit",
    }  # fmt: skip
    (folder / "questions.jsonl").write_text(json.dumps(question) + "\n", "utf-8")
    return folder


def test_texts_stay_text(cli: Cli, hostile: Path) -> None:
    out = cli("review", "r", "--by", "ann", typed="").stdout
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "␛]0;title␇[bold]pay[/bold] \u2329U+202E\u232agnp.exe :smile:" in out
    assert "m1␛[2J" in out


def test_many_labels_are_found_by_a_part_of_the_name(cli: Cli, hostile: Path) -> None:
    names = [f"class {n:02}" for n in range(60)]
    question = {"item_id": "m1", "text": "t", "labels": names, "purpose": "audit"}
    (hostile / "questions.jsonl").write_text(json.dumps(question) + "\n", "utf-8")
    config = yaml.safe_load((hostile / "run.yaml").read_text("utf-8"))
    config["task"]["labels"] = [{"name": name, "description": ""} for name in names]
    (hostile / "run.yaml").write_text(yaml.safe_dump(config), "utf-8")
    out = cli("review", "r", "--by", "ann", typed="/nothing\n/47\n1\n").stdout
    assert "and 33 more: find them with /" in out
    assert "no label has these words" in out
    assert said(hostile) == [("m1", "label", "class 47")]


def test_a_key_that_is_held_down_answers_nothing(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = RunReader(hostile)

    def sit(*pressed: str) -> Sitting:
        coming = iter(pressed)

        def key() -> str:
            try:
                return next(coming)
            except StopIteration:
                raise EOFError from None

        sitting = Sitting(open_desk(reader), "ann", Console(quiet=True), key)
        sitting.put()
        return sitting

    monkeypatch.setattr(keys, "QUIET_S", 1e6)
    assert sit("1", "1", "1", "0", "s").done == 0
    monkeypatch.setattr(keys, "QUIET_S", 0.0)
    assert sit("no such key", "?", "1").done == 1
    reader.close()


@pytest.mark.parametrize("end", [b"q", b"\x03", b"\x04"])
def test_at_a_terminal_each_key_counts_by_itself(hostile: Path, end: bytes) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from labelwright.app.cli import main; main()"]
    arguments = ["review", "r", "--by", "ann", "--runs", str(hostile.parent)]
    process = subprocess.Popen([*command, *arguments], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    until(ours, b"quit")
    until(ours, b"flagged", b"f")
    seen = until(ours, b"settled answer", end)
    assert process.wait(30) == 0, seen
    os.close(ours)
    assert said(hostile) == [("m1\x1b[2J", "flag", None)]


def until(terminal: int, words: bytes, key: bytes = b"") -> bytes:
    """What the terminal shows up to some words, while a key is pressed again and again.

    A key that comes before it is waited for is passed over by the terminal.
    """
    seen = b""
    for _ in range(200):
        if key:
            os.write(terminal, key)
        while select.select([terminal], [], [], 0.3)[0]:
            # An error where the process has ended without saying them.
            seen += os.read(terminal, 4096)
            if words in seen:
                return seen
    raise AssertionError(seen)
