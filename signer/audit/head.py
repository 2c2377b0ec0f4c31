"""The head file: where the audit log stood, kept outside the database, so that one that went back in time is seen.

It holds two records of fixed size, written in turn, so that a torn write leaves the other. Each is one line of text:

    holdfast-head v1 <database id> <log id> <size> <head> <mark> <next mark> <time> <reach> <sequence> <check>

The writer puts the new head after each commit and before any signature of it is released (one small write, no fsync);
a thread of its own makes it durable each second. So a crash of the process loses nothing, a power cut at most a second
of it, and the file is never ahead of the database it stands for.
"""

import logging
import os
import threading
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from signer.durable import write_durably
from signer.errors import CorruptDatabaseError, StartupError
from signer.journal.ledger import Marks

SYNC_SECONDS = 1.0
"""How often the head is made durable, seconds."""

RECORD_BYTES = 512
"""Size of one record: a sector, so that a disk writes it whole."""

_MARK = "holdfast-head v1"

_log = logging.getLogger("holdfast.audit")


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log stands."""

    database_id: bytes
    """16 bytes, drawn when the database was made."""

    log_id: bytes
    """16 bytes, drawn when the log was begun; with one signer the database's own."""

    size: int
    """Number of entries: the generation of this instance."""

    head: bytes
    """32 bytes, the chain's head after them."""

    marks: Marks | None = None
    """What the database file itself may carry (`journal/checkpoint.py`); None before the first checkpoint."""

    time_ms: int = 0
    """The latest time at which a head was put, in milliseconds since the Unix epoch: no signature is younger."""

    reach_epochs: int = 0
    """The furthest ahead of the clock that the guard of any run allowed."""

    sequence: int = field(default=0, compare=False)
    """Grows with every put: tells two records of one size apart."""


class HeadFile:
    """Owned by the audit log for the life of the process; `put` is called by the writer's thread alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        records = _records(os.pread(self._file, 2 * RECORD_BYTES, 0))
        self._turn = 1 if _age(records[1]) < _age(records[0]) else 0
        self._sequence = max(0, *(-1 if record is None else record.sequence for record in records))
        newest = max(records, key=_age)
        self._newest = None if newest is None else encode_head(newest)
        self._change = threading.Lock()
        """Held while a record is written, and while a file that was taken away is written again."""
        self._dirty = threading.Event()
        self._stopped = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._keep_durable, name="audit-head", daemon=True)
        self._thread.start()

    def put(self, head: Head) -> None:
        """Write the newest head over the older record. Visible to the next start even if the process dies now.

        Raises:
            OSError: the file cannot be written, or was not made durable; nothing may be signed.
        """
        if self._failure is not None:
            raise self._failure
        self._sequence += 1
        record = encode_head(replace(head, sequence=self._sequence))
        with self._change:
            os.pwrite(self._file, record, self._turn * RECORD_BYTES)
            self._turn ^= 1
            self._newest = record
        self._dirty.set()

    def sync(self) -> None:
        """Make what was put durable now."""
        self._dirty.clear()
        os.fdatasync(self._file)

    def close(self) -> None:
        """Make it durable and stop."""
        self._stopped.set()
        self._thread.join()
        self.sync()
        self._stand_in_its_place()
        os.close(self._file)

    def _keep_durable(self) -> None:
        while not self._stopped.wait(SYNC_SECONDS):
            try:
                self._stand_in_its_place()
                if self._dirty.is_set():
                    self.sync()
            except OSError as error:
                self._failure = error  # after a failed sync nobody knows what the disk holds: `put` says so
                return

    def _stand_in_its_place(self) -> None:
        """Write the file again where it was removed or replaced: nobody but us knows where the log stands.

        Raises:
            OSError: it cannot be written there.
        """
        if _is_file_at(self._file, self._path) or self._newest is None:
            return
        with self._change:
            write_durably(self._path, 2 * self._newest, private=True)
            # Crash before this line or after it: the file tells the newest head.
            again = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(again, self._file, inheritable=False)
            os.close(again)
        _log.warning("the head file %s was removed or replaced while in use; it was written again", self._path)


def _is_file_at(descriptor: int, path: Path) -> bool:
    """True while the path leads to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def create_head_file(path: Path, head: Head) -> None:
    """Begin a head file, or begin it anew; durable with its directory entry when it returns.

    A crash leaves the old file or the new one, never an empty one that would refuse the next start.

    Raises:
        StartupError: it cannot be written.
    """
    try:
        write_durably(path, 2 * encode_head(head), private=True)
    except OSError as error:
        raise StartupError(
            f"the head file {path} cannot be written: {error}", remedy="check storage.head_file and its directory"
        ) from error


def read_head(path: Path) -> Head | None:
    """The newest whole record, or None where there is no file.

    Raises:
        CorruptDatabaseError: the file is there, and neither record can be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartupError(
            f"the head file {path} cannot be read: {error}", remedy="check its owner and mode"
        ) from error
    whole = [head for head in _records(data) if head is not None]
    if not whole:
        raise CorruptDatabaseError(
            f"the head file {path} holds no whole record",
            remedy="restore it from the same moment as the database, or run `holdfast slashing accept-restore`",
        )
    return max(whole, key=_age)


def _records(data: bytes) -> list[Head | None]:
    return [decode_head(data[at : at + RECORD_BYTES]) for at in (0, RECORD_BYTES)]


def _age(head: Head | None) -> tuple[int, int]:
    return (-1, -1) if head is None else (head.size, head.sequence)


def encode_head(head: Head) -> bytes:
    """One record, padded to its size."""
    mark, following = ("-", "-") if head.marks is None else (mark.hex() for mark in head.marks)
    text = (
        f"{_MARK} {head.database_id.hex()} {head.log_id.hex()} {head.size} {head.head.hex()}"
        f" {mark} {following} {head.time_ms} {head.reach_epochs} {head.sequence}"
    )
    line = f"{text} {_check(text)}"
    return line.encode().ljust(RECORD_BYTES - 1) + b"\n"


def decode_head(record: bytes) -> Head | None:
    """The head in a record, or None when it is torn, empty or foreign."""
    text, _, check = record.decode(errors="replace").rstrip().rpartition(" ")
    if not text.startswith(_MARK + " ") or check != _check(text):
        return None
    words = text.removeprefix(_MARK + " ").split(" ")
    if len(words) != 9:
        return None
    database_id, log_id, size, head, mark, following, time_ms, reach, sequence = words
    marks = None if mark == "-" else (bytes.fromhex(mark), bytes.fromhex(following))
    return Head(
        bytes.fromhex(database_id),
        bytes.fromhex(log_id),
        int(size),
        bytes.fromhex(head),
        marks,
        int(time_ms),
        int(reach),
        int(sequence),
    )


def _check(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
