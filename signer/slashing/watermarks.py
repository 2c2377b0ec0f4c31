"""Watermarks that hold for every validator, known or not; and floors of single ones, raised by hand.

Low: nothing at or below is signed unless it is on record; raised by operators, and when a restored database is
accepted. High: nothing at or above is signed; set for a planned stop. A low watermark only ever rises, as floors do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.slashing.records import ordered, unordered
from signer.units import Epoch, PublicKey, Slot

WATERMARKS_JSON = "(SELECT json_array(low_epoch, low_slot, high_epoch, high_slot) FROM watermarks)"
"""A term for a statement that reads other facts too; `decode_watermarks` takes its value."""

_READ = f"SELECT {WATERMARKS_JSON}"
_RAISE = """
UPDATE watermarks SET
    low_epoch = CASE WHEN ?1 IS NULL THEN low_epoch ELSE max(coalesce(low_epoch, ?1), ?1) END,
    low_slot = CASE WHEN ?2 IS NULL THEN low_slot ELSE max(coalesce(low_slot, ?2), ?2) END
"""
_SET_HIGH = "UPDATE watermarks SET high_epoch = coalesce(?1, high_epoch), high_slot = coalesce(?2, high_slot)"
_CLEAR_HIGH = "UPDATE watermarks SET high_epoch = NULL, high_slot = NULL"
_KEEP = "INSERT INTO validators (public_key) VALUES (?) ON CONFLICT DO NOTHING"
_RAISE_FLOORS = """
UPDATE validators SET
    floor_source = CASE WHEN ?2 IS NULL THEN floor_source ELSE max(coalesce(floor_source, ?2), ?2) END,
    floor_target = CASE WHEN ?2 IS NULL THEN floor_target ELSE max(coalesce(floor_target, ?2), ?2) END,
    floor_slot = CASE WHEN ?3 IS NULL THEN floor_slot ELSE max(coalesce(floor_slot, ?3), ?3) END
WHERE public_key = ?1
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


def raise_low_watermark(transaction: Transaction, *, epoch: Epoch | None = None, slot: Slot | None = None) -> None:
    """Nothing at or below is signed from this commit on, for any validator. None leaves a mark as it is."""
    transaction.run(_RAISE, (_stored(epoch), _stored(slot)))


def raise_floors(
    transaction: Transaction, public_key: PublicKey, *, epoch: Epoch | None = None, slot: Slot | None = None
) -> None:
    """The same for one validator, known or not: its floors rise to these, a vote's source and target to the epoch."""
    transaction.run(_KEEP, (public_key,))
    transaction.run(_RAISE_FLOORS, (public_key, _stored(epoch), _stored(slot)))


def set_high_watermark(transaction: Transaction, *, epoch: Epoch | None = None, slot: Slot | None = None) -> None:
    """Nothing at or above is signed from this commit on, for any validator. None leaves a mark as it is."""
    transaction.run(_SET_HIGH, (_stored(epoch), _stored(slot)))


def clear_high_watermark(transaction: Transaction) -> None:
    """No high watermark from this commit on."""
    transaction.run(_CLEAR_HIGH)


def _stored(value: int | None) -> int | None:
    return None if value is None else ordered(value)
