"""What the service does for itself: summaries of who was turned away, and old audit entries moved to archives."""

import asyncio
import logging

import pytest
from journal.record import PlainStory
from operations.record_twin import CALLER, NOW, House

from signer.audit.chain import unpack
from signer.audit.entry import Entry, Kind, Outcome, decode_entry, encode_entry
from signer.audit.verify import stored_batches
from signer.clock import FixedClock
from signer.errors import AuditError, JournalDownError
from signer.journal.command import Command, Receipt, Verdict
from signer.journal.sqlite import SqliteDatabase
from signer.operations import upkeep
from signer.operations.record import Record
from signer.operations.upkeep import DAY_MS, AuditArchiver, Summaries, TurnedAway

KEEP_DAYS = 30


class DatedStory(PlainStory):
    """Told at a time of its own."""

    def __init__(self, time_ms: int) -> None:
        object.__setattr__(self, "time_ms", time_ms)

    def entry(self, _verdict: Verdict) -> bytes:
        return encode_entry(Entry(Kind.DUTY, Outcome.ALLOWED, self.time_ms))


def archiver(house: House, record: Record) -> AuditArchiver:
    return AuditArchiver(
        changes=record.writer,
        view=house.places.view,
        directory=house.archives,
        clock=house.clock,
        keep_days=KEEP_DAYS,
    )


async def fill(record: Record, *, days: int, entries: int = 3) -> None:
    """One commit for each day up to now, the oldest first."""
    for ago in range(days, 0, -1):
        time_ms = int(NOW * 1000) - ago * DAY_MS
        for future in record.writer.commit_all([Command((), DatedStory(time_ms))] * entries):
            await future


def kinds(house: House) -> list[Kind]:
    database = SqliteDatabase(house.places.database, read_only=True)
    try:
        batches = list(stored_batches(database))
        return [decode_entry(entry).kind for batch in batches for entry in unpack(batch.entries)]
    finally:
        database.close()


async def test_entries_past_their_age_move_to_a_file_and_the_log_verifies_as_one(house: House) -> None:
    with house.record() as record:
        await fill(record, days=40)
        assert await archiver(house, record).archive_once()
        assert not await archiver(house, record).archive_once(), "the rest is too young"
        report = await house.verification(CALLER)
        assert (report.entries, report.verified_from) == (40 * 3 + 1, 0)
        assert kinds(house).count(Kind.DUTY) == 30 * 3
        assert kinds(house)[-1] is Kind.ARCHIVED
    [file] = house.archives.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert house.archives.stat().st_mode & 0o777 == 0o700
    with house.record():
        assert (await house.verification(CALLER)).entries == 40 * 3 + 1


async def test_a_signer_that_ran_for_years_is_archived_day_by_day(house: House) -> None:
    with house.record() as record:
        await fill(record, days=31)
        for _ in range(3):
            house.clock.seconds += 86_400
            while await archiver(house, record).archive_once():
                pass
        assert len(list(house.archives.iterdir())) == 3
        report = await house.verification(CALLER)
        assert report.verified_from == 0
        min(house.archives.iterdir()).unlink()
        assert (await house.verification(CALLER)).verified_from > 0
        for file in house.archives.iterdir():
            file.unlink()
        assert (await house.verification(CALLER)).entries == report.entries


async def test_a_crash_between_file_and_deletion_is_made_good_by_the_next_run(house: House) -> None:
    with house.record() as record:
        await fill(record, days=33)
        archiver(house, record)._write_file()  # and then the power went
        assert len(list(house.archives.iterdir())) == 1
    with house.record() as record:
        house.clock.seconds += 86_400
        assert (await house.verification(CALLER)).entries == 33 * 3
        assert await archiver(house, record).archive_once()
        assert (await house.verification(CALLER)).entries == 33 * 3 + 1
        whole = [file for file in house.archives.iterdir() if file.suffix == ".log"]
        assert len(whole) == 1


async def test_a_young_log_is_left_alone(house: House) -> None:
    with house.record() as record:
        await fill(record, days=10)
        assert not await archiver(house, record).archive_once()
    assert not house.archives.exists()


async def test_an_archive_that_cannot_be_written_leaves_the_rows_and_the_archiver_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "ARCHIVE_SECONDS", 0.01)
    house.archives.write_text("a file where the directory should be")
    with house.record() as record:
        await fill(record, days=40)
        running = asyncio.create_task(archiver(house, record).run())
        while "archive was not written" not in caplog.text:
            await asyncio.sleep(0.01)
        assert kinds(house).count(Kind.DUTY) == 40 * 3
        house.archives.unlink()
        while Kind.ARCHIVED not in kinds(house):
            await asyncio.sleep(0.01)
        running.cancel()
        assert (await house.verification(CALLER)).entries == 40 * 3 + 1


async def test_a_log_that_cannot_be_read_is_not_archived(house: House) -> None:
    with house.record() as record:
        await fill(record, days=40)
        await record.writer.perform(
            lambda t: t.run("UPDATE audit_batches SET entries = substr(entries, 2) WHERE first_index = 0"),
            lambda _: PlainStory(),
        )
        with pytest.raises(AuditError):
            await archiver(house, record).archive_once()


# --- summaries -----------------------------------------------------------------------------------------


class DeafJournal:
    """A journal that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.deaf = True
        self.notes: list[str] = []

    def commit(self, command: Command) -> "asyncio.Future[Receipt]":
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if self.deaf:
            future.set_exception(JournalDownError("no space left"))
        else:
            self.notes.append(decode_entry(command.story.entry(Verdict(None))).note)
            future.set_result(Receipt(False, 0))
        return future


async def test_whoever_was_turned_away_is_summed_up_in_one_entry(house: House) -> None:
    turned_away = TurnedAway()
    for code in ("UNAUTHENTICATED", "BAD_REQUEST", "UNAUTHENTICATED"):
        turned_away.count(code)
    with house.record() as record:
        summaries = Summaries(turned_away=turned_away, journal=record.writer, clock=house.clock)
        await summaries.write()
        await summaries.write()
        assert record.log.head.size == 1, "nothing to tell, no entry"
        assert kinds(house) == [Kind.SUMMARY]
    database = SqliteDatabase(house.places.database, read_only=True)
    [batch] = stored_batches(database)
    database.close()
    told = decode_entry(next(iter(unpack(batch.entries))))
    assert told.note == "BAD_REQUEST=1 UNAUTHENTICATED=2"
    assert told.time_ms == int(NOW * 1000)


async def test_a_journal_that_is_down_for_a_while_does_not_end_the_summaries(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "SUMMARY_SECONDS", 0.01)
    caplog.set_level(logging.WARNING)
    turned_away, journal = TurnedAway(), DeafJournal()
    running = asyncio.create_task(
        Summaries(turned_away=turned_away, journal=journal, clock=FixedClock(NOW)).run()  # type: ignore[arg-type]
    )
    turned_away.count("BAD_REQUEST")
    while "was not recorded" not in caplog.text:
        await asyncio.sleep(0.01)
    journal.deaf = False
    turned_away.count("UNAUTHENTICATED")
    while not journal.notes:
        await asyncio.sleep(0.01)
    running.cancel()
    assert "UNAUTHENTICATED=1" in journal.notes[-1]
