"""The wall clock for as long as it goes on as clocks do; after a jump, where it would stand without the jump.

A wall clock can be set by whoever administers the machine, by a wrong time server, by a hypervisor that resumes a
guest. The time since the machine started cannot: the kernel counts it through suspension too. So a jump is a moment in
which the one has moved and the other has not.
"""

import time
from collections.abc import Callable

JUMP_SECONDS = 1.0
"""How far the wall clock may move by itself between two looks. A time service that slews moves it 0.1 s a second at
most (chrony's `maxslewrate`), and a service that steps it by more has found that it was wrong."""


def seconds_since_start() -> float:
    """Seconds since the machine started, suspension included (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class BelievedClock:
    """See Clock. `look` is called every few seconds by one thread; `now` from any."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = seconds_since_start
    ) -> None:
        """`elapsed` never jumps; both in seconds."""
        self._wall = wall
        self._elapsed = elapsed
        self._offset = wall() - elapsed()
        """What the wall clock is ahead of the steady one, as far as it is believed."""

    def now(self) -> float:
        """Seconds since the Unix epoch: the wall clock, but never ahead of a jump that nobody has confirmed."""
        wall = self._wall()
        expected = self._elapsed() + self._offset
        return wall if wall <= expected + JUMP_SECONDS else expected

    def look(self) -> float:
        """How far the wall clock is from where it should be: 0.0 where it has only drifted, and is followed.

        Positive: it jumped ahead. Negative: it jumped back; then it is believed as it is, which refuses more.
        """
        offset = self._wall() - self._elapsed()
        jump = offset - self._offset
        if abs(jump) > JUMP_SECONDS:
            return jump
        self._offset = offset
        return 0.0

    def accept(self) -> None:
        """Somebody vouches for the wall clock as it is now."""
        self._offset = self._wall() - self._elapsed()
