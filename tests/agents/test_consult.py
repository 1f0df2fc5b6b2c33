"""An agent at work inside a node of a checkpointed graph, as it is in a run."""

from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from labelwright.agents.consult import clip, consult, opening_money
from labelwright.tools.ledger import Call, Settlement


class Answer(BaseModel):
    """Submit."""

    text: str
    spend_less: bool
    reason: str


class State(TypedDict, total=False):
    text: str


def test_inside_a_node_it_leaves_no_trace_in_the_checkpoints(desk, model, call):
    model.says(call("submit_x", text="fine", spend_less=False, reason="r"))

    def node(state: State) -> State:
        result = consult(
            desk,
            model.config(),
            "critic/explain_stop",
            {"check_lines": ["x"], "verdict": "stop"},
            [],
            Answer,
            submit_name="submit_x",
            agent="critic",
            purpose="p",
            round_=1,
            validate=lambda _: None,
        )
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
