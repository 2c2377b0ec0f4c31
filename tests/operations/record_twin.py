"""A record opened as the service opens it, with a clock that stands where a test sets it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from journal.record import PlainStory, vote

from signer.auth.principal import OPERATOR, Caller
from signer.clock import FixedClock
from signer.errors import RefusalError
from signer.journal.command import Command
from signer.operations.record import Places, Record, open_record
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

    @contextmanager
    def record(self, **settings: object) -> Iterator[Record]:
        """The open record; its writer runs."""
        settings = {"genesis_validators_root": CHAIN, "now": self.clock.now, **settings}
        record = open_record(self.places, on_death=self.deaths.append, **settings)  # type: ignore[arg-type]
        try:
            yield record
        finally:
            record.close()


async def verdict(record: Record, source: int, target: int, *, mark: int = 1, key: int = 1) -> str:
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
