"""Memory without a past, for native code that writes to disk what it has never filled."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_PERTURB = -6
"""Parameter of glibc's `mallopt`, from its malloc.h."""


@contextmanager
def fresh_memory() -> Iterator[None]:
    """Let `malloc` clear what it gives out, in all threads, within this context.

    Otherwise it gives out what the process has freed with what stood there: an answer of a server,
    a key. hnswlib makes room for the first hundred items and writes it to disk while it is empty.
    Where there is no glibc, nothing is done.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    # What is given out is filled with the complement of this byte.
    mallopt(_PERTURB, 0xFF)
    try:
        yield
    finally:
        mallopt(_PERTURB, 0)
