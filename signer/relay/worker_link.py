"""The main process's end of one worker's link: what the worker wants is done, what it may not say ends it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from signer.auth.principal import Caller, Principal
from signer.errors import SignerError
from signer.journal.command import Command, Receipt, Waiter
from signer.operations.mainstay import Mainstay
from signer.operations.protect import ImportOptions
from signer.relay.approval_orders import ApprovalOrderDone, AskApprovalOrder
from signer.relay.command_rows import CommandRow, ProblemRow
from signer.relay.commands import command_of
from signer.relay.frames import (
    AskImport,
    AskOrder,
    AskRecordOrder,
    AskReload,
    AskState,
    AskTallies,
    Commands,
    Counted,
    Done,
    Failed,
    FromWorker,
    Imported,
    KeysTaken,
    Lines,
    OrderCarried,
    Ready,
    RecordOrderDone,
    Serving,
    SourceRow,
    StateIs,
    Verdicts,
)
from signer.relay.imports import validator_row
from signer.relay.link import FROM_WORKER, WORKER_FRAME_BYTES, Link
from signer.relay.policy_orders import AskPolicyOrder, PolicyOrderDone
from signer.relay.questions import Questions
from signer.relay.record_orders import carry_out
from signer.relay.refusals import problem_row
from signer.slashing.network import NetworkClaim
from signer.units import Root

Question = AskState | AskReload | AskImport | AskRecordOrder | AskOrder | AskPolicyOrder | AskApprovalOrder
"""What a worker waits for the answer of."""


class TakesCommands(Protocol):
    """The writer of this process; see `Writer.submit`."""

    def submit(self, commands: Sequence[Command], waiters: Sequence[Waiter]) -> None:
        """Make commands durable in order, and tell each one's waiter on the running loop."""
        ...


@dataclass(frozen=True, slots=True)
class MainServices:
    """What a worker may use of the main process."""

    mainstay: Mainstay
    commands: TakesCommands
    """The journal of `mainstay`, for those who wait elsewhere."""

    data_directory: Path
    """Where a worker leaves the documents that it wants imported."""

    write_line: Callable[[int, str], None]
    """Writes a finished log line of this level."""


