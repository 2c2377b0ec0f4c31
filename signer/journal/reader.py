"""Reading beside the writer: a connection of its own, one moment of the record, and no wait for either.

Rule: a moment begins when it is asked for, never before: whatever was committed by then is in it. A connection that is
kept for the next question holds nothing open.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import apsw

from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase

Reading = Callable[[], AbstractContextManager[Transaction]]
"""Opens one moment of the record to read, and closes it on leaving. Blocks: use it on a thread. Nothing can be written
through it."""

MOST_IDLE = 2
"""Connections that are kept for the next question: most questions come one by one. To open one takes 250 us, a question
with one that is open 12. Each may hold 2 MB of pages."""


class SqliteReader:
    """Moments of one embedded record. Owned by the process; may be used on several threads at once. `close` it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[_Opened] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def moment(self) -> Iterator[Transaction]:
        """One moment to read, of all statements together; the writer goes on meanwhile. Blocks: use it on a thread.

        Raises StartupError: it cannot be read.
        """
        opened = self._take_idle() or _Opened(self._path)
        kept = False
        try:
            with opened.database.snapshot() as moment:
                yield moment
            kept = self._give_back(opened)
        finally:
            if not kept:
                opened.database.close()

    def close(self) -> None:
        """Let go of the idle connections; those in use follow when their moment ends."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for opened in idle:
            opened.database.close()

    def _take_idle(self) -> "_Opened | None":
        while True:
            with self._lock:
                if not self._idle:
                    return None
                opened = self._idle.pop()
            if opened.is_current(self._path):
                return opened
            opened.database.close()

    def _give_back(self, opened: "_Opened") -> bool:
        """False where it is not to be used again: it is one too many, or somebody still reads with it."""
        if opened.still_reads:
            return False
        with self._lock:
            if self._closed or len(self._idle) >= MOST_IDLE:
                return False
            self._idle.append(opened)
            return True


class _Opened:
    """A connection, and which file it has opened."""

    def __init__(self, path: Path) -> None:
        self.database = SqliteDatabase(path, read_only=True)
        self._file = _identity(path)

    def is_current(self, path: Path) -> bool:
        """False where another file has been put in its place, or none is there any more."""
        return self._file is not None and self._file == _identity(path)

    @property
    def still_reads(self) -> bool:
        """True where rows of a moment that has ended were not read to the end: SQLite stays in that moment, and the
        next question would see an old one.
        """
        return self.database.connection.txn_state() != apsw.SQLITE_TXN_NONE


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def read_sqlite(path: Path) -> Iterator[Transaction]:
    """One moment of the database at this path, for whoever reads once; the writer goes on meanwhile.

    Raises StartupError: it cannot be read.
    """
    database = SqliteDatabase(path, read_only=True)
    try:
        with database.snapshot() as moment:
            yield moment
    finally:
        database.close()
