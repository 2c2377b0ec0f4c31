"""Reading the embedded record beside the writer: connections are kept, and no moment of the past with them."""

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from journal.record import Record, open_record, vote

from signer.errors import StartupError
from signer.journal import reader as reading
from signer.journal.reader import SqliteReader

COUNT = "SELECT count(*) FROM signed_attestations"
EACH = "SELECT target_epoch FROM signed_attestations"
FILE = "journal.sqlite"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    record = open_record(tmp_path)
    yield record
    record.close()


@pytest.fixture
def reader(record: Record, tmp_path: Path) -> Iterator[SqliteReader]:
    reader = SqliteReader(tmp_path / FILE)
    yield reader
    reader.close()


def open_files(file: Path) -> int:
    """How often this process has the file open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(each) == str(file)
        except OSError:  # the listing's own
            continue
    return found


def count(reader: SqliteReader) -> int:
    with reader.moment() as moment:
        [(found,)] = moment.rows(COUNT)
    return int(found)


async def test_every_moment_sees_all_that_was_committed_before_it_began(record: Record, reader: SqliteReader) -> None:
    for number in range(100):
        assert count(reader) == number
        await record.writer.commit(vote(number, number + 1))


async def test_a_moment_stays_as_it_was_while_the_writer_goes_on(record: Record, reader: SqliteReader) -> None:
    assert count(reader) == 0
    with reader.moment() as moment:
        assert list(moment.rows(COUNT)) == [(0,)]
        await record.writer.commit(vote(1, 2))
        assert list(moment.rows(COUNT)) == [(0,)]
    assert count(reader) == 1


async def test_rows_that_nobody_has_read_to_the_end_keep_no_later_moment_in_the_past(
    record: Record, reader: SqliteReader
) -> None:
    for number in range(3):
        await record.writer.commit(vote(number, number + 1))
    with reader.moment() as moment:
        unfinished = iter(moment.rows(EACH))
        next(unfinished)
    await record.writer.commit(vote(3, 4))
    assert count(reader) == 4
    assert reader._idle, "the one that could be used again is kept"


async def test_questions_one_after_the_other_share_a_connection(
    record: Record, reader: SqliteReader, tmp_path: Path
) -> None:
    before = open_files(tmp_path / FILE)
    for _ in range(5):
        count(reader)
        assert open_files(tmp_path / FILE) == before + 1
    reader.close()
    await record.writer.commit(vote(1, 2))
    assert count(reader) == 1, "whoever still asks is answered"
    assert not reader._idle


def test_questions_at_once_have_moments_of_their_own_and_two_connections_are_kept(reader: SqliteReader) -> None:
    with reader.moment() as one, reader.moment() as two, reader.moment() as three:
        assert [list(each.rows(COUNT)) for each in (one, two, three)] == [[(0,)]] * 3
    assert len(reader._idle) == reading.MOST_IDLE


async def test_threads_that_ask_while_the_writer_commits_never_see_it_go_back(
    record: Record, reader: SqliteReader
) -> None:
    """Each looks as often as there are commits, and at least once after the last."""
    done = threading.Event()

    def looks() -> list[int]:
        seen = [count(reader)]
        while not done.is_set():
            seen.append(count(reader))
        return [*seen, count(reader)]

    with ThreadPoolExecutor(4) as threads:
        watching = [threads.submit(looks) for _ in range(4)]
        try:
            for number in range(50):
                await record.writer.commit(vote(number, number + 1))
        finally:
            done.set()
        for each in watching:
            seen = each.result(timeout=60)
            assert seen == sorted(seen)
            assert seen[-1] == 50


def test_another_file_in_the_place_of_the_first_is_read_from_then_on(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    record.close()
    other = tmp_path / "other"
    shutil.copyfile(tmp_path / FILE, other)
    reader = SqliteReader(tmp_path / FILE)
    assert count(reader) == 0
    assert open_files(tmp_path / FILE) == 1
    other.rename(tmp_path / FILE)
    assert count(reader) == 0
    assert open_files(tmp_path / FILE) == 1, "of the new file alone: the old one has no name any more"
    (tmp_path / FILE).unlink()
    with pytest.raises(StartupError):
        count(reader)
    reader.close()


async def test_a_connection_that_is_kept_holds_no_checkpoint_back(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    reader = SqliteReader(tmp_path / FILE)
    await record.writer.commit(vote(1, 2))
    assert count(reader) == 1
    log = tmp_path / f"{FILE}-wal"
    assert log.stat().st_size > 0
    record.close()
    assert not log.exists() or log.stat().st_size == 0
    assert count(reader) == 1
    reader.close()
