"""The run page tells its reader nothing that no longer holds, and what corrections have changed."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit
from doubles.going_run import going
from streamlit.testing.v1 import AppTest

from labelwright.app.panel import processes
from labelwright.app.panel.run_page.page import _standing
from labelwright.app.panel.session import reader
from labelwright.graph import resume
from labelwright.tools.ledger import Decision, Ledger
from labelwright.tools.reviews import Review
from labelwright.tools.watch.corrected import learned_words


def script() -> None:
    from labelwright.app.panel.run_page.page import page

    page()


def review_script() -> None:
    from labelwright.app.panel.review.page import page

    page()


def opened(run: Path, page: Callable[[], None] = script, **query: str) -> AppTest:
    at = AppTest.from_function(page, default_timeout=20)
    for name, value in {"run": run.name, **query}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def shown(at: AppTest) -> str:
    """All inert HTML of the page as its reader sees it."""
    bodies = " ".join(block.proto.body for block in at.get("html"))
    return html.unescape(re.sub(r"<[^>]*>", " ", bodies))


def account(at: AppTest) -> str:
    (found,) = [one.proto.body for one in at.get("html") if "<dt>Spent</dt>" in one.proto.body]
    return str(found)


def test_a_run_that_has_decided_to_stop_has_no_next_batch(finished_run: Path) -> None:
    for words in ("Next batch", "such batches", "Per minute"):
        assert words not in account(opened(finished_run))
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        last = ledger.log.decisions("stop_check")[-1]
        goes_on = {"stop": None, "order": None}
        anew = Decision(9_000, last.round, "critic", "stop_check", goes_on, last.evidence)
        ledger.log.decide(anew)
    with going(finished_run):
        assert "such batches" in account(opened(finished_run))
        # After the order to finish none comes, though the run has not heard it yet.
        with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
            ledger.log.direct("finish", {})
        assert "Next batch" not in account(opened(finished_run))


def test_corrections_of_a_finished_run_are_confirmed_with_what_they_changed(
    finished_run: Path,
) -> None:
    first = opened(finished_run, reviewer="eve")
    assert "corrected" not in shown(first)
    assert not [one for one in first.caption if "corrections are in" in one.value]
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        audited = {i for made in ledger.log.decisions("batch") for i in made.decision["audit"]}
        held = ledger.votes.concluded().items()
        items = [i for i, one in held if one.outcome == "accept" and i not in audited][:3]
        names = reader(finished_run).labels
        for item in items:
            label = next(name for name in names if name != dict(held)[item].label)
            ledger.log.direct("review", Review(0, item, "eve", "label", label).payload())
    resume(finished_run)
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        learned = ledger.log.decisions("deliver")[-1].decision["learned"]
    assert learned["corrected"] == 3
    mine, theirs = opened(finished_run, reviewer="eve"), opened(finished_run, reviewer="bob")
    confirmed = learned_words(learned, "eve")
    assert confirmed.startswith("Your 3 corrections are in. The student has learned from them; ")
    assert confirmed in [one.value for one in mine.caption]
    assert learned_words(learned) in [one.value for one in theirs.caption]
    assert learned_words(learned) in shown(mine)  # in the chat, for all
    reviewed = opened(finished_run, review_script, reviewer="eve")
    assert confirmed in [one.value for one in reviewed.caption]
    assert "; estimated from the audit; 3 corrected labels count as right in it" in shown(mine)


def test_corrections_that_wait_take_the_place_of_those_that_are_in(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(processes, "resume_run", calls.append)
    yet = "The labels do not have the reviews of 2 texts yet."
    learned = {"corrected": 2, "by": ["eve"], "by_student": True}
    learned |= {"relabelled": 0, "accepted": 0, "set_apart": 0}
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.decide(Decision(9_000, 4, "critic", "deliver", {"learned": learned}, {}))
    before = [one.value for one in opened(finished_run, reviewer="eve").caption]
    assert learned_words(learned, "eve") in before
    assert yet not in before
    items = [i for (i,) in reader(finished_run).items("SELECT id FROM items LIMIT 2")]
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        for item in items:
            ledger.log.direct("review", Review(0, item, "eve", "no_label").payload())
    at = opened(finished_run, reviewer="eve")
    captions = [one.value for one in at.caption]
    words = "Reviews of 2 texts wait to be taken up. Nothing is bought for them."
    assert words in captions
    assert words in [
        one.value for one in opened(finished_run, review_script, reviewer="eve").caption
    ]
    assert learned_words(learned, "eve") not in captions
    assert yet in captions
    assert at.button(key="run_resume").label == "Take them up now"
    at.button(key="run_resume").click().run()
    assert calls == [finished_run]
    # Beside an order that may buy something it is no such button.
    with Ledger(finished_run / "ledger.sqlite", create=False) as ledger:
        ledger.log.direct("cap", {"usd": 50.0, "was": 10.0})
    at = opened(finished_run, reviewer="eve")
    assert at.button(key="run_resume").label == "Resume"
    assert any("may buy something: Resume takes" in one.value for one in at.caption)
    assert _standing(finished_run)[2] == 3  # what the head is drawn anew for


def test_the_next_batch_is_not_told_from_the_first_round(
    empty_run: Path, finished_run: Path
) -> None:
    check = {"check": {"money_next": 3_000_000_000}}
    rows = reader(finished_run).rows("SELECT metrics FROM rounds WHERE round = 1")
    metrics = {**json.loads(rows[0][0]), "spent": 3_000_000_000}
    with Ledger(empty_run / "ledger.sqlite") as ledger:
        ledger.log.close_round(1, metrics, np.zeros(0, np.int32))
        ledger.log.decide(Decision(1, 1, "critic", "stop_check", {"stop": None}, check))
    with going(empty_run):
        told = account(opened(empty_run))
    assert "Next batch" in told
    assert "known after round 2" in told
    assert "such batches" not in told


def test_questions_to_people_are_requests_and_that_is_said(
    finished_run: Path, waiting_run: Path
) -> None:
    assert "answers of people are counted, too" in account(opened(waiting_run))
    asks_people = any(one["kind"] == "human" for one in reader(finished_run).config["annotators"])
    assert ("answers of people" in account(opened(finished_run))) is asks_people


def test_parts_are_drawn_anew_only_as_often_as_was_measured(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every: dict[str, float] = {}
    fragment = streamlit.fragment

    def noted(func: Any = None, *, run_every: float | None = None) -> Any:
        if run_every is not None:
            every[func.__name__] = run_every
        return fragment(func, run_every=run_every)

    monkeypatch.setattr(streamlit, "fragment", noted)
    opened(finished_run)
    assert every == {"_look": 3.0}
    with going(finished_run):
        every.clear()
        opened(finished_run)
    # A run that needs all cores hardly notices these; oftener, and it would.
    assert every == {"_money": 4.0, "_stage": 4.0, "_figures": 10.0, "_news": 4.0}


@pytest.mark.parametrize(
    ("phase", "in_round"), [("loop", True), ("sweep", False), ("deliver", False)]
)
def test_what_is_done_after_the_last_batch_is_in_no_round(
    finished_run: Path, phase: str, in_round: bool
) -> None:
    with going(finished_run):
        node = {"event": "node", "node": "train", "round": 77, "phase": phase, "step": 1, "at": ""}
        with (finished_run / "events.jsonl").open("a", encoding="utf-8") as events:
            events.write(json.dumps(node) + "\n")
        said = shown(opened(finished_run))
    assert "training the student" in said
    assert ("Round 77 \N{MIDDLE DOT} training" in said) is in_round
