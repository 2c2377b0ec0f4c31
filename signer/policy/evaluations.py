"""The threads on which policies decide, off the event loop, and fairly.

One thread makes the quick decisions, several of one policy in a turn: more threads would only quarrel over the
interpreter, and turns of one decision each would be mostly handing over. Another joins in where that thread has begun
nothing for a while: it may be waiting for a counter. Threads of their own make the decisions that take long: they step
back for everybody else, and rest as long as they have worked while quick decisions are made. A thread goes to sleep
when nothing waits for it. The ticks end decisions that are over their time.

Rule: what takes long never has a thread that makes quick decisions, however many policies take long.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from wasmtime import Engine

from signer.errors import ShutDownError
from signer.policy import native
from signer.policy.grants import Host
from signer.policy.guest import TICK_SECONDS
from signer.policy.pace import Pace
from signer.policy.sandbox import Evaluation, LoadedPolicy, Sandbox, TakesLongError
from signer.policy.turns import Lane, Turn, Turns

Result = TypeVar("Result")

QUICK_THREADS = max(2, min(4, os.cpu_count() or 2))
"""One works; the others are for when it is stuck."""

LONG_THREADS = max(1, min(3, (os.cpu_count() or 2) - 1))
"""Fewer than there are processors."""

LONG_NICENESS = 10
"""More than everybody else's, of threads that make long decisions: a tenth of a processor each while others want it."""

RESTS = 1.0
"""How long a thread rests after a long decision, as a multiple of what that took. A policy that burns all that it may,
all the time, then keeps half a processor busy, and half as many refusals are to be recorded and told."""

MOST_REST_SECONDS = 0.01
BESIDE_SECONDS = 0.1
"""Nobody rests where nothing was quickly decided for so long."""

REST_FROM_SECONDS = 0.001
"""Nor after less work than this, which keeps nobody waiting: a rest is two changes of threads."""

AT_ONCE = 8
"""Decisions that a thread takes in one turn: going back for each of them costs more than some of them do."""

TURN_SECONDS = 0.001
"""Of wall time: a turn begins nothing after it, be it that policies compute or that they wait for counters, and its
results wait no longer for each other."""


class _Job(Generic[Result]):
    """One piece of work, and who waits for it."""

    __slots__ = ("error", "future", "lane", "result", "work")

    def __init__(self, lane: Lane, work: Callable[[Sandbox], Result], future: "asyncio.Future[Result]") -> None:
        self.lane = lane
        self.work = work
        self.future = future
        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self, sandbox: Sandbox) -> bool:
        """False where it takes long and is to be run again by others."""
        if self.future.cancelled():
            return True
        try:
            self.result = self.work(sandbox)
        except TakesLongError:
            return False
        except StopIteration as error:  # which a future does not take
            self.error = RuntimeError(f"the work ended with {error!r}")
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


class _Crew:
    """Threads that do the same kind of work. Whoever looks at it holds the lock of all crews."""

    def __init__(self, size: int, *, most_of_a_group: int) -> None:
        self.turns: Turns[_Job[Any]] = Turns(most_of_a_group=most_of_a_group)
        self.asleep: list[int] = []
        """Its threads that wait at their waker."""

        self.wakers: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(size)]
        self._began_at = [0] * size
        """The tick in which each thread began its last turn."""

        self.decided_at = -BESIDE_SECONDS
        """When something was decided last, in seconds of the performance counter."""

    @property
    def sleeps(self) -> bool:
        """Whether all of its threads do."""
        return len(self.asleep) == len(self.wakers)

    def take(self, number: int, tick: int) -> Turn[_Job[Any]] | None:
        """A turn for this thread; without one it is asleep."""
        turn = self.turns.take(most=AT_ONCE)
        if turn is None:
            self.asleep.append(number)
        else:
            self._began_at[number] = tick
        return turn

    def wake_one(self, tick: int) -> None:
        """One that is asleep looks for a turn."""
        if self.asleep:
            number = self.asleep.pop()
            self._began_at[number] = tick
            self.wakers[number].put(None)

    def is_stuck(self, tick: int) -> bool:
        """Whether nobody is awake but those who have begun nothing for a whole tick."""
        return all(began < tick - 1 for number, began in enumerate(self._began_at) if number not in self.asleep)


