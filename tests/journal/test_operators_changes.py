"""An operator's change: alone in its transaction, whole or not at all, and never the end of the journal by itself."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from journal.record import PlainStory, Record, open_record, vote

from signer.audit.verify import stored_batches, verify_log
from signer.errors import JournalDownError, OutcomeUnknownError, RefusalError, WrongNetworkError
from signer.journal.command import Verdict
from signer.journal.ledger import Transaction
from signer.journal.sqlite import create_database, open_writer
from signer.slashing.watermarks import raise_low_watermark, read_watermarks
from signer.units import Epoch, Root, Slot


def raising(error: Exception) -> Callable[[Transaction], None]:
    """A change that writes something, and then fails."""

    def change(transaction: Transaction) -> None:
        raise_low_watermark(transaction, epoch=Epoch(100), slot=Slot(100))
        raise error

    return change


def tells(_: object) -> PlainStory:
    return PlainStory()


async def low_epoch(record: Record) -> int | None:
    return (await record.writer.perform(read_watermarks, tells)).low_epoch


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "vanished"),
        RuntimeError("a defect"),
        WrongNetworkError(requested=Root(b"\1" * 32), pinned=Root(b"\2" * 32)),
        apsw.ConstraintError("refused"),
        apsw.FullError("no space"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_change_that_fails_is_rolled_back_told_to_its_caller_and_nobody_else(record, error) -> None:
    with pytest.raises(JournalDownError if isinstance(error, apsw.Error) else type(error)):
        await record.writer.perform(raising(error), tells)
    assert record.writer.alive
    assert not record.deaths
    assert await low_epoch(record) is None, "what it wrote must be gone"
    assert not (await record.writer.commit(vote(1, 2))).repeat
    assert verify_log(stored_batches(record.database)).size == record.log.head.size == 2


async def test_a_change_whose_story_cannot_be_told_is_rolled_back(record) -> None:
    class Broken:
        def entry(self, _verdict: Verdict) -> bytes:
            raise RuntimeError("cannot be told")

    with pytest.raises(RuntimeError):
        await record.writer.perform(
            lambda transaction: raise_low_watermark(transaction, epoch=Epoch(9), slot=Slot(9)), lambda _: Broken()
        )
    assert await low_epoch(record) is None
    assert record.writer.alive


async def test_an_error_of_the_database_itself_stops_the_journal(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    with pytest.raises(OutcomeUnknownError):
        await record.writer.perform(raising(apsw.IOError("the disk failed")), tells)
    assert not record.writer.alive
    assert len(record.deaths) == 1
    with pytest.raises(JournalDownError):
        await record.writer.perform(read_watermarks, tells)
    with pytest.raises(JournalDownError):
        await record.writer.commit(vote(1, 2))
    record.close()
    again = open_record(tmp_path)
    assert await low_epoch(again) is None
    again.close()


async def test_what_waits_behind_a_death_is_refused(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    first = record.writer.perform(raising(apsw.IOError("the disk failed")), tells)
    waiting = [record.writer.commit(vote(1, 2)), record.writer.perform(read_watermarks, tells)]
    with pytest.raises(OutcomeUnknownError):
        await first
    for future in waiting:
        with pytest.raises(JournalDownError):
            await future
    record.close()


async def test_a_deleted_database_refuses_a_change_too(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(OutcomeUnknownError):
        await record.writer.perform(read_watermarks, tells)
    assert not record.writer.alive
    record.close()


async def test_a_change_is_seen_by_the_votes_behind_it(record) -> None:
    change = record.writer.perform(
        lambda transaction: raise_low_watermark(transaction, epoch=Epoch(9), slot=Slot(9)), tells
    )
    refused = record.writer.commit(vote(8, 9))
    await change
    with pytest.raises(RefusalError):
        await refused


def test_a_database_half_made_by_a_crash_does_not_stand_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f".holdfast-writing-journal.sqlite{ending}").write_bytes(b"half" * 2000)
    create_database(path, database_id=b"i" * 16)
    assert [file.name for file in tmp_path.iterdir()] == ["journal.sqlite"]
    database = open_writer(path)
    assert database.connection.pragma("integrity_check") == "ok"
    database.close()


def test_a_database_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    from signer.errors import StartupError

    with pytest.raises(StartupError) as caught:
        create_database(tmp_path / "journal.sqlite", database_id=b"too short")
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


async def test_what_has_waited_past_the_deadline_is_turned_away_unrecorded(tmp_path: Path) -> None:
    record = open_record(tmp_path, deadline_seconds=0.2)
    release = threading.Event()

    def holds_the_writer(_transaction: Transaction) -> bool:
        return release.wait(30)

    holding = record.writer.perform(holds_the_writer, tells)
    late = record.writer.commit(vote(1, 2))
    await asyncio.sleep(0.3)  # the deadline itself
    in_time = record.writer.commit(vote(2, 3, key=2))
    release.set()
    assert await holding
    with pytest.raises(JournalDownError, match=r"within 0\.2 s; nothing was recorded"):
        await late
    assert (await in_time).repeat is False, "the writer goes on"
    assert (await record.writer.commit(vote(1, 2))).repeat is False, "it was not on record"
    record.close()


async def test_a_long_list_is_not_cut_by_the_deadline_of_its_first_part(tmp_path: Path) -> None:
    record = open_record(tmp_path, max_batch=8, deadline_seconds=30)
    receipts = await asyncio.gather(*record.writer.commit_all([vote(1, 2, key=n) for n in range(100)]))
    assert len(receipts) == 100
    record.close()
