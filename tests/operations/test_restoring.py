"""Accepting a restore: planned without changing anything, accepted whole, and never below what may have been signed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from operations.record_twin import CALLER, NOW, House, verdict

from signer.audit.head import create_head_file, read_head
from signer.errors import (
    CorruptDatabaseError,
    DataDirectoryInUseError,
    ForeignDatabaseError,
    RolledBackError,
    StartupError,
)
from signer.eth2.builtin_networks import find_network
from signer.journal.sqlite import create_database
from signer.operations.record import open_record
from signer.operations.restore import Moment, RestorePlan, accept_restore, plan_restore, safe_floor
from signer.units import Epoch

NETWORK = replace(find_network("mainnet"), genesis_time=int(NOW) - 1000 * 32 * 12)  # type: ignore[type-var]
"""It is epoch 1000."""


@pytest.fixture
async def older(house: House) -> Path:
    """A record with one vote, a backup of it, and two votes after the backup."""
    with house.record() as record:
        assert await verdict(record, 990, 991) == "new"
    backup = house.directory / "backup"
    shutil.copy(house.places.database, backup)
    with house.record() as record:
        for target in (999, 1001):
            assert await verdict(record, target - 1, target) == "new"
    return backup


def plan(house: House, *, guard: int | None = 1, now: float = NOW, anyway: bool = False) -> RestorePlan | None:
    return plan_restore(house.places, Moment(NETWORK, now, guard), anyway=anyway)


def accept(house: House, planned: RestorePlan | None) -> None:
    assert planned is not None
    accept_restore(house.places, planned, now_ms=int(house.clock.now() * 1000), principal="operator")


@pytest.mark.parametrize("guard", [0, 1, 5])
def test_the_floor_is_above_all_that_the_guard_let_through(guard: int) -> None:
    floor = safe_floor(current_epoch=Epoch(1000), far_future_epochs=guard, slots_per_epoch=32)
    assert floor.epoch == 1000 + guard
    assert floor.slot == (1000 + guard) * 32 + 31, "the last slot of the furthest epoch"


async def test_a_sound_record_has_nothing_to_accept(house: House) -> None:
    with house.record() as record:
        await verdict(record, 1, 2)
    before = house.places.database.read_bytes()
    assert plan(house) is None
    assert house.places.database.read_bytes() == before


async def test_an_older_copy_is_explained_and_then_signs_nothing_that_was_lost(house: House, older: Path) -> None:
    shutil.copy(older, house.places.database)
    planned = plan(house)
    assert planned is not None
    assert (planned.database_entries, planned.lost_entries, planned.validators) == (1, 2, 1)
    assert (planned.floor_epoch, planned.floor_slot) == (1001, 1001 * 32 + 31)
    assert "went back in time" in planned.reason
    with pytest.raises(RolledBackError), house.record():
        pass
    accept(house, planned)
    with house.record() as record:
        for source, target in ((998, 999), (1000, 1001), (990, 991), (1000, 1002)):
            assert await verdict(record, source, target, mark=2) == "BELOW_FLOOR", (source, target)
        assert await verdict(record, 1001, 1002, mark=2) == "new"
        assert await verdict(record, 998, 999, key=77) == "BELOW_FLOOR", "validators nobody knows here too"
        assert (await house.verification(CALLER)).entries == record.log.head.size
    assert plan(house) is None


async def test_the_longest_guard_of_any_run_counts(house: House) -> None:
    with house.record(far_future_epochs=9) as record:
        await verdict(record, 1, 2)
    backup = house.directory / "backup"
    shutil.copy(house.places.database, backup)
    with house.record(far_future_epochs=1) as record:
        await verdict(record, 2, 3)
    shutil.copy(backup, house.places.database)
    planned = plan(house, guard=1)
    assert planned is not None
    assert planned.floor_epoch == 1009, "what was signed under the longer guard may be lost"
    accept(house, planned)
    remembered = read_head(house.places.head_file)
    assert remembered is not None
    assert remembered.reach_epochs == 9


async def test_a_clock_that_is_behind_is_refused(house: House, older: Path) -> None:
    shutil.copy(older, house.places.database)
    with pytest.raises(StartupError, match="the clock is behind"):
        plan(house, now=NOW - 3600)


async def test_a_network_without_its_genesis_has_no_floor(house: House, older: Path) -> None:
    shutil.copy(older, house.places.database)
    with pytest.raises(StartupError, match="genesis_time"):
        plan_restore(house.places, Moment(replace(NETWORK, genesis_time=None), NOW, 1))


def delete_head(house: House) -> None:
    house.places.head_file.unlink()


def tear_head(house: House) -> None:
    house.places.head_file.write_bytes(b"torn")


def foreign_head(house: House) -> None:
    head = read_head(house.places.head_file)
    assert head is not None
    create_head_file(house.places.head_file, replace(head, database_id=b"o" * 16))


def another_history(house: House) -> None:
    head = read_head(house.places.head_file)
    assert head is not None
    create_head_file(house.places.head_file, replace(head, head=b"\1" * 32))


def delete_database(house: House) -> None:
    house.places.database.unlink()


def delete_database_and_tear_head(house: House) -> None:
    delete_database(house)
    tear_head(house)


def new_database(house: House) -> None:
    delete_database(house)
    create_database(house.places.database, database_id=b"n" * 16)


@pytest.mark.parametrize(
    "lose",
    [
        delete_head,
        tear_head,
        foreign_head,
        another_history,
        delete_database,
        delete_database_and_tear_head,
        new_database,
    ],
    ids=lambda lose: lose.__name__,
)
async def test_every_loss_that_refuses_a_start_can_be_accepted(house: House, lose) -> None:
    with house.record() as record:
        assert await verdict(record, 990, 991) == "new"
    lose(house)
    with pytest.raises((RolledBackError, CorruptDatabaseError, ForeignDatabaseError)), house.record():
        pass
    accept(house, plan(house))
    with house.record() as record:
        assert await verdict(record, 990, 991, mark=2) == "BELOW_FLOOR"
        assert await verdict(record, 1001, 1002) == "new"
        await house.verification(CALLER)


def test_a_torn_head_beside_an_empty_record_can_be_accepted_too(house: House) -> None:
    with house.record():
        pass
    tear_head(house)
    with pytest.raises(CorruptDatabaseError), house.record():
        pass
    accept(house, plan(house))
    with house.record():
        pass


async def test_floors_rise_without_a_loss_when_an_operator_asks_for_it(house: House) -> None:
    with house.record() as record:
        assert await verdict(record, 990, 991) == "new"
    planned = plan(house, anyway=True)
    assert planned is not None
    assert "because you ask for it" in planned.reason
    accept(house, planned)
    with house.record() as record:
        assert await verdict(record, 1000, 1001, mark=2) == "BELOW_FLOOR"


def test_where_there_was_nothing_there_is_nothing_to_accept_but_floors(house: House) -> None:
    assert plan(house) is None
    accept(house, plan(house, anyway=True))
    with house.record():
        pass


async def test_a_record_that_changed_since_the_plan_is_not_accepted(house: House, older: Path) -> None:
    shutil.copy(older, house.places.database)
    planned = plan(house)
    assert planned is not None
    with pytest.raises(StartupError, match="not the one this restore was planned for"):
        accept(house, replace(planned, database_entries=7))


async def test_nothing_is_planned_or_accepted_under_a_signer_that_runs(house: House, older: Path) -> None:
    with house.record():
        with pytest.raises(DataDirectoryInUseError):
            plan(house)
        with pytest.raises(DataDirectoryInUseError):
            accept(house, RestorePlan("", 1, 2, 1, Epoch(1), NETWORK.preset.slots_per_epoch))  # type: ignore[arg-type]


async def test_what_accepting_does_not_heal_is_told(house: House) -> None:
    with house.record() as record:
        await verdict(record, 1, 2)
    content = bytearray(house.places.database.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at : at + 64] = b"\xff" * 64
    house.places.database.write_bytes(content)
    with pytest.raises(StartupError) as caught:
        plan(house)
    assert "restore a backup" in caught.value.remedy


async def test_a_left_over_log_is_never_written_into_a_new_database(house: House) -> None:
    record = open_record(house.places, genesis_validators_root=None, on_death=house.deaths.append, now=house.clock.now)
    await verdict(record, 1, 2)
    left = house.data / "journal.sqlite-wal"
    content = left.read_bytes()
    record.close()
    left.write_bytes(content)
    house.places.database.unlink()
    with pytest.raises(CorruptDatabaseError, match="write-ahead log"):
        plan(house)
    left.unlink()
    accept(house, plan(house))
