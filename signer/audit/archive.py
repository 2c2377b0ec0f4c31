"""Old batches leave the database for files of their own, and the log stays one log.

An archive file holds whole batches in order, begins where the one before ended, and is durable before the rows it holds
are deleted. The deletion moves `audit_start` in the same transaction, so a log whose archives were taken elsewhere
still verifies from where the database begins.

File: a line of text `holdfast-audit-archive v1 <log id> <first index> <head before>`, then for each batch its first
index (8 bytes), count (4), head (32), length (4) and entries.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from signer.audit.chain import EMPTY_HEAD, unpack
from signer.audit.entry import decode_entry
from signer.audit.verify import StoredBatch
from signer.errors import AuditError
from signer.journal.ledger import Transaction

BATCHES_PER_FILE = 4096
"""Bounds the deletion's transaction, and so how long signing waits for it."""

_MARK = "holdfast-audit-archive v1"
_BATCH = struct.Struct(">QI32sI")
_DELETE = "DELETE FROM audit_batches WHERE first_index < ?"
_MOVE_START = """
INSERT INTO audit_start (id, size, head) VALUES (1, ?1, ?2)
ON CONFLICT (id) DO UPDATE SET size = ?1, head = ?2
"""


@dataclass(frozen=True, slots=True)
class LogStart:
    """Where the log in the database begins: its size and head at that point."""

    size: int
    head: bytes


def read_start(transaction: Transaction) -> LogStart:
    """The beginning of what the database holds; 0 and the empty head where nothing was archived."""
    for size, head in transaction.rows("SELECT size, head FROM audit_start"):
        return LogStart(int(size), bytes(head))
    return LogStart(0, EMPTY_HEAD)


def choose_old(batches: Iterable[StoredBatch], *, before_ms: int) -> list[StoredBatch]:
    """The oldest batches, all of whose entries are older; never the newest batch of the log, and not too many."""
    old: list[StoredBatch] = []
    previous: StoredBatch | None = None
    for batch in batches:
        if previous is not None:
            old.append(previous)
        previous = batch
        newest = max((decode_entry(entry).time_ms for entry in unpack(batch.entries)), default=0)
        if newest >= before_ms or len(old) >= BATCHES_PER_FILE:
            break
    return old


def archive_name(batches: list[StoredBatch]) -> str:
    """A file name that sorts in the log's order."""
    last = batches[-1]
    return f"audit-{batches[0].first_index:016d}-{last.first_index + last.count - 1:016d}.log"


def encode_archive(batches: list[StoredBatch], *, log_id: bytes, start: LogStart) -> bytes:
    """The whole file."""
    lines = [f"{_MARK} {log_id.hex()} {start.size} {start.head.hex()}\n".encode()]
    for batch in batches:
        lines.append(_BATCH.pack(batch.first_index, batch.count, batch.head, len(batch.entries)))
        lines.append(batch.entries)
    return b"".join(lines)


def decode_archive(data: bytes) -> tuple[LogStart, list[StoredBatch]]:
    """Where the file begins, and its batches.

    Raises:
        AuditError: it is not a whole archive file.
    """
    line, _, rest = data.partition(b"\n")
    words = line.decode(errors="replace").removeprefix(_MARK + " ").split(" ")
    if not line.startswith(_MARK.encode()) or len(words) != 3:
        raise AuditError("this is not an audit archive of version 1")
    return LogStart(int(words[1]), bytes.fromhex(words[2])), list(_batches(rest))


def archived_batches(directory: Path) -> Iterator[StoredBatch]:
    """The batches of every archive file in a directory, in order.

    Raises:
        AuditError: a file cannot be read as an archive.
    """
    for file in sorted(directory.glob("audit-*.log")):
        try:
            yield from decode_archive(file.read_bytes())[1]
        except (AuditError, ValueError, struct.error) as error:
            raise AuditError(f"{file.name}: {error}") from error


def forget(transaction: Transaction, *, end: LogStart) -> None:
    """Delete the rows before `end`. A crash before the commit leaves them beside their archive, which is harmless."""
    transaction.run(_DELETE, (end.size,))
    transaction.run(_MOVE_START, (end.size, end.head))


def _batches(data: bytes) -> Iterator[StoredBatch]:
    at = 0
    while at < len(data):
        first, count, head, length = _BATCH.unpack_from(data, at)
        at += _BATCH.size
        if at + length > len(data):
            raise AuditError("cut short")
        yield StoredBatch(first, count, head, data[at : at + length])
        at += length
