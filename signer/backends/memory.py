"""The memory that private keys are in: it is never written to disk by a crash, and nobody but root may read it."""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4
"""prctl(2): 0 forbids core dumps, and attaching by other processes of the same user."""


def forbid_core_dumps() -> None:
    """For this process and, as far as limits go, for its children. Cannot be undone."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
