"""The tool loop against the double: corrections, bounds, replay, transcript."""

from typing import Literal, TypedDict

import pytest
from doubles.openai_server import OpenAIServer, Reply, replies
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from labelwright.agents.endpoint import Endpoint, EndpointConfig
from labelwright.agents.paid_call import CallStopped, RetryPolicy
from labelwright.agents.tool_loop import Limits, run_tool_agent
from labelwright.tools.errors import EndpointError
from labelwright.tools.ledger import Caps, Ledger
from labelwright.tools.prompts import Message

ASKED = [Message("system", "Select."), Message("user", "Round 1.")]


class Plan(BaseModel):
    """Submit the plan."""

    strategy: Literal["margin", "random"]
    n: int


class Outer(TypedDict):
    n: int


def look(kind: str) -> dict[str, int]:
    """Look at the pool."""
    if kind == "broken":
        raise RuntimeError("no such statistic")
    return {"items": 7}


def submit(strategy="margin", n=5):
    return ("submit_plan", {"strategy": strategy, "n": n})


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def run(openai_server: OpenAIServer, ledger, wire_prompts):
    config = EndpointConfig(model="m", base_url=openai_server.url, price={"in": 1, "out": 2})
    with Endpoint(config) as endpoint:

        def go(*given, steps=5, budget=None, into=ledger, **more):
            if given:
                openai_server.script = replies(*given)
            return run_tool_agent(
                endpoint,
                ASKED,
                [StructuredTool.from_function(look)],
                Plan,
                submit_name="submit_plan",
                limits=Limits(steps, budget),
                ledger=into,
                agent="selector",
                round=1,
                purpose="select",
                prompt_hash="h",
                reminder=wire_prompts.get("wire/reminder"),
                policy=RetryPolicy(retries=1, first_s=0),
                **more,
            )

        yield go


def said(server, number=-1):
    return server.served[number].request["messages"]


def test_look_then_submit(run, openai_server, ledger):
    result = run(Reply(tool_calls=(("look", {"kind": "all"}),)), Reply(tool_calls=(submit(),)))
    assert result.decision == Plan(strategy="margin", n=5)
    assert (result.failure, result.steps) == (None, 2)
    assert said(openai_server)[-1] == {
        "role": "tool",
        "content": '{"items": 7}',
        "tool_call_id": "call-0",
    }
    tokens_in, tokens_out = openai_server.tokens()
    assert result.cost == ledger.balance().committed == tokens_in * 1_000 + tokens_out * 2_000
    names = [t["function"]["name"] for t in openai_server.served[0].request["tools"]]
    assert names == ["look", "submit_plan"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (submit(strategy="clever"), "strategy"),
        (("submit_plan", {"n": 1}), "strategy"),
        (("submit_plan", '{"strategy": "mar'), "not valid JSON"),
        (("look", {"kind": "broken"}), "no such statistic"),
        (("look", {}), "kind"),
        (("guess", {}), "guess"),
        (submit(n=99), "at most 9"),
    ],
)
def test_mistakes_are_told_and_can_be_put_right(run, openai_server, wrong, told):
    result = run(
        Reply(tool_calls=(wrong,)),
        Reply(tool_calls=(submit(),)),
        validate=lambda plan: None if plan.n < 10 else "n can be at most 9",
    )
    assert result.decision == Plan(strategy="margin", n=5)
    answer = said(openai_server)[-1]
    assert answer["role"] == "tool"
    assert told in answer["content"]


def test_arguments_that_are_no_object(run):
    result = run(Reply(tool_calls=(("look", "[1]"),)), Reply(tool_calls=(submit(),)))
    assert result.decision is not None


def test_several_calls_in_one_message_run_in_order(run, openai_server):
    order = []
    openai_server.script = replies(
        Reply(tool_calls=(("look", {"kind": "a"}), ("look", {"kind": "b"}), submit()))
    )
    result = run(validate=lambda plan: order.append(plan.n))
    assert result.decision is not None
    assert result.steps == 1
    assert order == [5]


def test_one_reminder_then_failure(run, openai_server):
    result = run(Reply("I think margin."), Reply("Yes, margin."))
    assert result.decision is None
    assert result.failure == "the model called no tool, after a reminder too"
    assert said(openai_server)[-1] == {"role": "user", "content": "Call submit_plan."}
    assert result.steps == 2


def test_the_last_step_can_only_submit(run, openai_server):
    looks = Reply(tool_calls=(("look", {"kind": "a"}),))
    result = run(looks, looks, looks, steps=3)
    assert result.failure == "no acceptable submit_plan within 3 steps"
    last = openai_server.served[-1].request
    assert [t["function"]["name"] for t in last["tools"]] == ["submit_plan"]
    assert last["tool_choice"] == "required"
    assert "tool_choice" not in openai_server.served[0].request


