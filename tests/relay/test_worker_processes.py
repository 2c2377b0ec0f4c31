"""A worker that never serves stops the start, and the reason is told; none is left behind."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from signer.errors import StartupError
from signer.events import Events
from signer.relay.processes import WorkerProcesses


class LinkTwin:
    """A link over which nothing ever comes."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ready, self.equipped, self.serving = (loop.create_future() for _ in range(3))

    def send(self, _frame: object) -> None:
        raise AssertionError("it was never ready")

    async def ended(self, *, within_seconds: float) -> None:
        assert within_seconds > 0


class RelayTwin:
    """Hangs up on every worker, or has no room for one."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error
        self.workers: WorkerProcesses | None = None
        self.born: list[int] = []

    async def attend(self, ours: socket.socket, _on_lost: Callable[[str], None]) -> LinkTwin:
        assert self.workers is not None
        self.born += self.workers.process_ids
        if self.error is not None:
            raise self.error
        ours.close()
        return LinkTwin()

    def serve(self) -> None:
        raise AssertionError("nobody is ready")

    def stop(self) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket()) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        yield opened


def processes(relay: RelayTwin, listening: socket.socket, gave_up: list[Exception]) -> WorkerProcesses:
    relay.workers = WorkerProcesses(
        relay,  # type: ignore[arg-type]
        [listening],
        count=2,
        events=Events(),
        give_up=gave_up.append,
    )
    return relay.workers


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, r"worker [12] ended with \d+ before it served"),
        (OSError(24, "Too many open files"), r"worker [12] could not be started: .*Too many open files"),
    ],
    ids=["its link is lost", "no room for its link"],
)
async def test_a_worker_that_ends_before_it_served_stops_the_start(
    listening: socket.socket, error: OSError | None, reason: str
) -> None:
    relay, gave_up = RelayTwin(error), list[Exception]()
    workers = processes(relay, listening, gave_up)
    try:
        with pytest.raises(StartupError, match=reason) as refusal:
            await workers.start()
        assert "doctor" in refusal.value.remedy
    finally:
        await workers.stop(grace_seconds=0)
    assert len(set(relay.born)) == 2, "each was tried once: what ends at the start is not started again"
    assert gave_up == [], "a start that fails is told by its error alone"
    for process in relay.born:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
