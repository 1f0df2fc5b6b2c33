"""The run as a state machine, and its headless API: plan, run, resume, replay, stop."""

from .config import RunConfig, load_config
from .plan import Quote, plan
from .replay import Replay, replay
from .run import RunResult, resume, run, stop

__all__ = [
    "Quote",
    "Replay",
    "RunConfig",
    "RunResult",
    "load_config",
    "plan",
    "replay",
    "resume",
    "run",
    "stop",
]
