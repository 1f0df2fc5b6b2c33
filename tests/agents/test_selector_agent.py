"""The selector agent with a scripted model over HTTP."""

from dataclasses import replace

import numpy as np
import pytest
from doubles.openai_server import Reply

from labelwright.agents.selector import Mix, PoolView, SelectionConfig, fill_batch
from labelwright.agents.selector_agent import choose_mix, with_random
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import Call, Settlement

RULE = Mix({"typiclust": 0.9, "random": 0.1}, "the rule's reason")


@pytest.fixture
def view(desk):
    n = len(desk.pool)
    labels = np.full(n, -1, np.int64)
    labels[:12] = np.arange(12) % 3
    proba = np.full((n, 3), 0.1, np.float32)
    proba[np.arange(n), np.arange(n) % 3] = 0.8
    proba[40] = (0.4, 0.35, 0.25)
    return PoolView(
        vectors=desk.pool.vectors(),
        candidates=np.arange(12, 55),
        labelled=labels >= 0,
        labels=labels,
        proba=proba,
        out_of_sample=None,
    )


@pytest.fixture
def choose(desk, model, view):
    def go(into=desk, view=view, config=None, **more):
        return choose_mix(
            into,
            config or SelectionConfig(model=model.config(**more)),
            view,
            RULE,
            round_=2,
            size=10,
            findings=["3 accepted labels fail the check: neighbours disagree"],
            counts={"billing": 4, "technical": 4, "cancellation": 4},
            student_summary="agrees with 0.9",
            seed=7,
        )

    return go


def batch(call, mix=None, **more):
    shares = {"diverse_margin": 0.8, "random": 0.2}
    return call("submit_batch", strategy_mix=mix or shares, reason="i40 is between two", **more)


def test_without_a_model_the_rule_decides(choose, model):
    choice = choose(config=SelectionConfig())
    assert (choice.mix, choice.first, choice.avoid, choice.by) == (RULE, (), (), "rule")
    assert model.requests == []


def test_a_configured_strategy_is_not_discussed(choose, model):
    choice = choose(config=SelectionConfig(strategy="entropy", model=model.config()))
    assert choice.by == "rule: the strategy is configured"
    assert model.requests == []


def test_it_looks_around_and_chooses(choose, model, desk, view, call, result):
    listed = {}

    def submit(request):
        listed["near"] = [item["id"] for item in result(request)["items"]]
        return batch(call, must_include=["i40"], avoid=listed["ids"][1:3])

    def look(request):
        listed["ids"] = [item["id"] for item in result(request)["items"]]
        return call("look_at_items", ids=listed["ids"])

    model.says(
        call("pool_statistics"),
        call("open_findings"),
        call("list_candidates", strategy="margin", n=5),
        look,
        call("neighbours", item_id="i40", k=4),
        submit,
    )
    choice = choose()
    assert choice.by == "model m"
    assert choice.mix == Mix({"diverse_margin": 0.8, "random": 0.2}, "i40 is between two")
    assert listed["ids"][0] == "i40"
    assert "i40" not in listed["near"]
    assert len(listed["near"]) == 4
    assert choice.first == (40,)
    assert choice.avoid == tuple(desk.pool.index(item) for item in listed["ids"][1:3])
    chosen = fill_batch(
        view,
        choice.mix,
        10,
        np.random.default_rng(0),
        first=choice.first,
        avoid=choice.avoid,
    ).tolist()
    assert chosen[0] == 40
    assert len(set(chosen)) == 10
    assert not set(chosen) & set(choice.avoid)
    statistics = result({"messages": model.requests[1]["messages"][:4]})
    assert statistics["candidates"] == 43
    assert statistics["predicted_share_of_candidates"]["billing"] == round(16 / 43, 3)
    assert desk.ledger.balance().committed == model.spent() > 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mix": {"margin": 0.7, "random": 0.2}}, "sum to 0.900"),
        ({"mix": {"search": 1.0}}, "no strategy 'search'"),
        ({"mix": {"margin": 1.5, "random": -0.5}}, "from 0 to 1"),
        ({"must_include": ["i20"]}, "no tool has returned"),
        ({"avoid": ["nowhere"]}, "no tool has returned"),
        ({"must_include": ["i03"]}, "can not be in a batch"),
        ({"must_include": ["i12", "i13", "i14", "i15", "i16", "i17"]}, "at most 5 ids"),
        ({"must_include": ["i12"], "avoid": ["i12"]}, "in avoid"),
        ({"size": 3}, "size"),
    ],
)
def test_what_is_wrong_is_told_and_put_right(choose, model, call, wrong, told):
    seen = ["i03", *(f"i{n}" for n in range(12, 18))]
    model.says(call("look_at_items", ids=seen), batch(call, **wrong), batch(call, avoid=["i12"]))
    choice = choose()
    assert told in model.requests[-1]["messages"][-1]["content"]
    assert (choice.avoid, choice.by) == ((12,), "model m")


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("list_candidates", {"strategy": "clever", "n": 5}, "unknown query strategy"),
        ("list_candidates", {"strategy": "margin", "n": 31}, "30"),
        ("look_at_items", {"ids": ["nowhere"]}, "no item 'nowhere'"),
        ("neighbours", {"item_id": "i12", "k": 11}, "10"),
    ],
)
def test_tools_refuse_what_they_can_not_do(choose, model, call, tool, arguments, told):
    model.says(call(tool, **arguments), batch(call))
    choose()
    assert told in model.requests[-1]["messages"][-1]["content"]


