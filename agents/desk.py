"""What every agent has at hand while it works for one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..tools.ledger import Ledger
from ..tools.pool import Pool
from ..tools.prompts import PromptLibrary
from ..tools.task import TaskConfig


@dataclass(frozen=True)
class Desk:
    """The run as its agents see it: no gold, no configuration of others.

    Attributes:
        stopping: Whether the run has been asked to stop.
        step: Conclusions and records are read as they were when this step of the run began.
    """

    task: TaskConfig
    ledger: Ledger
    pool: Pool
    prompts: PromptLibrary
    stopping: Callable[[], bool]
    step: int | None = None
