"""One thread for linear algebra on small matrices.

Waking the threads of a BLAS takes longer than a small product does; where other processes want the
cores too, the spinning threads make it a hundred times slower.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_TURN = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra inside runs on one thread, of the libraries loaded at the first use.

    The limit is one of the whole process, and is lifted to what it was before: one thread of the
    program at a time, or the first to leave would lift that of the second for good.
    """
    with _TURN, _controller().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Looking for the loaded libraries takes milliseconds, setting their threads microseconds.
    return ThreadpoolController()
