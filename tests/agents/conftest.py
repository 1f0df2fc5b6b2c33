"""A desk with a real pool and ledger, and a model that is a script."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles.openai_server import OpenAIServer, Reply

from labelwright.agents.desk import Desk
from labelwright.agents.model import AgentModelConfig
from labelwright.tools.ledger import Ledger
from labelwright.tools.pool import Pool, PoolConfig
from labelwright.tools.prompts import PromptLibrary, packaged_prompts
from labelwright.tools.task import TaskConfig

LABELS = ("billing", "technical", "cancellation")
WORDS = {
    "billing": "invoice charged twice on my card bill",
    "technical": "app hangs then freezes when a page opens",
    "cancellation": "quit quickly unsubscribe us, thank you",
}


class LetterEmbedder:
    """A test double: pairs of letters, hashed into 32 buckets."""

    dim = 32
    fingerprint = "letters"

    def embed(self, texts: Any) -> np.ndarray:
        rows = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for a, b in pairwise(text.lower()):
                row[(ord(a) * 7 + ord(b)) % self.dim] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


Step = Reply | Callable[[dict[str, Any]], Reply]


def is_probe(request: dict[str, Any]) -> bool:
    """Whether a request only looks for the token limit's name."""
    return "Count from one to sixty" in str(request["messages"][-1]["content"])


@dataclass
class Model:
    """The configured model, and the script that answers for it.

    The probe of the token limit is answered beside the script and is not among the requests.
    """

    server: OpenAIServer

    def config(self, **more: Any) -> AgentModelConfig:
        price = {"in": 1, "out": 2}
        given = {"model": "m", "base_url": self.server.url, "price": price, "retries": 0}
        return AgentModelConfig.model_validate({**given, **more})

    def says(self, *steps: Step) -> None:
        """Answer with each step in turn; a function makes its reply from the request."""
        rest = iter(steps)

        def answer(request: dict[str, Any]) -> Reply:
            if is_probe(request):
                return Reply("one, two")
            step = next(rest)
            return step if isinstance(step, Reply) else step(request)

        self.server.script = answer

    @property
    def requests(self) -> list[dict[str, Any]]:
        served = [served.request for served in self.server.served]
        return [request for request in served if not is_probe(request)]

    def spent(self) -> int:
        """What the server would charge, in nanodollars."""
        tokens_in, tokens_out = self.server.tokens()
        return tokens_in * 1_000 + tokens_out * 2_000


@pytest.fixture
def call() -> Callable[..., Reply]:
    """A reply that calls one tool."""
    return lambda tool, **arguments: Reply(tool_calls=((tool, arguments),))


@pytest.fixture
def result() -> Callable[[dict[str, Any]], Any]:
    """What the last tool returned, as the model sees it."""
    return lambda request: json.loads(request["messages"][-1]["content"])


@pytest.fixture
def model(openai_server: OpenAIServer) -> Model:
    return Model(openai_server)


@pytest.fixture
def embedder() -> LetterEmbedder:
    return LetterEmbedder()


@pytest.fixture
def desk(tmp_path: Path, embedder: LetterEmbedder) -> Iterator[Desk]:
    """Sixty items: every third of one label."""
    task = TaskConfig.model_validate(
        {"name": "tickets", "labels": [{"name": label} for label in LABELS]}
    )
    ids = [f"i{n:02}" for n in range(60)]
    texts = [f"{WORDS[LABELS[n % 3]]} {n * n}" for n in range(60)]
    with (
        Pool.open(PoolConfig(), tmp_path / "pool", fingerprint="letters", dim=32) as pool,
        Ledger(tmp_path / "ledger.sqlite") as ledger,
    ):
        pool.add(ids, texts, embedder.embed(texts))
        yield Desk(task, ledger, pool, PromptLibrary([packaged_prompts()]), lambda: False)