def test_a_server_that_only_knows_the_named_form(run, openai_server):
    openai_server.refuse = {"tool_required": 500}
    result = run(Reply(tool_calls=(submit(),)), steps=1)
    assert result.decision is not None
    named = openai_server.served[-1].request["tool_choice"]
    assert named == {"type": "function", "function": {"name": "submit_plan"}}


def test_out_of_its_own_budget(run, openai_server):
    result = run(Reply(tool_calls=(submit(),)), budget=1_000)
    assert result.failure.startswith("out of allowance")
    assert openai_server.served == []


def test_out_of_the_runs_cap(run, openai_server, tmp_path):
    with Ledger(tmp_path / "capped.sqlite", Caps(money=1_000)) as capped:
        result = run(Reply(tool_calls=(submit(),)), into=capped)
    assert result.failure.startswith("out of allowance")
    assert openai_server.served == []


@pytest.mark.parametrize("status", [400, 422, 429, 500, 503])
def test_a_refused_request_is_a_failure_with_its_reason(run, status):
    result = run(*[Reply("go away", status=status)] * 4)
    assert result.decision is None
    assert f"HTTP {status}: go away" in result.failure


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_misconfigured_endpoint_is_an_error(run, openai_server, status):
    looks = Reply(tool_calls=(("look", {"kind": "a"}),))
    with pytest.raises(EndpointError, match=f"HTTP {status}: go away"):
        run(looks, Reply("go away", status=status))
    assert len(openai_server.served) == 2
    # Put right, the conversation goes on where it was.
    assert run(Reply(tool_calls=(submit(),))).decision is not None
    assert len(openai_server.served) == 3


def test_a_stop_is_not_a_failure(run):
    with pytest.raises(CallStopped):
        run(Reply(tool_calls=(submit(),)), stop=lambda: True)


def test_a_stop_inside_a_tool_is_not_told_to_the_model(run):
    def stopping(_):
        raise CallStopped("stopping")

    with pytest.raises(CallStopped):
        run(Reply(tool_calls=(submit(),)), validate=stopping)


def test_an_overrun_stops_the_run(run):
    usage = {"prompt_tokens": 10, "completion_tokens": 900_000, "total_tokens": 900_010}
    with pytest.raises(EndpointError, match="did not keep to max tokens"):
        run(Reply(tool_calls=(submit(),), usage=usage))


def test_a_rerun_replays_what_was_paid(run, openai_server, ledger):
    looks = Reply(tool_calls=(("look", {"kind": "a"}), ("look", {"kind": "broken"})))
    first = run(looks, Reply("hm"), Reply(tool_calls=(submit(n=7),)))
    served, balance = len(openai_server.served), ledger.balance()
    transcript = ledger.log.transcript()
    assert run() == first
    assert len(openai_server.served) == served == 3
    assert ledger.balance() == balance
    assert ledger.log.transcript() == transcript


def test_a_crash_between_steps_is_taken_up_again(run, openai_server, ledger):
    looks = Reply(tool_calls=(("look", {"kind": "a"}),))
    openai_server.script = replies(looks)
    stops = iter([False, True])
    with pytest.raises(CallStopped):
        run(stop=lambda: next(stops))
    result = run(Reply(tool_calls=(submit(),)))
    assert result.decision is not None
    assert len(openai_server.served) == 2


def test_inside_a_graph_its_messages_stay_out_of_the_checkpoints(run, openai_server):
    openai_server.script = replies(Reply(tool_calls=(submit(),)))
    saver = InMemorySaver()
    builder = StateGraph(Outer)
    builder.add_node("select", lambda _: {"n": run().decision.n})
    builder.add_edge(START, "select")
    config = {"configurable": {"thread_id": "run"}}
    assert builder.compile(checkpointer=saver).invoke({"n": 0}, config) == {"n": 5}
    saved = list(saver.list(None))
    assert {s.config["configurable"]["checkpoint_ns"] for s in saved} == {""}
    assert not any("messages" in s.checkpoint["channel_values"] for s in saved)


def test_the_transcript_holds_every_message(run, ledger):
    run(
        Reply("let me see", tool_calls=(("look", {"kind": "a"}),)),
        Reply("hm"),
        Reply(tool_calls=(submit(),)),
        steps=4,
    )
    told = [(m["step"], m["part"], m["role"]) for m in ledger.log.transcript()]
    assert told == [
        (0, 0, "system"),
        (0, 1, "user"),
        (1, 0, "assistant"),
        (1, 1, "tool"),
        (2, 0, "assistant"),
        (2, 1, "user"),
        (3, 0, "assistant"),
        (3, 1, "tool"),
        (5, 0, "outcome"),
    ]
    assistant = ledger.log.transcript()[2]["content"]
    assert assistant["content"] == "let me see"
    assert assistant["tool_calls"][0]["function"]["name"] == "look"
    outcome = ledger.log.transcript()[-1]["content"]
    assert outcome == {"decision": {"strategy": "margin", "n": 5}, "failure": None}
