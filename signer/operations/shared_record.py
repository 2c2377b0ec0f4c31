"""The record of a signer that works on a shared PostgreSQL database: this instance's name, lease, log and head file.

The data directory holds what tells this instance from the others: its id, and the head file of its own audit log. The
slashing record is everybody's.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from signer.approvals.ledger import ApprovalLedger
from signer.audit.anchor import check_log
from signer.audit.chain import EMPTY_HEAD
from signer.audit.head import Head, HeadFile, create_head_file, read_head
from signer.audit.ledger import AuditLog, read_log_head
from signer.durable import sweep, write_durably
from signer.errors import CorruptDatabaseError, ForeignDatabaseError, RolledBackError, StartupError
from signer.journal.files import check_only_name
from signer.journal.lease import LEASE_SECONDS, RENEWAL_SECONDS, Lease
from signer.journal.ledger import Ledger, Transaction
from signer.journal.lock import DirectoryLock
from signer.journal.postgres import PostgresDatabase
from signer.journal.postgres_reader import SharedReader
from signer.journal.postgres_session import LostConnectionError, ServerRefusedError, Session
from signer.journal.postgres_setup import (
    SETUP_SECONDS,
    SharedPlace,
    check_advisory_locks,
    check_server,
    set_up,
)
from signer.journal.writer import MAX_BATCH, CommitObserver, Writer
from signer.keys.shared_ledger import SharedKeyStateLedger
from signer.keys.shared_preferences import SharedPreferenceLedger
from signer.operations.kept_record import RecordView
from signer.operations.record import DATABASE_FILE, INSTANCE_FILE
from signer.policy.counters import CounterLedger
from signer.policy.kept_facts import FactsKeeper
from signer.policy.policy_set_ledger import SharedPolicySetLedger
from signer.slashing.network import NetworkLedger, bind_network
from signer.slashing.web3signer_tables import (
    SharedAttestationLedger,
    SharedBlockLedger,
    Validators,
)
from signer.units import Epoch, Root

CONNECT_SECONDS = 10.0
"""How long a start waits for the server to answer."""

NOT_CONNECTED = "not connected"
"""The journal's state while the database does not serve: every signature is refused, and it is tried again."""


@dataclass(frozen=True, slots=True)
class SharedPlaces:
    """Where a shared record is."""

    address: str
    """A `postgresql://` URL; it may hold a password, and is shown nowhere."""

    data_directory: Path
    head_file: Path

    def __repr__(self) -> str:
        return f"SharedPlaces(address='***', data_directory={self.data_directory!r})"


@dataclass(slots=True)
class SharedRecord:
    """See `KeptRecord`: one that is kept in PostgreSQL."""

    writer: Writer
    log: AuditLog
    pinned: Root | None
    """The chain this record belongs to; None where nothing has pinned it yet."""

    instance: bytes
    place: SharedPlace
    _places: SharedPlaces
    _reader: SharedReader
    _lock: DirectoryLock

    @property
    def view(self) -> RecordView:
        """How it is read."""
        return RecordView(
            self._places.data_directory, self._places.head_file, self._reader.moment, instance=self.instance
        )

    @property
    def address(self) -> str:
        """The `postgresql://` URL that it was opened with; it may hold a password."""
        return self._places.address

    async def state(self) -> Mapping[str, str | int | float | None]:
        """What the journal tells of itself, for the status page."""
        words = "taking commands" if self.writer.healthy else NOT_CONNECTED if self.writer.alive else "stopped"
        return {
            "state": words,
            "database": "postgresql",
            "instance": self.instance.hex(),
            "audit_entries": self.log.head.size,
        }

    async def healthy(self) -> bool:
        """True while commands are recorded."""
        return self.writer.healthy

    def close(self) -> None:
        """Commit what waits, give the lease back, make the head durable. Blocks."""
        self._reader.close()
        self.writer.close()
        self.log.close()
        self._lock.close()


