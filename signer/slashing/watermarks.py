"""Watermarks that hold for every validator, known or not; and floors of single ones, raised by hand.

Low: nothing at or below is signed unless it is on record; raised by operators, and when a restored database is
accepted. High: nothing at or above is signed; set for a planned stop. A low watermark only ever rises, as floors do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from signer.errors import SignerError
from signer.journal.ledger import Transaction
from signer.journal.statement import NOTHING, Statement
from signer.slashing.locking import lock_keys
from signer.slashing.records import ordered, unordered
from signer.units import Epoch, PublicKey, Slot

WATERMARKS_JSON = Statement(
    embedded="(SELECT json_array(low_epoch, low_slot, high_epoch, high_slot) FROM watermarks)",
    shared="""
(SELECT json_build_array(as_stored(w.low_epoch), as_stored(w.low_slot),
    as_stored(m.high_watermark_epoch), as_stored(m.high_watermark_slot))::text
FROM holdfast.watermarks w LEFT JOIN metadata m ON m.id = 1)
""",
)
"""A term for a statement that reads other facts too; `decode_watermarks` takes its value."""

_READ = Statement(embedded=f"SELECT {WATERMARKS_JSON.embedded}", shared=f"SELECT {WATERMARKS_JSON.shared}")
_RAISE = Statement(
    embedded="""
UPDATE watermarks SET
    low_epoch = CASE WHEN ?1 IS NULL THEN low_epoch ELSE max(coalesce(low_epoch, ?1), ?1) END,
    low_slot = CASE WHEN ?2 IS NULL THEN low_slot ELSE max(coalesce(low_slot, ?2), ?2) END
""",
    shared="""
UPDATE holdfast.watermarks SET
    low_epoch = GREATEST(low_epoch, as_number(?1::bigint)), low_slot = GREATEST(low_slot, as_number(?2::bigint))
""",
)
_RAISE_BESIDE = Statement(
    embedded=NOTHING,
    shared="""
UPDATE low_watermarks SET
    source_epoch = CASE WHEN source_epoch IS NULL THEN NULL ELSE GREATEST(source_epoch, as_number(?1::bigint)) END,
    target_epoch = CASE WHEN target_epoch IS NULL THEN NULL ELSE GREATEST(target_epoch, as_number(?1::bigint)) END,
    slot = CASE WHEN slot IS NULL THEN NULL ELSE GREATEST(slot, as_number(?2::bigint)) END
WHERE target_epoch < as_number(?1::bigint) OR source_epoch < as_number(?1::bigint) OR slot < as_number(?2::bigint)
""",
)
"""The same in each validator's own row, for a Web3Signer beside us. One without history gets no row: Web3Signer itself
makes it with the first signature."""

_FLOOR_LIMITS = Statement(
    embedded="SELECT NULL, NULL",
    shared="SELECT as_stored(min(high_watermark_epoch)), as_stored(min(high_watermark_slot)) FROM metadata",
)
_HIGHEST_FLOORS = Statement(
    embedded="SELECT NULL, NULL",
    shared="SELECT as_stored(GREATEST(max(target_epoch), max(source_epoch))), as_stored(max(slot)) FROM low_watermarks",
)
"""Web3Signer's tables hold no high watermark at or below a validator's floor. Ours do: it just signs nothing then."""

_SET_HIGH = Statement(
    embedded="UPDATE watermarks SET high_epoch = coalesce(?1, high_epoch), high_slot = coalesce(?2, high_slot)",
    shared="""
UPDATE metadata SET high_watermark_epoch = coalesce(as_number(?1::bigint), high_watermark_epoch),
    high_watermark_slot = coalesce(as_number(?2::bigint), high_watermark_slot)
WHERE id = 1
""",
)
_CLEAR_HIGH = Statement(
    embedded="UPDATE watermarks SET high_epoch = NULL, high_slot = NULL",
    shared="UPDATE metadata SET high_watermark_epoch = NULL, high_watermark_slot = NULL WHERE id = 1",
)
_KEEP = Statement(
    embedded="INSERT INTO validators (public_key) VALUES (?) ON CONFLICT DO NOTHING",
    shared="SELECT FROM register_validators(ARRAY[?]::bytea[])",
)
_RAISE_FLOORS = Statement(
    embedded="""
