"""The page of a run for those who see one for the first time."""

import re
from pathlib import Path

import pytest
import streamlit as st
from doubles.going_run import going
from streamlit.testing.v1 import AppTest

from labelwright.app.panel.words import WORDS
from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import Review
from labelwright.tools.watch.queue import QuestionFile

EXPLAINED = (
    "uncalibrated", "sweep", "macro-F1", "p_correct", "churn", "stop set", "audit", "set apart",
    "escalate", "tier", "student", "consensus", "rho", "gate", "value (A)",
)  # fmt: skip


def script() -> None:
    from labelwright.app.panel.run_page.page import page

    page()


def whole() -> None:
    from labelwright.app.panel.shell import show

    show()


def opened(run: Path) -> AppTest:
    at = AppTest.from_function(script, default_timeout=20)
    at.query_params["run"] = run.name
    at.run()
    assert not at.exception
    return at


def html(at: AppTest) -> str:
    return "\n".join(block.proto.body for block in at.get("html"))


def test_every_word_of_the_trade_is_explained_once() -> None:
    names = [word for word, _ in WORDS]
    assert names == sorted(names, key=str.casefold)
    for word in EXPLAINED:
        assert len([name for name in names if re.search(rf"(?<!\w){re.escape(word)}", name)]) == 1


def test_the_words_are_drawn_for_those_who_open_them(finished_run: Path) -> None:
    at = opened(finished_run)
    assert "lw-words" not in html(at)
    at.button(key="words_open").click().run()
    assert not at.exception
    for word, what in WORDS:
        assert f"<dt>{word}</dt><dd>{what}</dd>" in html(at)


@pytest.mark.parametrize("page", ["review", "items", "compare"])
def test_the_other_pages_have_them_at_their_foot(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    shown = []

    class Chosen:
        url_path = page

        def run(self) -> None:
            shown.append(page)

    monkeypatch.setattr(st, "navigation", lambda *_, **__: Chosen())
    at = AppTest.from_function(whole, default_timeout=20).run()
    assert not at.exception
    assert shown == [page]
    assert [box.label for box in at.expander] == ["Words"]
    assert "lw-words" not in html(at)
    at.session_state["words_unfolded"] = True
    at.run()
    assert "<dt>churn (d)</dt>" in html(at)


def test_the_stop_rule_says_in_a_sentence_what_it_found(finished_run: Path) -> None:
    at = opened(finished_run)
    assert re.search(r"The stop rule after round \d+\. It stops", html(at))


def test_what_was_not_measured_is_called_so(waiting_run: Path) -> None:
    at = opened(waiting_run)
    assert "<dd>not known</dd>" in html(at)
    assert "ncalibrated" not in html(at)


def test_finish_says_how_many_questions_stay_unanswered(waiting_run: Path) -> None:
    questions = QuestionFile(waiting_run).questions()
    with Ledger(waiting_run / "ledger.sqlite", create=False) as ledger:
        for asked in questions[:2]:
            review = Review(0, asked.item_id, "ann", "label", asked.labels[0])
            ledger.log.direct("review", review.payload())
    at = opened(waiting_run)
    at.button(key="run_finish").click().run()
    assert not at.exception
    told = [one.value for one in at.markdown if "unanswered" in one.value]
    assert len(told) == 1
    assert told[0].startswith(f"{len(questions) - 2:,} questions for people are unanswered.")
    assert "does not ask again" in told[0]


def test_finish_of_a_run_without_questions_speaks_of_none(finished_run: Path) -> None:
    with going(finished_run):
        at = opened(finished_run)
        at.button(key="run_finish").click().run()
    assert [one for one in at.markdown if "Nothing more is bought" in one.value]
    assert not [one for one in at.markdown if "unanswered" in one.value]
