"""Reviewers answer the open questions of a run through its ledger."""

import json
import shutil
from pathlib import Path

import pytest
from doubles.mortal_run import Death, carry_on

from labelwright.agents.verdict import weigh
from labelwright.graph import resume, run
from labelwright.graph.session import open_run
from labelwright.tools.ledger import Ledger
from labelwright.tools.reviews import REVIEW, Review, wants_second


@pytest.fixture
def config(corpus):
    def config(**sections):
        person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
        annotators = [corpus.recorded("cheap", 1), corpus.recorded("middle", 2), person]
        given = {"annotators": annotators, "stopping": {"max_rounds": 2, "stop_set_size": 50}}
        return corpus.config(**{**given, **sections})

    return config


def questions(folder: Path):
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def say(folder, *reviews):
    """Write reviews: (item, reviewer, verdict, label)."""
    with Ledger(folder / "ledger.sqlite") as ledger:
        for item, reviewer, verdict, label in reviews:
            review = Review(0, item, reviewer, verdict, label)
            ledger.log.direct(REVIEW, review.payload())


def order(folder, kind, payload=None):
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log.direct(kind, payload)


def notes(folder, kind=REVIEW):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return [order.acknowledged for order in ledger.log.directives(kind)]


def votes_of(folder, annotator="ann"):
    with Ledger(folder / "ledger.sqlite") as ledger:
        return {v.item_id: v.label for v in ledger.votes.all() if v.annotator == annotator}


def test_a_run_is_labelled_by_reviews_alone_as_by_a_callback(corpus, config, tmp_path, outcome):
    def knows(payload):
        return {q["item_id"]: corpus.gold[q["item_id"]] for q in payload["questions"]}

    wanted = run(config(), name="called", runs=tmp_path, answer=knows)
    result = run(config(), name="reviewed", runs=tmp_path)
    folder, events = result.folder, []
    while result.status == "waiting_for_people":
        put = questions(folder)
        assert {question["annotator"] for question in put} == {"ann"}
        assert {question["purpose"] for question in put} <= {"audit", "escalate"}
        last = put.pop()
        say(folder, *((q["item_id"], "bea", "label", corpus.gold[q["item_id"]]) for q in put))
        # Not all of them are answered.
        result = resume(folder)
        assert result.status == "waiting_for_people"
        assert len(questions(folder)) == len(put) + 1
        assert not put or notes(folder)[-1] is None
        say(folder, (last["item_id"], "cid", "label", corpus.gold[last["item_id"]]))
        result = resume(folder, notify=events.append)
    assert result.status == "finished"
    assert not (folder / "questions.jsonl").exists()
    assert outcome(folder).decided() == outcome(wanted.folder).decided()
    assert set(notes(folder)) == {"answer taken as ann's vote"}
    assert all(
        event["answered"] == event["asked"] for event in events if event["event"] == "people"
    )


def test_what_is_there_can_be_handed_in(corpus, config, tmp_path):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = [question["item_id"] for question in questions(folder)]
    first, second, third, fourth, fifth, *_ = put
    say(
        folder,
        (first, "bea", "label", corpus.gold[first]),
        (second, "bea", "no_label", None),
        (third, "bea", "label", corpus.gold[third]),
        (third, "cid", "label", next(x for x in corpus.labels if x != corpus.gold[third])),
        (fourth, "bea", "skip", None),
        (fifth, "bea", "label", corpus.gold[fifth]),
        (fifth, "bea", "undo", None),
    )
    assert resume(folder).status == "waiting_for_people"
    order(folder, "hand_in", {})
    resume(folder)
    assert votes_of(folder) == {first: corpus.gold[first], second: None}
    assert notes(folder, "hand_in") == ["handed in: the run goes on"]
    taken = "answer taken as ann's vote"
    assert notes(folder) == [taken, taken, *["the question went on without an answer"] * 5]
    # It is of those questions: the next ones wait.
    assert not {question["item_id"] for question in questions(folder)} & set(put)
    before = questions(folder)
    assert resume(folder).status == "waiting_for_people"
    assert questions(folder) == before


def test_a_hand_in_while_nothing_is_asked_holds_for_no_later_question(config, tmp_path):
    folder = tmp_path / "run"

    def early(event):
        if event["event"] == "ingested":
            order(folder, "hand_in", {})

    assert run(config(), name="run", runs=tmp_path, notify=early).status == "waiting_for_people"
    assert notes(folder, "hand_in") == ["no question was open"]
    assert resume(folder).status == "waiting_for_people"


def test_an_end_waits_for_nobody(corpus, config, tmp_path):
    folder = run(config(), name="run", runs=tmp_path).folder
    item = questions(folder)[0]["item_id"]
    say(folder, (item, "bea", "label", corpus.gold[item]))
    order(folder, "finish", {})
    result = resume(folder)
    assert (result.status, result.summary["stop"]["reason"]) == ("finished", "operator")
    assert votes_of(folder) == {item: corpus.gold[item]}
    assert not (folder / "questions.jsonl").exists()


