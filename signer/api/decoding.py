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
"""Bodies up to this are decoded on the event loop: nearly all duties are below 4 KiB and take 20 us; the worst body of
this size takes 15 ms."""

MAX_BYTES_IN_HAND = 64 * 2**20
"""All large bodies that wait or are decoded, together: four of the largest, or a thousand batches of 64 KiB."""

_Decoded = TypeVar("_Decoded")


class DecodingThread:
    """Owned by one server, on its loop."""

    def __init__(self, *, deadline_seconds: float) -> None:
        """`deadline_seconds` is for waiting and decoding together: `server.request_deadline_seconds`."""
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._turn = asyncio.Semaphore(1)
        self._bytes_in_hand = 0

    async def run(self, decode: Callable[[], _Decoded], *, size_bytes: int) -> _Decoded:
        """What `decode` returns or raises; `size_bytes` is the body's.

        Raises:
            DeadlineError: too much is waiting already, or it took too long. A decoder that has begun runs to its
                end, and the next one waits for it.
        """
        if self._bytes_in_hand and self._bytes_in_hand + size_bytes > MAX_BYTES_IN_HAND:
            raise DeadlineError("too many large bodies are waiting to be read; ask again in a moment")
        self._bytes_in_hand += size_bytes
        try:
            async with asyncio.timeout(self._deadline_seconds), self._turn:
                return await asyncio.get_running_loop().run_in_executor(self._thread, decode)
        except TimeoutError:
            raise DeadlineError(f"the body could not be read within {self._deadline_seconds} s; ask again") from None
        finally:
            self._bytes_in_hand -= size_bytes

    def close(self) -> None:
        """Take no more work. A decoder that has begun runs to its end; its answer is lost."""
        self._thread.shutdown(wait=False, cancel_futures=True)
