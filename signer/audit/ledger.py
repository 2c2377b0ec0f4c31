"""The audit log in the journal: one row for each commit, and the head file after it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from signer.audit.chain import EMPTY_HEAD, head_after, pack, unpack
from signer.audit.entry import decode_entry
from signer.audit.head import Head, HeadFile
from signer.journal.ledger import Marks, Transaction

_LAST = "SELECT first_index + count, head FROM audit_batches ORDER BY first_index DESC LIMIT 1"
_APPEND = "INSERT INTO audit_batches (first_index, count, head, entries) VALUES (?, ?, ?, ?)"


class AuditLog:
    """Appends entries within the writer's transaction. Owned by the writer's thread once the writer runs."""

    def __init__(self, head: Head, head_file: HeadFile, *, now: Callable[[], float] = time.time) -> None:
        """`now` tells the seconds since the Unix epoch: the head file remembers the latest."""
        self._head = head
        self._now = now
        self._next: Head | None = None
        self._head_file = head_file

    @property
    def head(self) -> Head:
        """Where the log stands: the last commit's head."""
        return self._head

    def append(self, transaction: Transaction, entries: Sequence[bytes]) -> int:
        """See `AppendLog.append`."""
        at = self._next or self._head
        self._next = append_entries(transaction, at, entries)
        return at.size

    def committed(self) -> None:
        """The new head stands in the head file before any signature of this commit is released."""
        if self._next is not None:
            self._put(self._next)
            self._next = None

    def rolled_back(self) -> None:
        """See `AppendLog.rolled_back`."""
        self._next = None

    def adopt(self, stored: Head) -> None:
        """The database holds more of our log than we knew: a commit whose outcome was lost had happened after all."""
        self._next = None
        self._put(replace(self._head, size=stored.size, head=stored.head))

    @property
    def marks(self) -> Marks | None:
        """See `MarkKeeper.marks`."""
        return self._head.marks

    def note_marks(self, marks: Marks) -> None:
        """See `MarkKeeper.note_marks`."""
        self._put(replace(self._head, marks=marks))
        self._head_file.sync()

    def _put(self, head: Head) -> None:
        head = replace(head, time_ms=max(head.time_ms, int(self._now() * 1000)))
        self._head_file.put(head)
        self._head = head

    def close(self) -> None:
        """Make the head durable; call it after the writer has stopped."""
        self._head_file.close()


def append_entries(transaction: Transaction, at: Head, entries: Sequence[bytes]) -> Head:
    """Write one batch behind a head; the head after it."""
    after = head_after(at.head, entries)
    transaction.run(_APPEND, (at.size, len(entries), after, pack(entries)))
    return replace(at, size=at.size + len(entries), head=after)


def read_log_head(transaction: Transaction, *, database_id: bytes) -> Head:
    """Where the log in the database stands."""
    for size, head in transaction.rows(_LAST):
        return Head(database_id, database_id, int(size), bytes(head))
    return Head(database_id, database_id, 0, EMPTY_HEAD)


def head_at(transaction: Transaction, size: int) -> bytes | None:
    """The chain's head when the log had this many entries, or None where no commit ended there."""
    if size == 0:
        return EMPTY_HEAD
    statement = (
        "SELECT first_index + count, head FROM audit_batches WHERE first_index < ? ORDER BY first_index DESC LIMIT 1"
    )
    for end, head in transaction.rows(statement, (size,)):
        if end == size:
            return bytes(head)
    return None


def newest_entry_ms(transaction: Transaction) -> int:
    """When the newest entry was written, in milliseconds since the Unix epoch; 0 for an empty log."""
    for (blob,) in transaction.rows("SELECT entries FROM audit_batches ORDER BY first_index DESC LIMIT 1"):
        return max(decode_entry(entry).time_ms for entry in unpack(bytes(blob)))
    return 0
