"""Giving freed memory back to the system: glibc keeps what large bodies leave behind, for good, if nobody asks."""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""malloc_trim(3); None with other C libraries, which return memory by themselves (musl)."""

if _trim is not None:
    _trim.argtypes = (ctypes.c_size_t,)


def trim_heap() -> None:
    """Return all free pages. Takes milliseconds, for any thread but the event loop's; ctypes lets the others run."""
    if _trim is not None:
        _trim(0)
