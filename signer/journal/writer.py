"""The only writer: it gathers waiting commands and makes each batch durable by one commit.

One thread, one connection. A batch is what waits when the writer comes free, at most `max_batch` commands: nothing is
added when idle, and one fsync is shared by hundreds when busy. In one transaction every ledger loads its facts, the
commands are judged in order (all claims of a command pass, or none counts), every ledger stores, and the audit entries
are appended last, with what is kept beside them. Then one commit, the head file, and every caller gets its own verdict.

What a failure leaves:
- A refusal is a verdict: it is audited, and its neighbours commit.
- A constraint that refuses the batch rolls it back; each command then runs alone, so one cannot deny its neighbours.
- A full disk, or a database that cannot be reached, rolls back: nobody signs, and the next batch tries again.
- A batch that another signer on the same database came in the way of is judged again, with its facts read again.
- A connection lost in the commit: nobody of the batch signs, and the truth is read before the next one.
- An operator's change that fails by itself (an unreadable file) rolls back; its caller alone hears of it.
- Any other error of the database leaves the truth unknown: the writer stops for good, and the process with it.
"""

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from signer.errors import DatabaseDownError, JournalDownError, OutcomeUnknownError, RefusalError, SignerError
from signer.journal.command import Chronicle, Command, Receipt, Verdict, Waiter
from signer.journal.database import Claims, Database, Failure
from signer.journal.ledger import AppendLog, Keeper, Ledger, RemembersFacts, Transaction
from signer.journal.waiting import EMPTY, Batch, Empty, Item, Waiting, Work, tell

MAX_BATCH = 512
"""Most commands in one commit: bounds the wait of the first for the last (peers.md 13)."""

MAX_ATTEMPTS = 5
"""How often a batch is judged that other signers come in the way of. Their conflicts need one more look, rarely two."""

T = TypeVar("T")
Outcome = Receipt | SignerError


class CommitObserver(Protocol):
    """Hears of every batch, on the writer's thread."""

    def batch_committed(self, *, commands: int, seconds: float, commit_seconds: float) -> None:
        """`seconds` from taking the batch to its verdicts, `commit_seconds` of them in the commit itself."""
        ...


