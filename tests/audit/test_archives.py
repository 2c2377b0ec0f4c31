"""Archives: whole batches leave the database for files, and the log stays one log."""

from pathlib import Path

import pytest
from audit.log_twin import LOG_ID, LogTwin, make_log

import signer.audit.archive as archive_module
from signer.audit.archive import (
    Archive,
    LogStart,
    archive_name,
    choose_old,
    decode_archive,
    encode_archive,
    forget,
    read_start,
    set_aside,
    verify_archives,
)
from signer.audit.chain import EMPTY_HEAD, head_after, unpack
from signer.audit.verify import StoredBatch, stored_batches, verify_log
from signer.errors import AuditError

START = LogStart(0, EMPTY_HEAD)


@pytest.fixture
def log(tmp_path: Path):
    made = make_log(tmp_path, [])
    for hour in range(8):
        made.append(2, time_ms=hour * 3_600_000)
    yield made
    made.database.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def archive(log: LogTwin, directory: Path, *, until_hour: int, delete: bool = True) -> Path:
    """What the archiver does, step by step; a crash before the deletion is `delete=False`."""
    start = read_start(log.database)
    old = choose_old(stored_batches(log.database, start=start.size), before_ms=until_hour * 3_600_000)
    file = directory / archive_name(LOG_ID, old)
    file.write_bytes(encode_archive(Archive(LOG_ID, start, old)))
    if delete:
        with log.database.transaction():
            forget(log.database, end=LogStart(old[-1].first_index + old[-1].count, old[-1].head))
    return file


def verify(log: LogTwin, directory: Path) -> tuple[int, int]:
    """The first entry at hand, and the size: archives, then database, as `holdfast audit verify` reads them."""
    start = read_start(log.database)
    first = verify_archives(directory, log_id=LOG_ID, end=start)
    found = verify_log(stored_batches(log.database, start=start.size), size=start.size, head=start.head)
    assert found.head == log.head.head
    return first, found.size


def test_nothing_younger_is_chosen_and_never_the_newest_batch(log: LogTwin) -> None:
    def chosen(hour: int) -> list[int]:
        return [batch.first_index for batch in choose_old(stored_batches(log.database), before_ms=hour * 3_600_000)]

    assert chosen(0) == []
    assert chosen(1) == [0]
    assert chosen(3) == [0, 2, 4]
    assert chosen(100) == [0, 2, 4, 6, 8, 10, 12], "the head file's batch stays"


def test_a_batch_with_one_young_entry_stays(tmp_path: Path, log: LogTwin) -> None:
    young = log.append(1, time_ms=0)
    assert young.size == 17
    chosen = choose_old(stored_batches(log.database), before_ms=7 * 3_600_000)
    assert chosen[-1].first_index == 12, "order is the log's, not the clock's: nothing behind a young batch leaves"


def test_of_an_empty_log_nothing_is_chosen() -> None:
    assert choose_old([], before_ms=10**15) == []


def test_one_file_takes_about_its_size_and_no_more() -> None:
    large = b"".join([b"\x10\x00" + bytes(12) + b"r" * (4096 - 12)] * 100)
    batches = [StoredBatch(n * 100, 100, bytes(32), large) for n in range(100)]
    chosen = choose_old(batches, before_ms=10**15)
    size = sum(len(batch.entries) for batch in chosen)
    assert archive_module.FILE_BYTES <= size < archive_module.FILE_BYTES + 2 * len(large)


def test_a_file_is_read_as_it_was_written(log: LogTwin) -> None:
    whole = Archive(LOG_ID, START, list(stored_batches(log.database)))
    assert decode_archive(encode_archive(whole)) == whole


def test_every_cut_of_a_file_is_refused_or_lacks_whole_batches(log: LogTwin) -> None:
    whole = Archive(LOG_ID, START, list(stored_batches(log.database))[:2])
    data = encode_archive(whole)
    for length in range(len(data)):
        try:
            found = decode_archive(data[:length])
        except AuditError:
            continue
        assert found.batches == whole.batches[: len(found.batches)]
        assert len(found.batches) < 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"something else\n",
        b"holdfast-audit-archive v2 " + b"00" * 16 + b" 0 " + b"00" * 32 + b"\n",
        b"holdfast-audit-archive v1 zz 0 00\n",
        b"holdfast-audit-archive v1 00 x 00\n",
        b"holdfast-audit-archive v1 00 0\n",
    ],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(AuditError):
        decode_archive(data)


