"""Opening the record: what may be opened, by whom, and in what state it is left."""

import os
from pathlib import Path

import pytest
from operations.record_twin import CHAIN, House, noted, verdict

from signer.audit.head import read_head
from signer.errors import (
    CorruptDatabaseError,
    DataDirectoryInUseError,
    ForeignDatabaseError,
    RolledBackError,
    StartupError,
)
from signer.keys.vault import DATA_KEY_FILE
from signer.operations.record import Places, begin_record, open_database
from signer.units import Root

OTHER_CHAIN = Root(b"\x99" * 32)


async def test_a_record_remembers_across_starts(house: House) -> None:
    with house.record() as record:
        assert await verdict(record, 1, 2) == "new"
        state = await record.state()
        assert await record.healthy()
        assert state["audit_entries"] == 1
    with house.record() as record:
        assert await verdict(record, 1, 2) == "repeat"
        assert await verdict(record, 1, 2, mark=2) == "DOUBLE_VOTE"
    assert not house.deaths


def test_a_server_makes_no_record_unless_it_may(house: House) -> None:
    with pytest.raises(StartupError, match="no slashing record") as caught, house.record(may_create=False):
        pass
    assert "holdfast init" in caught.value.remedy
    assert not house.places.database.exists()
    with house.record(may_create=True):
        pass
    with house.record(may_create=False):
        pass


def test_init_begins_a_record_once(house: House) -> None:
    assert begin_record(house.places, vault_directory=house.data / "vault")
    assert not begin_record(house.places, vault_directory=house.data / "vault")
    with house.record(may_create=False) as record:
        assert record.pinned == CHAIN


def test_init_begins_no_record_for_keys_that_have_served(house: House) -> None:
    begin_record(house.places, vault_directory=house.data / "vault")
    (house.data / "vault").mkdir()
    (house.data / "vault" / DATA_KEY_FILE).write_bytes(b"sealed")
    house.places.database.unlink()
    house.places.head_file.unlink()
    with pytest.raises(RolledBackError, match="have served") as caught:
        begin_record(house.places, vault_directory=house.data / "vault")
    assert "accept-restore" in caught.value.remedy


def test_one_process_at_a_time(house: House) -> None:
    with house.record():
        with pytest.raises(DataDirectoryInUseError) as caught, house.record():
            pass
        assert str(os.getpid()) in caught.value.sentence
    with house.record():
        pass


async def test_a_copy_of_a_record_is_not_opened_beside_it(house: House, tmp_path: Path) -> None:
    with house.record() as record:
        await record.writer.commit(noted())
    (tmp_path / "copy").mkdir()
    other = House(tmp_path / "copy")
    for file in (house.places.database, house.places.head_file):
        (other.data / file.name).write_bytes(file.read_bytes())
    with house.record(), pytest.raises(DataDirectoryInUseError, match="or a copy of it"), other.record():
        pass


def test_a_record_of_another_chain_is_refused(house: House) -> None:
    with house.record() as record:
        assert record.pinned == CHAIN
    refused = pytest.raises(ForeignDatabaseError, match="another network")
    with refused as caught, house.record(genesis_validators_root=OTHER_CHAIN):
        pass
    assert caught.value.evidence["configured_genesis_validators_root"] == "0x" + OTHER_CHAIN.hex()


def test_a_chain_may_be_pinned_later(house: House) -> None:
    with house.record(genesis_validators_root=None) as record:
        assert record.pinned is None
    with house.record() as record:
        assert record.pinned == CHAIN
    with house.record(genesis_validators_root=None) as record:
        assert record.pinned == CHAIN


@pytest.mark.parametrize("name", ["journal.sqlite", "head"])
def test_a_second_name_of_a_file_is_refused(house: House, name: str) -> None:
    with house.record():
        pass
    (house.directory / "second").hardlink_to(house.data / name)
    with pytest.raises(ForeignDatabaseError, match="2 names"), house.record():
        pass
    (house.directory / "second").unlink()
    (house.data / name).rename(house.directory / "real")
    (house.data / name).symlink_to(house.directory / "real")
    with pytest.raises(ForeignDatabaseError, match="symbolic link"), house.record():
        pass


async def test_a_left_over_log_without_its_database_is_refused_and_an_empty_one_is_not(house: House) -> None:
    leftover = house.data / "journal.sqlite-wal"
    leftover.write_bytes(b"something of a database that is gone")
    with pytest.raises(CorruptDatabaseError, match="write-ahead log"), house.record():
        pass
    leftover.write_bytes(b"")
    with house.record() as record:
        assert await verdict(record, 1, 2) == "new"


def test_half_written_files_are_swept(house: House) -> None:
    (house.data / ".holdfast-writing-import-xyz").write_text("an import that a crash cut off")
    with house.record():
        assert not list(house.data.glob(".holdfast-writing-*"))


def test_a_directory_that_is_not_there_is_told(house: House, tmp_path: Path) -> None:
    places = Places(tmp_path / "nowhere", tmp_path / "nowhere" / "head")
    with pytest.raises(StartupError, match="cannot be used") as caught:
        begin_record(places, vault_directory=tmp_path / "vault")
    assert "if this one has signed before, its record is lost or its disk is not mounted" in caught.value.remedy


def test_a_head_file_that_cannot_be_made_refuses_the_start_and_frees_the_directory(house: House) -> None:
    bad = Places(house.data, house.directory / "nowhere" / "head")
    with pytest.raises(StartupError, match="head file"):
        open_database(bad, may_create=True)
    with house.record():
        pass


async def test_the_head_file_remembers_time_and_reach(house: House) -> None:
    with house.record(far_future_epochs=3) as record:
        await record.writer.commit(noted())
    with house.record(far_future_epochs=1) as record:
        house.clock.seconds -= 3600  # a clock that was set back
        await record.writer.commit(noted())
    head = read_head(house.places.head_file)
    assert head is not None
    assert head.reach_epochs == 3
    assert head.time_ms == int((house.clock.seconds + 3600) * 1000), "never earlier than what was known"
