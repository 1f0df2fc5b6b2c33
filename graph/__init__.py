"""The run as a state machine, and the headless API: ``plan``, ``run``, ``resume``, ``stop``."""

from .config import RunConfig, load_config
from .plan import Quote, plan
from .run import RunResult, resume, run, stop

__all__ = ["Quote", "RunConfig", "RunResult", "load_config", "plan", "resume", "run", "stop"]
