"""Folding the write-ahead log in: an older copy of the file is told from the newest, whatever log lies beside it."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from journal.record import public_key, vote
from operations.record_twin import House, verdict

from signer.audit.head import read_head
from signer.errors import OutcomeUnknownError, RolledBackError
from signer.journal.checkpoint import DUE_PAGES, Checkpointer, check_file_mark, read_file_mark
from signer.journal.embedded import PROBE_SECONDS
from signer.journal.files import FilesInUse
from signer.journal.ledger import Marks
from signer.journal.sqlite import SqliteDatabase, create_database, open_writer
from signer.operations.record import Record


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def fill(record: Record, *, batches: int, start: int = 0) -> None:
    """Commits of many validators' votes: about 60 pages each."""
    for batch in range(start, start + batches):
        await asyncio.gather(*record.writer.commit_all([vote(1, 2, key=512 * batch + n) for n in range(512)]))


def mark_of(house: House) -> bytes:
    database = SqliteDatabase(house.places.database, read_only=True)
    try:
        return read_file_mark(database)
    finally:
        database.close()


def leave_as_killed(house: House, record: Record, directory: Path) -> None:
    """What a kill at this moment would leave: database, log and head file."""
    directory.mkdir()
    for file in ("journal.sqlite", "journal.sqlite-wal", "head"):
        shutil.copy(house.data / file, directory / file)


async def test_a_long_log_is_folded_in_and_the_file_changes_its_mark(house: House) -> None:
    with house.record() as record:
        first = mark_of(house)
        await fill(record, batches=30)
        wal = house.data / "journal.sqlite-wal"
        assert wal.stat().st_size < 3 * DUE_PAGES * 4200, "it does not grow for ever"
        assert house.places.database.stat().st_size > 1_000_000
        assert mark_of(house) != first
        head = read_head(house.places.head_file)
        assert head is not None
        assert head.marks is not None
        assert mark_of(house) in head.marks
    assert not wal.exists(), "a signer that was stopped leaves one file"


async def test_an_older_file_beside_a_newer_log_is_refused(house: House) -> None:
    """SQLite would replay the log over it: votes from before the log began would be gone, and every check pass."""
    killed = house.directory / "killed"
    with house.record() as record:
        await verdict(record, 5, 6, key=77_000)
    older = house.places.database.read_bytes()
    with house.record() as record:
        assert await verdict(record, 6, 7, key=77_000) == "new"
    with house.record() as record:
        await verdict(record, 1, 2, key=78_000)
        leave_as_killed(house, record, killed)
    for file in killed.iterdir():
        shutil.copy(file, house.data / file.name)
    with house.record() as record:
        assert await verdict(record, 6, 7, key=77_000, mark=2) == "DOUBLE_VOTE", "as the kill left it, all is there"
    for file in killed.iterdir():
        shutil.copy(file, house.data / file.name)
    house.places.database.write_bytes(older)
    with pytest.raises(RolledBackError, match="an older copy was put in its place"), house.record():
        pass


async def test_every_moment_of_a_checkpoint_leaves_what_starts(house: House) -> None:
    """Copies taken while a busy writer commits and folds, as a kill would leave them. A copy is not one moment, so
    each is taken head first: the head file is never ahead of its database."""
    places = house.places

    async def copies(record: Record) -> list[Path]:
        made = []
        for number in range(12):
            directory = house.directory / f"copy {number}"
            filling = asyncio.create_task(fill(record, batches=3, start=3 * number))
            await filling
            leave_as_killed(house, record, directory)
            made.append(directory)
        return made

    with house.record() as record:
        made = await copies(record)
    for directory in made:
        for old in house.data.glob("journal.sqlite*"):
            old.unlink()
        for file in directory.iterdir():
            shutil.copy(file, house.data / file.name)
        with house.record() as record:
            number = int(directory.name.split()[1])
            assert await verdict(record, 1, 2, key=512 * (3 * number + 2), mark=2) == "DOUBLE_VOTE"
    assert places.database.exists()


class Keeper:
    """Remembers marks in memory, and may fail to."""

    def __init__(self, *, broken: bool = False) -> None:
        self.marks: Marks | None = None
        self.noted: list[Marks] = []
        self.broken = broken

    def note_marks(self, marks: Marks) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.marks = marks
        self.noted.append(marks)


