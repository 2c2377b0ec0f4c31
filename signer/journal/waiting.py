"""What waits for the writer, and how its callers hear of their verdicts."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from signer.journal.command import Chronicle, Command, Waiter
from signer.journal.ledger import Transaction


@dataclass(slots=True)
class Waiting:
    """Commands that one caller handed over together, in order."""

    commands: Sequence[Command]
    waiters: Sequence[Waiter]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)
    """When they were handed over, or the part of them before these was taken."""

    def split(self, count: int) -> "tuple[Waiting, Waiting]":
        """The first `count` commands, and the rest, whose wait begins anew: a long list takes its time."""
        return (
            Waiting(self.commands[:count], self.waiters[:count], self.loop, self.since),
            Waiting(self.commands[count:], self.waiters[count:], self.loop),
        )


@dataclass(slots=True)
class Work:
    """An operator's change that runs alone in its transaction."""

    change: Callable[[Transaction], Any]
    story: Callable[[Any], Chronicle]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class Empty:
    """Nothing waits."""


EMPTY = Empty()

Item = Waiting | Work | None
"""None asks the writer to stop."""


@dataclass(slots=True)
class Batch:
    """What one commit makes durable."""

    commands: list[Command] = field(default_factory=list)
    waiters: list[Waiter] = field(default_factory=list)
    loops: list[asyncio.AbstractEventLoop] = field(default_factory=list)

    def add(self, waiting: Waiting) -> None:
        """Take these in, after what is there."""
        self.commands.extend(waiting.commands)
        self.waiters.extend(waiting.waiters)
        self.loops.extend([waiting.loop] * len(waiting.commands))


def tell(loop: asyncio.AbstractEventLoop, pairs: list[tuple[Any, Any]]) -> None:
    """Let each waiter hear its outcome on its own loop: one wake-up serves them all."""
    try:
        loop.call_soon_threadsafe(_deliver, pairs)
    except RuntimeError:
        return  # the loop has closed: nobody waits any more


def _deliver(pairs: list[tuple[Any, Any]]) -> None:
    for waiter, outcome in pairs:
        if waiter.done():
            continue  # the caller's deadline passed: its record stands, its signature is not made
        if isinstance(outcome, BaseException):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)
