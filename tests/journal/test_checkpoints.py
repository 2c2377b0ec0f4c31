"""A database file is told from older copies of itself, whatever write-ahead log lies beside it."""

import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from journal.record import open_record, vote

from signer.errors import RolledBackError
from signer.journal.checkpoint import Checkpointer, check_file_mark, read_file_mark
from signer.journal.sqlite import SqliteDatabase, create_database, open_writer
from signer.operations.record import Places, open_database
from signer.operations.record import open_record as open_whole_record


class Notes:
    """Keeps marks in memory, in the order they were noted."""

    def __init__(self) -> None:
        self.noted: list[tuple[bytes, bytes]] = []

    @property
    def marks(self) -> tuple[bytes, bytes] | None:
        return self.noted[-1] if self.noted else None

    def note_marks(self, marks: tuple[bytes, bytes]) -> None:
        self.noted.append(marks)


@pytest.fixture
def database(tmp_path: Path):
    create_database(tmp_path / "journal.sqlite", database_id=b"i" * 16)
    opened = open_writer(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def test_the_mark_is_read_from_the_file_and_not_from_its_log(database: SqliteDatabase) -> None:
    before = read_file_mark(database)
    with database.transaction():
        database.run("UPDATE identity SET file_mark = ?", (b"n" * 16,))
    assert read_file_mark(database) == before


def test_each_checkpoint_brings_a_new_mark_that_was_noted_before(database: SqliteDatabase) -> None:
    notes = Notes()
    checkpointer = Checkpointer(database, notes)
    seen = [read_file_mark(database)]
    for _ in range(3):
        checkpointer.run()
        seen.append(read_file_mark(database))
    assert len(set(seen)) == 4
    assert notes.noted == [pair for old, new in pairwise(seen) for pair in ((old, new), (new, new))], (
        "both marks before a page is moved, the new one alone afterwards"
    )


def test_a_reader_that_holds_the_log_back_leaves_both_marks_right(database: SqliteDatabase, tmp_path: Path) -> None:
    notes = Notes()
    checkpointer = Checkpointer(database, notes)
    checkpointer.run()
    reader = SqliteDatabase(tmp_path / "journal.sqlite", read_only=True)
    with reader.snapshot():
        list(reader.rows("SELECT count(*) FROM validators"))
        for _ in range(3):
            checkpointer.run()
            assert notes.marks is not None
            check_file_mark(read_file_mark(database), notes.marks)
    reader.close()
    checkpointer.run()
    assert notes.marks == (read_file_mark(database),) * 2


def test_a_file_replaced_under_the_same_inode_is_found_at_the_next_checkpoint(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    older = path.read_bytes()
    checkpointer = Checkpointer(database, Notes())
    checkpointer.run()
    checkpointer.run()
    path.write_bytes(older)
    with pytest.raises(RolledBackError, match="older copy"):
        checkpointer.run()


async def test_an_older_file_beside_the_log_of_a_killed_signer_is_refused(tmp_path: Path) -> None:
    """SQLite would replay the newer log over the older file: size and head agree, and the votes between are gone."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    places = Places(data, data / "head")
    for target in (2, 3):
        record = open_whole_record(places, genesis_validators_root=None, on_death=_raise)
        await record.writer.commit(vote(target - 1, target))
        record.close()
        shutil.copy(places.database, tmp_path / f"copy-{target}")
    killed = open_whole_record(places, genesis_validators_root=None, on_death=_raise)
    await killed.writer.commit(vote(1, 2, key=2))
    snapshot = {file.name: file.read_bytes() for file in data.iterdir() if file.is_file()}
    killed.close()
    for name, content in snapshot.items():  # as `kill -9` leaves them: the vote is in the write-ahead log
        (data / name).write_bytes(content)
    assert os.path.getsize(data / "journal.sqlite-wal") > 0
    (data / "journal.sqlite").write_bytes((tmp_path / "copy-2").read_bytes())
    with pytest.raises(RolledBackError, match="older copy"):
        open_database(places, may_create=False)
    (data / "journal.sqlite").write_bytes(snapshot["journal.sqlite"])
    database, _ = open_database(places, may_create=False)
    database.close()


async def test_a_long_run_folds_the_log_in_by_itself(tmp_path: Path) -> None:
    record = open_record(tmp_path)
    at_first = (tmp_path / "journal.sqlite").read_bytes()
    for target in range(1, 700):
        await record.writer.commit(vote(target - 1, target))
    assert (tmp_path / "journal.sqlite").read_bytes() != at_first, "only a checkpoint brings pages into the file"
    record.close()
    assert not (tmp_path / "journal.sqlite-wal").exists(), "a signer that was stopped leaves one file"


def _raise(error: Exception) -> None:
    raise error
