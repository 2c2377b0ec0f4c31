"""Read the log from its end backwards, in short reads, and find entries in it."""

from collections.abc import Iterator

from signer.audit.chain import unpack
from signer.audit.verify import StoredBatch
from signer.journal.ledger import Transaction
from signer.journal.statement import Statement

_PAGE = """
SELECT first_index, count, head, entries FROM audit_batches WHERE first_index < ? ORDER BY first_index DESC LIMIT ?
"""
_PAGE_BATCHES = 32
"""Batches of one read: some MiB at most, a few milliseconds."""

_OTHER_LOGS = Statement(
    embedded="SELECT NULL WHERE false",
    shared="""
SELECT replace(current_setting('search_path'), current_schema(), 'holdfast_log_' || encode(log_id, 'hex'))
FROM holdfast.instances WHERE 'holdfast_log_' || encode(log_id, 'hex') <> current_schema()
ORDER BY expires_at DESC
""",
)
_STEP = "SELECT set_config('search_path', ?, true)"

_END = 2**63 - 1
"""Larger than any index: the largest number of the database."""


def step_through_logs(moment: Transaction) -> Iterator[None]:
    """Every audit log of a record in turn: at each step statements find another one, this signer's own first.

    An embedded record has one; a shared one has one for each signer, those that were seen last before the others.
    """
    yield
    for (path,) in list(moment.rows(_OTHER_LOGS)):
        moment.run(_STEP, (path,))
        yield


def batches_backwards(transaction: Transaction, *, before: int | None) -> Iterator[StoredBatch]:
    """The batches that begin before an index, newest first; from the end of the log where none is given."""
    start = _END if before is None else before
    while True:
        page = list(transaction.rows(_PAGE, (start, _PAGE_BATCHES)))
        for first, count, head, entries in page:
            yield StoredBatch(int(first), int(count), bytes(head), bytes(entries))
        if len(page) < _PAGE_BATCHES:
            return
        start = int(page[-1][0])


def entries_backwards(batch: StoredBatch, *, before: int | None) -> list[tuple[int, bytes]]:
    """A batch's entries with their indexes, newest first, without those at `before` or after it.

    Raises:
        AuditError: the batch is cut short.
    """
    numbered = list(enumerate(unpack(batch.entries), start=batch.first_index))
    return [(index, entry) for index, entry in reversed(numbered) if before is None or index < before]
