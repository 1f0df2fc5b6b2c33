"""A run as it looks from outside: read-only, from its folder, while another process carries it."""

from .reader import RunReader
from .status import RunStatus, run_status

__all__ = ["RunReader", "RunStatus", "run_status"]