def open_shared_record(
    places: SharedPlaces,
    *,
    genesis_validators_root: Root | None,
    on_death: Callable[[Exception], None],
    observer: CommitObserver | None = None,
    max_batch: int = MAX_BATCH,
    deadline_seconds: float = 2.0,
    renewal_seconds: float = RENEWAL_SECONDS,
    may_create: bool = True,
    far_future_epochs: int = 0,
    now: Callable[[], float] = time.time,
    epoch_begins: Callable[[Epoch], float | None] = lambda _: None,
) -> SharedRecord:
    """Open the record, or where `may_create` says so begin one; the writer runs when this returns.

    Raises:
        DataDirectoryInUseError, InstanceInUseError: another process works under this name.
        StartupError: no server, an unsafe or foreign one, rolled back, or of another network.
    """
    _refuse_embedded(places)
    with ExitStack() as undo:
        lock = DirectoryLock(places.data_directory)
        undo.callback(lock.close)
        sweep(places.data_directory)
        place, lease, known = _enter(places, may_create=may_create)
        lease.renewal_seconds = renewal_seconds
        undo.callback(_give_up, places, lease)
        known = replace(known, reach_epochs=max(known.reach_epochs, far_future_epochs))
        log = AuditLog(known, HeadFile(places.head_file), now=now)
        undo.callback(log.close)
        validators = Validators()
        database = PostgresDatabase(
            places.address,
            place,
            lease,
            locks=validators.locks,
            deadline_seconds=deadline_seconds,
            confirm=lambda transaction: confirm_log(log, transaction),
        )
        undo.callback(database.close)
        try:
            database.open(seconds=SETUP_SECONDS)
            pinned = bind_network(database, genesis_validators_root)
        except LostConnectionError as error:
            raise StartupError(
                f"the database stopped answering: {error}", remedy="look at the PostgreSQL server"
            ) from None
        except ServerRefusedError as error:
            raise _refused(error) from None
        undo.pop_all()
    ledgers: list[Ledger[Any, Any]] = [
        SharedKeyStateLedger(alone=False, begins=epoch_begins),
        SharedPreferenceLedger(),
        SharedPolicySetLedger(),
        ApprovalLedger(),
        CounterLedger(),
        SharedAttestationLedger(validators),
        SharedBlockLedger(validators),
        NetworkLedger(),
    ]
    writer = Writer(
        database,
        ledgers=ledgers,
        log=log,
        on_death=on_death,
        keeper=FactsKeeper(),
        observer=observer,
        max_batch=min(max_batch, MAX_BATCH),
        deadline_seconds=deadline_seconds,
    )
    writer.start()
    reader = SharedReader(places.address, place, lease.instance)
    return SharedRecord(writer, log, pinned, lease.instance, place, places, reader, lock)


def _give_up(places: SharedPlaces, lease: Lease) -> None:
    """A start that is refused keeps nobody waiting for its lease."""
    session = Session(places.address)
    try:
        session.open(seconds=CONNECT_SECONDS)
        lease.give_up(session, seconds=CONNECT_SECONDS)
    except (LostConnectionError, ServerRefusedError, StartupError):
        return  # it ends by itself
    finally:
        session.close()


def _refuse_embedded(places: SharedPlaces) -> None:
    """What the keys of this directory signed is on record in its SQLite file, which nobody would look into again."""
    embedded = places.data_directory / DATABASE_FILE
    if embedded.exists():
        raise ForeignDatabaseError(
            f"{embedded} is there: this data directory keeps its own record, and journal.url names a shared one",
            remedy="use a new data directory; the record comes over with `holdfast slashing export` there and"
            " `holdfast slashing import` here (docs/postgresql.md)",
        )


def begin_shared_record(places: SharedPlaces) -> tuple[bool, int]:
    """Make our tables, and Web3Signer's where those are missing; `holdfast init` alone calls this.

    Returns whether ours were made, and how many validators are on record.

    Raises:
        StartupError: see `open_shared_record`.
    """
    _refuse_embedded(places)
    with _reached(places.address) as (session, second):
        check_server(session)
        check_advisory_locks(session, second)
        ((there,),) = session.rows("SELECT to_regnamespace('holdfast') IS NOT NULL", seconds=SETUP_SECONDS)
        place = set_up(session, may_create=True)
        statement = f"SELECT count(*) FROM {place.web3signer_schema}.validators"  # noqa: S608 - a name that we quoted
        ((validators,),) = session.rows(statement, seconds=SETUP_SECONDS)
        return not there, int(validators)


@contextmanager
def _reached(address: str) -> Iterator[tuple[Session, Session]]:
    """Two connections for what is done before a writer runs. Raises StartupError for whatever the server refuses."""
    session, second = Session(address), Session(address)
    try:
        session.open(seconds=CONNECT_SECONDS)
        second.open(seconds=CONNECT_SECONDS)
        yield session, second
    except LostConnectionError as error:
        raise StartupError(
            f"the database in journal.url does not answer: {error}",
            remedy="start PostgreSQL, or correct the host and port in journal.url",
        ) from None
    except ServerRefusedError as error:
        raise _refused(error) from None
    finally:
        session.close()
        second.close()


