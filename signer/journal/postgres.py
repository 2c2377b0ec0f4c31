"""The shared database: one connection to PostgreSQL as the writer sees it.

A batch costs a few round trips, whatever its size: begin with lease and locks; facts, one statement for each kind of
claim; rows, audit entries and commit. Attestations cost four: states of keys and votes are two kinds. What a batch
writes is gathered and sent with its commit.

Rule 1: locks are taken by a statement of their own before facts are read (READ COMMITTED): a statement that locks and
reads at once has its snapshot from before the lock, and misses what its holder committed.
Rule 2: a connection lost in the commit leaves an unknown outcome. The next batch waits until a new connection has taken
the lease with a new token, which waits for the lost transaction, and has compared the audit log with what we know.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg

from signer.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    LeaseLostError,
    RolledBackError,
    StartupError,
)
from signer.journal.database import NO_CLAIMS, Claims, Failure, StaleFactsError
from signer.journal.lease import IDLE_IN_TRANSACTION, Lease
from signer.journal.ledger import Row, Transaction
from signer.journal.postgres_session import LostConnectionError, Session, StillConnectingError, filled
from signer.journal.postgres_setup import SharedPlace, check_server
from signer.journal.statement import Sql, shared_text

PENDING_BYTES = 1 << 20
"""Writes gathered up to this size before they are sent on their own: an import's."""

_RETRY_SECONDS = 0.25
"""After a failed attempt to connect, the next ones within this time fail at once: nobody queues for each of them."""

_CAME_BETWEEN = frozenset({"40001", "40P01", "23505"})
"""serialization_failure, deadlock_detected, unique_violation: another signer's commit came first."""

_LEASE_LOST, _LEASE_ENDED = "HF001", "HF002"

_POLICIES_CHANGED = "HF010"
"""Raised in the commit: what a ledger remembers of the policies is not so any more."""

Lock = tuple[int, int]
"""Class and id of an advisory lock."""

LockPlan = Callable[[Transaction, Claims], Iterable[Lock]]
"""The locks that the claims of a batch need; may read and write in transactions of its own, before the batch's."""


