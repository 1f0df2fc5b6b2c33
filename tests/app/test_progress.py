"""Progress: lines for a log, a panel for a terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from labelwright.app import progress
from labelwright.app.progress import Tally, watching
from labelwright.tools.ledger import Call, Ledger, Settlement

CHOSEN = {"event": "selected", "round": 1, "batch": 10, "audit": 5}
ANSWERS = {
    "event": "answers",
    "annotator": "cheap",
    "votes": 8,
    "invalid": 2,
    "not_asked": 0,
    "skipped": 3,
}
TRAINED = {
    "event": "trained",
    "round": 1,
    "labels": 8,
    "agreement": 0.5,
    "macro_f1": 0.4,
    "audited": 5,
    "audit_student": 0.6,
    "audit_student_low": 0.2,
    "audit_student_high": 0.9,
    "spent": 200_000_000,
}
DECIDED: dict[str, Any] = {
    "event": "decided",
    "round": 1,
    "stop": {"reason": "cap", "detail": "the caps no longer pay for cheap"},
    "order": None,
    "explanation": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with one settled and one open call in its ledger."""
    (tmp_path / "run.yaml").write_text("budget: {usd: 2}\n", encoding="utf-8")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for key in ("a", "b"):
            call = Call(key, "annotator", "cheap", "m", "label", 1)
            number = ledger.reserve(call, 300_000_000, try_no=0, bound_tokens=50)
            if key == "a":
                ledger.settle(number, Settlement("answered", 200_000_000, 30, 10))
    return tmp_path


def test_without_a_terminal_there_are_plain_lines(folder: Path) -> None:
    stream = io.StringIO()
    with watching(folder, Console(file=stream, width=60)) as notify:
        for event in (CHOSEN, ANSWERS, TRAINED, DECIDED):
            notify(event)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "round 1: 10 texts chosen, 5 audits",
        "round 1: agrees with 50.0% of 8 labels, macro-F1 0.40; audit 60.0% (20.0% to 90.0%, "
        "n = 5); $0.20 spent, $0.30 reserved of the cap of $2.00",
        "round 1: stop (cap): the caps no longer pay for cheap",
    ]
    # The training after the last batch is in no round.
    tally = Tally(folder, None, rounds=1)
    assert str(tally.line({**TRAINED, "round": 1})).startswith("round 1: ")
    assert str(tally.line({**TRAINED, "round": 2})).startswith("last training: ")
    tally.close()


def test_what_follows_the_rounds_is_told_and_its_answers_are_of_no_round(folder: Path) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "_QUIET_S", 0.0)
        with watching(folder, Console(file=stream, width=60)) as notify:
            for event in (
                CHOSEN,
                ANSWERS,
                {"event": "sweep", "asked": {"cheap": 20}},
                ANSWERS,
                {"event": "last_audit", "asked": 1200, "judge": "ann"},
                ANSWERS,
                {"event": "rest_escalated", "asked": 3400, "judge": "ann"},
                ANSWERS,
                {**CHOSEN, "round": 2},
                ANSWERS,
            ):
                notify(event)
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "votes" not in line] == [
        "round 1: 10 texts chosen, 5 audits",
        "sweep: cheap about 20 texts",
        "last audit: 1,200 texts to ann",
        "texts that could not be accepted: 3,400 to ann",
        "round 2: 10 texts chosen, 5 audits",
    ]
    assert [line.partition(": ")[0] for line in lines if "votes" in line] == [
        "round 1",
        "sweep",
        "last audit",
        "texts that could not be accepted",
        "round 2",
    ]


def test_the_panel_shows_money_answers_and_the_last_decision(folder: Path) -> None:
    tally = Tally(folder, 2_000_000_000)
    for event in (CHOSEN, ANSWERS, TRAINED, DECIDED):
        tally.update(event)
    tally.update({**TRAINED, "round": 2, "spent": 600_000_000})
    console = Console(file=io.StringIO(), width=120, record=True, force_terminal=True)
    console.print(tally)
    tally.close()
    shown = console.export_text()
    for part in (
        "2 sent, 8 votes, 3 cached, 2 invalid, 0 failed",
        "$0.20 spent, $0.30 reserved of the cap of $2.00",
        "$0.40 a round; the cap is 3 such rounds away",
        "round 1: stop (cap)",
        "audit 60.0%",
        "trained the student",
    ):
        assert part in shown


def test_in_a_terminal_the_panel_is_live_and_leaves_nothing_behind(folder: Path) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=120, force_terminal=True, legacy_windows=False)
    with watching(folder, console) as notify:
        notify(CHOSEN)
        notify(TRAINED)
    assert "labelling" in stream.getvalue() or "trained" in stream.getvalue()
    assert "texts chosen" not in stream.getvalue()


def test_a_run_that_has_no_ledger_yet_can_be_watched(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("budget: {usd: 2}\n", encoding="utf-8")
    stream = io.StringIO()
    with watching(tmp_path, Console(file=stream)) as notify:
        notify({"event": "generated", "round": 1, "texts": 0, "failure": "no writer"})
        notify({"event": "sweep", "asked": {}})
    assert stream.getvalue().splitlines() == [
        "round 0: 0 texts generated (no writer)",
        "sweep: nothing more is worth its price",
    ]
