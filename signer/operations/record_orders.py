"""What an operator orders of the slashing record: carried out where the journal is kept, wherever it was asked.

An order is checked where it arrives (`keep_record.py`); the worker processes pass it on as it is.
"""

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from signer.auth.principal import Caller
from signer.units import PUBLIC_KEY_BYTES, PublicKey

LEAST_KEPT_EPOCHS = 16
"""Least number of epochs that pruning must leave: votes come in out of order, and whoever looks for a second client
wants evidence."""

_Uint64 = Annotated[int, Meta(ge=0)]  # MessagePack has no larger integers
_Key = Annotated[PublicKey, Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]


class MoveWatermarks(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Raise low watermarks, set or clear the high one. None leaves a mark as it is."""

    public_key: _Key | None = None
    """Whose floors rise; None: the watermarks of all keys."""

    low_epoch: _Uint64 | None = None
    low_slot: _Uint64 | None = None
    high_epoch: _Uint64 | None = None
    high_slot: _Uint64 | None = None
    clear_high: bool = False


class PruneRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Delete old records, for a few seconds."""

    keep_epochs: _Uint64 | None = None
    """None: as it is configured."""

    keep_slots: _Uint64 | None = None
    public_key: _Key | None = None
    """Whose; None: everybody's."""


RecordOrder = MoveWatermarks | PruneRecord


class Moved(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Every mark by its name, before the order and after it: `low_epoch`, ..., or a key's `floor_source`, ..."""

    before: dict[str, int | None]
    after: dict[str, int | None]


class PruneReport(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """What was deleted."""

    votes: int
    blocks: int
    transactions: int
    more: bool
    """True where the time was over before the old records were: ask again."""


RecordAnswer = Moved | PruneReport


class RecordOrders(Protocol):
    """Where orders are carried out: by the writer here, or at the other end of a worker's link.

    Durable when it returns, with its audit entry. May be called in parallel; does not retry; asks nobody who the caller
    is.
    """

    async def move(self, order: MoveWatermarks, caller: Caller) -> Moved:
        """Raises BadWatermarkError: low and high would leave nothing. JournalDownError, OutcomeUnknownError."""
        ...

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        """Raises JournalDownError, OutcomeUnknownError: what was told before it happened stands."""
        ...