class WorkerLink:
    """Owned by `Relay` for as long as its worker lives, on the main process's event loop."""

    def __init__(self, services: MainServices, *, pin: Callable[[Root], None], lost: Callable[[str], None]) -> None:
        """`pin` is told of the chain of a durable command; `lost` of the link's end, with the reason."""
        self._services = services
        self._pin = pin
        self._on_lost = lost
        self._link: Link[FromWorker] = Link(
            FROM_WORKER, limit_bytes=WORKER_FRAME_BYTES, heard=self._hear, lost=self._lose
        )
        self._questions = Questions()
        self._key_sets = Questions()
        self._receipts: list[tuple[int, bool, int]] = []
        self._refusals: list[tuple[int, ProblemRow]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done when the worker is built; cancelled with the link."""

        self.equipped: asyncio.Future[None] = self._loop.create_future()
        """Done when it serves the keys that were there when it came; cancelled with the link."""

        self.serving: asyncio.Future[None] = self._loop.create_future()
        """Done when it listens; cancelled with the link."""

        self._ended = asyncio.Event()
        self.tallies = b""
        """What it had counted when it was last asked."""

    async def open(self, end: socket.socket) -> None:
        """Begin to listen to the worker."""
        await self._link.open(end)

    def send(self, message: Any) -> None:
        """Tell the worker something."""
        self._link.send(message)

    def send_keys(self, frame: bytearray, number: int) -> "asyncio.Future[Any]":
        """Hand over a key set under its number; the future is done when the worker serves it. The frame is wiped."""
        taken = self._key_sets.expect(number)
        self._link.send_secret(frame)
        return taken

    async def count(self, *, within_seconds: float) -> None:
        """Ask what the worker has counted; `tallies` stay as they were when it does not say."""
        number, answer = self._questions.ask()
        self._link.send(AskTallies(number))
        await asyncio.wait([answer], timeout=within_seconds)
        self._questions.forget(number)

    async def ended(self, *, within_seconds: float) -> None:
        """Wait until everything that the worker has sent was heard; then the link is ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), within_seconds)
        self._link.cut("its process has ended")

    # --- verdicts: waiters of one batch call these, and one frame goes out for all of them -------------

    def tell_receipt(self, number: int, receipt: Receipt) -> None:
        """A command of this worker is durable."""
        self._gather()
        self._receipts.append((number, receipt.repeat, receipt.audit_index))

    def tell_refusal(self, number: int, error: SignerError) -> None:
        """A command of this worker is refused, or nobody knows."""
        self._gather()
        self._refusals.append((number, problem_row(error)))

    def _gather(self) -> None:
        if not self._receipts and not self._refusals:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        verdicts = Verdicts(self._receipts, self._refusals)
        self._receipts, self._refusals = [], []
        self._link.send(verdicts)

    # --- what the worker says ------------------------------------------------------------------------

    def _hear(self, message: FromWorker) -> None:
        match message:
            case Commands():
                self._take_commands(message.commands)
            case KeysTaken():
                self._key_sets.answer(message.number, None)
            case Counted():
                self.tallies = message.tallies
                self._questions.answer(message.number, None)
            case Lines():
                for level, line in message.lines:
                    self._services.write_line(level, line)
            case Ready():
                settle(self.ready)
            case Serving():
                settle(self.serving)
            case _:
                self._answer(message)

    def _take_commands(self, rows: Sequence[CommandRow]) -> None:
        try:
            commands = [command_of(row) for row in rows]
        except ValueError as error:
            self._link.cut(f"a command that cannot be read: {error}")
            return
        waiters = [_Ticket(self, row.number, command) for row, command in zip(rows, commands, strict=True)]
        self._services.commands.submit(commands, waiters)

    def note_chain(self, command: Command) -> None:
        """A durable command may have pinned the chain."""
        for claim in command.claims:
            if isinstance(claim, NetworkClaim):
                self._pin(claim.genesis_validators_root)

    def _answer(self, question: Question) -> None:
        task = self._loop.create_task(self._reply(question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, question: Question) -> None:
        try:
            match question:
                case AskState():
                    answer: Any = await self._state(question.number)
                case AskReload():
                    await self._services.mainstay.loads.start()
                    answer = Done(question.number)
                case AskImport():
                    answer = await self._import(question)
                case AskRecordOrder():
                    done = await carry_out(
                        self._services.mainstay.record_orders, question.order, _told_caller(question)
                    )
                    answer = RecordOrderDone(question.number, done)
                case AskOrder():
                    carried = await self._services.mainstay.orders.carry_out(question.order, _told_caller(question))
                    answer = OrderCarried(question.number, carried)
                case AskPolicyOrder():
                    ordered = await self._services.mainstay.policy_orders.carry_out(
                        question.order, _told_caller(question), approval_id=question.approval_id
                    )
                    answer = PolicyOrderDone(question.number, ordered)
                case AskApprovalOrder():
                    said = await self._services.mainstay.approval_orders.carry_out(
                        question.order, _told_caller(question)
                    )
                    answer = ApprovalOrderDone(question.number, said)
        except SignerError as error:
            answer = Failed(question.number, problem_row(error))
        self._link.send(answer)

    async def _state(self, number: int) -> StateIs:
        main = self._services.mainstay
        status = await main.loads.status()
        return StateIs(
            number,
            status.status,
            status.last_operation_time,
            status.last_error,
            [SourceRow(one.source, one.keys_loaded, one.error_count) for one in await main.loads.health()],
            await main.journal_healthy(),
            dict(await main.journal_state()),
        )

    async def _import(self, question: AskImport) -> Imported:
        # The name alone: whatever a worker says, nothing outside the data directory is read.
        file = self._services.data_directory / Path(question.file_name).name
        options = ImportOptions(partial=question.partial, dry_run=question.dry_run, far_ahead=question.far_ahead)
        done = await self._services.mainstay.imports.merge(file, _told_caller(question), options)
        return Imported(question.number, [validator_row(one) for one in done])

    def _lose(self, reason: str) -> None:
        self._questions.give_up()
        self._key_sets.give_up()
        for awaited in (self.ready, self.equipped, self.serving):
            awaited.cancel()
        self._ended.set()
        self._on_lost(reason)


def _told_caller(question: AskImport | AskRecordOrder | AskOrder | AskPolicyOrder | AskApprovalOrder) -> Caller:
    """Who a worker says has asked: a name for the audit log; what it may do was judged there."""
    principal = Principal(question.principal, actions=frozenset(), keys=frozenset(), duties=frozenset())
    return Caller(principal, "", question.request_id)


class _Ticket:
    """One command's number, as its `Waiter`."""

    __slots__ = ("_command", "_link", "_number")

    def __init__(self, link: WorkerLink, number: int, command: Command) -> None:
        self._link = link
        self._number = number
        self._command = command

    def done(self) -> bool:
        """False: the worker may wait, or drop the verdict itself."""
        return False

    def set_result(self, receipt: Receipt, /) -> None:
        """See Waiter."""
        self._link.note_chain(self._command)
        self._link.tell_receipt(self._number, receipt)

    def set_exception(self, error: SignerError, /) -> None:
        """See Waiter."""
        self._link.tell_refusal(self._number, error)


def settle(future: "asyncio.Future[None]") -> None:
    """Say that it is done, unless the link is lost."""
    if not future.done():
        future.set_result(None)
