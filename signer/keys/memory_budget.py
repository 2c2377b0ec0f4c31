"""How much memory the opening of keystores may hold at once.

One standard scrypt keystore holds 256 MiB while it opens; a core each on a large machine would be killed for memory.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMALLEST_BUDGET_BYTES = 300 << 20
"""One standard keystore at a time fits always."""

_UNKNOWN_BYTES = 1 << 30
"""Where the machine does not say how much is free."""

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
"""Linux: what the machine has to spare, and what this container may use (cgroup v2)."""


class MemoryBudget:
    """Lets work begin while the sum of its memory is within the budget. Safe from any thread."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._held_bytes = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, wanted_bytes: int) -> Iterator[None]:
        """Wait until there is room. Work that wants more than the whole budget runs alone."""
        share = min(wanted_bytes, self._budget_bytes)
        with self._changed:
            self._changed.wait_for(lambda: self._held_bytes + share <= self._budget_bytes)
            self._held_bytes += share
        try:
            yield
        finally:
            with self._changed:
                self._held_bytes -= share
                self._changed.notify_all()


def spare_memory_budget() -> MemoryBudget:
    """Half of what the machine or the container has to spare now."""
    return MemoryBudget(max(SMALLEST_BUDGET_BYTES, min(_available_bytes(), _container_bytes()) // 2))


def _available_bytes() -> int:
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return _UNKNOWN_BYTES


def _container_bytes() -> int:
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        return limit - int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or `max`: no limit
        return _available_bytes()
