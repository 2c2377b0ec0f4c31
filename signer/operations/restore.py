"""Accept a restored database: the operator says that history may be missing, and every watermark rises above it.

What may be missing is whatever this data directory's keys signed after the database was copied. All of it is at most
the far-future guard's distance ahead of the clock, because nothing later was ever signed. So nothing at or below that
epoch is signed again, by any validator, known to the restored database or not: the keys wait a few epochs instead of
being slashed. Keys that have left for another signer since sign there, above any floor: they stay out of service here
(`keys/departures.py`), until an operator takes them back.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import apsw

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.entry import Kind
from signer.audit.head import Head, create_head_file, read_head
from signer.audit.ledger import append_entries, newest_entry_ms, read_log_head
from signer.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    RolledBackError,
    StartupError,
)
from signer.eth2.networks import Network
from signer.journal.checkpoint import write_file_mark
from signer.journal.command import Verdict
from signer.journal.lock import DirectoryLock
from signer.journal.sqlite import SqliteDatabase, create_database, database_id, open_writer
from signer.keys.departures import Departures
from signer.keys.moves import find_forgotten, keep_away
from signer.operations.record import Places, new_database_id, refuse_leftovers
from signer.operations.story import NoteStory
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, PublicKey, Slot

_COUNT = "SELECT count(*) FROM validators"

ASKED_FOR = "nothing seems lost; the floors are raised because you ask for it (--anyway)"
"""Why, where nothing else says so."""

CLOCK_TOLERANCE_MS = 1000
"""How far behind the newest signature the clock may be: two clocks of one machine differ by less."""


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

    stays_away: tuple[PublicKey, ...] = ()
    """Keys that left by a move which the database does not know: they stay out of service."""

    reach_epochs: int = 1
    """The longest far-future guard that any run is known to have had; the floors stand so far ahead of the clock."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and under which guard a restore is planned."""

    network: Network
    now: float
    """Seconds since the Unix epoch, by a clock that was checked."""

    far_future_epochs: int | None
    """The guard as it is configured now; an earlier run may have had a longer one."""


def safe_floor(*, current_epoch: Epoch, far_future_epochs: int, slots_per_epoch: int) -> Floor:
    """The least floor above everything that can have been signed until now."""
    epoch = current_epoch + far_future_epochs
    return Floor(Epoch(epoch), Slot((epoch + 1) * slots_per_epoch - 1))


def plan_restore(places: Places, moment: Moment, *, anyway: bool = False) -> RestorePlan | None:
    """What accepting would do, or None when the database has lost nothing (then only with `anyway`). Changes nothing.

    Raises:
        DataDirectoryInUseError: a signer runs on it.
        StartupError: a fault that accepting does not heal (a foreign or damaged database), or a clock that is behind
            what was signed here.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        anchor, damage = read_anchor(places.head_file)
        loss = _find_loss(places, anchor, damage, anyway=anyway)
        return None if loss is None else plan_for(loss, anchor, moment)
    finally:
        lock.close()


def accept_restore(places: Places, plan: RestorePlan, *, now_ms: int, principal: str) -> None:
    """Raise the floors and begin the head file anew.

    Raises:
        StartupError: the database is not the one that was planned for, or cannot be written.
    """
    lock = DirectoryLock(places.data_directory)
    try:
        anchor, damage = read_anchor(places.head_file)
        found = _find_loss(places, anchor, damage, anyway=True)
        if found is None or found.entries != plan.database_entries:
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


@dataclass(frozen=True, slots=True)
class Loss:
    """What is wrong between database and head file."""

    reason: str
    entries: int
    lost: int | None
    validators: int
    newest_ms: int
    """When the newest entry on record was written."""

    stays_away: tuple[PublicKey, ...] = ()
    """See `RestorePlan`."""


def read_anchor(head_file: Path) -> tuple[Head | None, str | None]:
    """The head file's newest record, and what is wrong with the file."""
    try:
        return read_head(head_file), None
    except CorruptDatabaseError as error:
        return None, error.sentence