class PostgresDatabase:
    """One connection for writing (`Database`), and the transaction that is open on it (`Transaction`)."""

    def __init__(
        self,
        address: str,
        place: SharedPlace,
        lease: Lease,
        *,
        locks: LockPlan,
        deadline_seconds: float,
        confirm: Callable[[Transaction], None],
    ) -> None:
        """`confirm` compares the audit log with what we know of it, after each connect; it raises StartupError."""
        self._address = address
        self._place = place
        self._lease = lease
        self._locks = locks
        self._deadline_seconds = deadline_seconds
        self._confirm = confirm
        self._session: Session | None = None
        self._ends = 0.0
        self._renew_at = 0.0
        self._retry_at = 0.0
        self._last_failure: Exception | None = None
        self._steps = (self._open_session, self._check_session, self._take_over, self._compare, self._declare)
        self._done = 0
        """How many of the steps to a usable connection are done."""
        self._pending: list[str] = []
        self._pending_bytes = 0
        self._tag = ""
        """What the server said of the last statement that was sent."""
        self._open = False

    # --- Transaction -------------------------------------------------------------------------------

    def rows(self, statement: Sql, values: Sequence[Any] = ()) -> Iterable[Row]:
        """See `Transaction.rows`."""
        self._flush()
        return self._connected().rows(shared_text(statement), values, seconds=self._left())

    def run(self, statement: Sql, values: Sequence[Any] = ()) -> None:
        """See `Transaction.run`. Sent with the next read, or with the commit."""
        text = filled(shared_text(statement), values)
        if not text:
            return
        self._pending.append(text)
        self._pending_bytes += len(text)
        if not self._open or self._pending_bytes > PENDING_BYTES:
            self._flush()

    def changed(self) -> int:
        """See `Transaction.changed`."""
        self._flush()
        return int(self._tag.rpartition(" ")[2])

    def run_many(self, statement: Sql, values: Iterable[Sequence[Any]]) -> None:
        """See `Transaction.run_many`."""
        for one in values:
            self.run(statement, one)

    # --- Database ----------------------------------------------------------------------------------

    def ready(self) -> None:
        """See `Database.ready`. Connects again where the connection is gone."""
        self._ends = time.monotonic() + self._deadline_seconds
        if self._session is None or not self._session.is_open:
            self._done = 0
        if self._done < len(self._steps):
            self._connect()

    def open(self, *, seconds: float) -> None:
        """Connect for the first time, as `ready` does, with more patience. Raises what `ready` raises."""
        ends = time.monotonic() + seconds
        while True:
            try:
                return self.ready()
            except StillConnectingError:
                if time.monotonic() > ends:
                    raise

    @contextmanager
    def transaction(self, claims: Claims = NO_CLAIMS) -> Iterator[Transaction]:
        """See `Database.transaction`."""
        locks = sorted(set(self._locks(self, claims)))
        self._begin(locks)
        self._open = True
        try:
            yield self
        except BaseException:
            self._roll_back()
            raise
        self._commit()

    def failure_of(self, error: Exception) -> Failure:
        """See `Database.failure_of`."""
        match error:
            case LostConnectionError():
                return Failure.UNKNOWN if error.in_commit else Failure.DOWN
            case StaleFactsError():
                return Failure.AGAIN
            case asyncpg.PostgresError():
                return _failure_of_state(error.sqlstate or "")
            case RolledBackError() | ForeignDatabaseError() | CorruptDatabaseError() | LeaseLostError():
                return Failure.FATAL
            case StartupError():
                return Failure.DOWN
            case _:
                return Failure.FATAL

    def made(self, error: Exception) -> bool:
        """See `Database.made`."""
        return isinstance(error, asyncpg.PostgresError | LostConnectionError)

    @property
    def needs_rest(self) -> bool:
        """See `Database.needs_rest`: the lease is due."""
        return time.monotonic() >= self._renew_at

    def rest_within(self, *, full: bool) -> float | None:  # noqa: ARG002 - the server's disk is the server's
        """See `Database.rest_within`."""
        return max(0.05, self._renew_at - time.monotonic())

    def rest(self, *, last: bool = False) -> bool:
        """Renew the lease, or give it back."""
        self._renew_at = time.monotonic() + self._lease.renewal_seconds
        if last:
            with suppress(LostConnectionError, asyncpg.PostgresError):
                self._lease.release(self._connected(), seconds=self._deadline_seconds)
            return True
        self.ready()
        try:
            self._lease.renew(self._connected(), seconds=self._left())
        except asyncpg.PostgresError as error:
            if error.sqlstate != _LEASE_ENDED:
                raise
            self._begin_again_with_the_lease()  # taken anew, or found lost
            self.ready()
        self._check_server_again()
        return True

    def close(self) -> None:
        """See `Database.close`."""
        if self._session is not None:
            self._session.close()

    # --- one batch ---------------------------------------------------------------------------------

    def _begin(self, locks: Sequence[Lock]) -> None:
        script = f"BEGIN ISOLATION LEVEL READ COMMITTED; {self._lease.hold}"
        if locks:
            classes, ids = [lock[0] for lock in locks], [lock[1] for lock in locks]
            take = "SELECT pg_advisory_xact_lock(c, i) FROM unnest(?::int[], ?::int[]) AS l (c, i)"
            script = f"{script}; {filled(take, (classes, ids))}"
        try:
            self._connected().script(script, seconds=self._left())
        except BaseException as error:
            self._roll_back()
            if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith("HF"):
                # Ours or lost: taking it anew finds out. Not confirmed by everybody: it may be by then.
                self._begin_again_with_the_lease()
            raise

    def _commit(self) -> None:
        script = ";\n".join([*self._pending, "COMMIT"])
        self._forget()
        try:
            # Crash before this line: nothing of the batch is on record. Crash after it: all of it is.
            self._connected().script(script, seconds=self._left(), commits=True)
        except asyncpg.PostgresError:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        self._forget()
        session = self._session
        if session is None or not session.is_open:
            return
        try:
            session.script("ROLLBACK", seconds=self._deadline_seconds)
        except (asyncpg.PostgresError, LostConnectionError):
            session.abandon()

    def _flush(self) -> None:
        if self._pending:
            script = ";\n".join(self._pending)
            self._pending, self._pending_bytes = [], 0
            self._tag = self._connected().script(script, seconds=self._left())

    def _forget(self) -> None:
        self._pending, self._pending_bytes, self._open = [], 0, False

    def _left(self) -> float:
        return self._ends - time.monotonic()

    def _connected(self) -> Session:
        if self._session is None:
            raise LostConnectionError("there is no connection")
        return self._session

    # --- one connection ----------------------------------------------------------------------------

    def _connect(self) -> None:
        """A connection that may be used: checked, under our lease, and with the log that we know.

        On a slow line that takes longer than one caller may wait: then the next one's call goes on with the next step.
        """
        if self._last_failure is not None and time.monotonic() < self._retry_at:
            raise self._last_failure
        try:
            while self._done < len(self._steps):
                self._check_time()
                self._steps[self._done]()
                self._done += 1
        except StillConnectingError:
            raise
        except (LostConnectionError, StartupError, asyncpg.PostgresError) as error:
            if isinstance(error, LostConnectionError):
                error.in_commit = False  # nothing of a batch was under way
            if isinstance(error, RolledBackError | CorruptDatabaseError):
                self._lease.protest(self._connected(), seconds=self._deadline_seconds)
            if self._session is not None:
                self._session.abandon()
            self._last_failure, self._retry_at = error, time.monotonic() + _RETRY_SECONDS
            raise
        self._last_failure = None

    def _check_time(self) -> None:
        if self._done and self._left() < self._deadline_seconds / 2:
            raise StillConnectingError("still connecting")

    def _open_session(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = Session(
            self._address,
            settings={
                "search_path": self._place.search_path(self._lease.instance),
                "lock_timeout": f"{int(self._deadline_seconds * 1000)}ms",
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
                # Planning what every batch says, and each look at a validator for a new row's reference, takes longer
                # than doing it. A kept plan serves: whatever the values, it goes by the same index (test_plans.py).
                "plan_cache_mode": "auto",
            },
        )
        self._session.open(seconds=self._left())

    def _check_session(self) -> None:
        session = self._connected()
        check_server(session, seconds=self._left())
        found = session.rows("SELECT database_id FROM holdfast.identity", seconds=self._left())
        if [bytes(row[0]) for row in found] != [self._place.database_id]:
            raise ForeignDatabaseError(
                "this is another database than the one we started with",
                remedy="point journal.url at the database that belongs to this signer",
            )

    def _check_server_again(self) -> None:
        """What was safe when we connected may have been changed since (`fsync`, say): then nothing more is signed."""
        try:
            check_server(self._connected(), seconds=self._left())
        except StartupError:
            self._done = min(self._done, self._steps.index(self._check_session))
            raise

    def _begin_again_with_the_lease(self) -> None:
        self._done = min(self._done, self._steps.index(self._take_over))

    def _take_over(self) -> None:
        self._lease.take(self._connected(), seconds=self._left(), new_run=False)
        self._renew_at = time.monotonic() + self._lease.renewal_seconds

    def _compare(self) -> None:
        self._confirm(self)

    def _declare(self) -> None:
        values = (self._lease.instance, self._lease.token)
        self._connected().rows("SELECT holdfast.confirm_log(?, ?)", values, seconds=self._left())


def _failure_of_state(state: str) -> Failure:
    if state in _CAME_BETWEEN or state in (_LEASE_ENDED, _POLICIES_CHANGED):
        return Failure.AGAIN
    if state == _LEASE_LOST:
        return Failure.AGAIN  # taking the lease anew says for good whose it is
    if state.startswith(("22", "23", "P0")):
        return Failure.REFUSED
    return Failure.DOWN
