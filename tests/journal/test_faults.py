"""The journal when its ground gives way: every failure refuses with a clear message, and nothing is half done."""

import os
import shutil
import subprocess
from pathlib import Path

import apsw
import pytest
from journal.record import Record, block, open_record, vote

from signer.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    JournalDownError,
    OutcomeUnknownError,
    RefusalError,
    StartupError,
)
from signer.journal.command import Command, Verdict
from signer.journal.sqlite import create_database, newest_schema, open_writer


def make_database(directory: Path) -> Path:
    path = directory / "journal.sqlite"
    create_database(path, database_id=b"i" * 16)
    return path


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ForeignDatabaseError, match="not a SQLite database"):
        open_writer(path)
    assert path.read_bytes().startswith(b"not a database"), "nothing may be changed"


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(ForeignDatabaseError, match="not a Holdfast database"):
        open_writer(path)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version={newest_schema() + 1}")
    connection.close()
    with pytest.raises(ForeignDatabaseError, match=f"schema {newest_schema() + 1}"):
        open_writer(path)


def test_a_damaged_page_is_found_at_start(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    data = bytearray(path.read_bytes())
    for at in range(4096 + 8, len(data), 4096):
        data[at - 8 : at + 200] = b"\xff" * 208
    path.write_bytes(data)
    with pytest.raises((CorruptDatabaseError, StartupError)) as caught:
        open_writer(path)
    assert caught.value.remedy


def test_a_truncated_file_is_found_at_start(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StartupError):
        open_writer(path)


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ForeignDatabaseError):
        create_database(path, database_id=b"j" * 16)
    assert path.read_bytes() == before


def test_the_database_file_is_private_from_birth(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = make_database(tmp_path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_settings_that_make_a_commit_durable_are_in_force(tmp_path: Path) -> None:
    database = open_writer(make_database(tmp_path))
    assert database.connection.pragma("journal_mode") == "wal"
    assert database.connection.pragma("synchronous") == 2
    assert database.connection.pragma("foreign_keys") == 1
    database.close()


async def test_a_deleted_database_stops_the_journal_before_anything_is_signed(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    await record.writer.commit(vote(1, 2))
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(OutcomeUnknownError, match="removed or replaced"):
        await record.writer.commit(vote(2, 3))
    with pytest.raises(JournalDownError):
        await record.writer.commit(vote(3, 4))
    assert len(record.deaths) == 1
    assert not record.writer.alive
    record.close()


async def test_a_replaced_database_stops_the_journal(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    await record.writer.commit(vote(1, 2))
    shutil.copy(tmp_path / "journal.sqlite", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "journal.sqlite")
    with pytest.raises(OutcomeUnknownError):
        await record.writer.commit(vote(2, 3))
    record.close()


async def test_a_poisoned_command_does_not_deny_its_neighbours(tmp_path: Path) -> None:
    """A trigger refuses one validator's row: the batch rolls back, and each command runs alone."""
    record = open_record(tmp_path)
    await record.writer.perform(
        lambda t: t.run(
            "CREATE TRIGGER poison BEFORE INSERT ON signed_attestations WHEN NEW.target_epoch = ?".replace(
                "?", str(66 - 2**63)
            )
            + " BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        ),
        lambda _: vote(0, 0).story,
    )
    futures = record.writer.commit_all([vote(1, 2, key=1), vote(1, 66, key=2), vote(1, 2, key=3)])
    await futures[0]
    with pytest.raises(JournalDownError, match="poisoned"):
        await futures[1]
    await futures[2]
    assert record.writer.alive
    with pytest.raises(RefusalError):
        await record.writer.commit(vote(1, 2, key=3, mark=9))
    record.close()


async def test_a_command_whose_second_claim_fails_leaves_nothing_of_its_first(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    await record.writer.commit(block(7, mark=1))
    both = Command(vote(1, 2, key=1).claims + block(7, mark=9).claims, vote(0, 0).story)
    futures = record.writer.commit_all([both, vote(1, 2, key=1, mark=5)])
    with pytest.raises(RefusalError):
        await futures[0]
    assert not (await futures[1]).repeat, "the vote of the refused command must not be on record"
    record.close()


def test_two_claims_of_one_type_are_no_command() -> None:
    with pytest.raises(ValueError, match="two claims of one type"):
        Command(vote(1, 2, mark=1).claims + vote(1, 2, mark=2).claims, vote(0, 0).story)


class BrokenStory:
    def entry(self, verdict: Verdict) -> bytes:
        raise RuntimeError("a story that cannot be told")


async def test_a_story_that_cannot_be_told_signs_nothing(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    with pytest.raises(OutcomeUnknownError):
        await record.writer.commit(Command(vote(1, 2).claims, BrokenStory()))
    record.close()
    again = open_record(tmp_path)
    assert not (await again.writer.commit(vote(1, 2))).repeat, "the vote must have been rolled back with its story"
    again.close()


@pytest.fixture
def small_disk(tmp_path: Path):
    mount = tmp_path / "disk"
    mount.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", mount], check=False).returncode:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


async def _fill_until_refused(record: Record) -> int:
    for target in range(1, 5000):
        try:
            await record.writer.commit(vote(target - 1, target))
        except JournalDownError:
            return target
    raise AssertionError("the disk never filled")


async def test_a_full_disk_refuses_and_recovers_when_there_is_space(small_disk: Path) -> None:
    record = open_record(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 900_000)
    refused = await _fill_until_refused(record)
    assert record.writer.alive, "a full disk rolls back cleanly: the truth is known"
    ballast.unlink()
    assert not (await record.writer.commit(vote(refused - 1, refused, mark=2))).repeat
    record.close()
    again = open_record(small_disk)
    with pytest.raises(RefusalError):
        await again.writer.commit(vote(refused - 1, refused, mark=3))
    assert (await again.writer.commit(vote(refused - 2, refused - 1))).repeat
    again.close()
