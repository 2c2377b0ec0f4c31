"""Accept that a shared database lost history: every floor rises above what may have been signed, and signing goes on.

A replica took over that never had the newest commits, or an older copy was restored; or an instance is gone for good
that had not confirmed its log. The floor is the one of `restore.safe_floor`; it is written into Web3Signer's own low
watermarks too, for a Web3Signer beside us. Each instance whose own log lost entries accepts it in its own directory.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from signer.audit.anchor import check_log
from signer.audit.chain import EMPTY_HEAD
from signer.audit.entry import Kind
from signer.audit.head import Head, create_head_file
from signer.audit.ledger import append_entries, newest_entry_ms, read_log_head
from signer.errors import CorruptDatabaseError, ForeignDatabaseError, RolledBackError, StartupError
from signer.journal.command import Verdict
from signer.journal.lease import Lease
from signer.journal.ledger import Transaction
from signer.journal.lock import DirectoryLock
from signer.journal.postgres_session import LostConnectionError, ServerRefusedError, Session, SessionTransaction
from signer.journal.postgres_setup import SETUP_SECONDS, SharedPlace, check_server, set_up
from signer.keys.departures import Departures
from signer.keys.moves import find_forgotten, keep_away
from signer.operations.restore import ASKED_FOR, Floor, Loss, Moment, RestorePlan, away_words, plan_for, read_anchor
from signer.operations.shared_record import SharedPlaces, read_instance
from signer.operations.story import NoteStory
from signer.units import PublicKey

_LIVE = """
SELECT encode(log_id, 'hex') FROM holdfast.instances WHERE NOT released AND expires_at > clock_timestamp() FOR UPDATE
"""
_WAITING = """
SELECT encode(log_id, 'hex') FROM holdfast.instances
WHERE NOT released AND incarnation <> holdfast.incarnation() AND log_id <> ?
"""
_HOLD_ALL = "SELECT 1 FROM holdfast.instances FOR UPDATE"
_RAISE_OURS = """
UPDATE holdfast.watermarks SET
    low_epoch = greatest(coalesce(low_epoch, 0), ?1), low_slot = greatest(coalesce(low_slot, 0), ?2)
"""
_RAISE_WEB3SIGNERS = """
INSERT INTO low_watermarks AS w (validator_id, source_epoch, target_epoch, slot)
SELECT id, ?1, ?1, ?2 FROM validators
ON CONFLICT (validator_id) DO UPDATE SET
    source_epoch = greatest(coalesce(w.source_epoch, 0), excluded.source_epoch),
    target_epoch = greatest(coalesce(w.target_epoch, 0), excluded.target_epoch),
    slot = greatest(coalesce(w.slot, 0), excluded.slot)
"""
_CONFIRM_ALL = "UPDATE holdfast.instances SET released = true, incarnation = holdfast.incarnation()"
_LIFT = "UPDATE holdfast.identity SET incarnation = holdfast.incarnation()"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who accepts what, and when."""

    floor: Floor
    now_ms: int
    reach_epochs: int
    """The longest far-future guard that any run is known to have had; the floor stands so far ahead of the clock."""

    principal: str


def plan_shared_restore(places: SharedPlaces, moment: Moment, *, anyway: bool = False) -> RestorePlan | None:
    """What accepting would do, or None when the database has lost nothing (then only with `anyway`). Changes nothing.

    Raises:
        DataDirectoryInUseError: a signer runs on this data directory.
        StartupError: as `accept_shared_restore`; or a clock that is behind what was signed here.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        anchor, damage = read_anchor(places.head_file)
        with _reached(places) as (session, place, instance):
            departed = Departures(places.head_file).numbers()
            loss = _find_loss(session, place, _Known(instance, anchor, damage, departed), anyway=anyway)
        return None if loss is None else plan_for(loss, anchor, moment)
    finally:
        lock.close()


def accept_shared_restore(places: SharedPlaces, acceptance: Acceptance) -> None:
    """Raise every floor, lift the barrier after a take-over, and begin this instance's head file anew.

    Raises:
        DataDirectoryInUseError: a signer runs on this data directory.
        StartupError: signers run on the database; it is not set up, unsafe, or cannot be reached; a high watermark
            stands below the floor.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        with _reached(places) as (session, place, instance):
            _accept(session, place, places, acceptance, instance=instance)
    finally:
        lock.close()