def test_some_questions_take_two_reviewers(corpus, config, tmp_path):
    folder = run(config(human={"second_opinion": 0.5}), name="run", runs=tmp_path).folder
    put = [question["item_id"] for question in questions(folder)]
    twice = [item for item in put if wants_second(item, 0.5)]
    assert 0 < len(twice) < len(put)
    say(folder, *((item, "bea", "label", corpus.gold[item]) for item in put))
    assert resume(folder).status == "waiting_for_people"
    wrong = next(label for label in corpus.labels if label != corpus.gold[twice[0]])
    say(folder, *((item, "cid", "label", corpus.gold[item]) for item in twice[1:]))
    say(folder, (twice[0], "cid", "label", wrong))
    assert resume(folder).status == "waiting_for_people"
    # A third word decides where two differ.
    say(folder, (twice[0], "dan", "label", wrong))
    resume(folder)
    assert votes_of(folder) == {item: corpus.gold[item] for item in put} | {twice[0]: wrong}


def test_a_file_and_a_callback_come_first(corpus, config, tmp_path):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = [question["item_id"] for question in questions(folder)]
    wrong = {item: next(x for x in corpus.labels if x != corpus.gold[item]) for item in put}
    say(folder, *((item, "bea", "label", wrong[item]) for item in put))
    path = tmp_path / "answers.jsonl"
    # Keys of the file of questions may stay.
    lines = [
        {**question, "label": corpus.gold[question["item_id"]]} for question in questions(folder)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    resume(folder, answers=path)
    assert votes_of(folder) == {item: corpus.gold[item] for item in put}
    assert set(notes(folder)) == {"the question was answered otherwise"}


NONSENSE = [
    None,
    [],
    {"item_id": 7, "reviewer": "bea", "verdict": "label", "label": "billing"},
    {"item_id": "r001", "verdict": "label", "label": "billing"},
    {"item_id": "r001", "reviewer": "bea", "verdict": "yes"},
    {"item_id": "r001", "reviewer": "bea", "verdict": ["label"]},
    {"item_id": "r001", "reviewer": "bea", "verdict": "label", "label": "fraud"},
    {"item_id": "r001", "reviewer": "bea", "verdict": "label", "label": {}},
    {"item_id": "zz", "reviewer": "bea", "verdict": "label", "label": "billing"},
]


def test_reviews_that_make_no_sense_are_refused_in_words(corpus, config, tmp_path):
    folder = run(config(), name="run", runs=tmp_path).folder
    for payload in NONSENSE:
        order(folder, REVIEW, payload)
    assert resume(folder).status == "waiting_for_people"
    found = notes(folder)
    assert len(found) == len(NONSENSE)
    assert all(note.startswith("refused: ") for note in found)
    assert found[-1] == "refused: no such item: 'zz'"


def test_questions_come_with_the_least_sure_labels_first(corpus, config, tmp_path):
    annotators = [corpus.recorded("cheap", 1), config().annotators[-1].model_dump(mode="json")]
    worth = {"max_rounds": 4, "stop_set_size": 50, "point_value_usd": 100}
    result = run(config(annotators=annotators, stopping=worth), name="run", runs=tmp_path)
    folder, asked = result.folder, 0
    while result.status == "waiting_for_people":
        put = [question["item_id"] for question in questions(folder)]
        purpose = questions(folder)[0]["purpose"]
        with open_run(folder, notify=lambda _: None, stopping=lambda: False) as ctx:
            batches = ctx.ledger.log.decisions("batch")
            if purpose == "audit":
                # Drawn at random, they stay in the order in which they were drawn.
                assert [item for item in batches[-1].decision["audit"] if item in put] == put
            else:
                asked += len(put)
                audited = sum(len(batch.decision["audit"]) for batch in batches)
                fit = ctx.latest_fit(batches[-1].round - 1)
                student = ctx.student_view(put, fit)
                panel, ballot = ctx.panel(audited, fit), ctx.ballot(put)
                sure = weigh(ballot, panel, student, classes=len(ctx.labels)).p_correct.tolist()
                assert sure == sorted(sure)
        say(folder, *((item, "bea", "label", corpus.gold[item]) for item in put))
        result = resume(folder)
    assert asked > 5


def test_reviewers_are_asked_once_through_kills(corpus, tmp_path, outcome):
    person = {"kind": "human", "name": "ann", "price": {"per_label": 0.1}}
    config = corpus.write(
        "reviewed.yaml",
        annotators=[corpus.recorded("cheap", 1), person],
        stopping={"max_rounds": 1, "stop_set_size": 50},
    )
    first = tmp_path / "first"
    assert carry_on(config, first) == 5
    put = [question["item_id"] for question in questions(first)]
    say(first, *((item, "bea", "label", corpus.gold[item]) for item in put[:-2]))
    order(first, "hand_in", {})
    whole = shutil.copytree(first, tmp_path / "whole")
    code = carry_on(config, whole)
    for statements in (1, 6, 12, 18, 24, 30):
        folder = shutil.copytree(first, tmp_path / str(statements))
        assert carry_on(config, folder, Death("people", 0, statements)) == -9
        assert carry_on(config, folder) == code
        assert votes_of(folder) == votes_of(whole)
        assert notes(folder, "hand_in") == ["handed in: the run goes on"]
        assert set(notes(folder)) == {"answer taken as ann's vote"}
        with Ledger(folder / "ledger.sqlite") as ledger, Ledger(whole / "ledger.sqlite") as other:
            assert ledger.log.digest() == other.log.digest()
