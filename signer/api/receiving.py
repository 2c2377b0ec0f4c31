"""Room for large bodies: one budget of bytes for all that this process is being sent, or holds undecided.

Rule 1: bodies up to INLINE_BODY_BYTES need no room, so an attestation never waits for a block.
Rule 2: room is taken before a large body is read. A connection whose body waits is not read from: TCP holds its peer.
Rule 3: while somebody waits, a body that has room must arrive quickly, or loses it: a peer that sends slowly, or stops
        before the end, cannot keep the others out.
"""

import asyncio
import itertools
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass

from signer.api.heap import trim_heap
from signer.errors import NoRoomError

ROOM_BYTES = 64 * 2**20
"""All large bodies together: four of the largest, or a thousand batches of 64 KiB. A body that is larger than all of it
(`server.max_sign_body_bytes` may say so) is received alone."""

MAX_WAITING = 64
"""Bodies that wait for room; of more, the largest is refused at once. Each has some 300 KiB in its
connection's buffer."""

CROWDED_SECONDS = 1.0
"""For a whole body with room to arrive while others wait: 16 MiB need 0.14 s at 1 Gbit/s. Less than half of
`server.request_deadline_seconds`, so that who waits gets the room that a stalled body loses."""

TRIM_SECONDS = 1.0
"""From the end of a large body to giving its memory back to the system; once for all that end in between."""


@dataclass(slots=True, eq=False)
class Share:
    """The room of one body. Owned by its request, which gives it back."""

    size_bytes: int
    since: float
    """The loop's time at which the room was taken."""

    limit: asyncio.Timeout | None = None
    """While the body arrives: when it must be whole."""

    hurried: bool = False
    """True once `limit` was shortened, because others wait."""


@dataclass(slots=True, order=True)
class _Waiter:
    size_bytes: int
    number: int
    turn: "asyncio.Future[Share]"


class BodyRoom:
    """Owned by one process, used on its event loop alone."""

    def __init__(self, *, room_bytes: int = ROOM_BYTES, trim: Callable[[], None] = trim_heap) -> None:
        """`trim` gives freed memory back to the system; it is called on a thread."""
        self._room_bytes = room_bytes
        self._trim = trim
        self._taken_bytes = 0
        self._waiting: list[_Waiter] = []
        """The smallest first: it is what fits first, and blocks are smaller than anything that is sent to do harm."""

        self._arriving: set[Share] = set()
        """Those whose time was not shortened yet."""

        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, size_bytes: int, *, patience_seconds: float) -> Share:
        """Room for a body, at once or when others end.

        Raises:
            NoRoomError: none came free in time, or too many wait that are no larger.
        """
        if self._fits(size_bytes):
            return self._grant(size_bytes)
        waiter = _Waiter(size_bytes, next(self._numbers), asyncio.get_running_loop().create_future())
        insort(self._waiting, waiter)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.pop().turn.set_exception(self._crowded("too many others wait for it"))
        self._hurry()
        try:
            async with asyncio.timeout(patience_seconds):
                share = await waiter.turn
        except TimeoutError:
            self._leave(waiter)
            raise self._crowded(f"none came free within {patience_seconds} s") from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        return share

    def watch(self, share: Share, limit: asyncio.Timeout) -> None:
        """The body begins to arrive; `limit` is shortened while others wait."""
        share.limit = limit
        self._arriving.add(share)
        if self._waiting:
            self._hurry()

    def unwatch(self, share: Share) -> None:
        """It is whole, or given up."""
        self._arriving.discard(share)
        share.limit = None

    def shrink(self, share: Share, size_bytes: int) -> None:
        """The body is smaller than what was taken for it: the rest is free again."""
        self._taken_bytes -= share.size_bytes - size_bytes
        share.size_bytes = size_bytes
        self._admit()

    def give_back(self, share: Share) -> None:
        """The request has its answer, and the body is forgotten."""
        self._taken_bytes -= share.size_bytes
        self._admit()
        self.trim_later()

    def trim_later(self) -> None:
        """Much was received and forgotten; have the memory given back to the system in a moment."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TRIM_SECONDS, self._start_trim)

    def close(self) -> None:
        """The process stops: the system gets all memory back anyway."""
        if self._timer is not None:
            self._timer.cancel()

    def _fits(self, size_bytes: int) -> bool:
        return not self._taken_bytes or self._taken_bytes + size_bytes <= self._room_bytes

    def _grant(self, size_bytes: int) -> Share:
        self._taken_bytes += size_bytes
        return Share(size_bytes, asyncio.get_running_loop().time())

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0].size_bytes):
            waiter = self._waiting.pop(0)
            if not waiter.turn.done():
                waiter.turn.set_result(self._grant(waiter.size_bytes))

    def _leave(self, waiter: _Waiter) -> None:
        """It gives up; room that it was given in this moment is free again."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif not waiter.turn.cancelled() and waiter.turn.exception() is None:
            self.give_back(waiter.turn.result())

    def _hurry(self) -> None:
        """Somebody waits: shorten the time of every body that is on its way."""
        for share in self._arriving:
            share.hurried = True
            if share.limit is not None and not share.limit.expired():
                due = share.since + CROWDED_SECONDS
                share.limit.reschedule(min(share.limit.when() or due, due))
        self._arriving.clear()

    def _crowded(self, reason: str) -> NoRoomError:
        return NoRoomError(
            f"there is no room for another large body, and {reason}; ask again in a moment",
            evidence={"limit_bytes": self._room_bytes},
        )

    def too_slow(self) -> NoRoomError:
        """Why a body lost its room."""
        return NoRoomError(
            f"the body did not arrive within {CROWDED_SECONDS} s while others waited for room; ask again in a moment",
            evidence={"limit_bytes": self._room_bytes},
        )

    def _start_trim(self) -> None:
        self._timer = None
        asyncio.get_running_loop().run_in_executor(None, self._trim)
