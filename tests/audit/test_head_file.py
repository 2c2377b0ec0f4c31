"""The head file: two records written in turn, of which a torn write leaves the other."""

import errno
import os
import time
from pathlib import Path

import pytest

from signer.audit.head import (
    RECORD_BYTES,
    Head,
    HeadFile,
    create_head_file,
    decode_head,
    encode_head,
    read_head,
)
from signer.errors import CorruptDatabaseError, StartupError


def head(size: int) -> Head:
    return Head(b"d" * 16, b"l" * 16, size, bytes([size % 256]) * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "head"


@pytest.fixture
def file(path: Path):
    create_head_file(path, head(1))
    opened = HeadFile(path)
    yield opened
    opened.close()


def test_no_file_is_no_head(path: Path) -> None:
    assert read_head(path) is None


def test_a_head_is_read_as_it_was_written() -> None:
    assert len(encode_head(head(7))) == RECORD_BYTES
    assert decode_head(encode_head(head(7))) == head(7)
    assert decode_head(encode_head(head(2**63))) == head(2**63)


def test_the_newest_head_is_read_after_every_put(path: Path, file: HeadFile) -> None:
    for size in range(2, 12):
        file.put(head(size))
        assert read_head(path) == head(size), "visible to the next start even if the process dies now"
    assert path.stat().st_size == 2 * RECORD_BYTES


@pytest.mark.parametrize("written", [1, 60, 100, 160])
def test_a_torn_write_leaves_the_head_before_it_whichever_record_it_was_in(path: Path, written: int) -> None:
    for newest in (5, 6):  # once in either record
        create_head_file(path, head(newest - 2))
        with_two = HeadFile(path)
        with_two.put(head(newest - 1))
        with_two.put(head(newest))
        with_two.close()
        before = path.read_bytes()
        older = 0 if decode_head(before[:RECORD_BYTES]) == head(newest - 1) else RECORD_BYTES
        # As `put` would write the next one, but only its first bytes reach the disk.
        torn = encode_head(head(newest + 1))[:written]
        path.write_bytes(before[:older] + torn + before[older + written :])
        found = read_head(path)
        assert found == head(newest)
        # A process that opens it after that writes over the torn record, never over the whole one.
        opened = HeadFile(path)
        opened.put(head(newest + 1))
        opened.close()
        records = path.read_bytes()
        assert read_head(path) == head(newest + 1)
        assert decode_head(records[RECORD_BYTES - older :][:RECORD_BYTES]) == head(newest)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 1024, b"something else entirely\n", encode_head(head(3))[:160], b"x" * RECORD_BYTES * 2],
    ids=["empty", "zeros", "foreign", "torn", "garbage"],
)
def test_a_file_without_a_whole_record_refuses_with_a_remedy(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CorruptDatabaseError, match="no whole record") as caught:
        read_head(path)
    assert "accept-restore" in caught.value.remedy


@pytest.mark.parametrize("at", range(0, 190, 7))
def test_a_changed_character_makes_a_record_worthless(at: int) -> None:
    record = bytearray(encode_head(head(12)))
    record[at] ^= 1
    assert decode_head(bytes(record)) is None


def test_a_head_file_that_is_begun_anew_keeps_nothing_of_the_old_one(path: Path) -> None:
    create_head_file(path, head(1000))
    create_head_file(path, head(3))
    assert read_head(path) == head(3)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_head_file_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be written") as caught:
        create_head_file(tmp_path / "missing" / "head", head(1))
    assert "storage.head_file" in caught.value.remedy


def test_a_head_file_that_cannot_be_read_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    with pytest.raises(StartupError, match="cannot be read"):
        read_head(tmp_path / "head")


def test_a_full_disk_is_told_before_anything_is_released() -> None:
    file = HeadFile(Path("/dev/full"))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        file.put(head(1))
    file._stopped.set()
    file._thread.join()
    os.close(file._file)


def test_after_a_failed_sync_nothing_is_taken_any_more() -> None:
    """/dev/null takes every write and refuses every fsync: what a disk does that has gone away."""
    file = HeadFile(Path("/dev/null"))
    file.put(head(1))
    file._thread.join(timeout=10)
    assert not file._thread.is_alive(), "it must have noticed within seconds"
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        file.put(head(2))
    os.close(file._file)


def test_what_was_put_is_made_durable_without_being_asked(path: Path, file: HeadFile) -> None:
    file.put(head(2))
    for _ in range(100):
        if not file._dirty.is_set():
            break
        file._stopped.wait(0.05)
    assert not file._dirty.is_set()
    assert read_head(path) == head(2)


def remove(path: Path) -> None:
    path.unlink()


def replace_with_an_older_one(path: Path) -> None:
    other = path.with_name("older")
    other.write_bytes(2 * encode_head(head(1)))
    other.replace(path)


@pytest.mark.parametrize("take", [remove, replace_with_an_older_one])
def test_a_file_that_was_taken_away_is_written_again_with_the_newest_head(path: Path, take) -> None:
    create_head_file(path, head(1))
    opened = HeadFile(path)
    opened.put(head(2))
    take(path)
    opened.put(head(3))
    deadline = time.monotonic() + 10
    while read_head(path) != head(3) and time.monotonic() < deadline:
        time.sleep(0.02)  # the thread that keeps it durable looks once a second
    assert read_head(path) == head(3)
    assert path.stat().st_mode & 0o777 == 0o600
    opened.put(head(4))
    assert read_head(path) == head(4), "the next ones go to the new file"
    take(path)
    opened.close()
    assert read_head(path) == head(4), "a stop leaves it in its place"


def put_for_ten_seconds(opened: HeadFile) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        opened.put(head(3))
        time.sleep(0.02)


def test_a_place_that_is_gone_stops_the_signing(path: Path) -> None:
    path = path.parent / "mount" / "head"
    path.parent.mkdir()
    create_head_file(path, head(1))
    opened = HeadFile(path)
    opened.put(head(2))
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(OSError, match="No such file"):
        put_for_ten_seconds(opened)
    with pytest.raises(OSError, match="No such file"):
        opened.close()
