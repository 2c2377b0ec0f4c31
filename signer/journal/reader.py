"""Reading beside the writer: a connection of its own, one moment of the record, and no wait for either."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase

Reading = Callable[[], AbstractContextManager[Transaction]]
"""Opens one moment of the record to read, and closes it on leaving. Blocks: use it on a thread. Nothing can be written
through it."""


@contextmanager
def read_sqlite(path: Path) -> Iterator[Transaction]:
    """One moment of the database at this path; the writer goes on meanwhile. Raises StartupError: it cannot be read."""
    database = SqliteDatabase(path, read_only=True)
    try:
        with database.snapshot() as moment:
            yield moment
    finally:
        database.close()
