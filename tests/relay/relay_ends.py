"""Both ends of a worker's link in one process, over a real socket pair and a real journal."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from journal.record import Record, open_record

from signer.auth.principal import Caller
from signer.clock import FixedClock
from signer.crypto.aead import KEY_BYTES, Sealer
from signer.crypto.secret import Secret
from signer.errors import SignerError
from signer.events import Events
from signer.journal.reader import read_sqlite
from signer.keys.ring import KeyRing
from signer.operations.approve import LocalApprovalOrders
from signer.operations.mainstay import Mainstay
from signer.operations.manage_keys import ReloadStatus, SourceHealth
from signer.operations.orders import Carried, Order
from signer.operations.policy_orders import PolicyOrder, PolicyOrdered
from signer.operations.protect import WHOLE, ImportedValidator, ImportOptions
from signer.operations.record_orders import Moved, MoveWatermarks, PruneRecord, PruneReport, RecordOrder
from signer.relay import frames
from signer.relay.link import FROM_MAIN
from signer.relay.main_link import MainLink
from signer.relay.relay import Relay
from signer.relay.worker_link import MainServices, WorkerLink
from signer.units import Root


@dataclass
class Loads:
    """Loads of keys that never end, or fail as they are told."""

    reload_status: ReloadStatus = field(default_factory=lambda: ReloadStatus("completed", 1_700_000_000.25, "one file"))
    sources: tuple[SourceHealth, ...] = (SourceHealth("config-files-loading", 3, 1),)
    error: SignerError | None = None
    started: int = 0
    silent: bool = False

    async def status(self) -> ReloadStatus:
        if self.silent:
            await asyncio.Event().wait()
        return self.reload_status

    async def health(self) -> tuple[SourceHealth, ...]:
        return self.sources

    async def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.started += 1


@dataclass
class Imports:
    """Remembers what it should merge."""

    error: SignerError | None = None
    asked: list[tuple[Path, Caller]] = field(default_factory=list)

    async def merge(self, file: Path, caller: Caller, options: ImportOptions = WHOLE) -> tuple[ImportedValidator, ...]:
        self.asked.append((file, caller))
        if self.error is not None:
            raise self.error
        return (
            ImportedValidator(b"k" * 48, 3, 7, None, ends_quarantine=True),
            ImportedValidator(b"l" * 48, 0, 0, "conflicts"),
        )


@dataclass
class Orders:
    """Remembers what is ordered of the record."""

    error: SignerError | None = None
    asked: list[tuple[RecordOrder, Caller]] = field(default_factory=list)

    async def move(self, order: MoveWatermarks, caller: Caller) -> Moved:
        self._take(order, caller)
        return Moved({"low_epoch": None}, {"low_epoch": 2**64 - 1})

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        self._take(order, caller)
        return PruneReport(7, 1, 2, more=True)

    def _take(self, order: RecordOrder, caller: Caller) -> None:
        self.asked.append((order, caller))
        if self.error is not None:
            raise self.error


@dataclass
class OrdersTwin:
    """Remembers what it was ordered."""

    error: SignerError | None = None
    given: list[tuple[Order, Caller]] = field(default_factory=list)

    async def carry_out(self, order: Order, caller: Caller) -> tuple[Carried, ...]:
        self.given.append((order, caller))
        if self.error is not None:
            raise self.error
        return (Carried(b"k" * 48, "done", "a sentence"), Carried(b"", "done"))


@dataclass
class PolicyOrdersTwin:
    """Remembers what it was ordered of policies."""

    error: SignerError | None = None
    given: list[tuple[PolicyOrder, Caller, bytes]] = field(default_factory=list)

    async def carry_out(self, order: PolicyOrder, caller: Caller, *, approval_id: bytes = b"") -> PolicyOrdered:
        self.given.append((order, caller, approval_id))
        if self.error is not None:
            raise self.error
        return PolicyOrdered(7, "done", "a change", "1" * 64)


@dataclass
class Ends:
    """A main process with one worker, in one event loop."""

    record: Record
    ring: KeyRing
    loads: Loads
    imports: Imports
    record_orders: Orders
    orders: OrdersTwin
    policies: PolicyOrdersTwin
    relay: Relay
    lines: list[tuple[int, str]]
    pinned: list[Root]
    retired: list[bytes]
    lost: list[str]
    worker: "WorkerEnd"
    link: WorkerLink


class WorkerEnd:
    """A worker's end, and everything that it was told."""

    def __init__(self, *, answer_seconds: float) -> None:
        self.ring = KeyRing()
        self.pinned: list[Root] = []
        self.tallies = b"counted"
        self.orphaned = asyncio.Event()
        self.link = MainLink(
            self.ring, tallies=lambda: self.tallies, orphaned=self.orphaned.set, answer_seconds=answer_seconds
        )

    async def open(self, end: socket.socket) -> None:
        await self.link.open(end, pin=self.pinned.append)


