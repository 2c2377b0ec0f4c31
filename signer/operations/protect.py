"""The slashing record as an operator sees it: watermarks, interchange, restores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signer.auth.principal import Caller
from signer.errors import SignerError
from signer.units import Epoch, PublicKey, Slot


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


class Protection:
    """One instance for the life of the process."""

    async def high_watermark(self, caller: Caller) -> HighWatermark:
        """Raises ForbiddenError, JournalDownError."""
        raise SignerError("not built yet")

    async def import_interchange(self, file: Path, caller: Caller) -> tuple[ImportedValidator, ...]:
        """Merge an EIP-3076 file into the record, all or nothing. Raises InterchangeError's signer form, ForbiddenError."""
        raise SignerError("not built yet")

    def export_interchange(self, caller: Caller) -> Iterator[bytes]:
        """The record as an EIP-3076 document, in pieces."""
        raise SignerError("not built yet")
