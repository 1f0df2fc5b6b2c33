"""Scripts for the server double: models that label, choose, review and write, and that fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doubles.openai_server import OpenAIServer, Reply, obedient

PRICES = {"weak": (100, 400), "solid": (1000, 4000), "agent": (200, 800)}
"""Nanodollars of a prompt and of a completion token, by model."""

Fault = Callable[[str, str, int], "Reply | None"]
"""(model, item id, how often it was asked about it before) to what goes wrong, if anything."""


def usd(model: str) -> dict[str, float]:
    """A model's price as it is configured, in USD per million tokens."""
    return dict(zip(("in", "out"), (nano / 1000 for nano in PRICES[model]), strict=True))


def wobble(*parts: Any) -> float:
    """A number in [0, 1) that follows from its arguments."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6]) / 2**48


@dataclass
class Models:
    """Answers for all models of a run.

    Attributes:
        texts: Text by item id; nothing else is labelled.
        truth: Label by item id.
        accuracy: Of each annotating model.
        fault: What goes wrong.
        written: Texts of the generator's model, and the label it meant.
        asked: How often each model was asked about each item.
        lost: Requests whose answers can not reach the client, although they are charged.
        unknown: Texts that were to be labelled and that nobody knows.
    """

    texts: Mapping[str, str]
    truth: Mapping[str, str]
    labels: Sequence[str]
    accuracy: Mapping[str, float] = field(default_factory=lambda: {"weak": 0.75, "solid": 0.95})
    fault: Fault = lambda *_: None
    written: Sequence[tuple[str, str]] = ()
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: dict[str, Any]) -> Reply:
        tools = [tool["function"]["name"] for tool in request.get("tools", ())]
        submit = next((name for name in tools if name.startswith("submit_")), None)
        if submit is not None:
            return self._agent(request, submit, set(tools))
        said = str(request["messages"][-1]["content"])
        item = next((i for i, text in self._known() if f"\n{text}\n" in said), None)
        if item is None:
            return obedient(request)
        model = request["model"]
        with self._lock:
            before = self.asked[model, item]
            self.asked[model, item] += 1
        reply = self.fault(model, item, before)
        if reply is not None:
            if reply.delay or reply.raw is not None:
                self.lost.append(request)
            return reply
        label = self.label(model, item)
        return Reply({"label": label, "confidence": 0.9, "reason": "it says so"})

    def label(self, model: str, item: str) -> str:
        """What a model says of an item, whenever it is asked."""
        truth = self.truth.get(item) or dict(self.written)[item]
        if item in self.texts and wobble(model, item) >= self.accuracy[model]:
            others = [label for label in self.labels if label != truth]
            return others[int(wobble(item) * len(others))]
        return truth

    def charged(self, server: OpenAIServer) -> int:
        """Nanodollars of all answers that could reach the client."""
        lost = {id(request) for request in self.lost}
        return sum(
            PRICES[s.request["model"]][0] * s.tokens_in
            + PRICES[s.request["model"]][1] * s.tokens_out
            for s in server.chats
            if id(s.request) not in lost
        )

    def _known(self) -> list[tuple[str, str]]:
        return [*self.texts.items(), *((text, text) for text, _ in self.written)]

    def _agent(self, request: dict[str, Any], submit: str, tools: set[str]) -> Reply:
        results = [json.loads(m["content"]) for m in request["messages"] if m["role"] == "tool"]
        if submit == "submit_batch":
            if not results and "list_candidates" in tools:
                look = ("list_candidates", {"strategy": "typiclust", "n": 4})
                return Reply(tool_calls=(("pool_statistics", {}), look))
            first = [entry["id"] for entry in results[-1]["items"]][:2]
            mix = {"typiclust": 0.5, "random": 0.5}
            batch = {"strategy_mix": mix, "must_include": first, "reason": "typical ones first"}
            return Reply(tool_calls=(("submit_batch", batch),))
        if submit == "submit_review":
            if not results and "findings" in tools:
                return Reply(tool_calls=(("findings", {}),))
            doubted = [e for e in results[-1]["queue"] if e["p_correct"] and e["p_correct"] >= 0.5]
            outcomes = [
                {"item_id": entry["id"], "action": "accept", "reason": "it is clear"}
                for entry in doubted[:1]
            ]
            review = {"outcomes": outcomes, "proposals": [], "reason": "two labels overlap"}
            return Reply(tool_calls=(("submit_review", review),))
        if submit == "submit_items":
            items = [{"text": text, "label": label} for text, label in self.written]
            return Reply(tool_calls=(("submit_items", {"items": items}),))
        said = {"text": "The rule decides.", "spend_less": False, "reason": "the printed churn"}
        return Reply(tool_calls=((submit, said),))
