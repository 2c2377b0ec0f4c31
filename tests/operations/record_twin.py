"""A record opened as the service opens it, with a clock that stands where a test sets it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from journal.record import PlainStory, vote

from signer.auth.principal import OPERATOR, Caller
from signer.clock import FixedClock
from signer.errors import RefusalError
from signer.journal.command import Command
from signer.journal.postgres_session import Session
from signer.journal.reader import Reading
from signer.operations.kept_record import KeptRecord, RecordView
from signer.operations.record import Places, open_record
from signer.operations.shared_record import SharedPlaces, open_shared_record
from signer.operations.verify_audit import AuditVerification
from signer.units import Root

CHAIN = Root(b"\x4b" * 32)
NOW = 1_800_000_000.0
CALLER = Caller(OPERATOR)
"""Everything is allowed: what principals may do has tests of its own."""


@dataclass
class House:
    """One data directory, and the clock of whoever works on it. Owned by one test."""

    directory: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    deaths: list[Exception] = field(default_factory=list)
    new_database: Callable[[], str] | None = None
    """Makes an empty shared database and gives its address; None: the record is kept in SQLite."""

    _address: str = ""
    _view: RecordView | None = None

    def __post_init__(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def places(self) -> Places:
        return Places(self.data, self.data / "head")

    @property
    def archives(self) -> Path:
        return self.data / "audit-archive"

    @property
    def verification(self) -> AuditVerification:
        return AuditVerification(self.places.view, archive_directory=self.archives)

    @property
    def reading(self) -> Reading:
        """Reads the record; a shared one was opened before."""
        return self.places.view.reading if self._view is None else self._view.reading

    def make_database(self) -> str:
        """The address of its shared database, which is made once; empty where it has none."""
        if self.new_database is not None and not self._address:
            self._address = self.new_database()
        return self._address

    def end_lease(self) -> None:
        """The time of a killed process's lease is over, by the database's clock; an embedded record has none."""
        if self._address:
            session = Session(self._address)
            session.open(seconds=60)
            session.script("UPDATE holdfast.instances SET expires_at = clock_timestamp()", seconds=60)
            session.close()

    def beside(self, directory: Path) -> "House":
        """Another one, on the same kind of database, and nothing shared with this one."""
        directory.mkdir(exist_ok=True)
        return House(directory, new_database=self.new_database)

    @contextmanager
    def record(self, **settings: Any) -> Iterator[KeptRecord]:
        """The open record; its writer runs."""
        settings = {"genesis_validators_root": CHAIN, "now": self.clock.now, "on_death": self.deaths.append, **settings}
        record: KeptRecord
        if self.new_database is None:
            record = open_record(self.places, **settings)
        else:
            places = SharedPlaces(self.make_database(), self.data, self.data / "head")
            record = open_shared_record(places, **{"deadline_seconds": 60.0, **settings})
            self._view = record.view
        try:
            yield record
        finally:
            record.close()


async def verdict(record: KeptRecord, source: int, target: int, *, mark: int = 1, key: int = 1) -> str:
    """How a vote is judged: `new`, `repeat` or the code of the refusal."""
    command = vote(source, target, mark=mark, key=key)
    try:
        receipt = await record.writer.commit(command)
    except RefusalError as refusal:
        return refusal.code
    return "repeat" if receipt.repeat else "new"


def noted(number: int = 0) -> Command:
    """A command that only tells something, another for each number."""
    return Command((), PlainStory(number.to_bytes(4)))
