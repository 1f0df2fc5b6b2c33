"""The compiled graph under a name that LangGraph's own tools find (see ``langgraph.json``).

It is there to be drawn and looked into. A run needs its folder open, so runs are started by
``run`` and ``resume``, which bring the context and the checkpointer.
"""

from __future__ import annotations

from .build import build_graph

_builder = build_graph()
# Those tools publish a JSON Schema of the context, and open files have none.
_builder.context_schema = None
graph = _builder.compile(name="labelwright")