class _ChangeFailedError(Exception):
    """An operator's change failed by itself, not by the database: rolled back, and the truth is known."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Writer:
    """Owned by the process for its whole life; `commit` is called from event loops, everything else runs on its thread.

    Durable when an awaited commit returns. Safe in parallel. Never retries an unknown outcome.
    """

    def __init__(
        self,
        database: Database,
        *,
        ledgers: Sequence[Ledger[Any, Any]],
        log: AppendLog,
        on_death: Callable[[Exception], None],
        keeper: Keeper | None = None,
        observer: CommitObserver | None = None,
        max_batch: int = MAX_BATCH,
        deadline_seconds: float = math.inf,
    ) -> None:
        """`deadline_seconds`: who has waited longer when the writer comes free is told so, and nothing is recorded."""
        self._database = database
        self._deadline_seconds = deadline_seconds
        self._ledgers = {ledger.claim_type: ledger for ledger in ledgers}
        self._log = log
        self._keeper = keeper
        self._on_death = on_death
        self._observer = observer
        self._max_batch = max_batch
        self._waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._death: SignerError | None = None
        self._full = False
        self._down = False
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self) -> None:
        """Begin to take commands."""
        self._thread.start()

    def close(self) -> None:
        """Commit what waits, then stop. Blocks; call it off the event loop."""
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._database.close()

    @property
    def healthy(self) -> bool:
        """True while commands are recorded: False on a full disk, or without a connection, until that is over."""
        return self.alive and not self._full and not self._down

    @property
    def alive(self) -> bool:
        """False once an unknown outcome has stopped the writer."""
        return self._death is None and self._thread.is_alive()

    def commit(self, command: Command) -> "asyncio.Future[Receipt]":
        """A future of the receipt, once durable.

        Raises (through the future):
            RefusalError: a claim was refused; the refusal is on record.
            JournalDownError: nothing was recorded.
            OutcomeUnknownError: the command may or may not be on record.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        if self._death is not None:
            future.set_exception(self._death)
        else:
            self._waiting.put(Waiting((command,), (future,), loop))
        return future

    def commit_all(self, commands: Sequence[Command]) -> "Sequence[asyncio.Future[Receipt]]":
        """The same for many, in order: full batches of their own, not mixed with others'."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Receipt]] = [loop.create_future() for _ in commands]
        self.submit(commands, futures)
        return futures

    def submit(self, commands: Sequence[Command], waiters: Sequence[Waiter]) -> None:
        """The same for waiters of the caller's own: each hears of its command on the running loop."""
        if self._death is not None:
            for waiter in waiters:
                waiter.set_exception(self._death)
            return
        self._waiting.put(Waiting(commands, waiters, asyncio.get_running_loop()))

    def perform(self, change: Callable[[Transaction], T], story: Callable[[T], Chronicle]) -> "asyncio.Future[T]":
        """Run an operator's change alone in one transaction, with the audit entry that `story` makes of its result.

        On a shared database another signer may come between, and the change is run again: what it does outside of the
        transaction must bear that.

        Raises (through the future): what `change` raises, after rolling back; JournalDownError; OutcomeUnknownError.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._death is not None:
            future.set_exception(self._death)
        else:
            self._waiting.put(Work(change, story, future, loop))
        return future

    # --- the writer's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        item: Item | Empty = EMPTY
        while item is not None:
            match item:
                case Empty():
                    item = self._await()
                case Waiting() | Work() if self._death is not None:
                    self._refuse(item)
                    item = EMPTY
                case Work():
                    self._perform(item)
                    item = EMPTY
                case Waiting():
                    batch, item = self._gather(item)
                    if batch.commands:
                        self._settle(batch)
            if self._database.needs_rest:
                self._rest()
        self._rest(last=True)

    def _await(self) -> "Item | Empty":
        """The next item; in between, what the database needs to have done though nobody asks for anything."""
        try:
            return self._waiting.get(timeout=self._database.rest_within(full=self._full))
        except queue.Empty:
            self._rest()
            return EMPTY

    def _rest(self, *, last: bool = False) -> None:
        if self._death is not None:
            return
        try:
            self._full = not self._database.rest(last=last)
            self._down = False
        except Exception as error:  # noqa: BLE001 - as in _decide
            self._explain(error)

    def _gather(self, first: Waiting) -> "tuple[Batch, Item | Empty]":
        batch = Batch()
        item: Item | Empty = first
        overdue = time.monotonic() - self._deadline_seconds
        while isinstance(item, Waiting) and len(batch.commands) + len(item.commands) <= self._max_batch:
            if item.since < overdue:
                self._turn_away(item)
            else:
                batch.add(item)
            item = self._next()
        if not batch.commands and isinstance(item, Waiting):
            # One caller's long list: cut it into full batches.
            head, tail = item.split(self._max_batch)
            batch.add(head)
            item = tail
        return batch, item

    def _turn_away(self, late: Waiting) -> None:
        kind = DatabaseDownError if self._down else JournalDownError
        error = kind(
            f"the journal did not come to this within {self._deadline_seconds} s; nothing was recorded or signed"
        )
        tell(late.loop, [(waiter, error) for waiter in late.waiters])

    def _next(self) -> "Item | Empty":
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return EMPTY

    def _settle(self, batch: Batch) -> None:
        outcomes = self._decide(batch.commands)
        # Group by loop: nearly always one, so one wake-up serves the whole batch.
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Waiter, Outcome]]] = {}
        for waiter, loop, outcome in zip(batch.waiters, batch.loops, outcomes, strict=True):
            by_loop.setdefault(loop, []).append((waiter, outcome))
        for loop, pairs in by_loop.items():
            tell(loop, pairs)

    def _decide(self, commands: list[Command], *, attempt: int = 1) -> list[Outcome]:
        started = time.perf_counter()
        try:
            outcomes, commit_seconds = self._transact(commands)
        except Exception as error:  # noqa: BLE001 - whatever it was: unless the database knows better, stop for good
            match self._database.failure_of(error):
                case Failure.REFUSED if len(commands) > 1:
                    return [self._decide([command])[0] for command in commands]
                case Failure.AGAIN if attempt < MAX_ATTEMPTS:
                    self._forget_facts()
                    return self._decide(commands, attempt=attempt + 1)
            return [self._explain(error)] * len(commands)
        self._full = self._down = False
        if self._observer is not None:
            seconds = time.perf_counter() - started
            self._observer.batch_committed(commands=len(commands), seconds=seconds, commit_seconds=commit_seconds)
        return outcomes

    def _transact(self, commands: list[Command]) -> tuple[list[Outcome], float]:
        self._database.ready()
        claims: dict[type, list[Any]] = {}
        for command in commands:
            for claim in command.claims:
                claims.setdefault(type(claim), []).append(claim)
        try:
            with self._database.transaction(claims) as transaction:
                verdicts = self._judge(transaction, commands, claims)
                first = self._log.append(
                    transaction, [c.story.entry(v) for c, v in zip(commands, verdicts, strict=True)]
                )
                self._keep(transaction, commands, verdicts, first=first)
                committing = time.perf_counter()
        except BaseException:
            self._log.rolled_back()
            raise
        commit_seconds = time.perf_counter() - committing
        self._log.committed()
        outcomes: list[Outcome] = [
            v.refusal if v.refusal is not None else Receipt(v.repeat, first + n) for n, v in enumerate(verdicts)
        ]
        return outcomes, commit_seconds

    def _keep(self, transaction: Transaction, commands: list[Command], verdicts: list[Verdict], *, first: int) -> None:
        pairs = enumerate(zip(commands, verdicts, strict=True), start=first)
        kept = [(index, c.kept, v) for index, (c, v) in pairs if c.kept is not None]
        if kept and self._keeper is not None:
            self._keeper.keep(transaction, kept)

    def _judge(self, transaction: Transaction, commands: list[Command], claims: Claims) -> list[Verdict]:
        """Verdicts in order, and the accepted claims stored."""
        facts = {kind: self._ledgers[kind].load(transaction, wanted) for kind, wanted in claims.items()}
        verdicts = [self._judge_one(command, facts) for command in commands]
        for claim_type, known in facts.items():
            self._ledgers[claim_type].store(transaction, known)
        return verdicts

    def _judge_one(self, command: Command, facts: dict[type, Any]) -> Verdict:
        """Nothing is noted until every claim has passed, so a refused command costs its neighbours nothing."""
        new: list[Any] = []
        recorded = False
        try:
            for claim in command.claims:
                kind = type(claim)
                is_new = self._ledgers[kind].judge(claim, facts[kind])
                if is_new:
                    new.append(claim)
                elif is_new is not None:
                    recorded = True
        except RefusalError as refusal:
            return Verdict(refusal)
        for claim in new:
            kind = type(claim)
            self._ledgers[kind].accept(claim, facts[kind])
        return Verdict(None, repeat=recorded and not new)

    def _perform(self, work: Work, *, attempt: int = 1) -> None:
        outcome: Any
        try:
            outcome = self._change(work)
        except _ChangeFailedError as failed:
            outcome = failed.reason
        except Exception as error:  # noqa: BLE001 - as in _decide
            if self._database.failure_of(error) is Failure.AGAIN and attempt < MAX_ATTEMPTS:
                self._perform(work, attempt=attempt + 1)
                return
            outcome = self._explain(error)
        tell(work.loop, [(work.future, outcome)])

    def _change(self, work: Work) -> Any:
        self._database.ready()
        try:
            with self._database.transaction() as transaction:
                result, entry = self._run_change(work, transaction)
                self._log.append(transaction, [entry])
        except BaseException:
            self._log.rolled_back()
            raise
        finally:
            self._forget_facts()
        self._log.committed()
        return result

    def _forget_facts(self) -> None:
        """Facts that were read before somebody else's change may be wrong."""
        for ledger in self._ledgers.values():
            if isinstance(ledger, RemembersFacts):
                ledger.forget()

    def _run_change(self, work: Work, transaction: Transaction) -> tuple[Any, bytes]:
        """What the change returned, and its audit entry.

        Raises:
            Exception: the database failed. _ChangeFailedError: anything else did.
        """
        try:
            result = work.change(transaction)
            return result, work.story(result).entry(Verdict(None))
        except Exception as error:
            if self._database.made(error):
                raise
            raise _ChangeFailedError(error) from error

    def _explain(self, error: Exception) -> SignerError:
        """What callers hear of an error that nothing more is tried against."""
        match self._database.failure_of(error):
            case Failure.FULL:
                self._full = True
                return JournalDownError("no space left for the database; nothing was recorded or signed")
            case Failure.REFUSED:
                return JournalDownError(f"the database refused this record; nothing was changed: {error}")
            case Failure.AGAIN:
                return JournalDownError(f"other signers came in the way of this record too often: {error}")
            case Failure.DOWN:
                self._down = True
                return DatabaseDownError(f"the database does not serve, so nothing was recorded or signed: {error}")
            case Failure.UNKNOWN:
                self._down = True
                return OutcomeUnknownError(
                    f"the connection was lost in the commit, so nothing is signed; asking again is safe: {error}"
                )
            case Failure.FATAL:
                return self._die(error)

    def _die(self, error: Exception) -> SignerError:
        self._death = JournalDownError(f"the journal has stopped: {error}")
        self._on_death(error)
        return OutcomeUnknownError(f"the journal cannot say whether this was recorded, so nothing is signed: {error}")

    def _refuse(self, item: Waiting | Work) -> None:
        waiters = item.waiters if isinstance(item, Waiting) else (item.future,)
        tell(item.loop, [(waiter, self._death) for waiter in waiters])
