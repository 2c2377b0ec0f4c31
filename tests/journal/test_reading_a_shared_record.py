"""Reading the shared record beside the writer: one moment, no waiting, and clear words when the database is gone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from journal.record import vote
from journal.shared_record import open_shared
from postgres_server import PostgresServer, started_server

from signer.errors import DatabaseDownError
from signer.journal import postgres_reader
from signer.journal.postgres_reader import SharedReader, read_postgres
from signer.journal.postgres_session import Session
from signer.journal.postgres_setup import SharedPlace, set_up
from signer.operations.shared_record import SharedRecord

COUNT = "SELECT count(*) FROM signed_attestations"


def place_of(url: str) -> SharedPlace:
    session = Session(url)
    session.open(seconds=30)
    try:
        return set_up(session, may_create=False)
    finally:
        session.close()


@pytest.fixture
def shared(database_url: str, tmp_path: Path) -> Iterator[SharedRecord]:
    record = open_shared(database_url, tmp_path)
    yield record
    record.close()


@pytest.fixture
def reader(shared: SharedRecord, database_url: str) -> Iterator[SharedReader]:
    reader = SharedReader(database_url, place_of(database_url), shared.instance)
    yield reader
    reader.close()


async def test_a_moment_stays_as_it_was_while_the_writer_goes_on(shared: SharedRecord, reader: SharedReader) -> None:
    await shared.writer.commit(vote(1, 2))
    with reader.moment() as moment:
        assert list(moment.rows(COUNT)) == [(1,)]
        await shared.writer.commit(vote(2, 3))
        assert list(moment.rows(COUNT)) == [(1,)]
    with reader.moment() as later:
        assert list(later.rows(COUNT)) == [(2,)]


async def test_a_moment_sees_the_log_of_its_own_instance(
    shared: SharedRecord, reader: SharedReader, database_url: str, tmp_path: Path
) -> None:
    await shared.writer.commit(vote(1, 2))
    other = open_shared(database_url, tmp_path / "other")
    with reader.moment() as moment:
        assert list(moment.rows("SELECT sum(count)::int FROM audit_batches")) == [(1,)]
    with read_postgres(database_url, place_of(database_url), other.instance) as moment:
        assert list(moment.rows("SELECT count(*) FROM audit_batches")) == [(0,)]
    other.close()


def test_nothing_can_be_written_through_a_moment(reader: SharedReader) -> None:
    with reader.moment() as moment, pytest.raises(DatabaseDownError, match="read-only"):
        moment.run("DELETE FROM signed_attestations")
    with reader.moment() as moment:
        assert list(moment.rows(COUNT)) == [(0,)]


def test_questions_one_after_the_other_share_a_connection(reader: SharedReader) -> None:
    processes = set()
    for _ in range(3):
        with reader.moment() as moment:
            processes.update(moment.rows("SELECT pg_backend_pid()"))
    assert len(processes) == 1


def test_questions_at_once_have_connections_of_their_own_and_two_are_kept(reader: SharedReader) -> None:
    with reader.moment() as one, reader.moment() as two, reader.moment() as three:
        at_once = [next(iter(moment.rows("SELECT pg_backend_pid()"))) for moment in (one, two, three)]
    assert len(set(at_once)) == 3
    assert len(reader._idle) == postgres_reader.MOST_IDLE


def test_a_moment_may_begin_on_one_thread_and_go_on_on_another(reader: SharedReader) -> None:
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        manager = reader.moment()
        moment = first.submit(manager.__enter__).result()
        assert second.submit(lambda: list(moment.rows(COUNT))).result() == [(0,)]
        second.submit(manager.__exit__, None, None, None).result()


def test_more_questions_than_there_are_connections_for_are_told_to_come_again(
    database_url: str, tmp_path: Path
) -> None:
    record = open_shared(database_url, tmp_path)
    reader = SharedReader(database_url, place_of(database_url), record.instance, connect_seconds=0.05)
    for _ in range(postgres_reader.MOST_OPEN):
        assert reader._places.acquire(blocking=False)
    with pytest.raises(DatabaseDownError, match="ask again"), reader.moment():
        pass
    record.close()


async def test_a_connection_that_died_while_idle_is_replaced(
    shared: SharedRecord, reader: SharedReader, database_url: str
) -> None:
    with reader.moment() as moment:
        ((process,),) = moment.rows("SELECT pg_backend_pid()")
    connection = await asyncpg.connect(database_url)
    await connection.execute("SELECT pg_terminate_backend($1, 60000)", process)
    await connection.close()
    with reader.moment() as moment:
        assert list(moment.rows("SELECT pg_backend_pid()")) != [(process,)]


def test_another_database_under_the_same_address_is_not_read(postgres: PostgresServer, tmp_path: Path) -> None:
    first, second = postgres.make_database("reads_first"), postgres.make_database("reads_second")
    one, other = open_shared(first, tmp_path / "one"), open_shared(second, tmp_path / "other")
    moment = read_postgres(second, place_of(first), other.instance)
    with pytest.raises(DatabaseDownError, match="another database"), moment:
        pass
    one.close()
    other.close()


def test_a_server_that_is_gone_is_told_and_its_password_is_not(tmp_path: Path) -> None:
    server = started_server()
    try:
        record = open_shared(server.url(), tmp_path)
        address = server.url().replace("postgres@", "postgres:hush@")
        reader = SharedReader(address, place_of(server.url()), record.instance)
        with reader.moment() as moment:
            server.kill()
            with pytest.raises(DatabaseDownError, match="cannot be read") as during:
                moment.rows(COUNT)
        with pytest.raises(DatabaseDownError, match="cannot be read") as after, reader.moment():
            pass
        server.start()
        with reader.moment() as moment:
            assert list(moment.rows(COUNT)) == [(0,)]
        assert "hush" not in str(during.value) + str(after.value)
        reader.close()
        record.close()
    finally:
        server.remove()
