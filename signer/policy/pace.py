"""Which modules are quick: known to every sandbox that decides with them.

Whatever is found out on one thread holds on all of them. Entries are changed by single steps of a dictionary, so no
lock is needed; where two threads count at once, one decision is not counted.
"""

QUICK_AGAIN = 32
"""A module that was not quick is tried so again after so many decisions in a row that would have been."""

MODULES_KEPT = 1024
"""Modules that are remembered as not quick."""


class Pace:
    """Modules by SHA-256. May be asked from any thread."""

    def __init__(self) -> None:
        self._slow: dict[bytes, int] = {}
        """Those that were not quick, and how many quick decisions in a row they owe."""

    def is_slow(self, sha256: bytes) -> bool:
        """Whether it was not quick lately."""
        return sha256 in self._slow

    def was_slow(self, sha256: bytes) -> None:
        """It is not tried quickly from now on."""
        if len(self._slow) >= MODULES_KEPT:
            self._slow.clear()
        self._slow[sha256] = QUICK_AGAIN

    def would_have_been_quick(self, sha256: bytes) -> None:
        """A decision with all its fuel used little of it."""
        owed = self._slow.get(sha256, 0)
        if owed > 1:
            self._slow[sha256] = owed - 1
        else:
            self._slow.pop(sha256, None)
