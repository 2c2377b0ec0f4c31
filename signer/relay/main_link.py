"""A worker's end of its link: what it asks of the main process, and what it is told."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, cast

from signer.auth.principal import Caller
from signer.errors import JournalDownError
from signer.keys.reload import State
from signer.keys.report import SourceName
from signer.keys.ring import KeyRing
from signer.operations.approval_orders import ApprovalAnswer, ApprovalOrder
from signer.operations.mainstay import Mainstay
from signer.operations.manage_keys import ReloadStatus, SourceHealth
from signer.operations.orders import Carried, Order
from signer.operations.policy_orders import PolicyOrder, PolicyOrdered
from signer.operations.protect import WHOLE, ImportedValidator, ImportOptions
from signer.operations.record_orders import RecordOrder
from signer.relay.approval_orders import ApprovalOrderDone, AskApprovalOrder, RelayApprovalOrders
from signer.relay.frames import (
    AskImport,
    AskOrder,
    AskRecordOrder,
    AskReload,
    AskState,
    AskTallies,
    Complete,
    Counted,
    Done,
    Failed,
    FromMain,
    Imported,
    Keys,
    KeysTaken,
    Lines,
    OrderCarried,
    Pinned,
    Ready,
    RecordOrderDone,
    Serve,
    Serving,
    StateIs,
    Stop,
    Verdicts,
)
from signer.relay.imports import validator_of
from signer.relay.key_sets import keys_of
from signer.relay.link import FROM_MAIN, MAIN_FRAME_BYTES, Link
from signer.relay.policy_orders import AskPolicyOrder, PolicyOrderDone, RelayPolicyOrders
from signer.relay.questions import Questions
from signer.relay.record_orders import RelayRecordOrders
from signer.relay.refusals import error_of
from signer.relay.relay_journal import RelayJournal
from signer.units import Root

ANSWER_SECONDS = 2.0
"""How long a question to the main process waits: it answers in microseconds, or something is badly wrong with it."""


class MainLink:
    """Owned by the worker for its whole life, on its event loop. Key sets that come go to the ring, whole."""

    def __init__(
        self,
        ring: KeyRing,
        *,
        tallies: Callable[[], bytes],
        orphaned: Callable[[], None],
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`tallies`, called on a thread, are what this worker has counted; `orphaned` hears of a lost link."""
        self._ring = ring
        self._pin: Callable[[Root], None] = lambda _: None
        self._tallies = tallies
        self._orphaned = orphaned
        self._answer_seconds = answer_seconds
        self._questions = Questions()
        self._link: Link[FromMain] = Link(FROM_MAIN, limit_bytes=MAIN_FRAME_BYTES, heard=self._hear, lost=self._lose)
        self._loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._hanging_up = False
        self._ended = asyncio.Event()
        self.after_keys: Callable[[], None] = _nothing
        """Called, on a thread, after a new key set serves: the main process has read its files again."""

        self.journal = RelayJournal(self._link.send)
        self.may_serve = asyncio.Event()
        """The main process wants this worker to listen (or to stop before it did)."""

        self.must_stop = asyncio.Event()
        """The main process wants this worker to finish what is under way, and to end."""

    async def open(self, end: socket.socket, *, pin: Callable[[Root], None]) -> None:
        """Begin to listen to the main process; `pin` is told which chain the record belongs to."""
        self._pin = pin
        await self._link.open(end)

    def tell_ready(self) -> None:
        """This worker is built."""
        self._link.send(Ready())

    def tell_serving(self) -> None:
        """This worker listens."""
        self._link.send(Serving())

    def write_line(self, level: int, line: str) -> None:
        """A finished log line for the main process to write. Safe from any thread."""
        self._loop.call_soon_threadsafe(self._link.send, Lines([(level, line)]))

    def mainstay(self) -> Mainstay:
        """The main process's record and loads of keys, as operations use them."""
        return Mainstay(
            journal=self.journal,
            loads=RelayLoads(self),
            imports=RelayImports(self),
            record_orders=RelayRecordOrders(self.ask_record_order),
            journal_state=self._journal_state,
            journal_healthy=self._journal_healthy,
            orders=RelayOrders(self),
            policy_orders=RelayPolicyOrders(self.ask_policy_order),
            approval_orders=RelayApprovalOrders(self.ask_approval_order),
        )

    async def hang_up(self) -> None:
        """End the link, when everything that was sent has left."""
        self._hanging_up = True
        self._link.close()
        await self._ended.wait()

    async def ask_state(self) -> StateIs:
        """How the loads of keys and the journal are, at this moment. Raises JournalDownError: no answer."""
        return cast("StateIs", await self._ask(AskState, within_seconds=self._answer_seconds))

    async def ask_reload(self) -> None:
        """Begin to load. Raises BusyError, JournalDownError."""
        await self._ask(AskReload, within_seconds=self._answer_seconds)

    async def ask_import(self, file_name: str, caller: Caller, options: ImportOptions) -> list[ImportedValidator]:
        """Merge a file of the data directory; takes as long as it takes. Raises as `Imports.merge`."""
        name, request_id = caller.principal.name, caller.request_id
        answer: Imported = await self._ask(
            lambda number: AskImport(
                number, file_name, name, request_id, options.partial, options.dry_run, options.far_ahead
            ),
            within_seconds=None,
        )
        return [validator_of(row) for row in answer.validators]

    async def ask_record_order(self, order: RecordOrder, caller: Caller) -> Any:
        """Pass an order about the slashing record on; takes as long as it takes. Raises as `RecordOrders`."""
        name, request_id = caller.principal.name, caller.request_id
        done: RecordOrderDone = await self._ask(
            lambda number: AskRecordOrder(number, order, name, request_id), within_seconds=None
        )
        return done.answer

    async def ask_order(self, order: Order, caller: Caller) -> tuple[Carried, ...]:
        """Carry an order out; takes as long as it takes. Raises as `Orders.carry_out`."""
        answer: OrderCarried = await self._ask(
            lambda number: AskOrder(number, order, caller.principal.name, caller.request_id), within_seconds=None
        )
        return answer.carried

    async def ask_policy_order(self, order: PolicyOrder, caller: Caller, approval_id: bytes) -> PolicyOrdered:
        """Pass an order about policies on; takes as long as it takes. Raises as `PolicyOrders.carry_out`."""
        name, request_id = caller.principal.name, caller.request_id
        done: PolicyOrderDone = await self._ask(
            lambda number: AskPolicyOrder(number, order, name, request_id, approval_id), within_seconds=None
        )
        return done.ordered

    async def ask_approval_order(self, order: ApprovalOrder, caller: Caller) -> ApprovalAnswer:
        """Pass an order about a request that waits on; takes as long as it takes. Raises as `ApprovalOrders`."""
        name, request_id = caller.principal.name, caller.request_id
        done: ApprovalOrderDone = await self._ask(
            lambda number: AskApprovalOrder(number, order, name, request_id), within_seconds=None
        )
        return done.answer

    async def _journal_state(self) -> Mapping[str, str | int | float | None]:
        return (await self.ask_state()).journal

    async def _journal_healthy(self) -> bool:
        """A main process that does not answer is not healthy."""
        try:
            return (await self.ask_state()).journal_healthy
        except JournalDownError:
            return False

    async def _ask(self, question: Callable[[int], Any], *, within_seconds: float | None) -> Any:
        number, answer = self._questions.ask()
        self._link.send(question(number))
        try:
            async with asyncio.timeout(within_seconds):
                return await answer
        except TimeoutError:
            raise JournalDownError("the main process, which keeps the journal, does not answer") from None
        finally:
            self._questions.forget(number)

    def _hear(self, message: FromMain) -> None:
        match message:
            case Verdicts():
                self.journal.settle(message)
            case StateIs() | Done() | Imported() | RecordOrderDone() | OrderCarried():
                self._questions.answer(message.number, message)
            case PolicyOrderDone() | ApprovalOrderDone():
                self._questions.answer(message.number, message)
            case Failed():
                self._questions.fail(message.number, error_of(message.problem))
            case _:
                self._obey(message)

    def _obey(self, message: FromMain) -> None:
        match message:
            case AskTallies():
                self._start(self._count(message.number))
            case Keys():
                self._start(self._take_keys(message))
            case Complete():
                self._ring.complete()
            case Pinned():
                self._pin(message.genesis_validators_root)
            case Serve():
                self.may_serve.set()
            case Stop():
                self.may_serve.set()
                self.must_stop.set()
            case _:
                self._link.cut(f"an unexpected {type(message).__name__}")

    async def _take_keys(self, message: Keys) -> None:
        """On a thread, ten thousand keys take a tenth of a second; one set after the other, the newest last."""
        async with self._loading:
            try:
                keys = await asyncio.to_thread(keys_of, message.keys)
            except ValueError as error:
                self._link.cut(f"a key set that cannot be read: {error}")
                return
            self._ring.replace(keys, complete=False)
            self._link.send(KeysTaken(message.number))
            await asyncio.to_thread(self.after_keys)

    async def _count(self, number: int) -> None:
        self._link.send(Counted(number, await asyncio.to_thread(self._tallies)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lose(self, _reason: str) -> None:
        self._ended.set()
        if not self._hanging_up:
            self._orphaned()


class RelayLoads:
    """The main process's loads of keys as `KeyLoads`."""

    def __init__(self, link: MainLink) -> None:
        self._link = link

    async def status(self) -> ReloadStatus:
        """See KeyLoads."""
        state = await self._link.ask_state()
        return ReloadStatus(cast("State", state.reload_status), state.last_operation_time, state.last_error)

    async def health(self) -> tuple[SourceHealth, ...]:
        """See KeyLoads."""
        state = await self._link.ask_state()
        return tuple(
            SourceHealth(cast("SourceName", row.source), row.keys_loaded, row.error_count) for row in state.sources
        )

    async def start(self) -> None:
        """See KeyLoads."""
        await self._link.ask_reload()


class RelayImports:
    """The main process's imports as `Imports`."""

    def __init__(self, link: MainLink) -> None:
        self._link = link

    async def merge(self, file: Path, caller: Caller, options: ImportOptions = WHOLE) -> tuple[ImportedValidator, ...]:
        """See Imports."""
        return tuple(await self._link.ask_import(file.name, caller, options))


class RelayOrders:
    """The main process as `Orders`."""

    def __init__(self, link: MainLink) -> None:
        self._link = link

    async def carry_out(self, order: Order, caller: Caller) -> tuple[Carried, ...]:
        """See Orders."""
        return await self._link.ask_order(order, caller)


def _nothing() -> None:
    """Nobody waits for a new key set."""
