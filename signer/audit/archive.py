"""Old batches leave the database for files of their own, and the log stays one log.

An archive file holds whole batches in order, begins where the one before ended, and is durable before the rows it holds
are deleted. The deletion moves `audit_start` in the same transaction, so a log whose oldest archives were taken
elsewhere still verifies from where the rest begins.

File: a line of text `holdfast-audit-archive v1 <log id> <first index> <head before>`, then for each batch its first
index (8 bytes), count (4), head (32), length (4) and entries.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from signer.audit.chain import EMPTY_HEAD, unpack
from signer.audit.entry import entry_time_ms
from signer.audit.verify import StoredBatch, verify_log
from signer.errors import AuditError
from signer.journal.ledger import Transaction

FILE_BYTES = 16 * 1024 * 1024
"""A file is full at about this size: bounds the memory that reading it takes, and the transaction that deletes its
rows, for which signing waits."""

_MARK = "holdfast-audit-archive v1"
_BATCH = struct.Struct(">QI32sI")
_DELETE = "DELETE FROM audit_batches WHERE first_index < ?"
_MOVE_START = """
INSERT INTO audit_start (id, size, head) VALUES (1, ?1, ?2)
ON CONFLICT (id) DO UPDATE SET size = ?1, head = ?2
"""


@dataclass(frozen=True, slots=True)
class LogStart:
    """Where the log in the database, or in a file, begins: its size and head at that point."""

    size: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Archive:
    """One file's content."""

    log_id: bytes
    start: LogStart
    batches: list[StoredBatch]


def read_start(transaction: Transaction) -> LogStart:
    """The beginning of what the database holds; 0 and the empty head where nothing was archived."""
    for size, head in transaction.rows("SELECT size, head FROM audit_start"):
        return LogStart(int(size), bytes(head))
    return LogStart(0, EMPTY_HEAD)


def choose_old(batches: Iterable[StoredBatch], *, before_ms: int) -> list[StoredBatch]:
    """The oldest batches, all of whose entries are older; never the newest batch of the log, and one file's worth.

    Raises:
        AuditError: a batch cannot be read.
    """
    old: list[StoredBatch] = []
    size = 0
    previous: StoredBatch | None = None
    for batch in batches:
        if previous is not None:
            old.append(previous)
            size += len(previous.entries)
        previous = batch
        newest = max((entry_time_ms(entry) for entry in unpack(batch.entries)), default=0)
        if newest >= before_ms or size >= FILE_BYTES:
            break
    return old


def archive_name(log_id: bytes, batches: list[StoredBatch]) -> str:
    """A file name that sorts in the log's order."""
    last = batches[-1]
    return f"{_stem(log_id)}{batches[0].first_index:016d}-{last.first_index + last.count - 1:016d}.log"


def encode_archive(archive: Archive) -> bytes:
    """The whole file."""
    lines = [f"{_MARK} {archive.log_id.hex()} {archive.start.size} {archive.start.head.hex()}\n".encode()]
    for batch in archive.batches:
        lines.append(_BATCH.pack(batch.first_index, batch.count, batch.head, len(batch.entries)))
        lines.append(batch.entries)
    return b"".join(lines)


def decode_archive(data: bytes) -> Archive:
    """A file's content.

    Raises:
        AuditError: it is not a whole archive file.
    """
    line, _, rest = data.partition(b"\n")
    words = line.decode(errors="replace").removeprefix(_MARK + " ").split(" ")
    if not line.startswith(_MARK.encode()) or len(words) != 3:
        raise AuditError("this is not an audit archive of version 1")
    try:
        start = LogStart(int(words[1]), bytes.fromhex(words[2]))
        return Archive(bytes.fromhex(words[0]), start, list(_batches(rest)))
    except (ValueError, struct.error) as error:
        raise AuditError(f"this audit archive cannot be read: {error}") from error