@contextmanager
def _reached(places: SharedPlaces) -> Iterator[tuple[Session, SharedPlace, bytes]]:
    """A connection, what is there, and who we are. Raises StartupError."""
    session = Session(places.address)
    try:
        session.open(seconds=SETUP_SECONDS)
        check_server(session)
        place = set_up(session, may_create=False)
        instance = read_instance(places.data_directory)
        if instance is None:
            raise StartupError(
                "this data directory names no instance of a shared database",
                remedy="accept the restore in the data directory of a signer that works on this database",
            )
        session.script(f"SET search_path = {place.search_path(instance)}", seconds=SETUP_SECONDS)
        yield session, place, instance
    except LostConnectionError as error:
        raise StartupError(f"the database does not answer: {error}", remedy="look at the PostgreSQL server") from None
    except ServerRefusedError as error:
        raise StartupError(
            f"PostgreSQL refused to raise the floors: {error}",
            remedy="clear a high watermark that stands below the floor (UPDATE metadata SET high_watermark_epoch ="
            " NULL, high_watermark_slot = NULL), then accept the restore again",
        ) from None
    finally:
        session.close()


@dataclass(frozen=True, slots=True)
class _Known:
    """What this data directory knows of its log."""

    instance: bytes
    anchor: Head | None
    damage: str | None
    departed: Mapping[PublicKey, int]
    """Keys that have left, and by which move."""


def _find_loss(session: Session, place: SharedPlace, known: _Known, *, anyway: bool) -> Loss | None:
    transaction = SessionTransaction(session, seconds=SETUP_SECONDS)
    _check_nobody_runs(transaction)
    stored, newest_ms = Head(place.database_id, known.instance, 0, EMPTY_HEAD), 0
    is_known = Lease(known.instance).is_known(session, seconds=SETUP_SECONDS)
    if is_known:
        stored = replace(read_log_head(transaction, database_id=place.database_id), log_id=known.instance)
        newest_ms = newest_entry_ms(transaction)
    reason, lost = known.damage, None if known.damage else 0
    try:
        if is_known:
            check_log(known.anchor, stored, transaction)
        else:
            reason = reason or "the database does not know this instance: it is another one, or older than its start"
            lost = None if known.anchor is None else known.anchor.size
    except (RolledBackError, ForeignDatabaseError, CorruptDatabaseError) as error:
        reason = known.damage or error.sentence
        same = known.anchor is not None and known.anchor.database_id == place.database_id
        lost = known.anchor.size - stored.size if same and known.anchor and known.anchor.size > stored.size else None
    waiting = [str(name) for (name,) in transaction.rows(_WAITING, (known.instance,))]
    if reason is None and waiting:
        reason, lost = f"this server took over, and these instances have not confirmed it: {' '.join(waiting)}", None
    reason = reason or (ASKED_FOR if anyway else None)
    if reason is None:
        return None
    ((validators,),) = transaction.rows("SELECT count(*) FROM validators")
    forgotten = tuple(sorted(find_forgotten(transaction, known.departed)))
    return Loss(reason, stored.size, lost, int(validators), newest_ms, forgotten)


def _accept(
    session: Session, place: SharedPlace, places: SharedPlaces, acceptance: Acceptance, *, instance: bytes
) -> None:
    lease = Lease(instance)
    if not lease.is_known(session, seconds=SETUP_SECONDS):
        lease.enter(session, seconds=SETUP_SECONDS)
        lease.release(session, seconds=SETUP_SECONDS)
    departed = Departures(places.head_file).numbers()
    session.script("BEGIN", seconds=SETUP_SECONDS)
    transaction = SessionTransaction(session, seconds=SETUP_SECONDS)
    _check_nobody_runs(transaction)
    floor = acceptance.floor
    for statement in (_RAISE_OURS, _RAISE_WEB3SIGNERS):
        transaction.run(statement, (floor.epoch, floor.slot))
    transaction.run(_CONFIRM_ALL)
    transaction.run(_LIFT)
    away = keep_away(transaction, departed, now_ms=acceptance.now_ms)
    note = f"floor_epoch={floor.epoch} floor_slot={floor.slot}{away_words(away)}"
    story = NoteStory(Kind.RESTORE_ACCEPTED, acceptance.now_ms, note, acceptance.principal)
    stored = read_log_head(transaction, database_id=place.database_id)
    accepted = append_entries(transaction, stored, [story.entry(Verdict(None))])
    session.script("COMMIT", seconds=SETUP_SECONDS, commits=True)
    # Crash before this line: the floors are raised, the old head file still refuses the start, and accepting again is
    # harmless. Crash after it: accepted.
    create_head_file(
        places.head_file,
        replace(accepted, log_id=instance, time_ms=acceptance.now_ms, reach_epochs=acceptance.reach_epochs),
    )


def _check_nobody_runs(transaction: Transaction) -> None:
    list(transaction.rows(_HOLD_ALL))
    live = [str(name) for (name,) in transaction.rows(_LIVE)]
    if live:
        raise StartupError(
            f"{len(live)} signers hold a lease on this database",
            remedy="stop every signer of these keys, wait ten seconds after a crash, then accept the restore again",
            evidence={"instances": " ".join(live)},
        )
