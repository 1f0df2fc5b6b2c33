"""A run as it looks from outside: from its folder, while another process carries it.

Only `desk` writes: words of reviewers and orders, which the run takes up by itself.
"""

from .reader import RunReader
from .status import RunStatus, run_status

__all__ = ["RunReader", "RunStatus", "run_status"]