def verify_archives(directory: Path, *, log_id: bytes, end: LogStart) -> int:
    """Every archived entry up to where the database begins; the first index that is at hand.

    Files that begin at `end` or later are no part of the log: their rows are still in the database (see `set_aside`).

    Raises:
        AuditError: at the first fault, naming the file.
    """
    at: LogStart | None = None
    first = end.size
    for file in _files(directory, log_id):
        archive = _read(file, log_id)
        if archive.start.size >= end.size:
            break
        if at is None:
            at, first = archive.start, archive.start.size
        if archive.start != at or (at.size == 0 and at.head != EMPTY_HEAD):
            raise AuditError(f"{file.name} does not begin where the archive before it ends, at entry {at.size}")
        try:
            found = verify_log(archive.batches, size=at.size, head=at.head)
        except AuditError as error:
            raise AuditError(f"{file.name}: {error.sentence}", evidence=error.evidence) from error
        at = LogStart(found.size, found.head)
    if at is not None and at != end:
        raise AuditError(
            f"the archives end at entry {at.size} with another history than the database begins with, at {end.size}",
            evidence={"archives_end": at.size, "database_begins": end.size},
        )
    return first


class ArchivedBatches:
    """Single batches out of the archives, for one walk over a few of them. Owned by one thread.

    Whether the archives are what they were is not looked at: `verify_archives` is for that.
    """

    def __init__(self, directory: Path, *, log_id: bytes) -> None:
        self._log_id = log_id
        self._files = _files(directory, log_id)
        self._name, self._batches = "", list[StoredBatch]()
        """Of the file that was read last."""

    def find(self, index: int) -> StoredBatch | None:
        """The batch that has this entry; None where no file at hand does. Raises AuditError: the file is at fault."""
        # A file's name has a hyphen after its first index, which sorts before the dot.
        last = f"{_stem(self._log_id)}{index:016d}."
        following = bisect_right(self._files, last, key=lambda file: file.name)
        if following == 0:
            return None
        file = self._files[following - 1]
        if file.name != self._name:
            self._name, self._batches = file.name, _read(file, self._log_id).batches
        at = bisect_right(self._batches, index, key=lambda batch: batch.first_index) - 1
        found = self._batches[at] if at >= 0 else None
        return found if found is not None and index < found.first_index + found.count else None


def set_aside(directory: Path, *, log_id: bytes, start: LogStart) -> None:
    """Rename archives whose rows the database still holds: of a crash before their deletion, or of an abandoned branch.

    They keep their content, for whoever wants to know what a restored database had lost. Raises OSError.
    """
    least = f"{_stem(log_id)}{start.size:016d}"
    for file in _files(directory, log_id):
        if file.name >= least:
            file.rename(file.with_name(file.name + ".superseded"))


def forget(transaction: Transaction, *, end: LogStart) -> None:
    """Delete the rows before `end`. A crash before the commit leaves them beside their archive, which is harmless."""
    transaction.run(_DELETE, (end.size,))
    transaction.run(_MOVE_START, (end.size, end.head))


def _stem(log_id: bytes) -> str:
    return f"audit-{log_id.hex()}-"


def _files(directory: Path, log_id: bytes) -> list[Path]:
    return sorted(directory.glob(_stem(log_id) + "*.log"))


def _read(file: Path, log_id: bytes) -> Archive:
    try:
        archive = decode_archive(file.read_bytes())
    except OSError as error:
        raise AuditError(f"{file.name} cannot be read: {error.strerror}") from error
    except AuditError as error:
        raise AuditError(f"{file.name}: {error.sentence}") from error
    if archive.log_id != log_id:
        raise AuditError(f"{file.name} belongs to another log")
    return archive


def _batches(data: bytes) -> Iterator[StoredBatch]:
    at = 0
    while at < len(data):
        first, count, head, length = _BATCH.unpack_from(data, at)
        at += _BATCH.size
        if at + length > len(data):
            raise AuditError("this audit archive is cut short")
        yield StoredBatch(first, count, head, data[at : at + length])
        at += length