class Evaluations:
    """Made and used on one event loop, which owns it; its threads live until `close`.

    How much may wait is bounded by whoever admits requests.
    """

    def __init__(self, engine: Engine, *, quick_threads: int = QUICK_THREADS, long_threads: int = LONG_THREADS) -> None:
        if quick_threads < 2:
            raise ValueError("one policy could hold the only thread: at least 2 are needed")
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._pace = Pace()
        self._lock = threading.Lock()
        self._quick = _Crew(quick_threads, most_of_a_group=quick_threads - 1)
        self._long = _Crew(long_threads, most_of_a_group=max(1, long_threads - 1))
        self._ticks = 0
        self._closed = False
        self._new: list[_Job[Any]] = []
        """Asked for in this round of the event loop, which alone knows of it."""

        self._done: deque[_Job[Any]] = deque()
        self._announced = False
        self._busy = threading.Event()
        self._closing = threading.Event()
        crews = (("quick", self._quick), ("long", self._long))
        self._threads = [
            *(
                threading.Thread(target=self._serve, args=(crew, number), name=f"policy-{name}-{number}")
                for name, crew in crews
                for number in range(len(crew.wakers))
            ),
            threading.Thread(target=self._tick, name="policy-ticks"),
        ]
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
                self._quick.turns.add(job.lane, job)
            if self._quick.is_stuck(self._ticks):
                self._quick.wake_one(self._ticks)
            if not self._busy.is_set():
                self._busy.set()  # also while no thread is asleep: those that are starting may all be taken

    async def close(self) -> None:
        """Let decisions that have begun come to their end; what waits gets a ShutDownError."""
        with self._lock:
            self._closed = True
            waiting = [*self._new, *self._quick.turns.drain(), *self._long.turns.drain()]
        for job in waiting:
            job.give_up()
            job.deliver()
        self._busy.set()
        self._closing.set()
        for waker in (*self._quick.wakers, *self._long.wakers):
            waker.put(None)
        await asyncio.to_thread(self._join)
        self._deliver()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _serve(self, crew: _Crew, number: int) -> None:
        if crew is self._long:
            _stand_back()
        sandbox = Sandbox(self._engine, pace=self._pace, only_quick=crew is self._quick)
        turn = self._next(crew, number)
        while turn is not None:
            began = time.perf_counter()
            put_off, left = self._work(crew, turn, sandbox)
            if crew is self._long:
                self._rest(time.perf_counter() - began)
            turn = self._next(crew, number, ended=turn, put_off=put_off, left=left)

    def _rest(self, worked_seconds: float) -> None:
        """Leave the processor to those who wait for something quick, where there are any."""
        beside = time.perf_counter() - self._quick.decided_at < BESIDE_SECONDS
        if beside and worked_seconds >= REST_FROM_SECONDS:
            self._closing.wait(min(RESTS * worked_seconds, MOST_REST_SECONDS))

    def _work(
        self, crew: _Crew, turn: Turn[_Job[Any]], sandbox: Sandbox
    ) -> tuple[list[_Job[Any]], Sequence[_Job[Any]]]:
        """What takes long, and what the turn had no time for. What was decided is told at the turn's end."""
        put_off: list[_Job[Any]] = []
        begun = 0
        until = time.perf_counter() + TURN_SECONDS
        for job in turn.works:
            begun += 1
            if job.run(sandbox):
                self._done.append(job)
            else:
                put_off.append(job)
            if time.perf_counter() > until:
                break
        self._announce()
        if len(put_off) < begun:
            crew.decided_at = time.perf_counter()
        return put_off, turn.works[begun:]

    def _next(
        self,
        crew: _Crew,
        number: int,
        *,
        ended: Turn[_Job[Any]] | None = None,
        put_off: Sequence[_Job[Any]] = (),
        left: Sequence[_Job[Any]] = (),
    ) -> Turn[_Job[Any]] | None:
        """What to do next, where this has ended; None when this is being closed."""
        while True:
            with self._lock:
                if ended is not None:
                    self._put_back(crew, left)
                    crew.turns.done(ended.group)
                    self._put_off(put_off)
                    ended = None
                if self._closed:
                    return None
                turn = crew.take(number, self._ticks)
            if turn is not None:
                return turn
            crew.wakers[number].get()

    def _put_back(self, crew: _Crew, jobs: Sequence[_Job[Any]]) -> None:
        for job in reversed(jobs):
            if self._closed:
                self._give_up(job)
            else:
                crew.turns.put_back(job.lane, job)
                if crew is self._long:
                    crew.wake_one(self._ticks)

    def _put_off(self, jobs: Sequence[_Job[Any]]) -> None:
        for job in jobs:
            if self._closed:
                self._give_up(job)
            else:
                self._long.turns.add(job.lane, job)
                self._long.wake_one(self._ticks)

    def _give_up(self, job: _Job[Any]) -> None:
        job.give_up()
        self._done.append(job)
        self._announce()

    def _tick(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(TICK_SECONDS)
            native.increment_epoch(native.address(self._engine.ptr()))
            with self._lock:
                self._ticks += 1
                if self._closed and not self._quick.turns.under_way and not self._long.turns.under_way:
                    return
                if self._quick.turns.waiting and self._quick.is_stuck(self._ticks):
                    self._quick.wake_one(self._ticks)
                if not self._closed and self._quick.sleeps and self._long.sleeps:
                    self._busy.clear()

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


def _stand_back() -> None:
    """Let this thread run when nobody else wants the processor; as all do where a system has no such thing."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + LONG_NICENESS)
