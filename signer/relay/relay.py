"""All workers of the main process: what one of them has to know, all of them are told."""

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from signer.keys.ring import KeyRing
from signer.relay.frames import Complete, Keys, Pinned, Serve, Stop, Welcome
from signer.relay.key_sets import key_rows, wipe
from signer.relay.link import encode_frame
from signer.relay.worker_link import MainServices, WorkerLink, settle
from signer.units import Root

TAKE_SECONDS = 10.0
"""How long a reload waits until every worker serves the new keys; one that does not is left behind, and told of."""

COUNT_SECONDS = 0.5
"""How long a page of metrics waits for the workers; one that is late is shown as it was."""

_CLOSING_SECONDS = 0.1
"""How often a load of keys looks whether the service is stopping."""


class Relay:
    """Owned by the main process, on its event loop; `spread_keys` alone is for the thread that loads keys."""

    def __init__(
        self,
        services: MainServices,
        ring: KeyRing,
        *,
        pin: Callable[[Root], None],
        welcome: Callable[[], Welcome],
        retired: Callable[[bytes], None],
    ) -> None:
        """Make the first link with `attend`.

        Args:
            services: what workers may use.
            ring: the keys that they serve.
            pin: told which chain the record belongs to, once a worker's duty has decided it.
            welcome: makes the first message to a worker.
            retired: given what a worker that ended had counted.
        """
        self._services = services
        self._ring = ring
        self._pin = pin
        self._pinned: Root | None = None
        self._welcome = welcome
        self._retired = retired
        self._links: list[WorkerLink] = []
        self._key_sets = itertools.count(1)
        self._handing_over = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closing = False

    async def attend(self, end: socket.socket, lost: Callable[[str], None]) -> WorkerLink:
        """Serve a new worker at the other end; `lost` is called with the reason when its link ends."""

        def on_lost(reason: str) -> None:
            self._links.remove(link)
            self._retired(link.tallies)
            lost(reason)

        link = WorkerLink(self._services, pin=self.pin, lost=on_lost)
        await link.open(end)
        link.send(self._welcome())
        self._links.append(link)
        if self._ring.ready:
            self._start(self._hand_over((link,)))
        else:
            settle(link.equipped)  # as a service that is one process: it listens while it loads
        return link

    def serve(self) -> None:
        """Tell all workers to listen."""
        for link in self._links:
            link.send(Serve())

    def stop(self) -> None:
        """Tell all workers to finish; reloads no longer wait for them."""
        self._closing = True
        for link in self._links:
            link.send(Stop())

    def pin(self, root: Root) -> None:
        """Tell this process and all workers which chain the record belongs to."""
        if root == self._pinned:
            return
        self._pinned = root
        self._pin(root)
        for link in self._links:
            link.send(Pinned(root))

    async def tallies(self) -> list[bytes]:
        """What every worker has counted, as fresh as it says within COUNT_SECONDS."""
        links = list(self._links)
        await asyncio.gather(*(link.count(within_seconds=COUNT_SECONDS) for link in links))
        return [link.tallies for link in links if link.tallies]

    def spread_keys(self) -> None:
        """Hand the keys that the ring has now to every worker; returns when all serve them.

        Called from the thread that loads keys, so that a reload is told complete only when no process serves the old
        keys any more. Gives up when the service stops: the loop then waits for this very thread.
        """
        done = threading.Event()
        with contextlib.suppress(RuntimeError):  # the loop has closed
            self._loop.call_soon_threadsafe(lambda: self._start(self._spread(done)))
            while not done.wait(_CLOSING_SECONDS) and not self._closing:
                pass

    async def _spread(self, done: threading.Event) -> None:
        try:
            await self._hand_over(tuple(self._links))
        finally:
            done.set()

    async def _hand_over(self, links: tuple[WorkerLink, ...]) -> None:
        """One at a time, and the ring is read when it is this one's turn: the newest set is always the last to come."""
        async with self._handing_over:
            number = next(self._key_sets)
            frame = await asyncio.to_thread(self._frame, number)
            waiting = [link.send_keys(bytearray(frame), number) for link in links if link in self._links]
            frame[:] = bytes(len(frame))
            if waiting:
                await asyncio.wait(waiting, timeout=TAKE_SECONDS)
            for link in links:
                settle(link.equipped)
                link.send(Complete())

    def _frame(self, number: int) -> bytearray:
        """On a thread: ten thousand keys take a tenth of a second."""
        rows = key_rows(self._ring.current.keys.values())
        frame = encode_frame(Keys(number, rows))
        wipe(rows)
        return frame

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
