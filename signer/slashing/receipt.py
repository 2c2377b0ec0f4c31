"""What an export held, in a few numbers for each validator: enough to tell later what has come since.

Records change in three ways only: newer ones are added, an import adds older ones or lowers the source of one (and
takes its root away), and pruning raises the floor and removes what lies below it. The count and the sum of the sources
up to the newest record tell the second; the floor tells the third.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.slashing.records import ordered
from signer.slashing.watermarks import read_watermarks
from signer.units import Epoch, PublicKey, Slot

FORMAT = "holdfast-slashing-receipt-1"
"""The first member of a receipt."""

_FACTS = Statement(
    embedded="""
SELECT id, public_key, floor_slot, floor_source, floor_target, held_by IS NOT NULL,
    (SELECT json_array(count(*), max(slot)) FROM signed_blocks WHERE validator_id = id),
    (SELECT json_array(count(*), max(target_epoch), sum(source_epoch & 4294967295))
     FROM signed_attestations WHERE validator_id = id)
FROM validators WHERE public_key > ? ORDER BY public_key LIMIT 500
""",
    shared="""
SELECT id, public_key, floor_slot, floor_source, floor_target, held_by IS NOT NULL,
    (SELECT json_build_array(count(*), as_stored(max(slot)))::text FROM signed_blocks WHERE validator_id = v.id),
    (SELECT json_build_array(count(*), as_stored(max(target_epoch)), sum(source_epoch % 4294967296)::bigint)::text
     FROM signed_attestations WHERE validator_id = v.id)
FROM known_validators() v WHERE public_key > ? ORDER BY public_key LIMIT 500
""",
)
_FACTS_BELOW = Statement(
    embedded="""
SELECT floor_slot, floor_source, floor_target, held_by IS NOT NULL,
    (SELECT count(*) FROM signed_blocks WHERE validator_id = id AND slot <= ?2),
    (SELECT json_array(count(*), sum(source_epoch & 4294967295))
     FROM signed_attestations WHERE validator_id = id AND target_epoch <= ?3)
FROM validators WHERE id = ?1
""",
    shared="""
SELECT floor_slot, floor_source, floor_target, held_by IS NOT NULL,
    (SELECT count(*) FROM signed_blocks WHERE validator_id = v.id AND slot <= as_number(?2::bigint)),
    (SELECT json_build_array(count(*), sum(source_epoch % 4294967296)::bigint)::text
     FROM signed_attestations WHERE validator_id = v.id AND target_epoch <= as_number(?3::bigint))
FROM known_validators() v WHERE id = ?1::int
""",
)
"""The low half of a source as a number: sums of whole ones would not fit SQL's integers."""

_LOWEST = ordered(0)


class ReceiptLine(msgspec.Struct, array_like=True, frozen=True):
    """One validator. Numbers as stored; None where there is none."""

    floor_slot: int | None
    floor_source: int | None
    floor_target: int | None
    slot: int | None
    """Of the newest block."""

    target: int | None
    """Of the newest vote."""

    blocks: int
    attestations: int
    sources: int
    """The sum of the low halves of the sources."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one export held, at a moment before its first byte."""

    format: str = FORMAT
    database_id: str
    genesis_validators_root: str
    """With 0x."""

    low_epoch: int | None
    low_slot: int | None
    """The low watermark of all validators, unsigned."""

    validators: dict[str, ReceiptLine]
    """By public key with 0x. One that an import was not complete for is not named: it is exported whole next time."""


@dataclass(frozen=True, slots=True)
class Since:
    """Up to where nothing has changed, as stored; None where everything must be told again."""

    slot: int | None
    target: int | None


def lines_of(transaction: Transaction, keys: frozenset[PublicKey] | None = None) -> dict[PublicKey, ReceiptLine | None]:
    """The line of every validator on record, or of these; None for one that is held. Reads every record once."""
    found: dict[PublicKey, ReceiptLine | None] = {}
    after = b""
    while page := list(transaction.rows(_FACTS, (after,))):
        for _, public_key, floor_slot, floor_source, floor_target, held, blocks, votes in page:
            if keys is not None and public_key not in keys:
                continue
            count_blocks, slot = msgspec.json.decode(blocks)
            count_votes, target, sources = msgspec.json.decode(votes)
            line = ReceiptLine(
                floor_slot, floor_source, floor_target, slot, target, count_blocks, count_votes, sources or 0
            )
            found[PublicKey(bytes(public_key))] = None if held else line
        after = bytes(page[-1][1])
    return found


def unchanged_below(transaction: Transaction, validator_id: int, line: ReceiptLine) -> Since | None:
    """Up to where this validator's records are those that the receipt tells of."""
    slot = _LOWEST if line.slot is None else line.slot
    target = _LOWEST if line.target is None else line.target
    for floor_slot, floor_source, floor_target, held, blocks, votes in transaction.rows(
        _FACTS_BELOW, (validator_id, slot, target)
    ):
        count_votes, sources = msgspec.json.decode(votes)
        same_blocks = floor_slot == line.floor_slot and blocks == line.blocks and not held
        same_votes = (
            (floor_source, floor_target) == (line.floor_source, line.floor_target)
            and (count_votes, sources or 0) == (line.attestations, line.sources)
            and not held
        )
        return Since(line.slot if same_blocks else None, line.target if same_votes else None)
    return None


def same_watermark(transaction: Transaction, receipt: Receipt) -> bool:
    """False when the low watermark of all validators has risen: what an export writes at it has changed for all."""
    marks = read_watermarks(transaction)
    return (marks.low_epoch, marks.low_slot) == (
        None if receipt.low_epoch is None else Epoch(receipt.low_epoch),
        None if receipt.low_slot is None else Slot(receipt.low_slot),
    )


def by_key(lines: Mapping[str, ReceiptLine]) -> dict[PublicKey, ReceiptLine]:
    """A receipt's lines by their keys. Raises ValueError: a key is not hex."""
    return {PublicKey(bytes.fromhex(key.removeprefix("0x"))): line for key, line in lines.items()}


def named(lines: Iterable[tuple[PublicKey, ReceiptLine | None]]) -> dict[str, ReceiptLine]:
    """The lines as a receipt names them."""
    return {"0x" + key.hex(): line for key, line in lines if line is not None}