def _find_loss(places: Places, anchor: Head | None, damage: str | None, *, anyway: bool) -> Loss | None:
    asked_for, departed = ASKED_FOR, Departures(places.head_file).numbers()
    if not places.database.exists():
        refuse_leftovers(places)
        try:
            check_missing_database(anchor, database=places.database)
        except RolledBackError as error:
            return Loss(error.sentence, 0, None if anchor is None else anchor.size, 0, 0, tuple(sorted(departed)))
        reason = damage or (f"there is no database; {asked_for}" if anyway else None)
        return None if reason is None else Loss(reason, 0, None, 0, 0, tuple(sorted(departed)))
    database = open_writer(places.database)
    try:
        head = read_log_head(database, database_id=database_id(database))
        reason = damage or (asked_for if anyway else None)
        lost: int | None = 0 if damage is None else None
        try:
            check_anchor(anchor, head, database)
        except (RolledBackError, ForeignDatabaseError, CorruptDatabaseError) as error:
            reason = damage or error.sentence
            same = anchor is not None and anchor.database_id == head.database_id and anchor.size > head.size
            lost = anchor.size - head.size if same and anchor is not None else None
        if reason is None:
            return None
        ((validators,),) = database.rows(_COUNT)
        forgotten = tuple(sorted(find_forgotten(database, departed)))
        return Loss(reason, head.size, lost, validators, newest_entry_ms(database), forgotten)
    finally:
        database.close()


def plan_for(loss: Loss, anchor: Head | None, moment: Moment) -> RestorePlan:
    """The floors that make good for a loss.

    Raises:
        StartupError: the clock is behind what was signed here, or nobody knows when the network began.
    """
    newest_ms = max(loss.newest_ms, 0 if anchor is None else anchor.time_ms)
    if moment.now * 1000 + CLOCK_TOLERANCE_MS < newest_ms:
        raise StartupError(
            f"the clock is behind: it says {_utc(moment.now)}, but this signer has signed at {_utc(newest_ms / 1000)}",
            remedy="set the clock right first: the floors are computed from it",
        )
    epoch = moment.network.epoch_at(moment.now)
    if epoch is None:
        raise StartupError(
            "the network's genesis_time is unknown, so no safe watermark can be computed",
            remedy="set network.genesis_time",
        )
    reach = max(moment.far_future_epochs or 0, 0 if anchor is None else anchor.reach_epochs, 1)
    floor = safe_floor(
        current_epoch=epoch, far_future_epochs=reach, slots_per_epoch=moment.network.preset.slots_per_epoch
    )
    return RestorePlan(
        loss.reason,
        loss.entries,
        loss.lost,
        loss.validators,
        floor.epoch,
        floor.slot,
        stays_away=loss.stays_away,
        reach_epochs=reach,
    )


def _accept(database: SqliteDatabase, places: Places, plan: RestorePlan, *, now_ms: int, principal: str) -> None:
    head = read_log_head(database, database_id=database_id(database))
    note = f"floor_epoch={plan.floor_epoch} floor_slot={plan.floor_slot} lost_entries={plan.lost_entries}"
    departed = Departures(places.head_file).numbers()
    mark = secrets.token_bytes(16)
    with database.transaction():
        away = keep_away(database, departed, now_ms=now_ms)
        story = NoteStory(Kind.RESTORE_ACCEPTED, now_ms, note + away_words(away), principal)
        raise_low_watermark(database, epoch=plan.floor_epoch, slot=plan.floor_slot)
        write_file_mark(database, mark)
        accepted = append_entries(database, head, [story.entry(Verdict(None))])
    database.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    # Crash before this line: the floors are raised, the old head file still refuses the start, and accepting again is
    # harmless. Crash after it: accepted.
    create_head_file(
        places.head_file, replace(accepted, marks=(mark, mark), time_ms=now_ms, reach_epochs=plan.reach_epochs)
    )


def away_words(keys: Sequence[PublicKey]) -> str:
    """Which keys stay out of service, for the audit log; nothing where none do."""
    return f" stays_away={len(keys)} " + " ".join("0x" + key.hex() for key in keys) if keys else ""


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
