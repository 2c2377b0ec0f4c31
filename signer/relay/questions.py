"""Questions that were asked over a link, and the answers they wait for."""

import asyncio
import itertools
from typing import Any


class Questions:
    """Owned by one end of a link. An answer that comes too late, or that nobody asked for, is dropped."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    def ask(self) -> "tuple[int, asyncio.Future[Any]]":
        """A new number, and the future of its answer; give it up with `forget`."""
        number = next(self._numbers)
        return number, self.expect(number)

    def expect(self, number: int) -> "asyncio.Future[Any]":
        """The future of the answer to this number."""
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        return future

    def answer(self, number: int, answer: Any) -> None:
        """The answer has come."""
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def fail(self, number: int, error: Exception) -> None:
        """The answer is an error."""
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(error)

    def forget(self, number: int) -> None:
        """Nobody waits for this one any more."""
        self._waiting.pop(number, None)

    def give_up(self) -> None:
        """The other end is gone: every question that is open is cancelled."""
        for future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
