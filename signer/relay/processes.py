"""The worker processes: exec'd, kept alive, and ended with the main process.

Rule 1: exec'd, never forked: a worker has no memory, lock or thread of the main process.
Rule 2: no orphan. The kernel kills a worker when the main process dies (`birth.py`), and a lost link ends it.
Rule 3: a worker that dies is started again on the same listening sockets; the others go on. One that dies again and
again stops the service: something is wrong that a new start does not heal, and whoever watches the service must know.

All workers accept from the same sockets: whoever is free takes the next connection, and none waits in the queue of a
worker that has died, as with a socket each and SO_REUSEPORT (which would also let a second signer of the same user
share the port in silence).
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from signer.errors import StartupError
from signer.events import Events, WorkerRestarted
from signer.relay.frames import Serve
from signer.relay.relay import Relay
from signer.relay.worker_link import WorkerLink

DEATHS = 5
"""So many ends of one worker within DEATH_WINDOW_SECONDS stop the service."""

DEATH_WINDOW_SECONDS = 60.0

PAUSE_SECONDS = 0.1
"""Before a worker is started again; times the number of its latest deaths."""

MARGIN_SECONDS = 5.0
"""What a worker may take beyond the grace before it is killed: closing what it has."""

START_SECONDS = 60.0
"""For all workers to listen: importing the program takes one second of a quiet core."""

LAST_WORDS_SECONDS = 1.0
"""For what a worker has sent before its end: log lines, mostly."""

_REMEDY = "its lines in the log say why; `holdfast doctor` looks at the rest"

_log = logging.getLogger("holdfast.workers")


def worker_command(link: int, listening: Sequence[int]) -> list[str]:
    """The command line of a worker; `-P` because its module path comes with the environment."""
    return [sys.executable, "-P", "-m", "signer.worker", str(link), *map(str, listening)]


def worker_environment() -> dict[str, str]:
    """Ours, with our own module path: a worker imports what we would, wherever it was started."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@dataclass(slots=True)
class _Worker:
    """One place among the workers; processes come and go in it."""

    number: int
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))
    """When its latest processes ended unasked, in seconds of the steady clock."""

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    def dies_too_often(self) -> bool:
        """Note a death; True when it was one too many."""
        self.deaths.append(time.monotonic())
        return len(self.deaths) == DEATHS and self.deaths[-1] - self.deaths[0] < DEATH_WINDOW_SECONDS


class WorkerProcesses:
    """Owned by the main process. `start`, then `stop`; in between, whatever dies is started again."""

    def __init__(
        self,
        relay: Relay,
        listening: Sequence[socket.socket],
        *,
        count: int,
        events: Events,
        give_up: Callable[[Exception], None],
    ) -> None:
        """`listening` are bound; `give_up` is called once when a worker cannot be kept alive."""
        self._relay = relay
        self._events = events
        self._listening = [one.fileno() for one in listening]
        self._give_up = give_up
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = False
        """True once a worker may listen as soon as it is ready."""

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Those of the workers that live."""
        return tuple(worker.process.pid for worker in self._workers if worker.process is not None)

    async def tallies(self) -> list[bytes]:
        """See `Relay.tallies`."""
        return await self._relay.tallies()

    async def start(self) -> None:
        """Start all; returns when all of them listen.

        Raises:
            StartupError: one ended before that, or took too long.
        """
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        await self._until([worker.ready for worker in self._workers])
        self._open = True
        self._relay.serve()
        await self._until([worker.serving for worker in self._workers])

    async def stop(self, *, grace_seconds: float) -> None:
        """Let all finish within the grace, and kill what is left. None lives when this returns."""
        self._stopping.set()
        self._relay.stop()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=grace_seconds + MARGIN_SECONDS)
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._failed.cancel()

    async def _until(self, events: Sequence[asyncio.Event]) -> None:
        waiting: asyncio.Future[Any] = asyncio.gather(*(event.wait() for event in events))
        either: set[asyncio.Future[Any]] = {waiting, self._failed}
        await asyncio.wait(either, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)  # or its end is logged as an error that nobody saw
        if self._failed.done():
            self._failed.result()
        raise StartupError(f"a worker process did not serve within {START_SECONDS} s", remedy=_REMEDY)

    async def _keep(self, worker: _Worker) -> None:
        """One process after the other, until the service stops or gives up."""
        while not self._stopping.is_set():
            reason = await self._live(worker)
            if self._stopping.is_set():
                return
            if not worker.serving.is_set():
                self._fail(StartupError(f"worker {worker.number} {reason} before it served", remedy=_REMEDY))
                return
            if worker.dies_too_often():
                _log.critical("worker %d %s and cannot be kept alive: the service stops", worker.number, reason)
                self._give_up(ChildProcessError(f"worker {worker.number} {reason}"))
                return
            self._events.publish(WorkerRestarted(worker.number, reason))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS * len(worker.deaths))

    async def _live(self, worker: _Worker) -> str:
        """The life of one process; how it ended, in words."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                inherited = (theirs.fileno(), *self._listening)
                worker.process = process = await asyncio.create_subprocess_exec(
                    *worker_command(theirs.fileno(), self._listening),
                    env=worker_environment(),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=inherited,
                )
            link = await self._relay.attend(ours, partial(self._on_lost, worker))
        except OSError as error:
            ours.close()
            worker.kill()
            if worker.process is not None:
                await worker.process.wait()
                worker.process = None
            return f"could not be started: {error}"
        admission = asyncio.create_task(self._admit(worker, link))
        code = await process.wait()
        worker.process = None
        admission.cancel()
        await link.ended(within_seconds=LAST_WORDS_SECONDS)
        return f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"

    async def _admit(self, worker: _Worker, link: WorkerLink) -> None:
        """Let a worker listen once it is built and has its keys: one that came later must not deny any."""
        await link.ready
        await link.equipped
        worker.ready.set()
        if self._open:
            link.send(Serve())
        await link.serving
        worker.serving.set()

    def _on_lost(self, worker: _Worker, reason: str) -> None:
        """A worker whose link is lost is of no use; while the service stops, it may take its time to end."""
        if not self._stopping.is_set():
            _log.warning("the link of worker %d is lost: %s", worker.number, reason)
            worker.kill()

    def _fail(self, error: StartupError) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)
