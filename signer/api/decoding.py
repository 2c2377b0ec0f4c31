"""Where large bodies are read: on a thread of their own, one at a time, never on the event loop.

Millions of values in one body take seconds to decode and hash. The thread gives the interpreter up to the event loop
every two milliseconds (`interpreter.py`), so other requests hardly notice.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from signer.errors import DeadlineError

INLINE_BODY_BYTES = 64 * 2**10
"""Bodies up to this need no room and are decoded on the event loop: nearly all duties are below 4 KiB and take 20 us;
the worst body of this size takes 15 ms."""

_Decoded = TypeVar("_Decoded")


class DecodingThread:
    """Owned by one server, on its loop."""

    def __init__(self, *, deadline_seconds: float) -> None:
        """`deadline_seconds` is for waiting and decoding together: `server.request_deadline_seconds`."""
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._turn = asyncio.Semaphore(1)

    async def run(self, decode: Callable[[], _Decoded]) -> _Decoded:
        """What `decode` returns or raises. Bodies that wait here have room already (`receiving.py`).

        Raises:
            DeadlineError: it took too long. A decoder that has begun runs to its end, and the next one waits for it:
                so at most one body is held without room.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._turn.acquire()
                return await asyncio.shield(self._begin(decode))
        except TimeoutError:
            raise DeadlineError(f"the body could not be read within {self._deadline_seconds} s; ask again") from None

    def _begin(self, decode: Callable[[], _Decoded]) -> "asyncio.Future[_Decoded]":
        """Our turn has come, and ends with the decoder, whoever still waits for it."""
        try:
            work = asyncio.get_running_loop().run_in_executor(self._thread, decode)
        except RuntimeError:  # closed
            self._turn.release()
            raise
        work.add_done_callback(self._ended)
        return work

    def _ended(self, work: "asyncio.Future[_Decoded]") -> None:
        self._turn.release()
        if not work.cancelled():
            work.exception()  # asked for, so that nobody is told of an error that nobody waits for

    def close(self) -> None:
        """Take no more work. A decoder that has begun runs to its end; its answer is lost."""
        self._thread.shutdown(wait=False, cancel_futures=True)
