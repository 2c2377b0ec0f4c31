"""An audit log in a real database, and the ways to spoil it that a hand with a copy of SQLite has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from signer.audit.entry import Entry, Kind, Outcome, encode_entry
from signer.audit.head import Head
from signer.audit.ledger import append_entries, read_log_head
from signer.journal.sqlite import SqliteDatabase, create_database, open_writer

LOG_ID = b"L" * 16
DAY_MS = 86_400_000


def entry(number: int, *, time_ms: int = 0, code: str = "") -> bytes:
    """A refusal that is unlike every other."""
    return encode_entry(
        Entry(Kind.DUTY, Outcome.REFUSED, time_ms, lower=number, upper=number, code=code or f"CODE_{number}")
    )


@dataclass
class LogTwin:
    """A log of batches. Owned by one test."""

    database: SqliteDatabase
    size: int = 0

    def append(self, count: int, *, time_ms: int = 0) -> Head:
        """One commit with this many entries."""
        with self.database.transaction():
            head = append_entries(
                self.database, self.head, [entry(self.size + n, time_ms=time_ms) for n in range(count)]
            )
        self.size += count
        return head

    @property
    def head(self) -> Head:
        """Where the log stands."""
        return read_log_head(self.database, database_id=LOG_ID)

    def run(self, statement: str, *values: object) -> None:
        """What a hand does behind the signer's back."""
        self.database.run(statement, values)

    def blob(self, first_index: int) -> bytes:
        """The stored entries of a batch."""
        ((found,),) = self.database.rows("SELECT entries FROM audit_batches WHERE first_index = ?", (first_index,))
        return bytes(found)


def make_log(directory: Path, batches: list[int]) -> LogTwin:
    """A database with a log of these batches."""
    create_database(directory / "journal.sqlite", database_id=LOG_ID)
    log = LogTwin(open_writer(directory / "journal.sqlite"))
    for count in batches:
        log.append(count)
    return log


def change_a_byte(log: LogTwin) -> None:
    """One bit of an entry's code: it still parses."""
    log.run("UPDATE audit_batches SET entries = ? WHERE first_index = 3", log.blob(3).replace(b"CODE_4", b"CODE_5"))


def drop_an_entry(log: LogTwin) -> None:
    """An entry leaves, and the count with it."""
    size = 2 + int.from_bytes(log.blob(3)[:2])
    log.run("UPDATE audit_batches SET entries = ?, count = 1 WHERE first_index = 3", log.blob(3)[size:])


def swap_entries(log: LogTwin) -> None:
    """The two entries of a batch change places."""
    size = 2 + int.from_bytes(log.blob(3)[:2])
    log.run("UPDATE audit_batches SET entries = ? WHERE first_index = 3", log.blob(3)[size:] + log.blob(3)[:size])


def swap_batches(log: LogTwin) -> None:
    """Two batches of one size change places, heads and all."""
    log.run("UPDATE audit_batches SET first_index = 1000 WHERE first_index = 3")
    log.run("UPDATE audit_batches SET first_index = 3 WHERE first_index = 5")
    log.run("UPDATE audit_batches SET first_index = 5 WHERE first_index = 1000")


def cut_a_blob(log: LogTwin) -> None:
    """The last byte of a batch is gone."""
    log.run("UPDATE audit_batches SET entries = ? WHERE first_index = 3", log.blob(3)[:-1])


def lower_a_count(log: LogTwin) -> None:
    """A count says less than there is."""
    log.run("UPDATE audit_batches SET count = 1 WHERE first_index = 3")


def change_a_head(log: LogTwin) -> None:
    """A stored head."""
    log.run("UPDATE audit_batches SET head = ? WHERE first_index = 3", b"\1" * 32)


def put_nonsense(log: LogTwin) -> None:
    """Bytes that are no entry, of the right number."""
    log.run("UPDATE audit_batches SET entries = ? WHERE first_index = 3", b"\0\1x\0\1y")


def remove(first_index: int) -> Callable[[LogTwin], None]:
    """A batch vanishes."""

    def spoil(log: LogTwin) -> None:
        log.run("DELETE FROM audit_batches WHERE first_index = ?", first_index)

    spoil.__name__ = f"remove_the_batch_at_{first_index}"
    return spoil


SPOILED = {
    change_a_byte: "was changed",
    drop_an_entry: "was changed",
    swap_entries: "was changed",
    swap_batches: "was changed",
    cut_a_blob: "cut short",
    lower_a_count: "holds 2 entries, not 1",
    change_a_head: "was changed",
    put_nonsense: "entry 3",
    remove(0): "are missing",
    remove(3): "are missing",
}
"""Each way, with the words that must tell of it. The log they work on: `BATCHES`."""

BATCHES = [3, 2, 2, 4]
"""Batches at 0, 3, 5 and 7."""