@pytest.fixture
def database(tmp_path: Path):
    create_database(tmp_path / "journal.sqlite", database_id=b"i" * 16)
    opened = open_writer(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def test_both_marks_are_noted_before_any_page_is_moved(database: SqliteDatabase) -> None:
    keeper = Keeper(broken=True)
    before = read_file_mark(database)
    with pytest.raises(OSError, match="No space"):
        Checkpointer(database, keeper).run()
    assert read_file_mark(database) == before, "not moved, because nobody would know the new mark"
    keeper.broken = False
    Checkpointer(database, keeper).run()
    after = read_file_mark(database)
    assert keeper.noted == [(before, after), (after, after)], "the older file is no right one any more"
    assert not Checkpointer(database, keeper).due


def test_a_file_that_was_replaced_in_use_is_not_written_to(database: SqliteDatabase) -> None:
    keeper = Keeper()
    keeper.marks = (b"a" * 16, b"b" * 16)
    with pytest.raises(RolledBackError):
        Checkpointer(database, keeper).run()
    check_file_mark(b"b" * 16, keeper.marks)
    check_file_mark(b"anything", None)


def test_a_kill_after_any_page_of_a_checkpoint_leaves_what_starts(database: SqliteDatabase, tmp_path: Path) -> None:
    """Pages move in the order of their numbers, so the first page tells of pages that the file has not got yet."""
    path, killed = database.path, tmp_path / "killed" / "journal.sqlite"
    killed.parent.mkdir()
    keeper = Keeper()
    with database.transaction():
        database.run_many("INSERT INTO validators (public_key) VALUES (?)", ((public_key(n),) for n in range(2_000)))
    before = path.read_bytes()
    Checkpointer(database, keeper).run()  # a passive one: the log stays as it is
    after, log = path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()
    page = 4096
    pages = len(after) // page
    assert pages > len(before) // page + 10, "the file must have grown"
    for moved in (*range(6), pages // 2, pages - 1, pages):
        killed.with_name(killed.name + "-shm").unlink(missing_ok=True)
        killed.with_name(killed.name + "-wal").write_bytes(log)
        killed.write_bytes(after[: moved * page] + before[moved * page :])
        opened = open_writer(killed)
        try:
            check_file_mark(read_file_mark(opened), keeper.noted[0])
            assert list(opened.rows("SELECT count(*) FROM validators")) == [(2_000,)]
        finally:
            opened.close()


def test_a_reader_holds_nothing_up(database: SqliteDatabase) -> None:
    reader = SqliteDatabase(database.path, read_only=True)
    with reader.snapshot():
        assert list(reader.rows("SELECT count(*) FROM validators")) == [(0,)]
        with database.transaction():
            database.run("INSERT INTO validators (public_key) VALUES (?)", (public_key(1),))
        Checkpointer(database, Keeper()).run()
        assert list(reader.rows("SELECT count(*) FROM validators")) == [(0,)], "its moment stands"
    assert list(reader.rows("SELECT count(*) FROM validators")) == [(1,)]
    reader.close()


CHECKPOINT_LOCK = 121
"""The byte of the `-shm` file that stands for it (SQLite's os_unix.c: 120, and WAL_CKPT_LOCK is 1)."""

HOLDER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_checkpoint(database: Path) -> Iterator[None]:
    """Another program that folds the log in and does not come to an end, as a backup tool may."""
    line = [sys.executable, "-c", HOLDER, f"{database}-shm", str(CHECKPOINT_LOCK)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate()


def marks_of(house: House) -> Marks | None:
    head = read_head(house.places.head_file)
    assert head is not None
    return head.marks


async def test_a_busy_database_puts_a_checkpoint_off_and_is_no_full_disk(house: House) -> None:
    with house.record() as record:
        assert await verdict(record, 1, 2) == "new"
        first = mark_of(house)
        with another_checkpoint(house.places.database):
            await fill(record, batches=20, start=1)
            tried = marks_of(house)
            assert tried is not None
            assert tried[1] != first, "a checkpoint was tried"
            assert mark_of(house) == first, "and could not be made"
            assert record.writer.healthy
            assert await record.healthy()
            await fill(record, batches=3, start=21)
            assert marks_of(house) == tried, "it is not tried again with each batch: every try is a commit"
        async with asyncio.timeout(4 * PROBE_SECONDS):
            while mark_of(house) == first:  # though nobody asks for anything
                await asyncio.sleep(0.05)
        assert record.writer.healthy


async def test_a_stop_while_the_database_is_busy_leaves_what_starts(house: House) -> None:
    with house.record() as record:
        assert await verdict(record, 1, 2) == "new"
        holding = another_checkpoint(house.places.database)
        holding.__enter__()
    holding.__exit__(None, None, None)
    with house.record() as record:
        assert await verdict(record, 1, 2) == "repeat"


# --- the files under our feet ----------------------------------------------------------------------------


def remove_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def replace_log(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    shutil.copy(log, log.with_name("copy"))
    log.with_name("copy").replace(log)


def cut_log(path: Path) -> None:
    os.truncate(path.with_name(path.name + "-wal"), 100)


def second_name(path: Path) -> None:
    path.with_name("second").hardlink_to(path)


def remove_database(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "take", [remove_log, replace_log, cut_log, second_name, remove_database], ids=lambda take: take.__name__
)
async def test_files_that_change_under_our_feet_end_the_journal(house: House, take) -> None:
    with house.record() as record:
        assert await verdict(record, 1, 2) == "new"
        assert await verdict(record, 2, 3) == "new"
        take(house.places.database)
        with pytest.raises(OutcomeUnknownError, match="while in use"):
            await record.writer.commit(vote(3, 4))
        assert not record.writer.alive
        assert not await record.healthy()


def test_files_that_were_never_there_are_missed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FilesInUse(tmp_path / "nothing").check()


def test_an_immutable_look_at_a_file_in_use_does_not_let_go_of_its_locks(database: SqliteDatabase) -> None:
    """A plain open and close would: POSIX drops all of a process's locks on a file with any descriptor of it."""
    other = apsw.Connection(str(database.path))
    other.set_busy_timeout(0)
    with database.transaction():
        read_file_mark(database)
        with pytest.raises(apsw.BusyError):
            other.execute("BEGIN IMMEDIATE")
    other.close()
