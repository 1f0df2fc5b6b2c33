"""The human queue, and the reviews that it stands on, read by increments."""

import json

import pytest
import yaml

from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import REVIEW, Review, standing, wants_second
from labelwright.tools.watch import RunReader
from labelwright.tools.watch.queue import QuestionFile, people, queue, second_opinion
from labelwright.tools.watch.review_log import ReviewLog

LABELS = ["a", "b"]


@pytest.fixture
def run(tmp_path):
    config = {
        "task": {"labels": [{"name": label} for label in LABELS]},
        "annotators": [{"kind": "embedded", "name": "e"}, {"kind": "human", "name": "ann"}],
        "human": {"second_opinion": 0.25},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return Run(tmp_path)


class Run:
    def __init__(self, folder):
        self.folder = folder
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.reader = RunReader(folder)
        self.log = ReviewLog(self.reader)

    def says(self, reviewer, item, verdict="label", label=None, **more):
        label = label if verdict != "label" else label or "a"
        seq = self.ledger.log.direct(
            REVIEW, Review(0, item, reviewer, verdict, label, **more).payload()
        )
        self.log.refresh()
        return seq

    def asks(self, *items, purpose="escalate", mark="\n"):
        lines = [
            json.dumps(
                {
                    "item_id": item,
                    "text": f"text of {item}",
                    "labels": LABELS,
                    "annotator": "ann",
                    "purpose": purpose,
                }
            )
            for item in items
        ]
        (self.folder / "questions.jsonl").write_text("\n".join(lines) + mark, encoding="utf-8")

    def questions(self):
        return QuestionFile(self.folder).questions()

    def todo(self, reviewer, share=0.0):
        found = queue(self.questions(), self.log, reviewer, second_opinion=share)
        return [question.item_id for question in found.todo]


def test_the_file_may_be_absent_half_written_or_of_an_earlier_version(run):
    file = QuestionFile(run.folder)
    assert file.questions() == []
    run.asks("q1", "q2")
    whole = (run.folder / "questions.jsonl").read_bytes()
    (run.folder / "questions.jsonl").write_bytes(whole[:-9])
    assert [question.item_id for question in file.questions()] == ["q1"]
    old = {"item_id": "q3", "text": "t\u2028t", "labels": LABELS}
    junk = ["[]", "3", '"x"', '{"item_id": 7, "text": "", "labels": []}', "\ufffd", ""]
    lines = [*junk, json.dumps(old, ensure_ascii=False), json.dumps(old)]
    (run.folder / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (question,) = file.questions()
    assert (question.item_id, question.labels, question.purpose) == ("q3", ("a", "b"), "")
    assert question.blind, "where nobody says why it is asked, it may be an audit"
    (run.folder / "questions.jsonl").unlink()
    assert file.questions() == []


@pytest.mark.parametrize(
    ("purpose", "blind"),
    [("audit", True), ("audit_change", True), ("last_audit", True), ("escalate", False)],
)
def test_audits_are_blind(run, purpose, blind):
    run.asks("q", purpose=purpose)
    assert run.questions()[0].blind is blind


def test_questions_come_in_order_to_one_reviewer_each(run):
    run.asks("q3", "q1", "q2")
    assert run.todo("eve") == ["q3", "q1", "q2"]
    run.says("eve", "q1")
    assert run.todo("eve") == ["q3", "q2"]
    assert run.todo("bob") == ["q3", "q2"]
    found = queue(run.questions(), run.log, "bob")
    assert (found.answered.total(), found.asked["escalate"], len(found.open)) == (1, 3, 2)


def test_who_skips_leaves_it_to_others(run):
    run.asks("q1", "q2")
    run.says("eve", "q1", "skip")
    found = queue(run.questions(), run.log, "eve")
    assert [q.item_id for q in found.todo] == ["q2"]
    assert [q.item_id for q in found.skipped] == ["q1"]
    assert run.todo("bob") == ["q1", "q2"]
    run.says("bob", "q1")
    assert queue(run.questions(), run.log, "eve").skipped == []


def test_a_dispute_goes_to_a_further_reviewer_and_to_nobody_twice(run):
    run.asks("q")
    run.says("eve", "q", label="a")
    run.says("bob", "q", label="b")
    # Bob answered after Eve had settled it, as from a page that was open already.
    assert run.todo("eve") == run.todo("bob") == []
    assert run.todo("kim") == ["q"]
    assert len(queue(run.questions(), run.log, "kim").disputed) == 1
    run.says("kim", "q", label="b")
    assert run.todo("lee") == []
    assert queue(run.questions(), run.log, "lee").answered.total() == 1


def test_second_opinions_are_of_two(run):
    share = second_opinion(run.reader)
    items = [f"q{number}" for number in range(40)]
    wanted = [item for item in items if wants_second(item, share)]
    assert 0 < len(wanted) < len(items)
    run.asks(*items)
    for item in items:
        run.says("eve", item)
    assert run.todo("eve", share) == []
    assert run.todo("bob", share) == wanted
    for item in wanted:
        run.says("bob", item)
    found = queue(run.questions(), run.log, "kim", second_opinion=share)
    assert found.open == []
    assert found.answered.total() == len(items)


def test_what_the_run_has_taken_up_answers_no_later_question(run):
    seq = run.says("eve", "q")
    run.ledger.log.acknowledge(seq, "taken in round 1")
    run.log.refresh()
    run.asks("q")
    assert run.todo("eve") == ["q"]
    assert run.log.adds(Review(0, "q", "eve", "label", "a")), "asked anew, answered anew"
    assert run.log.standing["q"].label == "a", "what was said stays said"


def test_the_log_grows_by_increments_as_if_read_at_once(run):
    script = [
        ("eve", "x", "label", "a"),
        ("bob", "x", "flag", None),
        ("eve", "x", "label", "b"),
        ("eve", "x", "undo", None),
        ("bob", "y", "no_label", None),
        ("bob", "y", "undo", None),
        ("bob", "y", "undo", None),
        ("kim", "z", "skip", None),
    ]
    seqs = [run.says(who, item, verdict, label) for who, item, verdict, label in script]
    run.ledger.log.direct("stop")
    run.ledger.log.direct(REVIEW, {"item_id": "x", "reviewer": "eve", "verdict": "shout"})
    run.ledger.log.direct(REVIEW, ["no", "object"])
    run.log.refresh()
    fresh = ReviewLog(run.reader)
    fresh.refresh()
    every = [
        Review(seq, item, who, verdict, label)
        for seq, (who, item, verdict, label) in zip(seqs, script, strict=True)
    ]
    assert run.log.standing == fresh.standing == standing(every)
    assert run.log.reviews() == fresh.reviews() == every
    assert run.log.standing["x"].said == {"eve": "a"}
    assert run.log.standing["x"].flagged
    assert "y" not in run.log.standing
    assert [word.seq for word in run.log.of_reviewer("eve")] == [seqs[0]]
    assert [one.taken_back for one in run.log.of_item("x")] == [False, False, True, False]
    assert run.log.reviewers() == ["bob", "eve", "kim"]


def test_a_second_click_says_nothing_new(run):
    first = run.says("eve", "x", label="a")
    log = run.log
    assert not log.adds(Review(0, "x", "eve", "label", "a"))
    assert not log.adds(Review(0, "x", "eve", "skip")), "a late key must not wipe the answer"
    assert log.adds(Review(0, "x", "eve", "label", "b"))
    assert log.adds(Review(0, "x", "eve", "label", "a", example=True))
    assert log.adds(Review(0, "x", "bob", "label", "a"))
    assert log.adds(Review(0, "x", "eve", "undo", undoes=first))
    assert not log.adds(Review(0, "x", "eve", "undo", undoes=first + 1)), (
        "another word is the last one"
    )
    run.says("eve", "x", "flag")
    assert not log.adds(Review(0, "x", "eve", "flag"))
    assert not log.adds(Review(0, "x", "eve", "undo", undoes=first))


def test_what_waits_is_known_with_the_notes_of_the_run(run):
    first, second = run.says("eve", "x"), run.says("eve", "y")
    assert run.log.pending() == {"x": 1, "y": 1}
    run.ledger.log.acknowledge(second, "taken in round 3")
    run.log.refresh()
    assert run.log.pending() == {"x": 1}
    assert [one.note for one in run.log.of_item("y")] == ["taken in round 3"]
    assert not run.log.adds(Review(0, "y", "eve", "undo", undoes=second)), (
        "a label that was taken stays"
    )
    run.ledger.log.acknowledge(first, "")
    run.log.refresh()
    assert run.log.pending() == {}
    assert people(run.reader) == ["ann"]
