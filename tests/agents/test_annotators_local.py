"""Annotators whose answers are at hand: recorded, embedded, people."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from labelwright.agents.annotators import Asking, HumanAnnotator, Question, build_annotator
from labelwright.agents.annotators.embedded import EmbeddedAnnotator
from labelwright.agents.annotators.recorded import RecordedAnnotator, read_recorded
from labelwright.agents.annotators.settings import (
    EmbeddedAnnotatorConfig,
    HumanAnnotatorConfig,
    RecordedAnnotatorConfig,
)
from labelwright.tools.embedding import wordpiece_counts
from labelwright.tools.errors import DataError
from labelwright.tools.ledger import Caps, Ledger
from labelwright.tools.pool import Pool, PoolConfig
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.task import TaskConfig

LABELS = ["spam", "ham"]
TASK = TaskConfig.model_validate(
    {
        "name": "mail",
        "labels": [
            {"name": "spam", "description": "buy cheap pills now", "examples": ["win money"]},
            {"name": "ham", "description": "a friend writes about dinner"},
        ],
    }
)
WIDE = "item_id,m1,m2\ni1,spam,ham\ni2,?,ham\ni3,,spam\n"
LONG = "item_id,annotator,label\ni1,m1,spam\ni1,m2,ham\ni2,m1,?\ni2,m2,ham\ni3,m2,spam\n"
JSONL = "\n".join(
    json.dumps(dict(zip(("item_id", "annotator", "label"), row, strict=True)))
    for row in [
        ("i1", "m1", "spam"), ("i1", "m2", "ham"), ("i2", "m1", None),
        ("i2", "m2", "ham"), ("i3", "m2", "spam"),
    ]
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        yield ledger


def asking(ledger: Ledger) -> Asking:
    return Asking(ledger, "label", 1)


def write(folder: Path, text: str, name: str = "votes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def recorded(path: Path, *, prompt_tokens=100, labels=LABELS, **more) -> RecordedAnnotator:
    config = RecordedAnnotatorConfig.model_validate(
        {"kind": "recorded", "name": "m1", "path": path, "price": {"per_label": 0.1}, **more}
    )
    return RecordedAnnotator(config, labels, prompt_tokens)


def questions(*ids: str, attempt: int = 0) -> list[Question]:
    return [Question(item, f"text of {item}", attempt) for item in ids]


# -- recorded --


@pytest.mark.parametrize(
    ("text", "name"),
    [(WIDE, "v.csv"), ("\ufeff" + WIDE, "v.csv"), (LONG, "v.csv"), (JSONL, "v.jsonl")],
    ids=["wide", "bom", "long", "jsonl"],
)
def test_every_form_of_file_is_read_alike(tmp_path, text, name):
    path = write(tmp_path, text, name)
    assert read_recorded(path, "m1") == {"i1": "spam", "i2": "?"}
    assert read_recorded(path, "m2") == {"i1": "ham", "i2": "ham", "i3": "spam"}


def test_what_was_not_answered_is_free_and_what_was_wrong_is_not(tmp_path, ledger):
    annotator = recorded(write(tmp_path, WIDE))
    asked = annotator.ask(questions("i1", "i2", "i3"), asking(ledger))
    assert (asked.votes, asked.invalid, asked.not_asked) == (1, 2, ())
    votes = {vote.item_id: vote for vote in ledger.votes.all()}
    assert [(v.label, v.invalid, v.cost) for v in votes.values()] == [
        ("spam", None, 100_000_000),
        (None, "not_in_label_set", 100_000_000),
        (None, "not_recorded", 0),
    ]
    assert ledger.balance().spent == 200_000_000


def test_a_price_by_tokens_counts_prompt_text_and_answer(tmp_path, ledger):
    price = {"in": 1, "out": 10}
    annotator = recorded(write(tmp_path, WIDE), price=price, answer_tokens=7)
    annotator.ask(questions("i1", "i3"), asking(ledger))
    tokens = 100 + wordpiece_counts(["text of i1"])[0]
    assert ledger.balance().spent == tokens * 1_000 + 7 * 10_000
    assert ledger.balance().tokens == tokens + 7  # i3 was not answered: no tokens either
    assert annotator.expect(["text of i1"]).tolist() == [tokens * 1_000 + 70_000]


def test_labels_are_read_as_models_answers_are(tmp_path, ledger):
    annotator = recorded(
        write(tmp_path, "item_id,m1\ni1, Spam \ni2,\uff28\uff21\uff2d\ni3,spam!\ni4,  \n")
    )
    annotator.ask(questions("i1", "i2", "i3", "i4"), asking(ledger))
    assert [(v.label, v.invalid) for v in ledger.votes.all()] == [
        ("spam", None), ("ham", None), (None, "not_in_label_set"), (None, "not_recorded"),
    ]  # fmt: skip


def test_labels_that_are_numbers_are_labels(tmp_path, ledger):
    lines = [{"item_id": n, "annotator": "m1", "label": n % 2} for n in range(4)]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "v.jsonl")
    annotator = recorded(path, labels=["0", "1"])
    annotator.ask(questions("0", "1", "2", "3"), asking(ledger))
    assert [v.label for v in ledger.votes.all()] == ["0", "1", "0", "1"]


def test_a_column_may_have_another_name(tmp_path, ledger):
    annotator = recorded(write(tmp_path, WIDE), column="m2")
    annotator.ask(questions("i1"), asking(ledger))
    assert [(v.annotator, v.label) for v in ledger.votes.all()] == [("m1", "ham")]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (None, "v.csv", "no such file"),
        ("item_id,m9\ni1,spam\n", "v.csv", r"no column 'm1'; expected one of \['m9'\]"),
        ("id,m1\ni1,spam\n", "v.csv", r"\['id', 'm1'\]; expected 'item_id'"),
        ("", "v.csv", "expected 'item_id'"),
        ("item_id,m1\ni1,\n", "v.csv", "no vote of 'm1'"),
        ("item_id,annotator,label\ni1,m2,spam\n", "v.csv", "no vote of 'm1'"),
        ('{"item_id": "i1"}\n', "v.jsonl", "line 1: expected an object with"),
        ('{"item_id": "i1", "annotator": "m1", "label": "spam"}\n{"oops"\n', "v.jsonl", "line 2"),
        ("[1]\n", "v.jsonl", "line 1"),
        ("\n", "v.jsonl", "no vote of 'm1'"),
        ("item_id,m1\ni1," + "x" * 200_000 + "\n", "v.csv", "field larger than field limit"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(tmp_path, text, name, says):
    path = tmp_path / name
    if text is not None:
        write(tmp_path, text, name)
    with pytest.raises(DataError, match=says) as caught:
        recorded(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["v.csv", "v.jsonl"])
def test_another_encoding_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes("item_id,m1\ni1,späm\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        recorded(path)


def test_other_votes_have_another_hash(tmp_path, ledger):
    recorded(write(tmp_path, WIDE)).ask(questions("i1"), asking(ledger))
    recorded(write(tmp_path, WIDE.replace("i1,spam", "i1,ham"))).ask(
        questions("i1", attempt=1), asking(ledger)
    )
    one, two = ledger.votes.all()
    assert one.prompt_hash != two.prompt_hash
    assert one.prompt_hash.startswith("recorded:")


# -- cut at a cap --


@pytest.mark.parametrize(
    ("caps", "fit"),
    [
        (Caps(money=1_000_000_000), 10),
        (Caps(money=999_999_999), 9),
        (Caps(money=0), 0),
        (Caps(requests=7), 7),
        (Caps(money=500_000_000, requests=7), 5),
        (Caps(), 25),
    ],
)
def test_a_block_is_cut_exactly_at_the_cap(tmp_path, caps, fit):
    ids = [f"i{n:02}" for n in range(25)]
    path = write(tmp_path, "item_id,m1\n" + "".join(f"{i},spam\n" for i in ids))
    with Ledger(tmp_path / "l.sqlite", caps) as ledger:
        asked = recorded(path).ask(questions(*ids), asking(ledger))
        assert (asked.votes, asked.not_asked) == (fit, tuple(ids[fit:]))
        assert [v.item_id for v in ledger.votes.all()] == ids[:fit]
        assert ledger.balance().spent == fit * 100_000_000
        again = recorded(path).ask(questions(*ids[fit:]), asking(ledger))
        assert again.votes == 0
        assert again.not_asked == tuple(ids[fit:])


def test_a_block_is_cut_exactly_at_a_token_cap(tmp_path):
    ids = [f"i{n}" for n in range(9)]
    path = write(tmp_path, "item_id,m1\n" + "".join(f"{i},spam\n" for i in ids))
    each = 100 + wordpiece_counts(["text of i1"])[0] + 12
    with Ledger(tmp_path / "l.sqlite", Caps(tokens=4 * each + each - 1)) as ledger:
        asked = recorded(path, price={"in": 1, "out": 1}).ask(questions(*ids), asking(ledger))
        assert (asked.votes, len(asked.not_asked)) == (4, 5)
        assert ledger.balance().tokens == 4 * each


def test_a_block_is_one_call(tmp_path, ledger):
    recorded(write(tmp_path, WIDE)).ask(questions("i1", "i2", "i3"), asking(ledger))
    assert ledger.balance().requests == 3
    assert len(ledger.spending()) == 1
    assert ledger._store.row("SELECT count(*) FROM calls") == (1,)


def test_no_questions_no_entry(tmp_path, ledger):
    asked = recorded(write(tmp_path, WIDE)).ask([], asking(ledger))
    assert (asked.votes, asked.invalid, asked.not_asked) == (0, 0, ())
    assert ledger.balance().requests == 0


# -- embedded --


class Words:
    """A test double: one axis for each word that is known."""

    known = ("pills", "money", "cheap", "dinner", "friend", "writes")
    dim = len(known)
    fingerprint = "words"

    def embed(self, texts):
        rows = [[float(w in text.split()) for w in self.known] for text in texts]
        return np.asarray(rows, np.float32) + 0.01


TEXTS = ["cheap pills", "dinner with a friend", "money money money", "he writes"]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool.open(PoolConfig(), tmp_path / "pool", fingerprint="words", dim=Words.dim) as pool:
        pool.add(["a", "b", "c", "d"], TEXTS, Words().embed(TEXTS))
        yield pool


def embedded(pool: Pool, ledger: Ledger) -> EmbeddedAnnotator:
    config = EmbeddedAnnotatorConfig.model_validate({"kind": "embedded", "name": "near"})
    return build_annotator(
        config,
        task=TASK,
        embedder=Words(),
        pool=pool,
        prompts=PromptLibrary([packaged_prompts()]),
        ledger=ledger,
        stop=lambda: False,
    )


def ask_all(annotator, ledger):
    return annotator.ask(
        [Question(i, t) for i, t in zip("abcd", TEXTS, strict=True)], asking(ledger)
    )


def test_the_nearest_description_wins_for_nothing_and_without_confidence(pool, ledger):
    annotator = embedded(pool, ledger)
    assert ask_all(annotator, ledger).votes == 4
    votes = ledger.votes.all()
    assert [v.label for v in votes] == ["spam", "ham", "spam", "ham"]
    assert {v.confidence for v in votes} == {None}
    assert ledger.balance().spent == ledger.balance().tokens == 0
    assert annotator.expect(TEXTS).tolist() == [0] * 4
    assert not annotator.repeats


def test_written_items_do_not_move_its_votes(pool, ledger, tmp_path):
    before = embedded(pool, ledger)
    written = ["cheap cheap pills money"] * 1 + ["money pills", "cheap money"]
    pool.add(["s1", "s2", "s3"], written, Words().embed(written), origin="synthetic")
    after = embedded(pool, ledger)
    assert np.array_equal(before._centre, after._centre)
    assert np.array_equal(before._directions, after._directions)
    assert before._hash == after._hash


def test_it_goes_on_where_money_has_run_out(pool, tmp_path):
    with Ledger(tmp_path / "capped.sqlite", Caps(money=0)) as ledger:
        assert ask_all(embedded(pool, ledger), ledger).votes == 4


# -- people --


def person(price="free") -> HumanAnnotator:
    return HumanAnnotator(
        HumanAnnotatorConfig.model_validate({"kind": "human", "name": "ann", "price": price})
    )


def test_a_person_is_paid_by_the_label_and_may_say_that_none_fits(ledger):
    asked = person({"per_label": 0.25}).enter({"i1": "spam", "i2": None}, asking(ledger))
    assert (asked.votes, asked.invalid) == (1, 1)
    assert [(v.label, v.invalid, v.cost) for v in ledger.votes.all()] == [
        ("spam", None, 250_000_000), (None, "no_label_fits", 250_000_000),
    ]  # fmt: skip
    assert ledger.balance().spent == 500_000_000


@pytest.mark.parametrize(
    ("price", "money", "requests", "affordable"),
    [
        ({"per_label": 0.1}, 550_000_000, None, 3),
        ({"per_label": 0.1}, 200_000_000, None, 0),
        ({"per_label": 0.1}, 100_000_000, None, 0),  # a cap that was lowered
        ({"per_label": 0.1}, None, None, 10),
        ({"per_label": 0.1}, 10**12, None, 10),
        ({"per_label": 0.1}, 550_000_000, 4, 2),
        ({"per_label": 0.1}, 550_000_000, 40, 3),
        ({"per_label": 0.1}, None, 1, 0),
        ("free", 100_000_000, None, 10),
        ("free", None, 5, 3),
    ],
)
def test_no_more_people_are_asked_than_the_caps_allow(ledger, price, money, requests, affordable):
    person({"per_label": 0.1}).enter({"i1": "spam", "i2": "spam"}, asking(ledger))
    ledger.caps = Caps(money=money, requests=requests)
    assert person(price).affordable(ledger, 10) == affordable
    # As many are then let in, and not one more.
    answers = {f"j{number}": "spam" for number in range(10)}
    assert len(person(price).enter(answers, asking(ledger)).not_asked) == 10 - affordable


def test_a_person_is_not_called(ledger, pool):
    config = HumanAnnotatorConfig.model_validate({"kind": "human", "name": "a", "price": "free"})
    with pytest.raises(ValueError, match="through the graph"):
        build_annotator(
            config,
            task=TASK,
            embedder=Words(),
            pool=pool,
            prompts=PromptLibrary([packaged_prompts()]),
            ledger=ledger,
            stop=lambda: False,
        )
