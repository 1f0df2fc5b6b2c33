"""Large blocks of memory that start out empty, for native code that writes what it never filled."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`, from its malloc.h."""
_FRESH_FROM = 64 * 2**10
_USUAL_MOST, _USUAL_KEPT = 32 * 2**20, 64 * 2**20
"""Where glibc's own thresholds end up in a process that has once freed a block of 32 MB."""


@contextmanager
def fresh_blocks() -> Iterator[None]:
    """Let `malloc` take blocks from 64 KB on from the system, which clears them.

    Otherwise it reuses what the process has freed, with what stood there: an answer of a server, a
    key. hnswlib writes the whole of its block to disk, also the part for items to come.

    It holds for all threads. Where there is no glibc, nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _FRESH_FROM)
    try:
        yield
    finally:
        # A call of `mallopt` ends glibc's own adjusting for good, so its end state is set.
        mallopt(_MMAP_THRESHOLD, _USUAL_MOST)
        mallopt(_TRIM_THRESHOLD, _USUAL_KEPT)