def test_archives_and_database_verify_as_one_log(log: LogTwin, directory: Path) -> None:
    assert verify(log, directory) == (0, 16)
    archive(log, directory, until_hour=2)
    assert verify(log, directory) == (0, 16)
    archive(log, directory, until_hour=5)
    log.append(3, time_ms=9 * 3_600_000)
    assert verify(log, directory) == (0, 19)
    assert next(stored_batches(log.database)).first_index == 10


def test_oldest_archives_that_were_taken_elsewhere_are_told_and_are_no_fault(log: LogTwin, directory: Path) -> None:
    first = archive(log, directory, until_hour=2)
    second = archive(log, directory, until_hour=5)
    first.unlink()
    assert verify(log, directory) == (4, 16)
    second.unlink()
    assert verify(log, directory) == (10, 16)


def test_a_missing_archive_in_the_middle_or_at_the_end_is_a_fault(log: LogTwin, directory: Path) -> None:
    files = [archive(log, directory, until_hour=hour) for hour in (2, 4, 6)]
    kept = files[1].read_bytes()
    files[1].unlink()
    with pytest.raises(AuditError, match=files[2].name):
        verify(log, directory)
    files[1].write_bytes(kept)
    files[2].unlink()
    with pytest.raises(AuditError, match="the archives end at entry 8"):
        verify(log, directory)


def test_an_archive_of_another_history_is_a_fault(log: LogTwin, directory: Path) -> None:
    file = archive(log, directory, until_hour=2)
    found = decode_archive(file.read_bytes())
    forged = [StoredBatch(0, 2, found.batches[0].head, found.batches[0].entries), found.batches[1]]
    # A whole chain, made anew by whoever can write the files: it does not lead to the head the database begins with.
    entries = found.batches[1].entries.replace(b"CODE_3", b"CODE_9")
    forged[1] = StoredBatch(2, 2, head_after(forged[0].head, unpack(entries)), entries)
    file.write_bytes(encode_archive(Archive(LOG_ID, START, forged)))
    with pytest.raises(AuditError, match="another history"):
        verify(log, directory)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data.replace(b"CODE_1", b"CODE_2"), "was changed"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: b"nonsense", "not an audit archive"),
        (lambda data: data.replace(LOG_ID.hex().encode(), b"00" * 16), "another log"),
        (lambda data: data.replace(EMPTY_HEAD.hex().encode(), b"11" * 32), "does not begin"),
        (lambda data: data.replace(b" 0 ", b" 1 "), "missing|begin"),
    ],
    ids=["entry", "cut", "nonsense", "log", "head", "start"],
)
def test_a_changed_archive_is_a_fault_with_its_name(log: LogTwin, directory: Path, spoil, words: str) -> None:
    file = archive(log, directory, until_hour=2)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(AuditError, match=words) as caught:
        verify(log, directory)
    assert file.name in caught.value.sentence


def test_an_archive_that_cannot_be_read_is_a_fault(log: LogTwin, directory: Path) -> None:
    file = archive(log, directory, until_hour=2)
    file.unlink()
    file.mkdir()
    with pytest.raises(AuditError, match="cannot be read"):
        verify(log, directory)


def test_a_crash_before_the_rows_were_deleted_is_no_fault(log: LogTwin, directory: Path) -> None:
    left = archive(log, directory, until_hour=2, delete=False)
    assert verify(log, directory) == (0, 16), "before the next try"
    set_aside(directory, log_id=LOG_ID, start=read_start(log.database))
    assert [file.name for file in directory.iterdir()] == [left.name + ".superseded"]
    archive(log, directory, until_hour=5)  # hours later more is old: the file has another name
    assert verify(log, directory) == (0, 16)


def test_archives_of_rows_that_have_left_the_database_are_never_set_aside(log: LogTwin, directory: Path) -> None:
    names = {archive(log, directory, until_hour=hour).name for hour in (2, 4)}
    set_aside(directory, log_id=LOG_ID, start=read_start(log.database))
    assert {file.name for file in directory.iterdir()} == names


def test_another_logs_archives_in_the_same_directory_are_left_alone(log: LogTwin, directory: Path) -> None:
    archive(log, directory, until_hour=2)
    other = directory / archive_name(b"O" * 16, list(stored_batches(log.database, start=4)))
    other.write_bytes(b"not ours to judge")
    assert verify(log, directory) == (0, 16)
    set_aside(directory, log_id=LOG_ID, start=START)
    assert other.exists()