UPDATE validators SET
    floor_source = CASE WHEN ?2 IS NULL THEN floor_source ELSE max(coalesce(floor_source, ?2), ?2) END,
    floor_target = CASE WHEN ?3 IS NULL THEN floor_target ELSE max(coalesce(floor_target, ?3), ?3) END,
    floor_slot = CASE WHEN ?4 IS NULL THEN floor_slot ELSE max(coalesce(floor_slot, ?4), ?4) END
WHERE public_key = ?1
""",
    shared="""
INSERT INTO low_watermarks AS w (validator_id, source_epoch, target_epoch, slot)
SELECT id, as_number(?2::bigint), as_number(?3::bigint), as_number(?4::bigint) FROM validators WHERE public_key = ?1
ON CONFLICT (validator_id) DO UPDATE SET
    source_epoch = GREATEST(w.source_epoch, excluded.source_epoch),
    target_epoch = GREATEST(w.target_epoch, excluded.target_epoch),
    slot = GREATEST(w.slot, excluded.slot)
""",
)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """None where unset."""

    low_epoch: Epoch | None
    low_slot: Slot | None
    high_epoch: Epoch | None
    high_slot: Slot | None


@dataclass(frozen=True, slots=True)
class FloorLimits:
    """What the tables themselves allow; None where they do not care."""

    epoch: Epoch | None
    slot: Slot | None


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
    transaction.run(_RAISE_BESIDE, (_stored(epoch), _stored(slot)))


def raise_floors(
    transaction: Transaction, public_key: PublicKey, *, epoch: Epoch | None = None, slot: Slot | None = None
) -> None:
    """The same for one validator, known or not: its floors rise to these, a vote's source and target to the epoch."""
    raise_each_floor(transaction, public_key, vote=None if epoch is None else (epoch, epoch), slot=slot)


def raise_each_floor(
    transaction: Transaction, public_key: PublicKey, *, vote: tuple[Epoch, Epoch] | None, slot: Slot | None
) -> None:
    """The same with a source and a target of their own."""
    source, target = vote or (None, None)
    transaction.run(_KEEP, (public_key,))
    lock_keys(transaction, [public_key.hex()])
    transaction.run(_RAISE_FLOORS, (public_key, _stored(source), _stored(target), _stored(slot)))


def set_high_watermark(transaction: Transaction, *, epoch: Epoch | None = None, slot: Slot | None = None) -> None:
    """Nothing at or above is signed from this commit on, for any validator. None leaves a mark as it is.

    Raises:
        SignerError: a shared database keeps it beside the chain's name, and has none yet.
    """
    if epoch is None and slot is None:
        return
    transaction.run(_SET_HIGH, (_stored(epoch), _stored(slot)))
    if not transaction.changed():
        raise SignerError(
            "there is no place for a high watermark before a genesis_validators_root is configured or seen"
        )


def read_floor_limits(transaction: Transaction) -> FloorLimits:
    """Above these no floor may stand."""
    return _limits(transaction, _FLOOR_LIMITS)


def read_high_limits(transaction: Transaction) -> FloorLimits:
    """At or below these no high watermark may stand."""
    return _limits(transaction, _HIGHEST_FLOORS)


def clear_high_watermark(transaction: Transaction) -> None:
    """No high watermark from this commit on."""
    transaction.run(_CLEAR_HIGH)


def _limits(transaction: Transaction, statement: Statement) -> FloorLimits:
    ((epoch, slot),) = transaction.rows(statement)
    return FloorLimits(
        None if epoch is None else Epoch(unordered(epoch)), None if slot is None else Slot(unordered(slot))
    )


def _stored(value: int | None) -> int | None:
    return None if value is None else ordered(value)
