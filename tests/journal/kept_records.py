"""A record on either database for tests of behaviour that must be the same on both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from journal.record import Record, open_record
from journal.shared_record import open_shared

from signer.journal.postgres_session import Session
from signer.journal.reader import Reading, read_sqlite
from signer.journal.writer import Writer
from signer.operations.shared_record import SharedRecord

DATABASES = ("embedded", "shared")

_EMPTY = """
DROP SCHEMA IF EXISTS holdfast CASCADE;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
DO $$ DECLARE log text; BEGIN
    FOR log IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'holdfast\\_log\\_%' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', log);
    END LOOP;
END $$
"""


@dataclass
class KeptRecord:
    """An open record, and how it is read beside its writer."""

    writer: Writer
    reading: Reading
    kept: Record | SharedRecord

    def close(self) -> None:
        self.kept.close()


def open_kept(database: str, directory: Path, url: Callable[[], str], **settings: Any) -> KeptRecord:
    """`url` is asked for a database where one is needed."""
    if database == "embedded":
        record = open_record(directory, **settings)
        return KeptRecord(record.writer, lambda: read_sqlite(record.database.path), record)
    shared = open_shared(url(), directory, **{"genesis_validators_root": None, "deadline_seconds": 60.0, **settings})
    return KeptRecord(shared.writer, shared.view.reading, shared)


def empty_database(url: str) -> None:
    """As it was when it was made."""
    session = Session(url)
    session.open(seconds=60)
    try:
        session.script(_EMPTY, seconds=60)
    finally:
        session.close()
