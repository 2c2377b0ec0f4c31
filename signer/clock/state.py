"""What is known of a clock's quality: the answer of every source."""

from dataclasses import dataclass
from typing import Protocol

LIMIT_SECONDS = 0.5
"""Offset and error together of a clock that is good enough, where nobody says otherwise: the consensus
specification's MAXIMUM_GOSSIP_CLOCK_DISPARITY."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """One measurement of this machine's clock."""

    synchronised: bool
    """True only when the source vouches for the clock within its limit. Unknown is False."""

    offset_seconds: float | None
    """How far this clock is from the source: positive when the source is ahead. None where it cannot be told."""

    error_seconds: float | None
    """The bound of what the offset may be wrong by. None where it cannot be told."""

    source: str
    """The setting that was asked: `kernel`, `ntp:HOST`, `trusted`."""

    sentence: str
    """What was found, and what to do where that is needed."""


class ClockSource(Protocol):
    """Somebody who knows how good this machine's clock is.

    `measure` may block for some seconds (never call it on an event loop), may be called from any thread and
    raises nothing: what cannot be found out is a clock that is not synchronised.
    """

    def measure(self) -> ClockState:
        """The quality of the clock now."""
        ...
