"""Watermarks that hold for every validator, known or not.

Low: nothing at or below is signed unless it is on record; raised when a restored database is accepted. High: nothing at
or above is signed; set for a planned stop. A low watermark only ever rises.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.slashing.records import ordered, unordered
from signer.units import Epoch, Slot

WATERMARKS_JSON = "(SELECT json_array(low_epoch, low_slot, high_epoch, high_slot) FROM watermarks)"
"""A term for a statement that reads other facts too; `decode_watermarks` takes its value."""

_READ = f"SELECT {WATERMARKS_JSON}"
_RAISE = """
UPDATE watermarks SET
    low_epoch = max(coalesce(low_epoch, ?1), ?1),
    low_slot = max(coalesce(low_slot, ?2), ?2)
"""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """None where unset."""

    low_epoch: Epoch | None
    low_slot: Slot | None
    high_epoch: Epoch | None
    high_slot: Slot | None


def read_watermarks(transaction: Transaction) -> Watermarks:
    """The watermarks now."""
    ((text,),) = transaction.rows(_READ)
    return decode_watermarks(msgspec.json.decode(text))


def decode_watermarks(row: Sequence[int | None]) -> Watermarks:
    """From a decoded WATERMARKS_JSON."""
    low_epoch, low_slot, high_epoch, high_slot = row
    return Watermarks(
        None if low_epoch is None else Epoch(unordered(low_epoch)),
        None if low_slot is None else Slot(unordered(low_slot)),
        None if high_epoch is None else Epoch(unordered(high_epoch)),
        None if high_slot is None else Slot(unordered(high_slot)),
    )


def raise_low_watermark(transaction: Transaction, *, epoch: Epoch, slot: Slot) -> None:
    """Nothing at or below is signed from this commit on, for any validator."""
    transaction.run(_RAISE, (ordered(epoch), ordered(slot)))
