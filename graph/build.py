"""The state machine: nodes, and where each of them leads."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from .context import RunContext
from .nodes.annotate import annotate, fan_out
from .nodes.ask_human import ask_human
from .nodes.critique import critique
from .nodes.decide import decide
from .nodes.finish import finish
from .nodes.generate import generate
from .nodes.ingest import ingest
from .nodes.select import select
from .nodes.train import train
from .state import AFTER_ANSWERS, RunState

Node = Callable[[RunState, Runtime[RunContext]], RunState]


def build_graph() -> StateGraph[RunState, RunContext, RunState, RunState]:
    """The graph, not yet compiled: the caller brings the checkpointer."""
    graph = StateGraph(RunState, context_schema=RunContext)
    nodes: dict[str, Any] = {
        "ingest": ingest,
        "select": select,
        "generate": generate,
        "annotate": annotate,
        "critique": critique,
        "ask_human": ask_human,
        "train": train,
        "decide": decide,
        "finish": finish,
    }
    for name, node in nodes.items():
        graph.add_node(name, node if name == "annotate" else _in_step(name, node))
    graph.add_edge(START, "ingest")
    graph.add_edge("ingest", "select")
    graph.add_conditional_edges("select", _asked, ["generate", "annotate", "critique"])
    graph.add_conditional_edges("generate", _asked, ["annotate", "critique"])
    graph.add_conditional_edges("annotate", _answered, ["critique", "decide", "finish"])
    graph.add_conditional_edges("critique", _asked, ["annotate", "ask_human", "train"])
    # A person's answers are votes like any other: the critic sees them before the student does.
    graph.add_conditional_edges("ask_human", _gone, ["ask_human", "critique", "decide", "finish"])
    graph.add_conditional_edges("train", _gone, ["decide", "finish"])
    graph.add_conditional_edges("decide", _asked, ["select", "annotate", "ask_human", "finish"])
    graph.add_conditional_edges("finish", _asked, ["annotate", "ask_human", "train", END])
    return graph


def _in_step(name: str, node: Node) -> Any:
    """A node that says it begins, keeps the time, and does not see what it wrote before a crash."""

    @wraps(node)
    def run(state: RunState, runtime: Runtime[RunContext]) -> RunState:
        ctx = runtime.context
        ctx.step = state["step"]
        _begins(ctx, name, state)
        update = node(state, runtime)
        now = time.monotonic()
        seconds = state["seconds"] + now - ctx.started
        ctx.started = now
        return {**update, "seconds": seconds}

    return run


def _begins(ctx: RunContext, node: str, state: RunState) -> None:
    ctx.notify(
        {
            "event": "node",
            "node": node,
            "round": state["round"],
            "phase": state["phase"],
            "step": state["step"],
        }
    )


def _asked(state: RunState, runtime: Runtime[RunContext]) -> str | list[Send]:
    if state["go"] == "annotate":
        # Here and not in its node, of which there is one for each block.
        _begins(runtime.context, "annotate", state)
        return fan_out(runtime.context, state["asks"], state["round"]) or "critique"
    return END if state["go"] == "end" else state["go"]


def _answered(state: RunState) -> str:
    return AFTER_ANSWERS.get(state["phase"], "finish")


def _gone(state: RunState) -> str:
    return state["go"]
