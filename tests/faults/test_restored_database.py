"""A shared database is put back from an older copy: whoever lost nothing by it waits for those who did."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from faults.dead_instance import hasten_end_of_lease
from journal.record import vote
from journal.shared_record import Deaths, open_shared
from postgres_server import PostgresServer, find_program, started_server

from signer.errors import RolledBackError, SignerError
from signer.operations.shared_record import SharedRecord

WAIT_SECONDS = 60


@pytest.fixture
def own_server():
    server = started_server()
    yield server
    server.remove()


async def outcome(record: SharedRecord, source: int, target: int, mark: int = 1) -> str:
    try:
        receipt = await record.writer.commit(vote(source, target, mark=mark))
    except SignerError as error:
        return error.code
    return "repeat" if receipt.repeat else "new"


async def soon(record: SharedRecord, source: int, target: int) -> str:
    """Ask again until the database serves again; what it says then."""
    ends = time.monotonic() + WAIT_SECONDS
    while (code := await outcome(record, source, target)) in {"DATABASE_DOWN", "OUTCOME_UNKNOWN"}:
        assert time.monotonic() < ends, code
    return code


async def until_dead(record: SharedRecord, deaths: Deaths) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not deaths:
        assert time.monotonic() < ends
        await outcome(record, 1, 99)


def dump(server: PostgresServer, database: str) -> Path:
    file = server.directory / "dump"
    run(server, "pg_dump", "-Fc", "-f", file, "-d", server.url(database))
    return file


def restore_dump(server: PostgresServer, database: str, file: Path) -> None:
    """In the place of the newer one, under its name."""
    server.psql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    server.psql(f"ALTER DATABASE {database} RENAME TO {database}_newer")
    server.psql(f"CREATE DATABASE {database}")
    run(server, "pg_restore", "-d", server.url(database), file)


def clean_restore_dump(server: PostgresServer, database: str, file: Path) -> None:
    """Into the same database, over what is there."""
    server.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    run(server, "pg_restore", "--clean", "--if-exists", "-1", "-d", server.url(database), file)


def run(server: PostgresServer, name: str, *arguments: object) -> None:
    line = [str(find_program(name)), *map(str, arguments)]
    subprocess.run(line, check=True, capture_output=True, cwd=server.directory)


def copy_files(server: PostgresServer) -> Path:
    server.stop()
    copy = server.directory / "copy"
    subprocess.run(["cp", "-a", str(server.data), str(copy)], check=True)
    server.start()
    return copy


def put_files_back(server: PostgresServer, copy: Path) -> None:
    """As a snapshot of the disk: the same server, the same timeline, the same object ids."""
    server.stop()
    server.data.rename(server.data.with_name("newer"))
    copy.rename(server.data)
    server.start()


@pytest.mark.parametrize("put_back", [restore_dump, clean_restore_dump])
async def test_a_signer_started_on_a_restored_dump_waits_for_the_word_of_one_that_went_on(
    own_server: PostgresServer, tmp_path: Path, put_back: Callable[[PostgresServer, str, Path], None]
) -> None:
    own_server.psql("CREATE DATABASE shared")
    url, deaths = own_server.url("shared"), Deaths()
    went_on = open_shared(url, tmp_path / "went-on", on_death=deaths.append)
    stopped = open_shared(url, tmp_path / "stopped")
    assert await outcome(went_on, 1, 2) == "new"
    stopped.close()  # in order: before the backup is made
    file = await asyncio.to_thread(dump, own_server, "shared")
    assert await outcome(went_on, 1, 3) == "new"
    await asyncio.to_thread(put_back, own_server, "shared", file)
    again = open_shared(url, tmp_path / "stopped")
    assert await outcome(again, 1, 3, mark=2) == "DATABASE_DOWN"
    await until_dead(went_on, deaths)
    assert isinstance(deaths[0], RolledBackError)
    assert await outcome(again, 1, 3, mark=2) == "DATABASE_DOWN"
    again.close()
    went_on.close()
    again = open_shared(url, tmp_path / "stopped")  # no start lifts it either
    assert await outcome(again, 1, 3, mark=2) == "DATABASE_DOWN"
    again.close()


async def test_files_that_were_put_back_are_noticed_by_a_signer_that_lost_nothing(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    went_on = open_shared(own_server.url(), tmp_path / "went-on")
    stopped = open_shared(own_server.url(), tmp_path / "stopped")
    assert await outcome(went_on, 1, 2) == "new"
    stopped.close()
    copy = await asyncio.to_thread(copy_files, own_server)
    assert await soon(went_on, 1, 3) == "new"
    went_on.close()
    await asyncio.to_thread(put_files_back, own_server, copy)
    again = open_shared(own_server.url(), tmp_path / "stopped")
    assert await outcome(again, 1, 3, mark=2) == "DATABASE_DOWN"
    again.close()
    hasten_end_of_lease(own_server, tmp_path / "went-on")  # in the copy it still runs
    with pytest.raises(RolledBackError):
        open_shared(own_server.url(), tmp_path / "went-on")


async def test_a_signer_whom_the_copy_does_not_know_stops_all_others_once_it_looks(
    database_url: str, tmp_path: Path
) -> None:
    """It came after the backup, so nobody waits for its word."""
    first, deaths = open_shared(database_url, tmp_path / "first"), Deaths()
    later = open_shared(database_url, tmp_path / "later", on_death=deaths.append)
    assert await outcome(later, 1, 2) == "new"
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM holdfast.instances WHERE log_id = $1", later.instance)
    await connection.execute(f"DROP SCHEMA holdfast_log_{later.instance.hex()} CASCADE")
    await until_dead(later, deaths)
    assert isinstance(deaths[0], RolledBackError)
    assert await outcome(first, 1, 4) == "DATABASE_DOWN"
    first.close()
    later.close()
    for name in ("later", "later"):  # its own start tells why, each time
        with pytest.raises(RolledBackError):
            await asyncio.to_thread(open_shared, database_url, tmp_path / name)
    await connection.close()


async def test_whoever_died_long_ago_holds_nobody_up_after_a_restart_of_the_server(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """What it had committed was on record while the others went on."""
    going_on = open_shared(own_server.url(), tmp_path / "on", renewal_seconds=0.3)
    dead = open_shared(own_server.url(), tmp_path / "dead")
    assert await outcome(dead, 1, 2) == "new"
    dead.close()
    own_server.psql(  # as if it had been killed
        "UPDATE holdfast.instances SET released = false, expires_at = clock_timestamp() - interval '2 minutes'"
        f" WHERE log_id = '\\x{dead.instance.hex()}'"
    )
    ends = time.monotonic() + WAIT_SECONDS
    while own_server.psql("SELECT count(*) FROM holdfast.instances WHERE NOT released") != "1":
        assert time.monotonic() < ends
        await outcome(going_on, 1, 2)
    await asyncio.to_thread(own_server.stop)
    await asyncio.to_thread(own_server.start)
    assert await soon(going_on, 1, 3) == "new"
    going_on.close()
