"""The generator agent with a scripted model over HTTP."""

import numpy as np
import pytest
from doubles.openai_server import Reply
from pydantic import ValidationError

from labelwright.agents.generator import GenerationConfig
from labelwright.agents.generator_agent import Wanted, draw_attributes, write_items

NEW = [
    "je veux résilier mon abonnement zzz",
    "9 9 9 9 kkkk wwww",
    "xyzzy plugh plover",
]
ATTRIBUTES = {"cancellation": {"tone": ["angry", "polite"], "length": ["short", "long", "medium"]}}


@pytest.fixture
def write(desk, model, embedder):
    def write(count=3, config=None, settings=None, **more):
        given = {"enabled": True, "model": model.config(**more), "max_words": 8}
        config = config or GenerationConfig.model_validate({**given, **(settings or {})})
        return write_items(
            desk,
            config,
            wanted=[Wanted("cancellation", count, "rare: 2 labelled so far")],
            examples={"cancellation": ["i02", "i05"], "billing": ["i00"]},
            round_=4,
            embedder=embedder,
            rng=np.random.default_rng(3),
        )

    return write


@pytest.fixture
def submit(call):
    def submit(*texts, label="cancellation"):
        return call("submit_items", items=[{"text": t, "label": label} for t in texts])

    return submit


def test_settings_need_a_model_to_be_enabled():
    with pytest.raises(ValidationError, match="has no 'model'"):
        GenerationConfig(enabled=True)
    with pytest.raises(ValidationError, match=r"attributes\.a\.tone: needs at least one value"):
        GenerationConfig(attributes={"a": {"tone": []}})
    assert GenerationConfig().enabled is False


def test_it_looks_around_and_writes(write, model, desk, embedder, submit, call, result):
    read = []

    def then(reply):
        def step(request):
            read.append(result(request))
            return reply

        return step

    near_copy = desk.pool.texts(["i05"])[0]
    model.says(
        call("class_needs"),
        then(call("examples_of", label="cancellation")),
        then(call("nearest_real", text=near_copy)),
        then(submit(*NEW)),
    )
    made = write(settings={"attributes": ATTRIBUTES})
    assert [(item.item_id, item.text, item.label) for item in made.items] == [
        (f"synthetic-4-{n}", text, "cancellation") for n, text in enumerate(NEW, 1)
    ]
    assert (made.by, made.failure, made.dropped) == ("model m", None, {})
    np.testing.assert_allclose(made.vectors, embedder.embed(NEW))
    needs, examples, nearest = read
    assert needs["wanted"][0]["real_examples"] == 2
    assert needs["other_labels"] == {"billing": 1}
    assert examples["texts"] == desk.pool.texts(["i02", "i05"])
    assert nearest["nearest"][0]["similarity"] == 1.0
    assert nearest["nearest"][0]["label"] == "cancellation"
    asked = model.requests[0]["messages"][1]["content"]
    assert '- 3 for "cancellation" (rare: 2 labelled so far)' in asked
    assert "  3. tone: " in asked
    assert desk.ledger.balance().committed == model.spent() > 0
    assert len(desk.pool) == 60


def test_the_filter(write, model, desk, submit):
    old = desk.pool.texts(["i08"])[0]
    model.says(
        submit("  ", old, NEW[0], NEW[0] + " ", "one two three four five six seven eight nine")
    )
    made = write(count=5)
    assert [item.text for item in made.items] == [NEW[0]]
    assert made.dropped == {
        "empty": 1,
        "near a text of the pool": 1,
        "near another written text": 1,
        "too long": 1,
    }


def test_when_nothing_passes_the_filter(write, model, desk, submit):
    model.says(submit(*desk.pool.texts(["i08"])))
    made = write()
    assert (made.items, made.failure) == ([], "no text passed the filter")
    assert made.vectors.shape == (0, 32)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((NEW, "billing"), "label 'billing' is not wanted"),
        (([*NEW, "four"], "cancellation"), "at most 3 are wanted"),
        (([], "cancellation"), "items"),
    ],
)
def test_what_is_wrong_is_told_and_put_right(write, model, submit, wrong, told):
    texts, label = wrong
    model.says(submit(*texts, label=label), submit(NEW[0]))
    made = write()
    assert told in model.requests[1]["messages"][-1]["content"]
    assert [item.text for item in made.items] == NEW[:1]


def test_tools_refuse_what_there_is_not(write, model, submit, call):
    model.says(call("examples_of", label="refunds"), submit(NEW[0]))
    write()
    assert "no label 'refunds'" in model.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("replies", "more", "why"),
    [
        ([Reply("a text"), Reply("a text")], {}, "called no tool"),
        ([Reply("down", status=503)], {}, "HTTP 503"),
        ([], {"usd_per_decision": 0.000001}, "out of allowance"),
    ],
)
def test_a_failure_writes_nothing(write, model, replies, more, why):
    model.says(*replies)
    made = write(**more)
    assert made.items == []
    assert why in made.failure
    assert made.by == f"rule: {made.failure}"


def test_without_a_model_nothing_is_written(write):
    assert write(config=GenerationConfig()).failure == "no model is configured"


def test_a_rerun_after_the_texts_are_in_the_pool_sends_nothing(write, model, desk, submit):
    model.says(submit(*NEW))
    first = write()
    ids = [item.item_id for item in first.items]
    desk.pool.add(ids, [item.text for item in first.items], first.vectors, origin="synthetic")
    transcript = desk.ledger.log.transcript()
    again = write()
    assert again.items == first.items
    assert len(model.requests) == 1
    assert desk.ledger.log.transcript() == transcript
    assert [m["role"] for m in transcript] == ["system", "user", "assistant", "tool", "outcome"]


def test_an_id_that_a_person_gave_is_left_alone(write, model, desk, embedder, submit):
    mine = ["a text with an unlucky id"]
    desk.pool.add(["synthetic-4-1"], mine, embedder.embed(mine))
    model.says(submit(NEW[0]))
    assert [item.item_id for item in write().items] == ["synthetic-4-2"]


def test_attributes_use_the_range_and_follow_from_the_seed(model):
    config = GenerationConfig(attributes=ATTRIBUTES)
    want = Wanted("cancellation", 6, "rare")
    drawn = draw_attributes(config, want, np.random.default_rng(1))
    assert drawn == draw_attributes(config, want, np.random.default_rng(1))
    assert sorted(text["tone"] for text in drawn) == ["angry"] * 3 + ["polite"] * 3
    assert {text["length"] for text in drawn[:3]} == {"short", "medium", "long"}
    assert draw_attributes(config, Wanted("billing", 2, "rare"), np.random.default_rng(1)) == []
