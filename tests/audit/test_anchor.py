"""The database against its head file: what a start refuses, and what it cannot see."""

from dataclasses import replace
from pathlib import Path

import pytest
from audit.log_twin import BATCHES, LogTwin, make_log

from signer.audit.anchor import check_anchor, check_missing_database
from signer.audit.ledger import head_at
from signer.errors import CorruptDatabaseError, ForeignDatabaseError, RolledBackError


@pytest.fixture
def log(tmp_path: Path):
    made = make_log(tmp_path, BATCHES)
    yield made
    made.database.close()


def head_of(log: LogTwin, size: int):
    found = head_at(log.database, size)
    assert found is not None
    return replace(log.head, size=size, head=found)


@pytest.mark.parametrize("size", [0, 3, 5, 7, 11])
def test_a_database_at_or_ahead_of_its_head_file_is_whole(log: LogTwin, size: int) -> None:
    """Ahead by what a power cut kept from the head file."""
    check_anchor(head_of(log, size), log.head, log.database)


@pytest.mark.parametrize("size", [1, 2, 4, 6, 10])
def test_no_commit_ended_in_the_middle_of_a_batch(log: LogTwin, size: int) -> None:
    assert head_at(log.database, size) is None
    with pytest.raises(CorruptDatabaseError, match="another history"):
        check_anchor(replace(log.head, size=size), log.head, log.database)


def test_an_older_database_is_refused_with_both_sizes_and_what_to_do(log: LogTwin) -> None:
    newest = log.head
    log.run("DELETE FROM audit_batches WHERE first_index = 7")
    with pytest.raises(RolledBackError, match="holds 7 audit entries, its head file 11") as caught:
        check_anchor(newest, log.head, log.database)
    assert caught.value.evidence == {"database_size": 7, "head_file_size": 11}
    assert "slashing accept-restore" in caught.value.remedy


def test_a_missing_head_file_is_refused_even_where_nothing_was_ever_decided(log: LogTwin, tmp_path: Path) -> None:
    with pytest.raises(RolledBackError, match="head file is missing"):
        check_anchor(None, log.head, log.database)
    (tmp_path / "new").mkdir()
    empty = make_log(tmp_path / "new", [])
    with pytest.raises(RolledBackError, match="of 0 audit entries"):
        check_anchor(None, empty.head, empty.database)
    empty.database.close()


def test_another_databases_head_file_is_refused(log: LogTwin) -> None:
    with pytest.raises(ForeignDatabaseError, match="another database"):
        check_anchor(replace(log.head, database_id=b"o" * 16), log.head, log.database)


def test_the_same_size_with_another_history_is_refused(log: LogTwin) -> None:
    with pytest.raises(CorruptDatabaseError, match="another history"):
        check_anchor(replace(log.head, head=b"\1" * 32), log.head, log.database)


def test_a_missing_database_is_right_only_where_none_ever_was(log: LogTwin, tmp_path: Path) -> None:
    check_missing_database(None, database=tmp_path / "journal.sqlite")
    check_missing_database(replace(log.head, size=0), database=tmp_path / "journal.sqlite")
    with pytest.raises(RolledBackError, match="tells of 11 audit entries") as caught:
        check_missing_database(log.head, database=tmp_path / "journal.sqlite")
    assert caught.value.remedy
