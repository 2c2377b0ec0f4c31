"""Walk the whole audit log and recompute its chain."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from signer.audit.chain import EMPTY_HEAD, head_after, unpack
from signer.audit.entry import decode_entry
from signer.errors import AuditError
from signer.journal.ledger import Row, Transaction
from signer.journal.reader import Reading

_PAGE = (
    "SELECT first_index, count, head, entries FROM audit_batches WHERE first_index >= ? ORDER BY first_index LIMIT 256"
)

_MOMENT_BATCHES = 256
"""Batches that are read in one moment of the record: a walk of minutes keeps the database from tidying up for none."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One commit's entries as they rest."""

    first_index: int
    count: int
    head: bytes
    entries: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that verifies, and where it stands."""

    size: int
    head: bytes


def stored_batches(transaction: Transaction, *, start: int = 0) -> Iterator[StoredBatch]:
    """The batches in the database from an index on, read in short pages so that no read lasts long."""
    while True:
        page: list[Row] = list(transaction.rows(_PAGE, (start,)))
        if not page:
            return
        for first, count, head, entries in page:
            yield StoredBatch(int(first), int(count), bytes(head), bytes(entries))
        start = int(page[-1][0]) + int(page[-1][1])


def batches_in_moments(reading: Reading, *, start: int) -> Iterator[StoredBatch]:
    """The same for a walk that may last: some at a time, each time in a moment of their own."""
    while True:
        with reading() as moment:
            part = list(islice(stored_batches(moment, start=start), _MOMENT_BATCHES))
        yield from part
        if len(part) < _MOMENT_BATCHES:
            return
        start = part[-1].first_index + part[-1].count


def verify_log(batches: Iterable[StoredBatch], *, size: int = 0, head: bytes = EMPTY_HEAD) -> Verified:
    """Every entry parses, none is missing, and every head follows from the one before.

    Raises:
        AuditError: at the first fault, naming the index.
    """
    for batch in batches:
        if batch.first_index != size:
            raise AuditError(
                f"audit entries {size} to {batch.first_index - 1} are missing",
                evidence={"index": size, "found": batch.first_index},
            )
        entries = list(unpack(batch.entries))
        if len(entries) != batch.count:
            raise AuditError(
                f"the batch at {size} holds {len(entries)} entries, not {batch.count}", evidence={"index": size}
            )
        for n, entry in enumerate(entries):
            try:
                decode_entry(entry)
            except AuditError as error:
                raise AuditError(f"entry {size + n}: {error.sentence}", evidence={"index": size + n}) from error
        head = head_after(head, entries)
        if head != batch.head:
            raise AuditError(
                f"an entry between {size} and {size + batch.count - 1} was changed: the chain's head does not follow",
                evidence={"index": size},
            )
        size += batch.count
    return Verified(size, head)
