"""The record of a data directory: its lock, its database, its audit log and its head file, opened in that order.

Everything that can be wrong with it is found here, before a socket is bound or a key is loaded.
"""

import math
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from signer.approvals.ledger import ApprovalLedger
from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.chain import EMPTY_HEAD
from signer.audit.head import Head, HeadFile, create_head_file, read_head
from signer.audit.ledger import AuditLog, read_log_head
from signer.durable import sweep
from signer.errors import BEGIN_OR_PUT_BACK, CorruptDatabaseError, ForeignDatabaseError, RolledBackError, StartupError
from signer.journal.embedded import Embedded
from signer.journal.files import check_only_name
from signer.journal.lock import DatabaseLock, DirectoryLock
from signer.journal.reader import SqliteReader, read_sqlite
from signer.journal.sqlite import SqliteDatabase, create_database, database_id, open_writer
from signer.journal.writer import MAX_BATCH, CommitObserver, Writer
from signer.keys.ledger import KeyStateLedger
from signer.keys.preference_ledger import PreferenceLedger
from signer.keys.vault import DATA_KEY_FILE
from signer.operations.kept_record import RecordView
from signer.policy.counters import CounterLedger
from signer.policy.kept_facts import FactsKeeper
from signer.policy.policy_set_ledger import PolicySetLedger
from signer.slashing.ledger import AttestationLedger, BlockLedger
from signer.slashing.network import NetworkLedger, bind_network
from signer.units import Epoch, Root

DATABASE_FILE = "journal.sqlite"
"""The database's name in the data directory."""

INSTANCE_FILE = "instance"
"""Names this signer in a shared database: 32 hexadecimal digits. Never copied to another signer."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a record is."""

    data_directory: Path
    head_file: Path

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data_directory / DATABASE_FILE

    @property
    def view(self) -> RecordView:
        """How the record there is read by whoever reads once."""
        return RecordView(self.data_directory, self.head_file, partial(read_sqlite, self.database))

    def view_by(self, reader: SqliteReader) -> RecordView:
        """How a process that goes on reads it."""
        return RecordView(self.data_directory, self.head_file, reader.moment)


@dataclass(slots=True)
class Record:
    """See `KeptRecord`: one that is kept in SQLite."""

    places: Places
    writer: Writer
    log: AuditLog
    pinned: Root | None
    """The chain this record belongs to; None where nothing has pinned it yet."""

    _reader: SqliteReader
    _locks: tuple[DirectoryLock | DatabaseLock, ...]

    @property
    def view(self) -> RecordView:
        """How it is read."""
        return self.places.view_by(self._reader)

    async def state(self) -> Mapping[str, str | int | float | None]:
        """What the journal tells of itself, for the status page."""
        return {
            "state": "taking commands" if self.writer.alive else "stopped",
            "database_bytes": self.places.database.stat().st_size,
            "audit_entries": self.log.head.size,
        }

    async def healthy(self) -> bool:
        """True while commands are recorded."""
        return self.writer.healthy

    def close(self) -> None:
        """Commit what waits, make the head durable, let go of the directory. Blocks."""
        self._reader.close()
        self.writer.close()
        self.log.close()
        for lock in reversed(self._locks):
            lock.close()


def open_record(
    places: Places,
    *,
    genesis_validators_root: Root | None,
    on_death: Callable[[Exception], None],
    observer: CommitObserver | None = None,
    max_batch: int = MAX_BATCH,
    deadline_seconds: float = math.inf,
    may_create: bool = True,
    far_future_epochs: int = 0,
    now: Callable[[], float] = time.time,
    epoch_begins: Callable[[Epoch], float | None] = lambda _: None,
) -> Record:
    """Open the record, or where `may_create` says so begin one; the writer runs when this returns.

    `far_future_epochs` is this run's guard: the head file remembers the furthest, for the floors of a restore.
    `epoch_begins` tells when, in seconds since the Unix epoch, for the words of a refusal.

    Raises:
        DataDirectoryInUseError: another process has it, or a copy of it.
        StartupError: missing, foreign, damaged, rolled back, of another network, or not writable.
    """
    with ExitStack() as undo:
        directory_lock = DirectoryLock(places.data_directory)
        undo.callback(directory_lock.close)
        try:
            sweep(places.data_directory)
            database, head = open_database(places, may_create=may_create)
            undo.callback(database.close)
            database_lock = DatabaseLock(head.database_id)
            undo.callback(database_lock.close)
            with database.transaction():
                pinned = bind_network(database, genesis_validators_root)
            head = replace(head, reach_epochs=max(head.reach_epochs, far_future_epochs))
            log = AuditLog(head, HeadFile(places.head_file), now=now)
        except OSError as error:
            raise StartupError(f"the record cannot be opened: {error}", remedy="run `holdfast doctor`") from error
        undo.pop_all()
    writer = Writer(
        Embedded(database, log),
        ledgers=[
            KeyStateLedger(begins=epoch_begins),
            PreferenceLedger(),
            PolicySetLedger(),
            ApprovalLedger(),
            CounterLedger(),
            AttestationLedger(),
            BlockLedger(),
            NetworkLedger(),
        ],
        log=log,
        on_death=on_death,
        keeper=FactsKeeper(),
        observer=observer,
        max_batch=max_batch,
        deadline_seconds=deadline_seconds,
    )
    writer.start()
    return Record(places, writer, log, pinned, SqliteReader(places.database), (directory_lock, database_lock))