async def journal_state() -> dict[str, Any]:
    return {"state": "taking commands", "audit_entries": 12, "ratio": 0.5, "nothing": None}


async def journal_healthy() -> bool:
    return True


@asynccontextmanager
async def main_process(directory: Path) -> AsyncIterator[tuple[Relay, Ends]]:
    """A main process without workers; `Ends` lacks a worker until `attach` gives it one."""
    record = open_record(directory)
    loads, imports, ring = Loads(), Imports(), KeyRing()
    record_orders, orders = Orders(), OrdersTwin()
    lines: list[tuple[int, str]] = []
    pinned: list[Root] = []
    retired: list[bytes] = []
    policies = PolicyOrdersTwin()
    approvals = LocalApprovalOrders(
        changes=record.writer,
        reading=partial(read_sqlite, record.database.path),
        clock=FixedClock(1_800_000_000),
        events=Events(),
        sealer=Sealer(Secret(b"\x05" * KEY_BYTES)),
        most_waiting=3,
        keep_days=90,
    )
    mainstay = Mainstay(
        record.writer, loads, imports, record_orders, journal_state, journal_healthy, orders, policies, approvals
    )
    services = MainServices(mainstay, record.writer, directory, lambda level, line: lines.append((level, line)))
    relay = Relay(
        services,
        ring,
        pin=pinned.append,
        welcome=lambda: frames.Welcome(frames.VERSION, "1.2.3", b"config", b"network", None),
        retired=retired.append,
    )
    ends: Any = Ends(  # type: ignore[arg-type]
        record, ring, loads, imports, record_orders, orders, policies, relay, lines, pinned, retired, [], None, None
    )
    try:
        yield relay, ends
    finally:
        await asyncio.to_thread(record.close)


async def attach(ends: Ends, *, answer_seconds: float = 10) -> tuple[WorkerEnd, WorkerLink]:
    """Another worker; its welcome is read as a worker reads it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    link = await ends.relay.attend(ours, ends.lost.append)
    worker = WorkerEnd(answer_seconds=answer_seconds)
    await read_frame(theirs)
    await worker.open(theirs)
    return worker, link


async def read_frame(end: socket.socket) -> frames.FromMain:
    """Read one frame from a plain socket."""
    loop = asyncio.get_running_loop()
    end.setblocking(False)
    length = int.from_bytes(await _exactly(loop, end, 4))
    return FROM_MAIN.decode(await _exactly(loop, end, length))


async def _exactly(loop: asyncio.AbstractEventLoop, end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await loop.sock_recv(end, count - len(data))
    return data


@asynccontextmanager
async def both_ends(directory: Path) -> AsyncIterator[Ends]:
    """A main process and one worker that serves."""
    async with main_process(directory) as (_, ends):
        ends.worker, ends.link = await attach(ends)
        try:
            yield ends
        finally:
            await ends.worker.link.hang_up()
            await ends.link.ended(within_seconds=5)
