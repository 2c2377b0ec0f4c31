"""Reading beside the writer on the shared database: connections of their own, one moment of the record each.

Rule 1: a reader never waits for a lock and takes none; it holds back nothing but the server's clean-up.
Rule 2: a statement gives a page, never a table: its rows are held in memory whole.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import asyncpg

from signer.errors import DatabaseDownError, ForeignDatabaseError, StartupError
from signer.journal.ledger import Row, Transaction
from signer.journal.postgres_session import LostConnectionError, Session
from signer.journal.postgres_setup import SharedPlace
from signer.journal.statement import Sql, shared_text

CONNECT_SECONDS = 5.0
"""How long a question waits for its connection."""

STATEMENT_SECONDS = 60.0
"""How long one page may take: a receipt counts every record of 500 validators with one statement."""

MOST_IDLE = 2
"""Connections that are kept for the next question: most questions come one by one."""

MOST_OPEN = 8
"""Questions read at once by one process; the next one waits. Four processes leave a server's 100 connections alone."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class SharedReader:
    """Moments of one shared record. Owned by the process; may be used on several threads at once. `close` it."""

    def __init__(
        self,
        address: str,
        place: SharedPlace,
        instance: bytes,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> None:
        """`address` is a `postgresql://` URL; the audit log that is read is this instance's."""
        self._address = address
        self._place = place
        self._search_path = place.search_path(instance)
        self._connect_seconds = connect_seconds
        self._statement_seconds = statement_seconds
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_OPEN)
        self._closed = False

    @contextmanager
    def moment(self) -> Iterator[Transaction]:
        """One moment to read, of all statements together; the writers go on meanwhile. Blocks: use it on a thread.

        Raises:
            DatabaseDownError: it does not answer, lets us not in, or is another one. Raised by the statements too.
        """
        if not self._places.acquire(timeout=self._connect_seconds):
            raise DatabaseDownError(f"{MOST_OPEN} questions are being read from the database already; ask again")
        try:
            session = self._begun()
            try:
                yield _Moment(session, self._statement_seconds)
            finally:
                self._give_back(session)
        finally:
            self._places.release()

    def close(self) -> None:
        """Let go of the idle connections; those in use follow when their moment ends."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for session in idle:
            session.close()

    def _begun(self) -> Session:
        """A connection in a transaction of its own; an idle one that has died meanwhile is replaced."""
        ends = time.monotonic() + self._connect_seconds
        while (session := self._take_idle()) is not None:
            with suppress(LostConnectionError, asyncpg.PostgresError):
                session.script(_BEGIN, seconds=ends - time.monotonic())
                return session
            session.close()
        session = Session(self._address, settings={"search_path": self._search_path})
        try:
            session.open(seconds=ends - time.monotonic())
            session.script(_BEGIN, seconds=ends - time.monotonic())
            self._check_identity(session, seconds=ends - time.monotonic())
        except (LostConnectionError, asyncpg.PostgresError, StartupError) as error:
            session.close()
            _fail(error)
        except BaseException:
            session.close()
            raise
        return session

    def _check_identity(self, session: Session, *, seconds: float) -> None:
        found = session.rows("SELECT database_id FROM holdfast.identity", seconds=seconds)
        if [bytes(row[0]) for row in found] != [self._place.database_id]:
            raise ForeignDatabaseError(
                "this is another database than the one we started with",
                remedy="point journal.url at the database that belongs to this signer",
            )

    def _take_idle(self) -> Session | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, session: Session) -> None:
        try:
            session.script("ROLLBACK", seconds=self._connect_seconds)
        except (LostConnectionError, asyncpg.PostgresError):
            session.close()
            return
        with self._lock:
            if not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append(session)
                return
        session.close()


@contextmanager
def read_postgres(address: str, place: SharedPlace, instance: bytes) -> Iterator[Transaction]:
    """One moment of a shared record, for whoever reads once. Raises as `SharedReader.moment`."""
    reader = SharedReader(address, place, instance)
    try:
        with reader.moment() as moment:
            yield moment
    finally:
        reader.close()


class _Moment:
    """The open transaction of one question (`Transaction`). The server refuses every write."""

    def __init__(self, session: Session, seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    def rows(self, statement: Sql, values: Sequence[Any] = ()) -> list[Row]:
        """See `Transaction.rows`. Raises DatabaseDownError."""
        try:
            return self._session.rows(shared_text(statement), values, seconds=self._seconds)
        except (LostConnectionError, asyncpg.PostgresError) as error:
            _fail(error)

    def run(self, statement: Sql, values: Sequence[Any] = ()) -> None:
        """See `Transaction.run`: for settings of this transaction. Raises DatabaseDownError."""
        self.rows(statement, values)

    def changed(self) -> int:
        """See `Transaction.changed`: nothing ever."""
        return 0

    def run_many(self, statement: Sql, values: Iterable[Sequence[Any]]) -> None:
        """See `Transaction.run_many`."""
        for one in values:
            self.run(statement, one)


def _fail(error: Exception) -> NoReturn:
    raise DatabaseDownError(f"the shared database cannot be read: {error}") from None
