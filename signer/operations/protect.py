"""The slashing record as an operator sees it: watermarks, and EIP-3076 documents in and out."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import ForbiddenError
from signer.journal.command import Chronicle
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.exporting import ALL, Receipt, Selection, export_document, write_receipt
from signer.operations.reading import read_record
from signer.slashing.incoming import Floors
from signer.slashing.watermarks import read_watermarks
from signer.units import Epoch, PublicKey, Slot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HighWatermark:
    """Nothing at or above is signed, for any key; None where unset."""

    epoch: Epoch | None
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class ImportedValidator:
    """What an import did, or would do, for one validator."""

    public_key: PublicKey | None
    """None for an element of the document whose key cannot be read."""

    blocks: int
    """Added; those on record already are not counted."""

    attestations: int
    error: str | None
    """Why nothing of it was imported."""

    differing: int = 0
    """Records that say something else than ours for the same slot or target: ours stay, and neither is signed again."""

    floors_before: Floors | None = None
    """None for a validator that was not on record."""

    floors_after: Floors | None = None
    ends_quarantine: bool = False
    """The key waited for history, and waits no more: its votes and blocks are signed from now on."""

    def told(self) -> dict[str, Any]:
        """In plain values, for JSON; slots and epochs as decimal strings, as in the documents."""
        return {
            "public_key": None if self.public_key is None else "0x" + self.public_key.hex(),
            "blocks": self.blocks,
            "attestations": self.attestations,
            "error": self.error,
            "differing": self.differing,
            "floors_before": _told_floors(self.floors_before),
            "floors_after": _told_floors(self.floors_after),
            "ends_quarantine": self.ends_quarantine,
        }


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a document is imported."""

    partial: bool = False
    """Import the validators without a fault where others have one; otherwise all or nothing."""

    dry_run: bool = False
    """Tell what would change; change nothing."""

    far_ahead: bool = False
    """Records further ahead of the clock than anything is signed are meant; otherwise their validators are at fault."""


WHOLE = ImportOptions()
"""All of a document, or nothing."""


class Changes(Protocol):
    """Where an operator's change is made durable: the writer."""

    def perform(self, change: Callable[[Transaction], T], story: Callable[[T], Chronicle]) -> "asyncio.Future[T]":
        """See `Writer.perform`."""
        ...


class Imports(Protocol):
    """Where an EIP-3076 document is merged into the record: the writer here, or a worker's link to it."""

    async def merge(self, file: Path, caller: Caller, options: ImportOptions = WHOLE) -> tuple[ImportedValidator, ...]:
        """Merge a file of the data directory; durable when it returns. Asks nobody who the caller is.

        Raises:
            MalformedRequestError, UnusableHistoriesError, WrongNetworkError: nothing was changed.
            JournalDownError: what was begun is completed by the same import; until then its validators are held.
        """
        ...


class Protection:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(
        self, *, imports: Imports, reading: Reading, loaded: Callable[[], Sequence[PublicKey]] = tuple
    ) -> None:
        """`loaded` gives the public keys that serve."""
        self._imports = imports
        self._reading = reading
        self._loaded = loaded

    async def high_watermark(self, caller: Caller) -> HighWatermark:
        """The high watermark. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        marks = await asyncio.to_thread(read_record, self._reading, read_watermarks)
        return HighWatermark(marks.high_epoch, marks.high_slot)

    async def import_interchange(
        self, file: Path, caller: Caller, options: ImportOptions = WHOLE
    ) -> tuple[ImportedValidator, ...]:
        """Merge an EIP-3076 document into the record; what it did for each validator, or would do.

        Raises:
            MalformedRequestError: the document is malformed; the error names the JSON path. Nothing was changed.
            UnusableHistoriesError: some validators' histories are, and the import is not a partial one. The same.
            WrongNetworkError: it is another chain's. ForbiddenError. JournalDownError: see `Imports.merge`.
        """
        check_authorized(caller.principal, Action.SLASHING_READ if options.dry_run else Action.SLASHING_WRITE)
        if caller.principal.keys is not None:
            raise ForbiddenError(
                f"principal {caller.principal.name} is granted single keys, and a document may be about any: it is"
                " imported by a principal that is granted all",
                evidence={"principal": caller.principal.name},
            )
        return await self._imports.merge(file, caller, options)

    def export_interchange(self, caller: Caller, selection: Selection = ALL) -> Iterator[bytes]:
        """The record of the keys that the caller may see, or a part of it, as an EIP-3076 document, in pieces.

        Where a watermark binds all keys, those that serve or are named are in it even without a record of their own.
        Each piece blocks for one page.

        Raises:
            ForbiddenError. MalformedRequestError, SignerError: see `export_document`.
        """
        check_authorized(caller.principal, Action.SLASHING_READ)
        chosen = replace(selection, visible=_visible(caller), loaded=frozenset(self._loaded()))
        return export_document(self._reading, chosen)

    async def receipt(self, caller: Caller) -> Receipt:
        """What every later export of this caller's holds at least. Raises ForbiddenError, SignerError."""
        check_authorized(caller.principal, Action.SLASHING_READ)
        return await asyncio.to_thread(write_receipt, self._reading, visible=_visible(caller))


def _visible(caller: Caller) -> frozenset[PublicKey] | None:
    keys = caller.principal.keys
    return None if keys is None else frozenset(map(PublicKey, keys))


def _told_floors(floors: Floors | None) -> dict[str, Any] | None:
    if floors is None:
        return None
    numbers = {"slot": floors.slot, "source_epoch": floors.source_epoch, "target_epoch": floors.target_epoch}
    told: dict[str, Any] = {name: None if number is None else str(number) for name, number in numbers.items()}
    return {**told, "held": floors.held}
