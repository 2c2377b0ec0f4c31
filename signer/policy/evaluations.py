"""The threads on which policies decide, off the event loop, and fairly.

One thread does the work while decisions are quick, several of one policy in a turn: more threads would only quarrel over
the interpreter, and turns of one decision each would be mostly handing over. While that thread is in a long decision, or
when nothing was begun for a whole tick, another joins in; a thread goes to sleep when nothing waits. The ticks also end
decisions that are over their time.

Rule: what takes long is put off to turns of its own, and never has every thread, however many policies take long.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from wasmtime import Engine

from signer.errors import ShutDownError
from signer.policy import native
from signer.policy.grants import Host
from signer.policy.guest import TICK_SECONDS
from signer.policy.sandbox import Evaluation, LoadedPolicy, Sandbox, TakesLongError
from signer.policy.turns import Lane, Turn, Turns

Result = TypeVar("Result")

THREADS = max(2, min(4, os.cpu_count() or 2))
"""One works; the others are for when policies use up all that they may. Never more than there are processors: threads
that burn fuel would keep the event loop from running."""

AT_ONCE = 8
"""Quick decisions that a thread takes in one turn: going back for each of them costs more than some of them do. What is
not quick is found out within `QUICK_SECONDS`, and put off."""


TELL_SECONDS = 0.001
"""How long results of a turn wait for each other: the event loop wants the interpreter as soon as it is told."""


class _Job(Generic[Result]):
    """One piece of work, and who waits for it."""

    __slots__ = ("error", "future", "is_long", "lane", "result", "work")

    def __init__(self, lane: Lane, work: Callable[[Sandbox], Result], future: "asyncio.Future[Result]") -> None:
        self.lane = lane
        self.work = work
        self.future = future
        self.is_long = False
        """Whether it was begun once, and put off."""

        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self, sandbox: Sandbox) -> bool:
        """False where it takes long and is to be run again in its turn."""
        if self.future.cancelled():
            return True
        sandbox.only_quick = not self.is_long
        try:
            self.result = self.work(sandbox)
        except TakesLongError:
            self.is_long = True
            return False
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            self.error = error
        return True

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)  # type: ignore[arg-type] # None only where that is the result
        else:
            self.future.set_exception(self.error)

    def give_up(self) -> None:
        """It is not done any more."""
        self.error = ShutDownError("policies are not asked any more")


@dataclass(slots=True)
class _Taken:
    """A turn on a thread."""

    turns: Turns[_Job[Any]]
    turn: Turn[_Job[Any]]
    is_long: bool
    put_off: list[_Job[Any]] = field(default_factory=list)


class Evaluations:
    """Made and used on one event loop, which owns it; its threads live until `close`.

    How much may wait is bounded by whoever admits requests.
    """

    def __init__(self, engine: Engine, *, threads: int = THREADS) -> None:
        if threads < 2:
            raise ValueError("one policy could hold the only thread: at least 2 are needed")
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._quick: Turns[_Job[Any]] = Turns(most_of_a_group=threads - 1)
        self._long: Turns[_Job[Any]] = Turns(most_of_a_group=threads - 1)
        self._long_is_next = False
        self._begun = 0
        """How much was begun since the last tick."""

        self._closed = False
        self._new: list[_Job[Any]] = []
        """Asked for in this round of the event loop, which alone knows of it."""

        self._done: deque[_Job[Any]] = deque()
        self._announced = False
        self._asleep: list[int] = []
        self._sandboxes: list[Sandbox | None] = [None] * threads
        """Of each thread, once it runs."""

        self._wakers: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(threads)]
        self._busy = threading.Event()
        served = [threading.Thread(target=self._serve, args=(each,), name=f"policy-{each}") for each in range(threads)]
        self._threads = [*served, threading.Thread(target=self._tick, name="policy-ticks")]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    async def decide(
        self, policies: Sequence[LoadedPolicy], facts: bytes, host: Host, *, key: Hashable
    ) -> tuple[Evaluation, ...]:
        """What each of the policies says of these facts, in their order; one turn for all of them.

        Raises ShutDownError when this is being closed.
        """
        group = tuple(policy.module.sha256 for policy in policies)
        return await self.submit(
            Lane(group, key), lambda sandbox: tuple(sandbox.decide(policy, facts, host) for policy in policies)
        )

    def submit(self, lane: Lane, work: Callable[[Sandbox], Result]) -> "asyncio.Future[Result]":
        """Do this work on one of the threads when it is its lane's turn. Cancelled before that, it is not done.

        Raises ShutDownError when this is being closed.
        """
        if self._closed:
            raise ShutDownError("policies are not asked any more")
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._new:
            self._loop.call_soon(self._hand_over)
        self._new.append(_Job(lane, work, future))
        return future

    def _hand_over(self) -> None:
        """Whatever came in one round of the event loop wakes a thread once."""
        new, self._new = self._new, []
        with self._lock:
            if self._closed:
                return
            for job in new:
                self._quick.add(job.lane, job)
            idle = len(self._asleep) == len(self._wakers)
            woken = self._asleep.pop() if self._asleep and (idle or self._stalled()) else None
            if not self._busy.is_set():
                self._busy.set()  # also while no thread is asleep: those that are starting may all be taken
        if woken is not None:
            self._wakers[woken].put(None)

    async def close(self) -> None:
        """Let decisions that have begun come to their end; what waits gets a ShutDownError."""
        with self._lock:
            self._closed = True
            waiting = [*self._new, *self._quick.drain(), *self._long.drain()]
            self._asleep.clear()
        for job in waiting:
            job.give_up()
            job.deliver()
        self._busy.set()
        for waker in self._wakers:
            waker.put(None)
        await asyncio.to_thread(self._join)
        self._deliver()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _serve(self, number: int) -> None:
        sandbox = self._sandboxes[number] = Sandbox(self._engine)
        ended: _Taken | None = None
        while (taken := self._next(number, ended)) is not None:
            self._work(taken, sandbox)
            ended = taken

    def _work(self, taken: _Taken, sandbox: Sandbox) -> None:
        """What a turn has decided is told at its end, or sooner where that does not come soon."""
        until = time.perf_counter() + TELL_SECONDS
        for job in taken.turn.works:
            if job.run(sandbox):
                self._done.append(job)
            else:
                taken.put_off.append(job)
            if time.perf_counter() > until:
                self._announce()
        self._announce()

    def _next(self, number: int, ended: _Taken | None) -> _Taken | None:
        """What to do next, where this has ended; None when this is being closed."""
        while True:
            with self._lock:
                if ended is not None:
                    self._end(ended)
                    ended = None
                if self._closed:
                    return None
                taken = self._take()
                woken: int | None = None
                if taken is None:
                    self._asleep.append(number)
                else:
                    self._begun += 1
                    if taken.is_long and self._quick.waiting and self._asleep:
                        woken = self._asleep.pop()
            if woken is not None:
                self._wakers[woken].put(None)
            if taken is not None:
                return taken
            self._wakers[number].get()

    def _take(self) -> _Taken | None:
        """One of those that take long in every other turn, unless no thread would be left then."""
        long_is_next, self._long_is_next = self._long_is_next, not self._long_is_next
        for is_long in (long_is_next, not long_is_next):
            if is_long and not self._may_be_long():
                continue
            turns = self._long if is_long else self._quick
            if (turn := turns.take(most=1 if is_long else AT_ONCE)) is not None:
                return _Taken(turns, turn, is_long)
        return None

    def _may_be_long(self) -> bool:
        return self._long.under_way < len(self._wakers) - 1

    def _end(self, ended: _Taken) -> None:
        ended.turns.done(ended.turn.group)
        for job in ended.put_off:
            if self._closed:
                job.give_up()
                self._done.append(job)
            else:
                self._long.add(job.lane, job)

    def _tick(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(TICK_SECONDS)
            native.increment_epoch(native.address(self._engine.ptr()))
            with self._lock:
                if self._closed and not self._quick.under_way and not self._long.under_way:
                    return
                woken = self._helper()
                self._begun = 0
                if not self._closed and len(self._asleep) == len(self._wakers):
                    self._busy.clear()
            if woken is not None:
                self._wakers[woken].put(None)

    def _helper(self) -> int | None:
        """A thread that shall join in; None where none must, or all do."""
        waiting = self._quick.waiting or (self._long.waiting and self._may_be_long())
        if not waiting or not self._asleep:
            return None
        return self._asleep.pop() if not self._begun or self._stalled() else None

    def _stalled(self) -> bool:
        """Whoever is awake is in a long decision."""
        return all(
            sandbox is None or sandbox.is_long or number in self._asleep
            for number, sandbox in enumerate(self._sandboxes)
        )

    def _announce(self) -> None:
        """Many results are delivered by one call of the loop. The flag is lowered before the results are taken, so a
        result that is put down later is announced again.
        """
        if self._announced:
            return
        self._announced = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            return  # the loop is closed, and nobody waits any more

    def _deliver(self) -> None:
        self._announced = False
        while self._done:
            self._done.popleft().deliver()
