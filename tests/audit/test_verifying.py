"""Walking the audit log: a whole one verifies, and every way to spoil it is found and placed."""

from pathlib import Path

import pytest
from audit.log_twin import BATCHES, SPOILED, LogTwin, make_log

from signer.audit.chain import EMPTY_HEAD, head_after, unpack
from signer.audit.verify import stored_batches, verify_log
from signer.errors import AuditError


@pytest.fixture
def log(tmp_path: Path):
    made = make_log(tmp_path, BATCHES)
    yield made
    made.database.close()


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    log = make_log(tmp_path, [])
    found = verify_log(stored_batches(log.database))
    assert (found.size, found.head) == (0, EMPTY_HEAD)
    log.database.close()


def test_a_whole_log_verifies_to_its_head(log: LogTwin) -> None:
    found = verify_log(stored_batches(log.database))
    assert (found.size, found.head) == (11, log.head.head)


def test_a_log_verifies_from_where_it_begins(log: LogTwin) -> None:
    begun = verify_log(stored_batches(log.database, start=5), size=5, head=_head_at_5(log))
    assert begun.head == log.head.head


def test_a_long_log_is_read_in_pages(tmp_path: Path) -> None:
    log = make_log(tmp_path, [1] * 600)
    assert verify_log(stored_batches(log.database)).size == 600
    log.database.close()


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_whatever_was_done_to_it_is_found(log: LogTwin, spoil) -> None:
    spoil(log)
    with pytest.raises(AuditError, match=SPOILED[spoil]) as caught:
        verify_log(stored_batches(log.database))
    assert caught.value.code == "AUDIT_BROKEN"


def test_the_place_of_the_fault_is_told(log: LogTwin) -> None:
    log.run("DELETE FROM audit_batches WHERE first_index = 5")
    with pytest.raises(AuditError, match="entries 5 to 6") as caught:
        verify_log(stored_batches(log.database))
    assert caught.value.evidence == {"index": 5, "found": 7}


def test_a_rewritten_log_has_another_head(log: LogTwin) -> None:
    """Whoever may write the database can build a whole chain: what gives it away is its head, kept elsewhere."""
    before = log.head.head
    log.run("DELETE FROM audit_batches WHERE first_index = 7")
    log.size = 100  # other entries than those that stood there
    log.append(4)
    assert verify_log(stored_batches(log.database)).size == 11
    assert log.head.head != before


def _head_at_5(log: LogTwin) -> bytes:
    first, second = list(stored_batches(log.database))[:2]
    assert head_after(first.head, unpack(second.entries)) == second.head
    return second.head
