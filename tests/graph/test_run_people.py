"""People in the loop: asked by a callback or by files, paid by the label, never asked twice."""

import json
from collections import Counter

import pytest

from labelwright.graph import resume, run
from labelwright.tools.errors import DataError
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
    with pytest.raises(DataError, match=r"answers\.jsonl: 2 lines can not[^\0]*line 2: not JSON"):
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


def test_nobody_is_asked_what_a_cap_on_requests_would_throw_away(config, knows, tmp_path, outcome):
    budget = {"usd": 5, "requests": 55}
    result = run(config(budget=budget), name="run", runs=tmp_path, answer=knows)
    assert result.status == "finished"
    votes = by_ann(outcome(result.folder))
    assert sum(len(payload["questions"]) for payload in knows.payloads) == len(votes) > 0
    assert result.summary["requests"] == 55


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


def lines(path, *entries):
    text = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return path


def test_a_bad_file_names_all_its_lines_and_leaves_nothing(corpus, config, tmp_path, outcome):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = [q["item_id"] for q in questions(folder)]
    before = sorted(path.name for path in folder.iterdir())
    good = [{"item_id": item, "label": corpus.gold[item]} for item in put]
    bad = lines(
        tmp_path / "bad.jsonl",
        good[0],
        {"item_id": put[1], "label": "biling"},
        "",
        "{'item_id': 1}",
        [1],
        {"label": "billing"},
        {"item_id": "zz", "label": "billing"},
        {"item_id": put[2], "label": ["billing"]},
    )
    with pytest.raises(DataError) as raised:
        resume(folder, answers=bad)
    example = json.dumps({"item_id": put[0], "label": corpus.labels[0]})
    head, *found = str(raised.value).splitlines()
    assert head == f"{bad}: 6 lines can not be used, so no answer was taken."
    assert [line.split(":")[0] for line in found] == [f"  line {n}" for n in (2, 4, 5, 6, 7, 8)]
    assert "'biling' is not in the label set; expected one of ['billing'" in found[0]
    assert found[1] == f"  line 4: not JSON; one object a line, e.g. {example}"
    assert found[4] == (
        f"  line 7: 'zz' is not among the {len(put)} open questions (an older answers file?)"
    )
    assert sorted(path.name for path in folder.iterdir()) == before
    # The line that was wrong is left out of the next file: nothing of the first one is left.
    result = resume(folder, answers=lines(tmp_path / "good.jsonl", good[0], *good[2:]))
    assert result.status == "waiting_for_people"
    assert {vote.item_id for vote in by_ann(outcome(folder))} == {*put} - {put[1]}
    assert not {q["item_id"] for q in questions(folder)} & {*put}


def test_a_bad_label_of_a_callback_leaves_the_run_as_it_was(config, knows, tmp_path, outcome):
    def misspells(payload):
        return {**knows(payload), payload["questions"][0]["item_id"]: "biling"}

    with pytest.raises(DataError, match="'biling' is not in the label set"):
        run(config(), name="run", runs=tmp_path, answer=misspells)
    assert by_ann(outcome(tmp_path / "run")) == []
    assert resume(tmp_path / "run", answer=knows).status == "finished"


@pytest.mark.parametrize("handed_in", [True, False])
def test_an_empty_file_answers_none_of_the_open_questions(config, tmp_path, outcome, handed_in):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = [q["item_id"] for q in questions(folder)]
    path = (tmp_path if handed_in else folder) / "answers.jsonl"
    path.write_text("\n", encoding="utf-8")
    events = []
    result = resume(folder, answers=path if handed_in else None, notify=events.append)
    # It goes on without an answer to these, and waits with the next ones.
    assert result.status == "waiting_for_people"
    assert result.summary["people"]["questions"] == len(questions(folder))
    assert not {q["item_id"] for q in questions(folder)} & {*put}
    assert by_ann(outcome(folder)) == []
    [event] = [event for event in events if event["event"] == "people"]
    assert (event["answered"], event["asked"]) == (0, len(put))
    assert event["note"] == f"{path} is empty, so the run goes on without"


def test_lines_without_a_label_are_no_answers(corpus, config, tmp_path, outcome):
    folder = run(config(), name="run", runs=tmp_path).folder
    put = questions(folder)
    events = []
    # The file of questions itself, as it is.
    result = resume(folder, answers=folder / "questions.jsonl", notify=events.append)
    assert (result.status, questions(folder)) == ("waiting_for_people", put)
    first, *rest = put
    label = {"label": corpus.gold[first["item_id"]]}
    resume(folder, answers=lines(tmp_path / "a", {**first, **label}, *rest), notify=events.append)
    assert [vote.item_id for vote in by_ann(outcome(folder))] == [first["item_id"]]
    said = [event for event in events if event["event"] == "people"]
    assert [(e["answered"], e["asked"]) for e in said] == [(0, len(put)), (1, len(put))]
    assert "no line of" in said[0]["note"]


def test_a_file_in_the_folder_may_grow_from_round_to_round(corpus, config, tmp_path):
    result = run(config(), name="run", runs=tmp_path)
    folder, told, rounds = result.folder, {}, 0
    while result.status == "waiting_for_people":
        rounds += 1
        told |= {q["item_id"]: corpus.gold[q["item_id"]] for q in questions(folder)}
        write_answers(folder, told)
        result = resume(folder)
        if result.status == "waiting_for_people":
            events = []
            assert resume(folder, notify=events.append).status == "waiting_for_people"
            assert "so the run waits" in events[-1]["note"]
    assert (result.status, rounds > 1) == ("finished", True)
    # An answer that comes too late is not lost without a word.
    events = []
    resume(folder, answers=folder / "answers.jsonl", notify=events.append)
    assert "no question was open" in events[0]["note"]


def test_an_id_that_the_run_does_not_know_is_an_error_in_its_own_file_too(config, tmp_path):
    folder = run(config(), name="run", runs=tmp_path).folder
    write_answers(folder, {"zz": "billing"})
    with pytest.raises(DataError, match="line 1: 'zz' is not among the"):
        resume(folder)


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


def test_where_a_person_finds_no_label_none_is_delivered(corpus, config, tmp_path, outcome):
    refused = set()

    def answer(payload):
        refused.update(q["item_id"] for q in payload["questions"])
        return dict.fromkeys((q["item_id"] for q in payload["questions"]), None)

    result = run(config(), name="run", runs=tmp_path, answer=answer)
    rows = {row["id"]: row for row in outcome(result.folder).labels}
    assert refused
    for item in refused:
        assert (rows[item]["label"], rows[item]["outcome"]) == (None, "set_apart")
