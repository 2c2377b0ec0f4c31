"""Folding the write-ahead log into the database file, so that the file can be told from an older copy of itself.

SQLite would replay a left-over write-ahead log over any older copy of the file that is put beside it, and the mixture
passes its checks. So the file carries a mark: 16 random bytes that change with every checkpoint. The head file knows
which marks the file itself may carry: the one it had before the last checkpoint, or the one that checkpoint brought.
An older copy carries neither.

Rule 1: nothing else checkpoints: not a commit, not the closing of a connection.
Rule 2: the new mark is in the write-ahead log and both marks are in the head file, durable, before any page is moved.
"""

import secrets
from urllib.parse import quote

import apsw

from signer.errors import RolledBackError
from signer.journal.ledger import MarkKeeper, Marks, Transaction
from signer.journal.sqlite import SqliteDatabase

DUE_PAGES = 1000
"""Pages in the write-ahead log at which it is folded in: SQLite's own default, 4 MB."""

_WRITE = "UPDATE identity SET file_mark = ?"
_READ = "SELECT file_mark FROM identity"


class Checkpointer:
    """Owned by the writer, used on its thread between two batches."""

    def __init__(self, database: SqliteDatabase, keeper: MarkKeeper) -> None:
        self._database = database
        self._keeper = keeper

    @property
    def due(self) -> bool:
        """True when the write-ahead log has grown long enough."""
        return self._database.wal_pages >= DUE_PAGES

    def run(self, *, empty_the_log: bool = False) -> None:
        """Fold the log in, as far as readers allow; with `empty_the_log` wait for them and leave none.

        A crash at any line leaves a file with one of the noted marks, and a log that completes it.

        Raises:
            RolledBackError: the file was replaced by another copy while it was in use.
            apsw.Error, OSError: as any write.
        """
        found = read_file_mark(self._database)
        check_file_mark(found, self._keeper.marks)
        following = secrets.token_bytes(16)
        with self._database.transaction():
            write_file_mark(self._database, following)
        self._keeper.note_marks((found, following))
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if empty_the_log else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._database.connection.wal_checkpoint(mode=mode)
        self._database.wal_pages = 0
        if read_file_mark(self._database) == following:
            # A reader may have kept the page back; then the file before this checkpoint is still a right one.
            self._keeper.note_marks((following, following))


def write_file_mark(transaction: Transaction, mark: bytes) -> None:
    """The mark that the next checkpoint brings into the file."""
    transaction.run(_WRITE, (mark,))


def read_file_mark(database: SqliteDatabase) -> bytes:
    """The mark in the database file itself, whatever its write-ahead log says."""
    address = f"file:{quote(str(database.path))}?immutable=1"
    connection = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        # A crash within a checkpoint leaves a first page that tells of more pages than the file has yet: whole together
        # with its log, and called malformed without it, unless this is set (SQLite's btree.c, lockBtree).
        connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
        ((mark,),) = connection.execute(_READ)
        return bytes(mark)
    finally:
        connection.close()


def check_file_mark(found: bytes, marks: Marks | None) -> None:
    """The file must be the one that the head file tells of.

    Raises:
        RolledBackError: it is an older copy, or another's.
    """
    if marks is not None and found not in marks:
        raise RolledBackError(
            "the database file is not the one that its head file tells of: an older copy was put in its place",
            remedy="put the newest database back; if this restore is meant, stop every other signer of these keys, then"
            " run `holdfast slashing accept-restore`: it raises every watermark above what may have been lost",
        )
