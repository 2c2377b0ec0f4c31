"""Signers that keys move between: each a record of its own, opened as the service opens it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from journal.record import PlainStory, public_key, vote
from operations.keeping_twin import horizon
from operations.record_twin import CALLER, House

from signer.errors import RefusalError
from signer.events import Events
from signer.journal.command import Command
from signer.keys.departures import Departures
from signer.keys.ledger import KeyUseClaim
from signer.operations.carry_out import LocalOrders
from signer.operations.importing import WriterImports
from signer.operations.kept_record import KeptRecord
from signer.operations.migrate import Arrival, Departure, Migration
from signer.operations.move_keys import KeyMoving
from signer.operations.undo_migration import MigrationUndo, TakenBack
from signer.units import Epoch, PublicKey

LOADED = tuple(public_key(number) for number in (1, 2, 3))


@dataclass
class Place:
    """One signer that keys come to and leave. Owned by one test."""

    house: House
    record: KeptRecord
    migration: Migration
    undo: MigrationUndo

    @property
    def parcel(self) -> Path:
        """Where the history of what leaves is written."""
        return self.house.directory / "history.json"

    def leave(self, *keys: PublicKey) -> Departure:
        return asyncio.run(self.migration.leave(keys or None, CALLER, into=self.parcel))

    def arrive(self, receipt: bytes, history: Path, **options: str) -> Arrival:
        return asyncio.run(self.migration.arrive(receipt, history, CALLER, **options))

    def take_back(self, receipt: bytes, *, reason: str = "it never started", sure: bool = True) -> TakenBack:
        return asyncio.run(self.undo.take_back(receipt, CALLER, reason=reason, nothing_else_signs=sure))

    def votes(self, number: int, source: int, target: int, *, mark: int = 1) -> str:
        """`signed`, or the code of the refusal."""
        return asyncio.run(self._vote(number, source, target, mark))

    async def _vote(self, number: int, source: int, target: int, mark: int) -> str:
        use = KeyUseClaim(public_key(number), Epoch(target))
        claims = vote(source, target, mark=mark, key=number).claims
        try:
            await self.record.writer.commit(Command((use, *claims), PlainStory()))
        except RefusalError as refusal:
            return refusal.code
        return "signed"


@contextmanager
def opened(
    directory: Path,
    *,
    new_keys_wait: bool = True,
    new_database: Callable[[], str] | None = None,
    **settings: object,
) -> Iterator[Place]:
    """The signer of this directory."""
    directory.mkdir(exist_ok=True)
    house = House(directory, new_database=new_database)
    with house.record(**settings) as record:
        reading = house.reading
        imports = WriterImports(
            changes=record.writer,
            horizon=horizon(house),
            pinned=lambda: record.pinned,
            reading=reading,
            data_directory=house.data,
        )
        departures = Departures(house.data / "head")
        moving = KeyMoving(changes=record.writer, horizon=horizon(house), departures=departures, loaded=lambda: LOADED)
        orders = LocalOrders(
            changes=record.writer,
            reading=reading,
            clock=house.clock,
            events=Events(),
            holding=None,  # type: ignore[arg-type]  # nothing here brings keys in or deletes any
            moving=moving,
        )
        migration = Migration(
            orders=orders,
            imports=imports,
            reading=reading,
            horizon=horizon(house),
            loaded=lambda: LOADED,
            data_directory=house.data,
        )
        undo = MigrationUndo(orders=orders, reading=reading, horizon=horizon(house), raises_floors=new_keys_wait)
        yield Place(house, record, migration, undo)


@contextmanager
def two_signers(directory: Path, new_database: Callable[[], str] | None = None) -> Iterator[tuple[Place, Place]]:
    """One that keys leave, and another that they come to."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(opened(directory / name, new_database=new_database)) for name in ("first", "second")
        )
        yield first, second
