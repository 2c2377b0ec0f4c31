"""Accept a restored database: the operator says that history may be missing, and every watermark rises above it.

What may be missing is whatever this data directory's keys signed after the database was copied. All of it is at most
the far-future guard's distance ahead of the clock, because nothing later was ever signed. So nothing at or below that
epoch is signed again, by any validator, known to the restored database or not: the keys wait a few epochs instead of
being slashed.
"""

from dataclasses import dataclass

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.entry import Kind
from signer.audit.head import Head, create_head_file, read_head
from signer.audit.ledger import append_entries, read_log_head
from signer.clock import Clock
from signer.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    RolledBackError,
    StartupError,
)
from signer.eth2.networks import Network
from signer.journal.command import Verdict
from signer.journal.lock import DirectoryLock
from signer.journal.sqlite import SqliteDatabase, create_database, database_id, open_writer
from signer.operations.record import Places, new_database_id, refuse_leftovers
from signer.operations.story import NoteStory
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, Slot

_COUNT = "SELECT count(*) FROM validators"


@dataclass(frozen=True, slots=True)
class Floor:
    """The epoch and slot that every validator's floor rises to."""

    epoch: Epoch
    slot: Slot


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What accepting would do; shown before it is done."""

    reason: str
    """Why the start was refused."""

    database_entries: int
    """Audit entries in the database as it is."""

    lost_entries: int | None
    """How many later ones the head file tells of; None where it cannot tell."""

    validators: int
    """Validators on record; the floor holds for all others too."""

    floor_epoch: Epoch
    """No vote with a source below it, or a target at or below it, is signed afterwards."""

    floor_slot: Slot
    """No block at or below it, but repeats of what is on record."""


def safe_floor(*, current_epoch: Epoch, far_future_epochs: int, slots_per_epoch: int) -> Floor:
    """The least floor above everything that can have been signed until now."""
    epoch = current_epoch + far_future_epochs
    return Floor(Epoch(epoch), Slot((epoch + 1) * slots_per_epoch - 1))


def floor_now(network: Network, clock: Clock, *, far_future_epochs: int | None) -> Floor:
    """The same at this moment.

    Raises:
        StartupError: nobody knows which epoch it is.
    """
    epoch = network.epoch_at(clock.now())
    if epoch is None:
        raise StartupError(
            "the network's genesis_time is unknown, so no safe watermark can be computed",
            remedy="set network.genesis_time",
        )
    return safe_floor(
        current_epoch=epoch,
        far_future_epochs=max(far_future_epochs or 0, 1),
        slots_per_epoch=network.preset.slots_per_epoch,
    )


def plan_restore(places: Places, floor: Floor) -> RestorePlan | None:
    """What accepting would do, or None when the database has lost nothing. Changes nothing.

    Raises:
        DataDirectoryInUseError: a signer runs on it.
        StartupError: a fault that accepting does not heal (a foreign or damaged database).
    """
    lock = DirectoryLock(places.data_directory)
    try:
        return _plan(places, floor)
    finally:
        lock.close()


def accept_restore(places: Places, plan: RestorePlan, *, now_ms: int, principal: str) -> None:
    """Raise the floors and begin the head file anew.

    Raises:
        StartupError: the database is not the one that was planned for, or cannot be written.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        found = _plan(places, Floor(plan.floor_epoch, plan.floor_slot))
        if found is None or found.database_entries != plan.database_entries:
            raise StartupError(
                "the database is not the one this restore was planned for", remedy="look at the plan again"
            )
        if not places.database.exists():
            create_database(places.database, database_id=new_database_id())
        database = open_writer(places.database)
        try:
            _accept(database, places, plan, now_ms=now_ms, principal=principal)
        finally:
            database.close()
    finally:
        lock.close()


def _plan(places: Places, floor: Floor) -> RestorePlan | None:
    anchor: Head | None = None
    damage: str | None = None
    try:
        anchor = read_head(places.head_file)
    except CorruptDatabaseError as error:
        damage = error.sentence
    expected = None if anchor is None else anchor.size
    if not places.database.exists():
        refuse_leftovers(places)
        try:
            check_missing_database(anchor, database=places.database)
        except RolledBackError as error:
            return RestorePlan(error.sentence, 0, expected, 0, floor.epoch, floor.slot)
        return None if damage is None else RestorePlan(damage, 0, None, 0, floor.epoch, floor.slot)
    database = open_writer(places.database)
    try:
        head = read_log_head(database, database_id=database_id(database))
        try:
            check_anchor(anchor, head, database)
        except (RolledBackError, ForeignDatabaseError, CorruptDatabaseError) as error:
            ((validators,),) = database.rows(_COUNT)
            same = anchor is not None and anchor.database_id == head.database_id and anchor.size > head.size
            lost = anchor.size - head.size if same and anchor is not None else None
            return RestorePlan(damage or error.sentence, head.size, lost, validators, floor.epoch, floor.slot)
        return None
    finally:
        database.close()


def _accept(database: SqliteDatabase, places: Places, plan: RestorePlan, *, now_ms: int, principal: str) -> None:
    head = read_log_head(database, database_id=database_id(database))
    note = f"floor_epoch={plan.floor_epoch} floor_slot={plan.floor_slot} lost_entries={plan.lost_entries}"
    story = NoteStory(Kind.RESTORE_ACCEPTED, now_ms, note, principal)
    with database.transaction():
        raise_low_watermark(database, epoch=plan.floor_epoch, slot=plan.floor_slot)
        accepted = append_entries(database, head, [story.entry(Verdict(None))])
    # Crash before this line: the floors are raised, the old head file still refuses the start, and accepting again is
    # harmless. Crash after it: accepted.
    create_head_file(places.head_file, accepted)
