"""The slashing record as an operator sees it: watermarks, and EIP-3076 documents in and out."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from interchange import InterchangeError, NetworkMismatchError, parse, serialise
from interchange.parse import find_metadata
from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.clock import Clock
from signer.errors import MalformedRequestError, SignerError, WrongNetworkError
from signer.journal.command import Chronicle
from signer.journal.ledger import Transaction
from signer.journal.sqlite import SqliteDatabase
from signer.operations.story import NoteStory
from signer.slashing.exchange import export_history, export_metadata
from signer.slashing.incoming import ImportReport, import_history
from signer.slashing.network import bind_network, recorded_network
from signer.slashing.watermarks import read_watermarks
from signer.units import Epoch, PublicKey, Root, Slot

_PIECE_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HighWatermark:
    """Nothing at or above is signed, for any key; None where unset."""

    epoch: Epoch | None
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class ImportedValidator:
    """What an import did for one validator."""

    public_key: PublicKey
    blocks: int
    attestations: int
    error: str | None


class Changes(Protocol):
    """Where an operator's change is made durable: the writer."""

    def perform(self, change: Callable[[Transaction], T], story: Callable[[T], Chronicle]) -> "asyncio.Future[T]":
        """See `Writer.perform`."""
        ...


class Imports(Protocol):
    """Where an EIP-3076 document is merged into the record: the writer here, or a worker's link to it."""

    async def merge(self, file: Path, caller: Caller) -> tuple[ImportedValidator, ...]:
        """Merge a file of the data directory, all or nothing; durable when it returns. Asks nobody who the caller is.

        Raises:
            MalformedRequestError, WrongNetworkError, JournalDownError.
        """
        ...


class Protection:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, imports: Imports, database: Path) -> None:
        self._imports = imports
        self._database = database

    async def high_watermark(self, caller: Caller) -> HighWatermark:
        """The high watermark. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        marks = await asyncio.to_thread(self._read, read_watermarks)
        return HighWatermark(marks.high_epoch, marks.high_slot)

    async def import_interchange(self, file: Path, caller: Caller) -> tuple[ImportedValidator, ...]:
        """Merge an EIP-3076 document into the record, all or nothing; what it did for each validator.

        Raises:
            MalformedRequestError: the document is malformed; the error names the JSON path. Nothing was changed.
            WrongNetworkError: it is another chain's. ForbiddenError. JournalDownError.
        """
        check_authorized(caller.principal, Action.SLASHING_WRITE)
        return await self._imports.merge(file, caller)

    def export_interchange(self, caller: Caller) -> Iterator[bytes]:
        """The record as an EIP-3076 document, in pieces; each blocks for one page.

        Raises:
            ForbiddenError. SignerError: nothing has pinned a network yet, so there is nothing to export.
        """
        check_authorized(caller.principal, Action.SLASHING_READ)
        return self._export()

    def _export(self) -> Iterator[bytes]:
        database = SqliteDatabase(self._database, read_only=True)
        try:
            # One read transaction: the document shows one moment, whatever is signed meanwhile.
            with database.snapshot():
                metadata = export_metadata(database)
                if metadata is None:
                    raise SignerError(
                        "there is no slashing record yet: no genesis_validators_root is configured or was seen"
                    )
                yield from serialise(metadata, export_history(database))
        finally:
            database.close()

    def _read(self, question: Callable[[Transaction], T]) -> T:
        database = SqliteDatabase(self._database, read_only=True)
        try:
            return question(database)
        finally:
            database.close()


class WriterImports:
    """Imports through the writer of this process."""

    def __init__(self, *, changes: Changes, clock: Clock, pinned: Callable[[], Root | None]) -> None:
        self._changes = changes
        self._clock = clock
        self._pinned = pinned

    async def merge(self, file: Path, caller: Caller) -> tuple[ImportedValidator, ...]:
        """See Imports."""
        root = await asyncio.to_thread(_read_root, file)
        pinned = self._pinned()
        if pinned is not None and root != pinned:
            raise WrongNetworkError(requested=root, pinned=pinned)

        def change(transaction: Transaction) -> ImportReport:
            try:
                recorded = recorded_network(transaction)
                if recorded is not None and recorded != root:
                    raise WrongNetworkError(requested=root, pinned=recorded)
                bind_network(transaction, root)
                return import_history(transaction, parse(_pieces(file)))
            except InterchangeError as error:
                raise _malformed(error) from error
            except OSError as error:
                raise _unreadable(file, error) from error

        report = await self._changes.perform(change, lambda done: self._story(done, caller))
        return tuple(
            ImportedValidator(count.public_key, count.blocks, count.attestations, None)
            for count in report.validators.values()
        )

    def _story(self, report: ImportReport, caller: Caller) -> Chronicle:
        blocks = sum(count.blocks for count in report.validators.values())
        attestations = sum(count.attestations for count in report.validators.values())
        return NoteStory(
            Kind.INTERCHANGE_IMPORTED,
            int(self._clock.now() * 1000),
            f"validators={len(report.validators)} blocks={blocks} attestations={attestations}",
            caller.principal.name,
            caller.request_id,
        )


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _read_root(file: Path) -> Root:
    try:
        return Root(find_metadata(parse(_pieces(file))).genesis_validators_root)
    except InterchangeError as error:
        raise _malformed(error) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> SignerError:
    return MalformedRequestError(f"{file.name} cannot be read: {error.strerror}")


def _malformed(error: InterchangeError) -> SignerError:
    if isinstance(error, NetworkMismatchError):
        return MalformedRequestError("the document names two networks", path=error.path)
    return MalformedRequestError(str(error), path=error.path)