def test_without_a_student_only_its_strategies_are_open(choose, model, view, call):
    early = replace(view, proba=None)
    model.says(batch(call), batch(call, mix={"k_means": 1.0}))
    choice = choose(view=early)
    assert "diverse_margin" not in model.requests[0]["messages"][0]["content"]
    assert "no strategy 'diverse_margin' here" in model.requests[1]["messages"][-1]["content"]
    assert choice.mix.shares == pytest.approx({"k_means": 0.95, "random": 0.05})


def test_the_random_share_is_kept_and_said():
    mix = with_random({"margin": 1.002, "random": 0.001}, 0.05, "sure")
    assert mix.shares == pytest.approx({"margin": 0.95, "random": 0.05})
    assert mix.reason == "sure (random raised from 0.001 to 0.050, the least allowed)"
    assert with_random({"margin": 0.9, "random": 0.1}, 0.05, "sure").reason == "sure"
    assert with_random({"random": 1.0, "margin": 0.0}, 0.05, "x").shares == {"random": 1.0}


@pytest.mark.parametrize(
    ("replies", "more", "why"),
    [
        ([Reply("margin!"), Reply("margin.")], {}, "called no tool"),
        ([Reply("down", status=503)], {}, "HTTP 503"),
        ([], {"usd_per_decision": 0.000001}, "out of allowance"),
    ],
)
def test_a_failure_leaves_the_rule_in_charge(choose, model, replies, more, why):
    model.says(*replies)
    choice = choose(**more)
    assert (choice.mix, choice.first, choice.avoid) == (RULE, (), ())
    assert choice.by.startswith("rule: ")
    assert why in choice.by


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_misconfigured_endpoint_is_an_error_and_not_a_batch_of_the_rule(choose, model, status):
    model.says(Reply("go away", status=status))
    with pytest.raises(EndpointError, match=f"HTTP {status}: go away"):
        choose()


def test_a_rerun_sends_nothing_although_money_has_moved(choose, model, desk, call):
    model.says(call("list_candidates", strategy="random", n=3), batch(call))
    first = choose()
    balance, transcript = desk.ledger.balance(), desk.ledger.log.transcript()
    other = Call("other", "annotator", "a", "m", "label", 2)
    desk.ledger.record(other, Settlement("answered", cost=5_000_000), [])
    assert choose() == first
    assert len(model.requests) == 2
    assert desk.ledger.log.transcript() == transcript
    assert desk.ledger.balance().spent == balance.spent + 5_000_000


def test_the_transcript_tells_the_story(choose, model, desk, call):
    model.says(call("open_findings"), batch(call))
    choose()
    told = desk.ledger.log.transcript()
    assert {(m["round"], m["agent"], m["purpose"]) for m in told} == {
        (2, "selector", "choose batch")
    }
    roles = [m["role"] for m in told]
    assert roles == [
        "money",
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "outcome",
    ]
    assert "3 accepted labels fail" in told[4]["content"]["content"]
    assert told[-1]["content"]["decision"]["strategy_mix"] == {"diverse_margin": 0.8, "random": 0.2}
