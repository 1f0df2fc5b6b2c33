"""One decision put to an agent's chat model: prompt, tools, allowance, typed submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from ..tools.errors import BudgetExceeded
from ..tools.ledger import OPERATOR, Ledger
from ..tools.money import show, to_nano
from ..tools.prompts import PromptLibrary
from ..tools.task import TaskConfig
from .endpoint import Endpoint
from .model import AgentModelConfig
from .paid_call import CallRefused
from .structured import StructuredChat

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from .tool_loop import AgentResult

T = TypeVar("T", bound=BaseModel)


class Office(Protocol):
    """What it takes to put a question to a model: who pays, what is read, when to stop."""

    @property
    def ledger(self) -> Ledger:
        """Pays and remembers."""

    @property
    def prompts(self) -> PromptLibrary:
        """The templates."""

    @property
    def stopping(self) -> Callable[[], bool]:
        """Whether no more requests are to be sent."""


def consult(
    desk: Office,
    config: AgentModelConfig,
    prompt: str,
    inputs: Mapping[str, Any],
    tools: Sequence[Callable[..., Any]],
    submit: type[T],
    *,
    submit_name: str,
    agent: str,
    purpose: str,
    round_: int,
    validate: Callable[[T], str | None],
    thread: str = "",
) -> AgentResult[T]:
    """Let a model look around and decide.

    Args:
        desk: The run.
        config: The model and its allowance.
        prompt: Name of the template.
        inputs: Of the template.
        tools: Functions that it may call; their docstrings and signatures describe them to it.
        submit: The typed decision; its docstring describes the last tool.
        submit_name: Name of that tool.
        agent: Who asks, for the ledger.
        purpose: What for; (round, agent, purpose) names one conversation.
        round_: Of the run.
        validate: Why a decision is not acceptable, or ``None``; told to the model.
        thread: Names one of several conversations of one purpose in one round.

    Returns:
        The decision, or why there is none.

    Raises:
        ConfigError: The key is missing.
        CallStopped: The run is stopping.
        EndpointError: The server refused the key, the account, the address or the model, keeps to
            no token limit, or used more than was reserved.
    """
    # Here: langgraph and langchain are loaded only where a model is configured.
    from langchain_core.tools import StructuredTool

    from .tool_loop import AgentResult, Limits, run_tool_agent

    template = desk.prompts.get(prompt)
    offered: list[BaseTool] = [StructuredTool.from_function(tool) for tool in tools]
    with Endpoint(config) as endpoint:
        if (failure := _without_limit(desk, endpoint, agent)) is not None:
            return AgentResult(None, failure, 0, 0)
        return run_tool_agent(
            endpoint,
            template.render(**inputs),
            offered,
            submit,
            submit_name=submit_name,
            limits=Limits(config.steps, to_nano(config.usd_per_decision)),
            ledger=desk.ledger,
            agent=agent,
            round=round_,
            purpose=purpose,
            prompt_hash=template.hash,
            reminder=desk.prompts.get("wire/reminder"),
            validate=validate,
            stop=desk.stopping,
            thread=thread,
        )


def _without_limit(desk: Office, endpoint: Endpoint, agent: str) -> str | None:
    """Find the token limit's name, on which every reservation rests; why it can not be found."""
    try:
        # The operator's agent works beside the run: two processes must not reserve one probe.
        prober = OPERATOR if agent == OPERATOR else "probe"
        chat = StructuredChat(
            endpoint, desk.ledger, desk.prompts, stop=desk.stopping, prober=prober
        )
        chat.find_limit()
    except BudgetExceeded as error:
        return f"out of allowance: {error}"
    except CallRefused as error:
        if error.misconfigured:
            raise
        return str(error)
    return None


def task_inputs(task: TaskConfig) -> dict[str, Any]:
    """What every agent's template wants to know of the task."""
    return {
        "task_name": task.name,
        "guidelines": task.guidelines,
        "labels": [label.model_dump() for label in task.labels],
    }


def opening_money(ledger: Ledger, *, agent: str, purpose: str, round_: int) -> dict[str, str]:
    """The account as it stood when a conversation began: spent, cap and left.

    The first figures are kept in the transcript and given again after a crash. With newer ones the
    prompt would be another one, and what the conversation has already paid for would be asked anew.
    """
    cap, left = ledger.caps.money, ledger.left()
    now = {
        "spent": show(ledger.balance().spent),
        "cap": "no limit" if cap is None else show(cap),
        "left": "no limit" if left is None else show(left),
    }
    name = {"round": round_, "agent": agent, "purpose": purpose, "step": 0, "part": -1}
    ledger.log.say(
        round=round_, agent=agent, purpose=purpose, step=0, part=-1, role="money", content=now
    )
    kept = (m["content"] for m in ledger.log.transcript() if name.items() <= m.items())
    first: dict[str, str] = next(kept)
    return first


def clip(text: str, most: int) -> str:
    """A text of at most ``most`` characters, an ellipsis where something was cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"
