"""A shared database that is killed, cut off, slow, taken over or rolled back: nothing signs twice, nothing hangs."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import asyncpg
import pytest
from faults.cutting_proxy import CuttingProxy
from faults.dead_instance import hasten_end_of_lease
from faults.shared_judge import check_all_on_record, check_no_slashable_pair, released_by
from journal.record import block, vote
from journal.shared_record import Deaths, open_shared
from postgres_server import PostgresServer, started_server
from properties.test_no_history_is_slashable import SignedVote

from signer.errors import (
    DatabaseDownError,
    InstanceInUseError,
    JournalDownError,
    LeaseLostError,
    OutcomeUnknownError,
    RolledBackError,
    SignerError,
    StartupError,
)
from signer.journal.lease import RENEWAL_SECONDS
from signer.operations.restore import Floor
from signer.operations.shared_record import SharedPlaces
from signer.operations.shared_restore import Acceptance, accept_shared_restore
from signer.units import Epoch, Slot

TESTS = Path(__file__).resolve().parent.parent

LOST = "SELECT count(*) FROM holdfast.instances WHERE incarnation = 'lost'"

WAL_WRITER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"


@pytest.fixture
def own_server():
    server = started_server()
    yield server
    server.remove()


@pytest.fixture
def proxy(postgres: PostgresServer):
    between = CuttingProxy(postgres.port)
    yield between
    between.close()


def through(proxy: CuttingProxy, url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}"


async def code_of(future) -> str:
    try:
        receipt = await future
    except SignerError as error:
        return error.code
    return "repeat" if receipt.repeat else "new"


async def soon(record, command) -> str:
    """Ask again until the database serves again; what it says then."""
    ends = time.monotonic() + 60
    while (code := await code_of(record.writer.commit(command))) in {"DATABASE_DOWN", "OUTCOME_UNKNOWN"}:
        assert time.monotonic() < ends, code
    return code


# --- outcomes that are lost ----------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False])
async def test_a_commit_whose_answer_is_lost_signs_nothing_and_the_truth_is_read_before_the_next(
    proxy: CuttingProxy, database_url: str, tmp_path: Path, kept: bool
) -> None:
    record = open_shared(through(proxy, database_url), tmp_path)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    proxy.deliver, proxy.cut_at = kept, b";\nCOMMIT"
    with pytest.raises(OutcomeUnknownError):
        await record.writer.commit(vote(2, 3))
    assert proxy.cuts == 1
    # Asked again, the same is a repeat where it was kept and new where it was lost; another vote tells the two apart.
    assert await soon(record, vote(2, 3, mark=9)) == ("DOUBLE_VOTE" if kept else "new")
    assert record.log.head.size == (3 if kept else 2)
    record.close()
    again = open_shared(database_url, tmp_path)
    assert again.log.head.size == (3 if kept else 2)
    again.close()


@pytest.mark.parametrize("when", [b"BEGIN", b"unnest"])
async def test_a_connection_lost_before_the_commit_records_nothing(
    proxy: CuttingProxy, database_url: str, tmp_path: Path, when: bytes
) -> None:
    record = open_shared(through(proxy, database_url), tmp_path)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    proxy.deliver, proxy.cut_at = True, when
    with pytest.raises(DatabaseDownError):
        await record.writer.commit(vote(2, 3))
    assert await soon(record, vote(2, 3, mark=9)) == "new"
    record.close()


async def wait_for_replication(connection: asyncpg.Connection) -> int:
    """The backend that waits for a replica."""
    while True:
        statement = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        if (found := await connection.fetchval(statement)) is not None:
            return int(found)


async def test_a_commit_that_no_replica_confirms_signs_nothing_even_when_its_wait_is_cancelled(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """PostgreSQL answers COMMIT to a cancelled wait: the vote stands on this server alone, and a fail-over loses it."""
    record = open_shared(own_server.url(), tmp_path, deadline_seconds=5)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    watcher = await asyncpg.connect(own_server.url())
    await watcher.execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    await watcher.execute("SELECT pg_reload_conf()")
    await asyncio.to_thread(own_server.wait_for_setting, "synchronous_standby_names", "absent")
    asked = asyncio.ensure_future(code_of(record.writer.commit(vote(1, 3))))
    await watcher.execute("SELECT pg_cancel_backend($1)", await wait_for_replication(watcher))
    assert await asked == "OUTCOME_UNKNOWN"
    await watcher.execute("ALTER SYSTEM RESET synchronous_standby_names")
    await watcher.execute("SELECT pg_reload_conf()")
    assert await soon(record, vote(1, 3)) == "repeat"
    await watcher.close()
    record.close()


async def test_a_commit_that_waits_for_its_replica_too_long_is_known_once_the_replica_is_back(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    record = open_shared(own_server.url(), tmp_path, deadline_seconds=0.5)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    watcher = await asyncpg.connect(own_server.url())
    await watcher.execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    await watcher.execute("SELECT pg_reload_conf()")
    await asyncio.to_thread(own_server.wait_for_setting, "synchronous_standby_names", "absent")
    assert await code_of(record.writer.commit(vote(1, 3))) == "OUTCOME_UNKNOWN"
    # A look now would not show it; the lost commit still holds our lease, so nobody looks.
    assert await watcher.fetchval("SELECT count(*) FROM signed_attestations") == 1
    assert await code_of(record.writer.commit(vote(1, 3, mark=2))) == "DATABASE_DOWN"
    await watcher.execute("ALTER SYSTEM RESET synchronous_standby_names")
    await watcher.execute("SELECT pg_reload_conf()")
    assert await soon(record, vote(1, 3, mark=2)) == "DOUBLE_VOTE"
    assert await soon(record, vote(1, 3)) == "repeat"
    await watcher.close()
    record.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_is_made_unsafe_while_it_runs_gets_no_more_records(
    own_server: PostgresServer, tmp_path: Path, setting: str
) -> None:
    record = open_shared(own_server.url(), tmp_path, renewal_seconds=0.5)  # it looks again with each renewal
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    await asyncio.to_thread(_configure, own_server, f"SET {setting} = off")
    ends, target = time.monotonic() + 3 * RENEWAL_SECONDS, 3
    while await code_of(record.writer.commit(vote(1, target))) != "DATABASE_DOWN":
        assert time.monotonic() < ends, f"{setting}=off was not noticed"
        target += 1
        await asyncio.sleep(0.02)
    await asyncio.to_thread(_configure, own_server, f"RESET {setting}")
    assert await soon(record, vote(1, 1000)) == "new"
    record.close()


async def test_commits_stay_durable_where_the_server_is_told_not_to_wait_for_its_disk(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    record = open_shared(own_server.url(), tmp_path)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    writer = int(await asyncio.to_thread(own_server.psql, WAL_WRITER))
    await asyncio.to_thread(_configure, own_server, "SET synchronous_commit = off")
    os.kill(writer, signal.SIGSTOP)  # it would write the commit a little later
    assert await code_of(record.writer.commit(vote(1, 3))) == "new"
    await asyncio.to_thread(own_server.kill)
    await asyncio.to_thread(own_server.start)
    assert await asyncio.to_thread(own_server.psql, "SELECT count(*) FROM signed_attestations") == "2"
    record.close()


def _configure(server: PostgresServer, change: str) -> None:
    """Change the server's configuration and wait until all of its processes have it."""
    server.psql(f"ALTER SYSTEM {change}")
    server.psql("SELECT pg_reload_conf()")
    name = change.split()[1]
    server.wait_for_setting(name, "off" if change.startswith("SET") else "on")