def begin_record(places: Places, *, vault_directory: Path) -> bool:
    """Make the empty record of a new signer; False where there is one already. `holdfast init` alone calls this.

    Raises:
        DataDirectoryInUseError: a signer runs on it.
        StartupError: there was a record here before (its head file, its write-ahead log or its sealed keys are left).
    """
    lock = DirectoryLock(places.data_directory)
    try:
        if places.database.exists():
            return False
        refuse_known_keys(vault_directory)
        database, _ = open_database(places, may_create=True)
        database.close()
        return True
    finally:
        lock.close()


def refuse_known_keys(vault_directory: Path) -> None:
    """A vault is made by the first start: keys without a record may have signed, and what is not known here.

    Raises:
        RolledBackError: there are some.
    """
    if (vault_directory / DATA_KEY_FILE).exists():
        raise RolledBackError(
            f"{vault_directory} holds keys that have served, but their slashing record is missing",
            remedy="put database and head file back (is their disk mounted?); if they are lost, stop every other"
            " signer of these keys and run `holdfast slashing accept-restore --anyway`",
        )


def new_database_id() -> bytes:
    """16 random bytes that tell one database from every other."""
    return secrets.token_bytes(16)


def open_database(places: Places, *, may_create: bool) -> tuple[SqliteDatabase, Head]:
    """The database, compared with its head file, and where its log stands. The caller holds the directory's lock.

    Raises:
        StartupError: see `open_record`.
    """
    check_only_name(places.head_file)
    check_only_name(places.database)
    _refuse_shared(places)
    anchor = read_head(places.head_file)
    if not places.database.exists():
        check_missing_database(anchor, database=places.database)
        refuse_leftovers(places)
        if not may_create:
            raise StartupError(
                f"there is no slashing record at {places.database}",
                remedy=BEGIN_OR_PUT_BACK,
            )
        anchor = _create(places)
    database = open_writer(places.database)
    try:
        head = read_log_head(database, database_id=database_id(database))
        check_anchor(anchor, head, database)
        if anchor is not None:
            head = replace(head, marks=anchor.marks, time_ms=anchor.time_ms, reach_epochs=anchor.reach_epochs)
    except BaseException:
        database.close()
        raise
    return database, head


def _refuse_shared(places: Places) -> None:
    """What the keys of this directory signed is on record in a shared database, which nobody would look into again."""
    if (places.data_directory / INSTANCE_FILE).exists():
        raise ForeignDatabaseError(
            f"{places.data_directory} belongs to a signer on a shared database, and journal.url does not name it",
            remedy="set journal.url as it was; or use a new data directory, and bring the record over with `holdfast"
            " slashing export` there and `holdfast slashing import` here",
        )


def _create(places: Places) -> Head:
    """A new database and its head file, the head file first: a database without one is never a new one."""
    identity, mark = new_database_id(), secrets.token_bytes(16)
    anchor = Head(identity, identity, 0, EMPTY_HEAD, marks=(mark, mark))
    create_head_file(places.head_file, anchor)
    # Crash before this: a head file that tells of no entry, and no database. The next start, or `init`, begins anew.
    create_database(places.database, database_id=identity, file_mark=mark)
    return anchor


def refuse_leftovers(places: Places) -> None:
    """A write-ahead log without its database belongs to one that was removed; SQLite would write it into a new one.

    Raises:
        CorruptDatabaseError: there is one.
    """
    leftover = places.database.with_name(DATABASE_FILE + "-wal")
    if os.path.lexists(leftover) and leftover.lstat().st_size > 0:  # a signer that was stopped leaves an empty one
        raise CorruptDatabaseError(
            f"{places.database} is missing, but its write-ahead log {leftover.name} is there",
            remedy=f"put the database back beside it; if it is lost for good, move {leftover} away",
        )
