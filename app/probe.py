"""What an endpoint can do, found out by asking it: a few short requests, under a hard cap."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.errors import EndpointError, LabelwrightError
from ..tools.money import to_nano, to_usd
from ..tools.prompts import PromptLibrary, packaged_prompts

if TYPE_CHECKING:
    from ..agents.endpoint import Endpoint, EndpointConfig
    from ..graph.config import RunConfig
    from ..tools.ledger import Ledger

CAP_USD = 0.05
REQUESTS = 16
"""Most that is spent on, and sent to, one endpoint."""


@dataclass
class Probe:
    """What was found out about one endpoint.

    Attributes:
        who: Names of those who use it.
        mode: How answers are held to their schema; empty if they can not be.
        limit: Name of the token limit that the server keeps to.
        logprobs: Whether log-probabilities of tokens come with an answer.
        requests: How many were sent.
        usd: What they cost, unsettled ones at their bound.
        seconds: For one request, on average.
        error: What was wrong, if anything was.
    """

    who: str
    model: str
    mode: str = ""
    limit: str = ""
    logprobs: bool = False
    requests: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    error: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def probe_all(config: RunConfig, usd: float = CAP_USD) -> Iterator[Probe]:
    """Ask every chat endpoint of a configuration what it can do.

    Args:
        config: Whose endpoints.
        usd: Most that the requests to one of them may cost.
    """
    from ..agents.endpoint import EndpointConfig

    folders = [config.prompts] if config.prompts else []
    prompts = PromptLibrary([*folders, packaged_prompts()])
    users: dict[str, tuple[list[str], EndpointConfig]] = {}
    for who, endpoint in config.endpoints():
        if isinstance(endpoint, EndpointConfig):
            key = f"{endpoint.url} {endpoint.model} {endpoint.params}"
            users.setdefault(key, ([], endpoint))[0].append(who)
    for names, endpoint in users.values():
        yield _probe(", ".join(names), endpoint, prompts, usd)


def _probe(who: str, config: EndpointConfig, prompts: PromptLibrary, usd: float) -> Probe:
    from ..agents.endpoint import Endpoint
    from ..tools.ledger import Caps, Ledger

    found = Probe(who, config.model)
    with tempfile.TemporaryDirectory() as folder:
        # A ledger of its own: the requests are bounded as those of a run are, and left out of it.
        caps = Caps(money=to_nano(usd), requests=REQUESTS)
        with Ledger(Path(folder) / "probe.sqlite", caps) as ledger:
            began = time.monotonic()
            try:
                with Endpoint(config) as endpoint:
                    _ask(found, endpoint, ledger, prompts)
            except LabelwrightError as error:
                found.error = str(error)
            balance = ledger.balance()
            found.requests, found.usd = balance.requests, to_usd(balance.committed)
            found.seconds = (time.monotonic() - began) / max(1, balance.requests)
    return found


def _ask(found: Probe, endpoint: Endpoint, ledger: Ledger, prompts: PromptLibrary) -> None:
    from ..agents.paid_call import RetryPolicy
    from ..agents.structured import StructuredChat

    policy = RetryPolicy(retries=1)
    found.mode = StructuredChat(endpoint, ledger, prompts, policy=policy).mode()
    found.limit = endpoint.limit_name
    try:
        # What was answered before is not asked again: this sends one request more.
        StructuredChat(endpoint, ledger, prompts, policy=policy, logprobs=True).mode()
        found.logprobs = True
    except EndpointError:
        found.logprobs = False
