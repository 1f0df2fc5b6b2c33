"""An agent at work inside a node of a checkpointed graph, as it is in a run."""

from dataclasses import replace
from typing import Any, TypedDict

import pytest
from doubles.openai_server import Reply
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, ValidationError

from labelwright.agents.consult import clip, consult, opening_money
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import Call, Caps, Ledger, Settlement


class Answer(BaseModel):
    """Submit."""

    text: str
    spend_less: bool
    reason: str


class State(TypedDict, total=False):
    text: str


@pytest.fixture
def decide(desk, model):
    def decide(round_=1, desk=desk, **more):
        return consult(
            desk,
            model.config(**more),
            "critic/explain_stop",
            {"check_lines": ["x"], "verdict": "stop"},
            [],
            Answer,
            submit_name="submit_x",
            agent="critic",
            purpose="p",
            round_=round_,
            validate=lambda _: None,
        )

    return decide


@pytest.fixture
def fine(call):
    return call("submit_x", text="fine", spend_less=False, reason="r")


def test_the_token_limit_is_probed_once_and_known_from_then_on(decide, model, fine):
    model.server.heeds = {"max_completion_tokens"}

    def answer(request):
        counting = "Count" in request["messages"][-1]["content"]
        return Reply("one, two, three, " * 30) if counting else fine

    model.server.script = answer
    for round_ in (1, 2):
        assert decide(round_).decision is not None
        assert "max_completion_tokens" in model.requests[-1]
        assert "max_tokens" not in model.requests[-1]
    # Both names were tried, once, and each round asked once.
    assert (len(model.server.served), len(model.requests)) == (4, 2)


def test_a_server_that_keeps_to_no_limit_is_an_error(decide, model):
    model.server.heeds = set()
    model.server.script = lambda _: Reply("one, two, three, " * 30)
    with pytest.raises(EndpointError, match="no budget could be kept"):
        decide()
    assert model.requests == []


def test_no_money_for_the_probe_is_a_failure(decide, model, desk, tmp_path):
    with Ledger(tmp_path / "capped.sqlite", Caps(money=1_000)) as capped:
        result = decide(desk=replace(desk, ledger=capped))
    assert result.decision is None
    assert result.failure.startswith("out of allowance")
    assert model.server.served == []


def test_a_probe_that_fails_is_a_failure_and_a_refused_key_an_error(decide, model, fine):
    model.says(fine)
    model.server.queue.append(Reply("down", status=503))
    assert "HTTP 503: down" in decide().failure
    model.server.queue.append(Reply("bad key", status=401))
    with pytest.raises(EndpointError, match="HTTP 401: bad key"):
        decide()
    assert decide().decision is not None


def test_structured_is_for_annotators(model):
    assert model.config(structured="auto").structured == "auto"
    with pytest.raises(ValidationError, match="structured is for annotators"):
        model.config(structured="json_schema")


def test_inside_a_node_it_leaves_no_trace_in_the_checkpoints(decide, model, fine):
    model.says(fine)

    def node(state: State) -> State:
        result = decide()
        assert result.decision is not None
        return {"text": result.decision.text}

    builder: Any = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    saver = InMemorySaver()
    thread = {"configurable": {"thread_id": "t"}}
    graph = builder.compile(checkpointer=saver)
    assert graph.invoke({}, thread, durability="sync") == {"text": "fine"}
    kept = list(saver.list(thread))
    assert {c.config["configurable"]["checkpoint_ns"] for c in kept} == {""}
    assert all("messages" not in c.checkpoint["channel_values"] for c in kept)


def test_the_money_that_is_shown_stays_what_it_was(desk):
    def shown(round_=1):
        return opening_money(desk.ledger, agent="critic", purpose="review", round_=round_)

    first = shown()
    assert first == {"spent": "$0.00", "cap": "no limit", "left": "no limit"}
    call = Call("k", "annotator", "a", "m", "label", 1)
    desk.ledger.record(call, Settlement("answered", cost=10**9), [])
    assert shown() == first
    assert shown(round_=2)["spent"] == "$1.00"


def test_clip():
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"
