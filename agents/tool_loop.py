"""The loop in which an agent looks around with tools and ends in one typed submission.

A LangGraph of three nodes: the model, its tools, and the check of what came of them. It is bounded
in steps and in money, every model call is paid through the ledger, and a rerun after a crash gets
the answers it paid for without paying again. A model that misbehaves, or a server that is out of
order, yields a failure, not an exception: the agent's rule policy takes over. An endpoint that is
configured wrongly is an error, or a run would go on without the agent it was told to use.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    ToolMessage,
    convert_to_openai_messages,
)
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import ToolNode
from pydantic import BaseModel

from ..tools.errors import BudgetExceeded
from ..tools.ledger import Call, Ledger, Settlement
from ..tools.money import show
from ..tools.prompts import Message, Prompt
from .endpoint import Endpoint
from .paid_call import CallRefused, CallStopped, RetryPolicy, bound, pay, request_key
from .structured import to_langchain

T = TypeVar("T", bound=BaseModel)

_FORM_UNKNOWN = frozenset((400, 422, 500, 501))


@dataclass(frozen=True)
class Limits:
    """What an agent may use: model calls, and money in nanodollars (``None``: the run's caps)."""

    steps: int
    budget: int | None = None


@dataclass(frozen=True)
class AgentResult(Generic[T]):
    """How an agent ended.

    Attributes:
        decision: The accepted submission, ``None`` after a failure.
        failure: Why there is no decision.
        steps: Model calls made.
        cost: What they cost, in nanodollars, those taken from the ledger included.
    """

    decision: T | None
    failure: str | None
    steps: int
    cost: int


class _State(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]
    step: int
    cost: int
    reminded: bool
    decision: Any
    failure: str | None


def run_tool_agent(
    endpoint: Endpoint,
    messages: Sequence[Message],
    tools: Sequence[BaseTool],
    submit: type[T],
    *,
    submit_name: str,
    limits: Limits,
    ledger: Ledger,
    agent: str,
    round: int,
    purpose: str,
    prompt_hash: str,
    reminder: Prompt,
    validate: Callable[[T], str | None] = lambda _: None,
    policy: RetryPolicy | None = None,
    stop: Callable[[], bool] = lambda: False,
    thread: str = "",
) -> AgentResult[T]:
    """Run an agent until it submits, fails or has used its allowance.

    Args:
        endpoint: The model.
        messages: The rendered prompt.
        tools: What it may call; they run one after the other, and their results should follow
            from the run's state, or a rerun after a crash asks anew.
        submit: The typed decision; its docstring describes the tool to the model.
        submit_name: Name of the tool that takes it.
        limits: Steps and money.
        ledger: Pays, remembers and keeps the transcript.
        agent: Who asks, for the ledger.
        round: Of the run.
        purpose: What for; (round, agent, purpose) names one conversation.
        prompt_hash: Hash of the template behind ``messages``.
        reminder: Said once to a model that calls no tool (input ``submit``: the tool's name).
        validate: Why a well-formed decision is not acceptable, or ``None``; told to the model.
        policy: Repetition of failed tries; the endpoint's number of retries without.
        stop: Asked before each call.
        thread: Names one of several conversations of one purpose in one round.

    Raises:
        CallStopped: The run is stopping.
        EndpointError: The server refused the key, the account, the address or the model, or used
            more than was reserved.
    """
    conversation = _Conversation(
        endpoint=endpoint,
        ledger=ledger,
        limits=limits,
        call=Call("", agent, None, endpoint.config.model, purpose, round, (), prompt_hash),
        policy=policy or RetryPolicy(retries=endpoint.config.retries),
        stop=stop,
        tools=[*tools, _submit_tool(submit, submit_name, validate)],
        submit_name=submit_name,
        reminder=reminder.render(submit=submit_name)[-1].content,
        thread=thread,
    )
    first: list[AnyMessage] = list(to_langchain(messages))  # type: ignore[arg-type]
    conversation.say(0, first)
    # In a context of its own: inside a node it would inherit the checkpointer, the durability and
    # the drain of the run's graph, and write its messages into the run's checkpoints.
    end = Context().run(
        conversation.graph().invoke,
        _State(messages=first, step=0, cost=0, reminded=False, decision=None, failure=None),
        {"max_concurrency": 1},  # tools run in the order they were called
    )
    conversation.say_outcome(end["decision"], end["failure"])
    return AgentResult(end["decision"], end["failure"], end["step"], end["cost"])


@dataclass(frozen=True)
class _Conversation:
    """One agent's run: the nodes of its graph."""

    endpoint: Endpoint
    ledger: Ledger
    limits: Limits
    call: Call
    policy: RetryPolicy
    stop: Callable[[], bool]
    tools: list[BaseTool]
    submit_name: str
    reminder: str
    thread: str

    def graph(self) -> Any:
        """The compiled loop."""
        builder = StateGraph(_State)
        builder.add_node("model", self._model)
        builder.add_node("tools", ToolNode(self.tools, handle_tool_errors=_tell_model))
        builder.add_node("check", self._check)
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", _after_model)
        builder.add_edge("tools", "check")
        builder.add_conditional_edges("check", _after_check)
        return builder.compile()

    def _model(self, state: _State) -> dict[str, Any]:
        step = state["step"] + 1
        last = step >= self.limits.steps
        # Some servers know only one of the two forms of a forced call.
        forms = ("required", self.submit_name) if last else (None,)
        failure = ""
        for force in forms:
            try:
                settlement = self._pay(state, step, force)
            except CallRefused as error:
                if error.misconfigured:
                    raise
                failure = str(error)
                if error.status not in _FORM_UNKNOWN:
                    break
            except BudgetExceeded as error:
                failure = f"out of allowance: {error}"
                break
            else:
                message = _message(settlement, step)
                self.say(step, [message])
                cost = state["cost"] + settlement.cost
                return {"messages": [message], "step": step, "cost": cost}
        return {"failure": failure}

    def _pay(self, state: _State, step: int, force: str | None) -> Settlement:
        """The settled answer of one step."""
        config = self.endpoint.config
        # Forced: nothing but the submission is on offer, which "required" then means on servers
        # that ignore a tool's name.
        offered = self.tools[-1:] if force else self.tools
        model: Any = self.endpoint.chat.bind_tools(offered, tool_choice=force)
        wire = convert_to_openai_messages(state["messages"])
        texts = [json.dumps(message, ensure_ascii=False) for message in wire]
        schema = json.dumps(model.kwargs["tools"], ensure_ascii=False)
        most = bound(config.price, texts, config.max_output_tokens, schema=schema)
        budget = self.limits.budget
        if budget is not None and state["cost"] + most.money > budget:
            raise BudgetExceeded(
                f"{self.call.agent}: the next call could cost {show(most.money)} and "
                f"{show(state['cost'])} of its {show(budget)} is spent."
            )
        base = self.call
        policy = replace(self.policy, final=_FORM_UNKNOWN) if force == "required" else self.policy
        thread = self.thread or base.purpose
        key = request_key(
            base.agent, thread, base.round, step, config.url, base.model, force, schema, wire
        )
        return pay(
            self.ledger,
            Call(key, base.agent, None, base.model, base.purpose, base.round, (), base.prompt_hash),
            bound=most,
            price=config.price,
            send=lambda: self.endpoint.send(state["messages"], model=model),
            policy=policy,
            stop=self.stop,
        )

    def _check(self, state: _State) -> dict[str, Any]:
        """Answer what the tools could not, and see whether a submission was accepted."""
        at = max(i for i, m in enumerate(state["messages"]) if isinstance(m, AIMessage))
        asked, results = state["messages"][at], state["messages"][at + 1 :]
        assert isinstance(asked, AIMessage)
        extra: list[AnyMessage] = [
            ToolMessage(
                f"The arguments are not valid JSON: {call['error']}",
                tool_call_id=call["id"] or "",
                name=call["name"],
                status="error",
            )
            for call in asked.invalid_tool_calls
        ]
        update: dict[str, Any] = {}
        accepted = [
            m.artifact
            for m in results
            if isinstance(m, ToolMessage) and m.name == self.submit_name and m.status == "success"
        ]
        if accepted:
            update["decision"] = accepted[0]
        elif not results and not extra:
            if state["reminded"]:
                update["failure"] = "the model called no tool, after a reminder too"
            else:
                update["reminded"] = True
                extra.append(HumanMessage(self.reminder))
        if not accepted and state["step"] >= self.limits.steps:
            update["failure"] = f"no acceptable {self.submit_name} within {state['step']} steps"
        self.say(state["step"], [*results, *extra], part=1)
        return {**update, "messages": extra}

    def say(self, step: int, messages: Sequence[AnyMessage], part: int = 0) -> None:
        """Write messages into the transcript."""
        for number, message in enumerate(messages, part):
            wire = convert_to_openai_messages([message])[0]
            if isinstance(message, ToolMessage):
                wire |= {"name": message.name, "status": message.status}
            self._write(step, number, wire.pop("role"), wire)

    def say_outcome(self, decision: BaseModel | None, failure: str | None) -> None:
        """Write how it ended into the transcript, as the step after the last possible one."""
        content = {
            "decision": None if decision is None else decision.model_dump(mode="json"),
            "failure": failure,
        }
        self._write(self.limits.steps + 1, 0, "outcome", content)

    def _write(self, step: int, part: int, role: str, content: Any) -> None:
        self.ledger.log.say(
            round=self.call.round,
            agent=self.call.agent,
            purpose=self.thread or self.call.purpose,
            step=step,
            part=part,
            role=role,
            content=content,
        )


def _after_model(state: _State) -> Literal["tools", "check", "__end__"]:
    if state["failure"] is not None:
        return "__end__"
    message = state["messages"][-1]
    return "tools" if isinstance(message, AIMessage) and message.tool_calls else "check"


def _after_check(state: _State) -> Literal["model", "__end__"]:
    ended = state["decision"] is not None or state["failure"] is not None
    return "__end__" if ended else "model"


def _submit_tool(submit: type[T], name: str, validate: Callable[[T], str | None]) -> StructuredTool:
    def accept(**fields: Any) -> tuple[str, T]:
        decision = submit.model_validate(fields)
        if (reason := validate(decision)) is not None:
            raise ToolException(reason)
        return "accepted", decision

    return StructuredTool.from_function(
        accept,
        name=name,
        description=submit.__doc__ or name,
        args_schema=submit,
        response_format="content_and_artifact",
    )


def _tell_model(error: Exception) -> str:
    if isinstance(error, CallStopped):
        raise error
    return str(error)


def _message(settlement: Settlement, step: int) -> AIMessage:
    """The model's message as it was settled, so that a rerun goes on from the very same one."""
    # The ledger gives arguments back in sorted order; the first time they must be in the same.
    response = json.loads(json.dumps(settlement.response or {}, sort_keys=True))
    calls, broken = (
        [
            # Some servers leave the id out, and every result needs one to refer to.
            {**call, "id": call.get("id") or f"{kind}-{step}-{number}"}
            for number, call in enumerate(response.get(kind, []))
        ]
        for kind in ("tool_calls", "invalid_tool_calls")
    )
    return AIMessage(
        response.get("content") or response.get("refusal") or "",
        tool_calls=[{**c, "type": "tool_call"} for c in calls],
        invalid_tool_calls=[
            {**c, "type": "invalid_tool_call", "error": "cut off or malformed"} for c in broken
        ],
    )
