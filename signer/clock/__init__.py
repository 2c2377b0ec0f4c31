"""Where the time comes from, and how far it may be trusted.

The time is a value handed down from the edges, never read in the core. `state.py` says what is known of a
clock's quality; `kernel.py` and `ntp.py` find it out; `sources.py` reads the `clock.source` setting.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the wall-clock time. Cheap, safe from any thread, never raises."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since the Unix epoch, as the kernel has them."""
        return time.time()


class FixedClock:
    """A clock that stands where it was set: tests, and replays of history."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        """The seconds it was set to."""
        return self.seconds
