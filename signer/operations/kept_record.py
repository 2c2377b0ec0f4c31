"""A record that is open, whichever database it is kept in, and how it is read by whoever did not open it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from signer.audit.ledger import AuditLog
from signer.errors import CorruptDatabaseError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.journal.writer import Writer
from signer.units import Root


@dataclass(frozen=True, slots=True)
class RecordView:
    """What any process of a signer needs to read its record beside the writer."""

    data_directory: Path
    head_file: Path
    reading: Reading
    instance: bytes | None = None
    """The id of this signer's audit log where several share a database; None: the log has the database's own id."""

    def log_id(self, moment: Transaction) -> bytes:
        """The id of this signer's audit log. Raises CorruptDatabaseError."""
        return read_database_id(moment) if self.instance is None else self.instance


class KeptRecord(Protocol):
    """An open record. Owned by the process that opened it; `close` gives everything back in reverse."""

    @property
    def view(self) -> RecordView:
        """How it is read."""
        ...

    @property
    def writer(self) -> Writer:
        """The only writer of this signer."""
        ...

    @property
    def log(self) -> AuditLog:
        """This signer's audit log."""
        ...

    @property
    def pinned(self) -> Root | None:
        """The chain this record belongs to; None where nothing has pinned it yet."""
        ...

    async def state(self) -> Mapping[str, str | int | float | None]:
        """What the journal tells of itself, for the status page."""
        ...

    async def healthy(self) -> bool:
        """True while commands are recorded."""
        ...

    def close(self) -> None:
        """Commit what waits, make the head durable, let go of the database. Blocks."""
        ...


def read_database_id(moment: Transaction) -> bytes:
    """The 16 bytes drawn when the database was made. Raises CorruptDatabaseError: it has none."""
    for (value,) in moment.rows("SELECT database_id FROM identity"):
        return bytes(value)
    raise CorruptDatabaseError("the database has lost its identity", remedy="restore it from a backup")