# --- deadlines and recovery ----------------------------------------------------------------------


async def test_without_a_database_each_signature_fails_closed_within_the_deadline_and_comes_back_without_a_restart(
    proxy: CuttingProxy, database_url: str, tmp_path: Path
) -> None:
    record = open_shared(through(proxy, database_url), tmp_path, deadline_seconds=1.0)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    proxy.refuse(yes=True)
    for target in (3, 4, 5):
        began = time.monotonic()
        assert await code_of(record.writer.commit(vote(1, target))) in {"DATABASE_DOWN", "OUTCOME_UNKNOWN"}
        assert time.monotonic() - began < 10  # the deadline is 1 s; the machine may be slow
    assert not record.writer.healthy
    assert record.writer.alive
    proxy.refuse(yes=False)
    assert await soon(record, vote(1, 3)) == "new"
    assert record.writer.healthy
    record.close()


async def test_a_server_that_does_not_move_is_given_up_after_the_deadline(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    record = open_shared(own_server.url(), tmp_path, deadline_seconds=0.5)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    own_server.pause()
    began = time.monotonic()
    code = await code_of(record.writer.commit(vote(1, 3)))
    assert code in {"DATABASE_DOWN", "OUTCOME_UNKNOWN"}
    assert time.monotonic() - began < 10  # the deadline is 0.5 s; the machine may be slow
    own_server.resume()
    assert await soon(record, vote(1, 3)) in {"new", "repeat"}
    record.close()


async def test_whoever_holds_a_lock_for_too_long_costs_a_deadline_and_no_more(
    database_url: str, tmp_path: Path
) -> None:
    record = open_shared(database_url, tmp_path, deadline_seconds=0.5)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(1, 1)")
        assert await code_of(record.writer.commit(vote(1, 3))) == "DATABASE_DOWN"
        assert await code_of(record.writer.commit(vote(1, 3, key=2))) == "new"
    assert await soon(record, vote(1, 3)) == "new"
    await other.close()
    record.close()


async def test_over_a_line_of_200_ms_a_signer_starts_signs_and_connects_again(
    proxy: CuttingProxy, database_url: str, tmp_path: Path
) -> None:
    """At the default deadline of 2 s, in which not all of a new connection's steps have their time."""
    proxy.delay_seconds = 0.1
    record = await asyncio.to_thread(open_shared, through(proxy, database_url), tmp_path)
    began = time.monotonic()
    futures = record.writer.commit_all([vote(1, 2, key=key) for key in range(512)])
    assert {await code_of(future) for future in futures} == {"new"}
    assert time.monotonic() - began < 60  # a round trip for each of 512 keys would be 100 s
    proxy.refuse(yes=True)
    assert await code_of(record.writer.commit(vote(1, 3))) in {"DATABASE_DOWN", "OUTCOME_UNKNOWN"}
    proxy.refuse(yes=False)
    assert await soon(record, vote(1, 3)) == "new"
    await asyncio.to_thread(record.close)


# --- the lease -----------------------------------------------------------------------------------


def copy_of(directory: Path) -> Path:
    twin = directory.with_name(directory.name + "-twin")
    shutil.copytree(directory, twin)
    return twin


async def end_lease(url: str) -> None:
    other = await asyncpg.connect(url)
    await other.execute("UPDATE holdfast.instances SET expires_at = clock_timestamp()")
    await other.close()


async def test_after_its_lease_was_taken_over_a_process_cannot_commit(database_url: str, tmp_path: Path) -> None:
    deaths = Deaths()
    paused = open_shared(database_url, tmp_path / "one", on_death=deaths.append)
    assert await code_of(paused.writer.commit(vote(1, 2))) == "new"
    await end_lease(database_url)
    successor = open_shared(database_url, copy_of(tmp_path / "one"))
    with pytest.raises((OutcomeUnknownError, JournalDownError)):
        await paused.writer.commit(vote(1, 3))
    assert isinstance(deaths[0], LeaseLostError)
    assert not paused.writer.alive
    assert await code_of(successor.writer.commit(vote(1, 3, mark=2))) == "new"
    successor.close()
    paused.close()


async def test_a_lease_that_ended_and_that_nobody_took_is_taken_again(database_url: str, tmp_path: Path) -> None:
    record = open_shared(database_url, tmp_path)
    await end_lease(database_url)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    record.close()


async def test_a_copy_of_a_running_signers_directory_does_not_start(database_url: str, tmp_path: Path) -> None:
    record = open_shared(database_url, tmp_path / "one", renewal_seconds=0.5)
    with pytest.raises(InstanceInUseError):
        await asyncio.to_thread(open_shared, database_url, copy_of(tmp_path / "one"))
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    record.close()


# --- history that is lost ------------------------------------------------------------------------


def promote_old_copy(server: PostgresServer, copy: Path) -> None:
    """The server dies, and a replica without its newest transactions takes over under a timeline of its own."""
    server.kill()
    shutil.rmtree(server.data)
    copy.rename(server.data)
    start_promoted(server)


def start_promoted(server: PostgresServer) -> None:
    """As a replica that takes over with what is in its files."""
    (server.data / "standby.signal").touch()
    server.start()
    server.psql("SELECT pg_promote()")


def end_promotion(server: PostgresServer) -> None:
    while server.psql("SELECT pg_is_in_recovery()") != "f":
        pass


def copy_while_stopped(server: PostgresServer) -> Path:
    server.stop()
    copy = server.directory / "copy"
    subprocess.run(["cp", "-a", str(server.data), str(copy)], check=True)
    server.start()
    return copy


async def test_a_replica_that_took_over_without_our_newest_commits_is_refused_while_running_and_at_start(
    own_server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deaths = Deaths()
    record = open_shared(own_server.url(), tmp_path, on_death=deaths.append)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    copy = await asyncio.to_thread(copy_while_stopped, own_server)
    assert await soon(record, vote(1, 3)) == "new", deaths
    await asyncio.to_thread(promote_old_copy, own_server, copy)
    outcome = await soon(record, vote(1, 3, mark=2))
    assert outcome in {"OUTCOME_UNKNOWN", "JOURNAL_DOWN"}
    assert isinstance(deaths[0], RolledBackError)
    assert "could not be told" not in caplog.text
    record.close()
    await end_lease(own_server.url())
    with pytest.raises(RolledBackError):
        await asyncio.to_thread(open_shared, own_server.url(), tmp_path)
    assert await asyncio.to_thread(own_server.psql, LOST) == "1", "the other signers hear of it"


async def test_an_accepted_loss_raises_every_floor_and_each_instance_accepts_its_own(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    names = ("1", "2")
    records = [open_shared(own_server.url(), tmp_path / name, renewal_seconds=0.3) for name in names]
    for record in records:
        assert await code_of(record.writer.commit(vote(1, 2))) in {"new", "repeat"}
    copy = await asyncio.to_thread(copy_while_stopped, own_server)
    for record in records:
        assert await soon(record, vote(1, 30, key=5)) in {"new", "repeat"}
    places = [SharedPlaces(own_server.url(), tmp_path / name, tmp_path / name / "head") for name in names]
    acceptance = Acceptance(Floor(Epoch(100), Slot(3231)), now_ms=5, reach_epochs=2, principal="operator")
    for record in records:
        record.close()
    await asyncio.to_thread(promote_old_copy, own_server, copy)
    await asyncio.to_thread(end_promotion, own_server)
    await end_lease(own_server.url())
    for name, place in zip(names, places, strict=True):
        with pytest.raises(RolledBackError):
            await asyncio.to_thread(open_shared, own_server.url(), tmp_path / name)
        await end_lease(own_server.url())
        await asyncio.to_thread(accept_shared_restore, place, acceptance)
    first = open_shared(own_server.url(), tmp_path / "1")
    assert await code_of(first.writer.commit(vote(29, 31, key=5))) == "BELOW_FLOOR"  # would surround nothing we know of
    assert await code_of(first.writer.commit(vote(100, 100, key=6))) == "BELOW_FLOOR"
    assert await code_of(first.writer.commit(vote(100, 101, key=5))) == "new"
    assert await code_of(first.writer.commit(block(3231, key=5))) == "BELOW_FLOOR"
    with pytest.raises(StartupError, match="hold a lease"):
        await asyncio.to_thread(accept_shared_restore, places[1], acceptance)
    first.close()
    watcher = await asyncpg.connect(own_server.url())
    lows = await watcher.fetch("SELECT source_epoch, target_epoch, slot FROM low_watermarks WHERE validator_id = 1")
    assert [tuple(map(int, row)) for row in lows] == [(100, 100, 3231)]
    await watcher.close()


async def test_a_replica_that_lost_nothing_goes_on_once_every_instance_has_confirmed_it(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    first = open_shared(own_server.url(), tmp_path / "1", renewal_seconds=0.1)
    second = open_shared(own_server.url(), tmp_path / "2")
    stopped = open_shared(own_server.url(), tmp_path / "3")
    stopped.close()  # in order: nobody waits for it
    assert await code_of(second.writer.commit(vote(1, 2))) == "new"
    second.writer._database._session.abandon()  # cut off: it does not hear of the take-over by itself
    second.writer._database.ready = lambda: None
    await asyncio.to_thread(own_server.stop)
    await asyncio.to_thread(start_promoted, own_server)
    # The second instance has not looked yet: it may have signed what this server never had.
    ends, looks = time.monotonic() + 60, 0
    while looks < 100:
        with pytest.raises((DatabaseDownError, OutcomeUnknownError)) as refusal:
            await first.writer.commit(vote(1, 3))
        looks += "not every instance has confirmed" in refusal.value.sentence
        assert time.monotonic() < ends
    del second.writer._database.ready
    assert await soon(second, vote(1, 2)) == "repeat"
    assert await soon(first, vote(1, 3)) == "new"
    first.close()
    second.close()


async def test_a_fail_over_to_a_synchronous_replica_loses_nothing_and_needs_no_restart(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    replica = await asyncio.to_thread(own_server.make_replica)
    try:
        hosts = f"127.0.0.1:{own_server.port},127.0.0.1:{replica.port}"
        url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        deaths = Deaths()
        records = [open_shared(url, tmp_path / str(n), on_death=deaths.append, deadline_seconds=3) for n in (1, 2)]
        released: dict[int, list[SignedVote]] = defaultdict(list)

        async def sign(record, key: int) -> None:
            for target in range(2, 60):
                code = await soon(record, vote(target - 1, target, key=key, mark=target))
                assert code in {"new", "repeat"}
                released[key].append((target - 1, target, target))

        load = asyncio.gather(*(sign(record, n) for n, record in enumerate(records)))
        while not released[0] or len(released[0]) < 15:
            await asyncio.sleep(0)
        await asyncio.to_thread(own_server.kill)
        await asyncio.to_thread(replica.promote)
        await load
        assert not deaths
        for record in records:
            record.close()
        await check_all_on_record(replica.url(), released)
        assert {len(votes) for votes in released.values()} == {58}
    finally:
        replica.remove()


async def test_a_head_file_that_is_gone_refuses_the_start(database_url: str, tmp_path: Path) -> None:
    record = open_shared(database_url, tmp_path)
    assert await code_of(record.writer.commit(vote(1, 2))) == "new"
    record.close()
    (tmp_path / "head").unlink()
    with pytest.raises(RolledBackError, match="head file"):
        open_shared(database_url, tmp_path)


# --- many signers --------------------------------------------------------------------------------


async def test_two_signers_with_opposite_batches_never_deadlock(own_server: PostgresServer, tmp_path: Path) -> None:
    records = [open_shared(own_server.url(), tmp_path / name, deadline_seconds=10) for name in ("1", "2")]

    async def load(record, order, mark: int) -> None:
        for turn in range(1, 25):
            commands = []
            for key in order:
                commands.append(block(turn, key=key, mark=1) if (key + mark) % 2 else vote(turn, turn + 1, key=key))
            for future in record.writer.commit_all(commands):
                assert await code_of(future) in {"new", "repeat", "BELOW_FLOOR"}

    await asyncio.gather(load(records[0], range(100), 0), load(records[1], range(99, -1, -1), 1))
    for record in records:
        record.close()
    assert "deadlock detected" not in (own_server.directory / "log").read_text()


async def test_four_signers_with_full_batches_stay_within_the_servers_lock_table(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """At default settings (64 locks for each of 100 connections); blocks need two locks each."""
    records = [open_shared(own_server.url(), tmp_path / str(n), deadline_seconds=20) for n in range(4)]

    async def load(n: int) -> None:
        for turn in (1, 2, 3):
            wanted = [block(turn, key=1000 * n + key) for key in range(512)]
            assert {await code_of(future) for future in records[n].writer.commit_all(wanted)} == {"new"}

    await asyncio.gather(*(load(n) for n in range(4)))
    for record in records:
        record.close()


def start_signer(url: str, directory: Path, seed: int, turns: int) -> subprocess.Popen[str]:
    line = [sys.executable, str(TESTS / "faults" / "shared_signer.py"), url, str(directory), str(seed), str(turns)]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.mark.parametrize("signers", [2, 4])
def test_signers_and_database_killed_at_random_moments_release_no_slashable_pair(
    own_server: PostgresServer, tmp_path: Path, signers: int
) -> None:
    """Every vote that any process said it would release goes before the dull judge, and must be on record."""
    chance = random.Random(signers)
    url, released = own_server.url(), defaultdict(list)
    running = {n: start_signer(url, tmp_path / str(n), 100 + n, 120) for n in range(signers)}
    answered = {n: [] for n in range(signers)}

    def collect(n: int) -> None:
        output = running[n].communicate(timeout=120)[0]
        answered[n].extend(output.splitlines())

    for _ in range(3):
        deadline = time.monotonic() + chance.uniform(0.4, 1.0)
        while time.monotonic() < deadline:
            time.sleep(0.01)
        victim = chance.randrange(signers)
        running[victim].send_signal(signal.SIGKILL)
        collect(victim)
        own_server.kill()
        own_server.start()
        hasten_end_of_lease(own_server, tmp_path / str(victim))
        running[victim] = start_signer(url, tmp_path / str(victim), 1000 + chance.randrange(1000), 120)
    for n in range(signers):
        collect(n)
    for lines in answered.values():
        assert "Traceback" not in "\n".join(lines), "\n".join(lines)
        for key, one in released_by(lines):
            released[key].append(one)
    assert sum(map(len, released.values())) > 200
    check_no_slashable_pair(released)
    asyncio.run(check_all_on_record(url, released))


def test_the_dull_judge_can_fail() -> None:
    with pytest.raises(AssertionError, match="both released"):
        check_no_slashable_pair({1: [(1, 2, 1), (1, 2, 2)]})


async def test_a_stopped_process_that_wakes_after_its_lease_was_taken_over_dies_and_has_released_nothing_unrecorded(
    database_url: str, tmp_path: Path
) -> None:
    signer = start_signer(database_url, tmp_path / "one", 5, 100_000)
    assert signer.stdout is not None
    lines = [await asyncio.to_thread(signer.stdout.readline) for _ in range(50)]
    signer.send_signal(signal.SIGSTOP)
    other = await asyncpg.connect(database_url)
    # The server ends what a paused process left open (idle_in_transaction_session_timeout), or it was between batches.
    await other.execute("UPDATE holdfast.instances SET expires_at = clock_timestamp()")
    successor = await asyncio.to_thread(open_shared, database_url, copy_of(tmp_path / "one"))
    recorded = await other.fetchval("SELECT count(*) FROM signed_attestations")
    signer.send_signal(signal.SIGCONT)
    lines += (await asyncio.to_thread(signer.communicate, timeout=60))[0].splitlines()
    assert any(line.startswith("died LeaseLostError") for line in lines), lines[-5:]
    assert await other.fetchval("SELECT count(*) FROM signed_attestations") == recorded
    released = defaultdict(list)
    for key, one in released_by(lines):
        released[key].append(one)
    await check_all_on_record(database_url, released)
    await other.close()
    successor.close()
