"""`holdfast audit verify` as an operation: beside a writer that works, and against every hand that was at the log."""

import asyncio

import apsw
import pytest
from audit.log_twin import SPOILED, LogTwin
from journal.record import vote
from operations.record_twin import CALLER, House, noted

from signer.auth.principal import Action, Caller, Principal
from signer.errors import AuditError, ForbiddenError
from signer.journal.sqlite import SqliteDatabase


async def test_an_empty_log_verifies(house: House) -> None:
    with house.record():
        report = await house.verification(CALLER)
    assert (report.entries, report.verified_from) == (0, 0)


async def test_the_head_that_is_told_is_the_logs(house: House) -> None:
    with house.record() as record:
        for _ in range(3):
            await record.writer.commit(noted())
        report = await house.verification(CALLER)
        assert (report.entries, report.head) == (3, record.log.head.head)


async def test_who_may_not_read_the_log_may_not_verify_it(house: House) -> None:
    nobody = Caller(Principal("nobody", actions=frozenset({Action.SIGN_DUTY})))
    with house.record(), pytest.raises(ForbiddenError):
        await house.verification(nobody)


async def test_it_verifies_while_votes_are_recorded_and_the_file_is_checkpointed(house: House) -> None:
    with house.record() as record:
        before = (house.places.database).stat().st_size

        async def work() -> None:
            for batch in range(40):
                futures = record.writer.commit_all([vote(1, 2, key=512 * batch + n) for n in range(512)])
                await asyncio.gather(*futures)

        working = asyncio.create_task(work())
        reports = []
        while not working.done():
            reports.append((await house.verification(CALLER)).entries)
        await working
        assert len(reports) > 3
        assert reports == sorted(reports)
        assert house.places.database.stat().st_size > before, "a checkpoint must have come between"


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
async def test_whatever_was_done_to_the_rows_is_found(house: House, spoil) -> None:
    with house.record() as record:
        for count in (3, 2, 2, 4):
            unlike = [noted(100 * count + n) for n in range(count)]
            for future in record.writer.commit_all(unlike):
                await future
    hand = SqliteDatabase(house.places.database)
    log = LogTwin(hand)
    if spoil.__name__ == "change_a_byte":
        hand.run("UPDATE audit_batches SET entries = ? WHERE first_index = 3", (log.blob(3)[:-1] + b"\1",))
    else:
        spoil(log)
    hand.close()
    with pytest.raises(AuditError):
        await house.verification(CALLER)


async def test_a_removed_end_is_seen_though_its_chain_holds(house: House) -> None:
    with house.record() as record:
        for _ in range(3):
            await record.writer.commit(noted())
        hand = SqliteDatabase(house.places.database)
        hand.run("DELETE FROM audit_batches WHERE first_index = 2")
        hand.close()
        with pytest.raises(AuditError, match="went back in time"):
            await house.verification(CALLER)


async def test_a_head_file_that_is_gone_or_torn_is_told(house: House) -> None:
    with house.record() as record:
        await record.writer.commit(noted())
        kept = house.places.head_file.read_bytes()
        house.places.head_file.unlink()
        with pytest.raises(AuditError, match="head file is missing"):
            await house.verification(CALLER)
        house.places.head_file.write_bytes(b"torn")
        with pytest.raises(AuditError, match="no whole record"):
            await house.verification(CALLER)
        house.places.head_file.write_bytes(kept)
        assert (await house.verification(CALLER)).entries == 1


async def test_a_database_that_cannot_be_read_is_no_verified_log(house: House) -> None:
    with house.record():
        pass
    house.places.database.write_bytes(b"\0" * 8192)
    with pytest.raises((AuditError, apsw.Error)):
        await house.verification(CALLER)
