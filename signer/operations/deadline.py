"""One deadline for many requests: each costs an append to a queue, not a timer of its own.

All requests have the same time to live, so they expire in the order they began: one timer walks the queue. A request
that is late is cancelled, and what it awaits with it; what is on record by then stays there.
"""

import asyncio
from collections import deque
from types import TracebackType

from signer.errors import DeadlineError

TICK_SECONDS = 0.02
"""How late a deadline may be noticed."""


class Deadline:
    """One request's: used once, as a context manager around everything that waits.

    Raises:
        DeadlineError: on leaving, when the time had passed.
    """

    __slots__ = ("_watch", "due", "expired", "task")

    def __init__(self, watch: "DeadlineWatch") -> None:
        self._watch = watch
        self.task: asyncio.Task[object] | None = None
        self.due = 0.0
        self.expired = False

    def __enter__(self) -> None:
        self.task = asyncio.current_task()
        self._watch.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        if self.expired and task is not None and kind is asyncio.CancelledError and task.uncancel() == 0:
            raise DeadlineError(f"no answer within {self._watch.seconds} s; asking again is safe")


class DeadlineWatch:
    """Owned by an operation, on one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting: deque[Deadline] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, deadline: Deadline) -> None:
        """Watch it from now on."""
        loop = asyncio.get_running_loop()
        deadline.due = loop.time() + self.seconds
        self._waiting.append(deadline)
        if self._timer is None:
            self._timer = loop.call_later(TICK_SECONDS, self._walk)

    def _walk(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and (self._waiting[0].task is None or self._waiting[0].due <= now):
            late = self._waiting.popleft()
            if late.task is not None:
                late.expired = True
                late.task.cancel()
        self._timer = loop.call_later(TICK_SECONDS, self._walk) if self._waiting else None