def _refused(error: Exception) -> StartupError:
    return StartupError(
        f"PostgreSQL refused what we need to do in this database: {error}",
        remedy="let the user in journal.url own the database, or grant it CREATE on it and all rights on its tables",
    )


def confirm_log(log: AuditLog, transaction: Transaction) -> None:
    """Our log in the database must hold all that we know of it; what it holds beyond that, we take over.

    Raises:
        RolledBackError: it lost entries: a replica took over that never had them, or an older copy was restored.
        CorruptDatabaseError: it is another history.
    """
    stored = replace(read_log_head(transaction, database_id=log.head.database_id), log_id=log.head.log_id)
    check_log(log.head, stored, transaction)
    if stored.size > log.head.size:
        log.adopt(stored)


def _enter(places: SharedPlaces, *, may_create: bool) -> tuple[SharedPlace, Lease, Head]:
    """The database checked, our lease taken, and what the head file knows."""
    with _reached(places.address) as (session, second):
        check_server(session)
        check_advisory_locks(session, second)
        place = set_up(session, may_create=may_create)
        lease = Lease(_instance(places))
        anchor = read_head(places.head_file)
        if lease.is_known(session, seconds=SETUP_SECONDS):
            known = _known_head(place, lease.instance, anchor)
            lease.wait(session, seconds=SETUP_SECONDS, tell=_tell_of_waiting)
            lease.take(session, seconds=SETUP_SECONDS, new_run=True)
            return place, lease, known
        return place, lease, _begin_instance(session, place, places, lease=lease, anchor=anchor)


def _tell_of_waiting() -> None:
    logging.getLogger("holdfast").warning(
        "the run before this one did not stop in order, or goes on somewhere: waiting until its lease ends (%d s at"
        " most)",
        LEASE_SECONDS,
        extra={"code": "INSTANCE_IN_USE"},
    )


def _instance(places: SharedPlaces) -> bytes:
    """This instance's id; drawn and kept at its first start."""
    check_only_name(places.head_file)
    instance = read_instance(places.data_directory)
    if instance is not None:
        return instance
    if places.head_file.exists():
        raise ForeignDatabaseError(
            f"{places.head_file} is there, but this data directory names no instance of a shared database",
            remedy="use a new data directory; a record kept in SQLite comes over with `holdfast slashing export`",
        )
    instance = secrets.token_bytes(16)
    write_durably(places.data_directory / INSTANCE_FILE, instance.hex().encode() + b"\n", private=True)
    return instance


def _begin_instance(
    session: Session, place: SharedPlace, places: SharedPlaces, *, lease: Lease, anchor: Head | None
) -> Head:
    """A first start, or one that crashed before its end: files first, so that no instance is left that nobody is."""
    if anchor is not None and anchor.size > 0:
        if anchor.database_id == place.database_id:
            lease.protest(session, seconds=SETUP_SECONDS)
        raise RolledBackError(
            f"the database does not know this instance, but its head file tells of {anchor.size} audit entries",
            remedy="bring the newest database back, or correct journal.url",
            evidence={"head_file_size": anchor.size},
        )
    head = Head(place.database_id, lease.instance, 0, EMPTY_HEAD)
    create_head_file(places.head_file, head)
    lease.enter(session, seconds=SETUP_SECONDS)
    return head


def _known_head(place: SharedPlace, instance: bytes, anchor: Head | None) -> Head:
    if anchor is None:
        raise RolledBackError(
            "the head file of this instance is missing",
            remedy="put it back (storage.head_file); without it nobody can tell whether the database lost anything",
        )
    if anchor.database_id != place.database_id or anchor.log_id != instance:
        raise ForeignDatabaseError(
            "the head file belongs to another database or another instance",
            remedy="correct journal.url, or put back the head file that belongs to this data directory",
        )
    return anchor


def read_instance(data_directory: Path) -> bytes | None:
    """This instance's id, or None where it has never worked on a shared database.

    Raises:
        CorruptDatabaseError: the file holds none.
    """
    path = data_directory / INSTANCE_FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        instance = bytes.fromhex(text.strip())
    except ValueError:
        instance = b""
    if len(instance) != 16:
        raise CorruptDatabaseError(f"{path} names no instance", remedy="restore it from a backup of this directory")
    return instance
