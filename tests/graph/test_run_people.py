"""People in the loop: asked by a callback or by files, paid by the label, never asked twice."""

import json
from collections import Counter

import pytest

from labelwright.graph import resume, run
from labelwright.tools.errors import ConfigError, DataError
from labelwright.tools.money import to_nano

LABEL_USD = 0.1


@pytest.fixture
def config(corpus):
    def config(**sections):
        person = {"kind": "human", "name": "ann", "price": {"per_label": LABEL_USD}}
        annotators = [corpus.recorded("cheap", 1), corpus.recorded("middle", 2), person]
        given = {"annotators": annotators, "stopping": {"max_rounds": 2, "stop_set_size": 50}}
        return corpus.config(**{**given, **sections})

    return config


@pytest.fixture
def knows(corpus):
    """A person who knows all labels, and what she was asked."""
    payloads = []

    def answer(payload):
        payloads.append(payload)
        return {q["item_id"]: corpus.gold[q["item_id"]] for q in payload["questions"]}

    answer.payloads = payloads
    return answer


def by_ann(seen):
    with seen.ledger() as ledger:
        return [vote for vote in ledger.votes.all() if vote.annotator == "ann"]


def write_answers(folder, answers):
    lines = [json.dumps({"item_id": item, "label": label}) for item, label in answers.items()]
    (folder / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def questions(folder):
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_callback_answers(corpus, config, knows, tmp_path, outcome):
    result = run(config(), name="run", runs=tmp_path, answer=knows)
    assert result.status == "finished"
    seen = outcome(result.folder)
    votes = by_ann(seen)
    asked = [q for payload in knows.payloads for q in payload["questions"]]
    assert Counter(q["item_id"] for q in asked) == Counter(vote.item_id for vote in votes)
    assert all(q["text"] == corpus.texts[q["item_id"]] for q in asked)
    assert knows.payloads[0]["labels"] == list(corpus.labels)
    assert {vote.cost for vote in votes} == {to_nano(LABEL_USD)}
    delivered = {row["id"]: row for row in seen.labels}
    for vote in votes:
        row = delivered[vote.item_id]
        assert (row["label"], row["source"], row["p_correct"]) == (vote.label, "person", 1.0)
        assert row["calibrated"]


def test_without_a_callback_it_waits_for_the_file(corpus, config, knows, tmp_path, outcome):
    wanted = run(config(), name="called", runs=tmp_path, answer=knows)
    result = run(config(), name="filed", runs=tmp_path)
    folder = result.folder
    times = 0
    while result.status == "waiting_for_people":
        times += 1
        put = questions(folder)
        assert all(q["text"] and q["labels"] == list(corpus.labels) for q in put)
        assert not (folder / "labels.jsonl").exists()
        # Nobody answered in the meantime: the same questions wait.
        assert resume(folder).status == "waiting_for_people"
        assert questions(folder) == put
        write_answers(folder, {q["item_id"]: corpus.gold[q["item_id"]] for q in put})
        result = resume(folder)
    assert result.status == "finished"
    assert times == len(knows.payloads) > 1
    assert outcome(folder).decided() == outcome(wanted.folder).decided()


def test_a_wrong_answer_enters_nothing_and_can_be_given_again(
    corpus, config, knows, tmp_path, outcome
):
    wanted = run(config(), name="called", runs=tmp_path, answer=knows)
    folder = run(config(), name="filed", runs=tmp_path).folder
    first = {q["item_id"]: corpus.gold[q["item_id"]] for q in questions(folder)}
    item = min(first)
    before = outcome(folder).sql("SELECT * FROM journal")
    write_answers(folder, {**first, item: "weather"})
    for _ in range(2):
        with pytest.raises(DataError, match=f"{item}.*'weather' is not in the label set"):
            resume(folder)
    with pytest.raises(DataError, match="answer for 'r999': it was not asked"):
        resume(folder, answer=lambda _: {"r999": "billing"})
    with pytest.raises(DataError, match=rf"answers\['{item}'\]: expected a label"):
        resume(folder, answer=lambda _: {item: 7})
    (folder / "answers.jsonl").write_text('{"item_id": "r1"}\nnot json\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"answers\.jsonl, line 2"):
        resume(folder)
    assert outcome(folder).sql("SELECT * FROM journal") == before
    assert by_ann(outcome(folder)) == []
    assert resume(folder, answer=knows).status == "finished"
    assert outcome(folder).decided() == outcome(wanted.folder).decided()


@pytest.mark.parametrize("usd", [0.05, 0.3, 1.27])
def test_people_are_paid_under_the_cap(config, knows, tmp_path, outcome, usd):
    result = run(config(budget={"usd": usd}), name="run", runs=tmp_path, answer=knows)
    assert result.status == "finished"
    seen = outcome(result.folder)
    assert seen.most_committed() <= to_nano(usd)
    votes = by_ann(seen)
    assert len(votes) * LABEL_USD <= usd
    assert bool(votes) == (usd > LABEL_USD)
    assert sum(len(payload["questions"]) for payload in knows.payloads) == len(votes)


def test_a_round_has_no_more_questions_than_configured(config, knows, tmp_path, outcome):
    human = {"questions_per_round": 3}
    result = run(config(human=human), name="run", runs=tmp_path, answer=knows)
    assert result.status == "finished"
    rounds = Counter(vote.round for vote in by_ann(outcome(result.folder)))
    assert rounds == {1: 3, 2: 3}


def test_what_a_person_leaves_open_goes_on_without_her(corpus, config, tmp_path, outcome):
    def answer(payload):
        ids = [q["item_id"] for q in payload["questions"]]
        given = {item: corpus.gold[item] for item in ids[::3]}
        return {**given, **dict.fromkeys(ids[1::3])}  # no label fits

    result = run(config(), name="run", runs=tmp_path, answer=answer)
    assert result.status == "finished"
    seen = outcome(result.folder)
    assert [row["id"] for row in seen.labels] == list(corpus.gold)
    assert {vote.invalid for vote in by_ann(seen)} == {None, "no_label_fits"}
    none_fits = run(config(), name="none", runs=tmp_path, answer=lambda p: {})
    assert none_fits.status == "finished"
    assert by_ann(outcome(none_fits.folder)) == []


def test_a_lower_cap_while_answers_are_awaited_holds(corpus, config, tmp_path, outcome):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = [q["item_id"] for q in questions(folder)]
    with outcome(folder).ledger() as ledger:
        spent = ledger.balance().spent
    write_answers(folder, {item: corpus.gold[item] for item in put})
    usd = spent / 1e9 + 2.5 * LABEL_USD
    resume(folder, usd=usd)
    assert outcome(folder).most_committed() <= to_nano(usd)
    assert len(by_ann(outcome(folder))) == 2
