"""What happens to the lease, and to the database itself, is found out though nobody asks for anything."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from journal.record import vote
from journal.shared_record import open_shared

from signer.errors import ForeignDatabaseError, JournalDownError, LeaseLostError, OutcomeUnknownError
from signer.operations.shared_record import SharedRecord

WAIT_SECONDS = 60.0


class Death:
    """Waits for what kills the writer."""

    def __init__(self) -> None:
        self.reasons: list[Exception] = []
        self._came = threading.Event()

    def __call__(self, reason: Exception) -> None:
        self.reasons.append(reason)
        self._came.set()

    def reason(self) -> Exception:
        assert self._came.wait(WAIT_SECONDS)
        return self.reasons[0]


@asynccontextmanager
async def by_hand(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
def death() -> Death:
    return Death()


@pytest.fixture
def shared(emptied_url: str, tmp_path: Path, death: Death):
    record = open_shared(emptied_url, tmp_path / "1", on_death=death, renewal_seconds=0.3)
    yield record
    record.close()


async def test_a_lease_that_was_taken_over_stops_a_signer_that_nobody_asks(
    shared: SharedRecord, emptied_url: str, death: Death
) -> None:
    async with by_hand(emptied_url) as connection:
        await connection.execute("UPDATE holdfast.instances SET token = token + 1")
        await connection.execute("UPDATE holdfast.instances SET expires_at = clock_timestamp()")
    assert isinstance(death.reason(), LeaseLostError)
    with pytest.raises(JournalDownError):
        await shared.writer.commit(vote(1, 2))


async def test_a_lease_that_ended_is_taken_anew_though_nobody_asks(
    shared: SharedRecord, emptied_url: str, death: Death
) -> None:
    async with by_hand(emptied_url) as connection:
        before = await connection.fetchval("SELECT token FROM holdfast.instances")
        await connection.execute("UPDATE holdfast.instances SET expires_at = clock_timestamp() - interval '1 second'")
        live = "SELECT token <> $1 AND expires_at > clock_timestamp() FROM holdfast.instances"
        while not await connection.fetchval(live, before):
            assert not death.reasons
    assert not (await shared.writer.commit(vote(1, 2))).repeat


async def test_another_database_under_the_same_address_is_never_written(
    shared: SharedRecord, emptied_url: str, death: Death
) -> None:
    assert not (await shared.writer.commit(vote(1, 2))).repeat
    async with by_hand(emptied_url) as connection:
        await connection.execute("UPDATE holdfast.identity SET database_id = substr(sha256('another'), 1, 16)")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises((JournalDownError, OutcomeUnknownError)):
            await shared.writer.commit(vote(2, 3))
        assert isinstance(death.reason(), ForeignDatabaseError)
        assert await connection.fetchval("SELECT count(*) FROM signed_attestations") == 1
