"""The embedded database as the writer sees it: its file under our feet, its checkpoints, and what its errors mean."""

import time
from contextlib import AbstractContextManager

import apsw

from signer.journal.checkpoint import Checkpointer
from signer.journal.database import NO_CLAIMS, Claims, Failure
from signer.journal.files import FilesInUse
from signer.journal.ledger import MarkKeeper, Transaction
from signer.journal.sqlite import SqliteDatabase

PROBE_SECONDS = 5.0
"""How often a full disk is tried again while nobody asks for anything, and a checkpoint that could not be made."""


class Embedded:
    """SQLite behind the writer (`Database`). One writer has the whole file, so claims need no locks."""

    def __init__(self, database: SqliteDatabase, keeper: MarkKeeper) -> None:
        self._database = database
        self._files = FilesInUse(database.path)
        self._checkpointer = Checkpointer(database, keeper)
        self._again_at: float | None = None
        """When a checkpoint that could not be made is tried again, in seconds of the steady clock."""

    def ready(self) -> None:
        """See `Database.ready`. Raises FileNotFoundError: a file is not the one it was."""
        self._files.check()

    def transaction(self, claims: Claims = NO_CLAIMS) -> AbstractContextManager[Transaction]:  # noqa: ARG002 - no locks
        """See `Database.transaction`."""
        return self._database.transaction()

    def failure_of(self, error: Exception) -> Failure:
        """See `Database.failure_of`."""
        if isinstance(error, apsw.FullError):
            return Failure.FULL
        if isinstance(error, apsw.ConstraintError) and not _of_the_log(error):
            return Failure.REFUSED
        return Failure.FATAL

    def made(self, error: Exception) -> bool:
        """See `Database.made`."""
        return isinstance(error, apsw.Error)

    @property
    def needs_rest(self) -> bool:
        """See `Database.needs_rest`."""
        # Each try is a commit of its own: one that could not be made is not tried again with every batch.
        return self._checkpointer.due and (self._again_at is None or time.monotonic() >= self._again_at)

    def rest_within(self, *, full: bool) -> float | None:
        """See `Database.rest_within`."""
        return PROBE_SECONDS if full or self._again_at is not None else None

    def rest(self, *, last: bool = False) -> bool:
        """Fold the write-ahead log in. Raises: as `Checkpointer.run`."""
        self._files.check()
        try:
            self._checkpointer.run(empty_the_log=last)
        except (apsw.FullError, apsw.BusyError) as error:
            # Nothing is lost: the log stays as it is, and is folded in later. Whoever reads or copies the database
            # meanwhile does not keep a commit from being made: that is no full disk.
            self._again_at = time.monotonic() + PROBE_SECONDS
            return isinstance(error, apsw.BusyError)
        self._again_at = None
        self._files.note(wal_may_shrink=last)
        return True

    def close(self) -> None:
        """See `Database.close`."""
        self._database.close()


def _of_the_log(error: apsw.ConstraintError) -> bool:
    """Another writer has appended to our log: the database is not ours alone, and nothing we know of it holds."""
    return "audit_batches" in str(error)
