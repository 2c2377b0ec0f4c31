"""Entries of the audit log are found from its end, in bounded reads."""

from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from audit.log_twin import LOG_ID

from signer.audit.entry import Entry, Flag, Kind, Outcome, encode_entry
from signer.audit.ledger import append_entries, read_log_head
from signer.auth.principal import OPERATOR, Caller, Principal
from signer.errors import ForbiddenError
from signer.eth2.duties import Duty
from signer.journal.reader import read_sqlite
from signer.journal.sqlite import SqliteDatabase, create_database, open_writer
from signer.operations import read_audit
from signer.operations.read_audit import AuditQuery, AuditReading

CALLER = Caller(OPERATOR, "test")
KEYS = [bytes([number]) * 48 for number in range(5)]


def vote(number: int) -> Entry:
    return Entry(
        Kind.DUTY,
        Outcome.REFUSED if number % 2 else Outcome.ALLOWED,
        1_767_323_045_678 + number,
        (number // 2).to_bytes(8),
        f"client-{number}",
        KEYS[number % 5],
        "ATTESTATION",
        number,
        number + 1,
        bytes([number % 256]) * 32,
        "DOUBLE_VOTE" if number % 2 else "",
        f"target_epoch={number}" if number % 2 else "",
        Flag.REPEAT if number % 4 == 0 else 0,
    )


def log_of(directory: Path, batches: list[list[Entry]], **bound: int) -> AuditReading:
    file = directory / "journal.sqlite"
    create_database(file, database_id=LOG_ID)
    database: SqliteDatabase = open_writer(file)
    for batch in batches:
        with database.transaction():
            append_entries(database, read_log_head(database, database_id=LOG_ID), list(map(encode_entry, batch)))
    database.close()
    return AuditReading(reading=partial(read_sqlite, file), **bound)


def votes(sizes: list[int]) -> list[list[Entry]]:
    numbers = iter(range(sum(sizes)))
    return [[vote(next(numbers)) for _ in range(size)] for size in sizes]


async def test_an_entry_is_told_with_all_that_it_holds(tmp_path: Path) -> None:
    reading = log_of(tmp_path, votes([3, 1]))
    page = await reading(AuditQuery(2), CALLER)
    newest, before = page.entries
    assert (newest.index, newest.time, newest.kind, newest.outcome) == (
        3,
        "2026-01-02T03:04:05.681Z",
        "duty",
        "refused",
    )
    assert (newest.principal, newest.request_id, newest.duty) == ("client-3", "0000000000000001", "ATTESTATION")
    assert (newest.public_key, newest.signing_root) == ("0x" + "03" * 48, "0x" + "03" * 32)
    assert newest.span == {"source_epoch": 3, "target_epoch": 4}
    assert (newest.code, newest.note) == ("DOUBLE_VOTE", "target_epoch=3")
    assert (before.index, before.outcome, before.code, before.repeat, before.blind) == (2, "allowed", "", False, False)
    assert (page.next_before, page.log_begins) == (2, 0)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry(Kind.DUTY, Outcome.ALLOWED, 0, duty="BLOCK_V2", lower=7, upper=7), {"slot": 7}),
        (Entry(Kind.DUTY, Outcome.ALLOWED, 0, duty="RANDAO_REVEAL", lower=7, upper=7), {"epoch": 7}),
        (Entry(Kind.DUTY, Outcome.ALLOWED, 0, duty="VOLUNTARY_EXIT"), {}),
        (Entry(Kind.EXTENSION, Outcome.ALLOWED, 0, duty="PROOF_OF_VALIDATION", lower=9, upper=9), {"timestamp": 9}),
        (Entry(Kind.STARTED, Outcome.NOTED, 2**64 - 1), {}),
    ],
)
async def test_the_time_a_duty_is_for_has_its_unit(tmp_path: Path, entry: Entry, expected: dict[str, int]) -> None:
    page = await log_of(tmp_path, [[entry]])(AuditQuery(1), CALLER)
    assert page.entries[0].span == expected
    assert page.entries[0].request_id == page.entries[0].public_key == ""


@pytest.mark.parametrize("read_bytes", [1, 2000, 1 << 20])
@pytest.mark.parametrize("last", [1, 3, 1000])
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, lambda number: True),
        ({"public_key": KEYS[2]}, lambda number: number % 5 == 2),
        ({"request_id": (33).to_bytes(8)}, lambda number: number // 2 == 33),
        ({"public_key": KEYS[2], "request_id": (33).to_bytes(8)}, lambda number: number == 67),
        ({"request_id": b"nowhere!"}, lambda number: False),
    ],
)
async def test_the_pages_of_a_question_hold_every_match_once_newest_first(
    tmp_path: Path, asked, wanted, last: int, read_bytes: int
) -> None:
    sizes = [1, 7, 30, 2, 1, 1, 60, 3] + [1] * 40
    reading = log_of(tmp_path, votes(sizes), read_bytes=read_bytes)
    found, before, calls = [], None, 0
    while calls == 0 or before is not None:
        page = await reading(AuditQuery(last, **asked, before=before), CALLER)
        assert len(page.entries) <= last
        found += [entry.index for entry in page.entries]
        before, calls = page.next_before, calls + 1
    assert found == [number for number in reversed(range(sum(sizes))) if wanted(number)]
    assert calls > 1 or (read_bytes, last) != (1, 1)


async def test_an_empty_log_has_no_entries(tmp_path: Path) -> None:
    page = await log_of(tmp_path, [])(AuditQuery(5), CALLER)
    assert (page.entries, page.next_before) == ((), None)


async def test_whoever_may_not_read_the_log_is_told_nothing(tmp_path: Path) -> None:
    with pytest.raises(ForbiddenError):
        await log_of(tmp_path, votes([2]))(AuditQuery(1), Caller(Principal("nobody", actions=frozenset()), "test"))


def test_the_units_are_of_duties_that_there_are() -> None:
    assert {duty.type for duty in get_args(Duty)} > read_audit._EPOCH_DUTIES | read_audit._TIMELESS_DUTIES
