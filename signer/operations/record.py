"""The record of a data directory: its lock, its database, its audit log and its head file, opened in that order.

Everything that can be wrong with it is found here, before a socket is bound or a key is loaded.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.head import Head, HeadFile, create_head_file, read_head
from signer.audit.ledger import AuditLog, read_log_head
from signer.durable import sweep
from signer.errors import CorruptDatabaseError, StartupError
from signer.journal.lock import DirectoryLock
from signer.journal.sqlite import SqliteDatabase, create_database, database_id, open_writer
from signer.journal.writer import MAX_BATCH, CommitObserver, Writer
from signer.slashing.ledger import AttestationLedger, BlockLedger
from signer.slashing.network import NetworkLedger, bind_network
from signer.units import Root

DATABASE_FILE = "journal.sqlite"
"""The database's name in the data directory."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a record is."""

    data_directory: Path
    head_file: Path

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data_directory / DATABASE_FILE


@dataclass(slots=True)
class Record:
    """An open record. Owned by the process; `close` gives everything back in reverse."""

    places: Places
    writer: Writer
    log: AuditLog
    pinned: Root | None
    """The chain this record belongs to; None where nothing has pinned it yet."""

    _lock: DirectoryLock

    async def state(self) -> Mapping[str, str | int | float | None]:
        """What the journal tells of itself, for the status page."""
        return {
            "state": "taking commands" if self.writer.alive else "stopped",
            "database_bytes": self.places.database.stat().st_size,
            "audit_entries": self.log.head.size,
        }

    async def healthy(self) -> bool:
        """True while the journal takes commands."""
        return self.writer.alive

    def close(self) -> None:
        """Commit what waits, make the head durable, let go of the directory. Blocks."""
        self.writer.close()
        self.log.close()
        self._lock.close()


def open_record(
    places: Places,
    *,
    genesis_validators_root: Root | None,
    on_death: Callable[[Exception], None],
    observer: CommitObserver | None = None,
    max_batch: int = MAX_BATCH,
) -> Record:
    """Open, or on the very first start create, the record; the writer runs when this returns.

    Raises:
        DataDirectoryInUseError: another process has it.
        StartupError: missing, foreign, damaged, rolled back, of another network, or not writable.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        sweep(places.data_directory)
        database, head = open_database(places)
        try:
            with database.transaction():
                pinned = bind_network(database, genesis_validators_root)
            log = AuditLog(head, HeadFile(places.head_file))
        except BaseException:
            database.close()
            raise
    except OSError as error:
        lock.close()
        raise StartupError(f"the record cannot be opened: {error}", remedy="run `holdfast doctor`") from error
    except BaseException:
        lock.close()
        raise
    writer = Writer(
        database,
        ledgers=[AttestationLedger(), BlockLedger(), NetworkLedger()],
        log=log,
        on_death=on_death,
        observer=observer,
        max_batch=max_batch,
    )
    writer.start()
    return Record(places, writer, log, pinned, lock)


def new_database_id() -> bytes:
    """16 random bytes that tell one database from every other."""
    return secrets.token_bytes(16)


def open_database(places: Places) -> tuple[SqliteDatabase, Head]:
    """The database, compared with its head file. The caller holds the directory's lock.

    Raises:
        StartupError: see `open_record`.
    """
    anchor = read_head(places.head_file)
    if not places.database.exists():
        check_missing_database(anchor, database=places.database)
        refuse_leftovers(places)
        create_database(places.database, database_id=new_database_id())
        anchor = None
    database = open_writer(places.database)
    try:
        head = read_log_head(database, database_id=database_id(database))
        if anchor is None and head.size == 0:
            # Crash before this: an empty database without a head file, which the next start takes for a first one.
            create_head_file(places.head_file, head)
        else:
            check_anchor(anchor, head, database)
    except BaseException:
        database.close()
        raise
    return database, head


def refuse_leftovers(places: Places) -> None:
    """A write-ahead log without its database belongs to one that was removed; SQLite would write it into a new one.

    Raises:
        CorruptDatabaseError: there is one.
    """
    leftover = places.database.with_name(DATABASE_FILE + "-wal")
    if os.path.lexists(leftover):
        raise CorruptDatabaseError(
            f"{places.database} is missing, but its write-ahead log {leftover.name} is there",
            remedy=f"put the database back beside it; if it is lost for good, move {leftover} away",
        )
