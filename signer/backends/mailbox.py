"""Bring results from worker threads to one event loop, many in one hop.

A hop costs some twenty microseconds of processor time, a tenth of a signature. So a worker that finds a hop under way
only adds its result to it, and while more work waits a few results are held back to go together.
"""

import asyncio
import contextlib
from collections import deque

from signer.errors import SigningFailedError
from signer.units import Signature

HELD_BACK = 8
"""Results that may wait for company while there is more work: half a millisecond on two cores."""

Pending = asyncio.Future[Signature]
Result = Signature | SigningFailedError


class Mailbox:
    """Belongs to one event loop. `post` is for worker threads; the rest happens in the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._posted: deque[tuple[Pending, Result]] = deque()
        self._hop_under_way = False

    def post(self, pending: Pending, result: Result, *, more_follow: bool) -> None:
        """Settle a future soon. `more_follow` promises another post or a flush after this one."""
        self._posted.append((pending, result))
        if not more_follow or len(self._posted) >= HELD_BACK:
            self.flush()

    def flush(self) -> None:
        """Make sure that everything posted is on its way.

        No lock: results are posted before the flag is read, and the loop lowers the flag before it reads the results.
        Two workers that both find it lowered make one hop too many, never one too few.
        """
        if self._posted and not self._hop_under_way:
            self._hop_under_way = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._hop_under_way = False
        while self._posted:
            pending, result = self._posted.popleft()
            if pending.done():  # cancelled meanwhile
                continue
            if isinstance(result, SigningFailedError):
                pending.set_exception(result)
            else:
                pending.set_result(result)
