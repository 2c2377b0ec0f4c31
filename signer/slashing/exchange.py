"""The slashing record out, as EIP-3076 documents: the records at or above the floor.

An importer takes the least of each field for its own floor, so where no record stands at ours an entry without a root
is written there, and nothing below it. The floor that is written rises over every record that is left out.

A low watermark of all validators binds those without a record too: where one is named (`Wanted.bound`), it has an entry
at that watermark, for whoever imports the document may sign with its key next.

Incremental (`Wanted.since`): of a validator whose floor is where the receipt says, and whose records up to its newest
are those the receipt tells of, only the newer ones; of every other validator all. Either is safe to import alone: the
importer refuses up to the least of what it gets.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from interchange import Metadata, SignedAttestation, SignedBlock, ValidatorHistory
from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.slashing.network import recorded_network
from signer.slashing.receipt import ReceiptLine, unchanged_below
from signer.slashing.records import ordered, unordered
from signer.slashing.watermarks import Watermarks, read_watermarks
from signer.units import UINT64_MAX, PublicKey, Root

PAGE = 10_000
"""Rows read, and handed on, at a time: bounds memory, and how long one read lasts."""

_VALIDATORS = Statement(
    embedded="""
SELECT id, public_key, max(floor_source, ifnull(held_source, floor_source)),
    max(floor_target, ifnull(held_target, floor_target)), max(floor_slot, ifnull(held_slot, floor_slot))
FROM validators WHERE public_key > ? ORDER BY public_key LIMIT 500
""",
    shared="""
SELECT id, public_key,
    coalesce(GREATEST(floor_source, held_source), (
        SELECT (-9223372036854775808)::bigint FROM signed_attestations a WHERE a.validator_id = v.id LIMIT 1)),
    coalesce(GREATEST(floor_target, held_target), (
        SELECT (min(target_epoch) - 9223372036854775808)::bigint
        FROM signed_attestations a WHERE a.validator_id = v.id)),
    coalesce(GREATEST(floor_slot, held_slot), (
        SELECT (min(slot) - 9223372036854775808)::bigint FROM signed_blocks b WHERE b.validator_id = v.id))
FROM known_validators() v WHERE public_key > ? ORDER BY public_key LIMIT 500
""",
)
# Rows of Web3Signer's without a watermark of its own are records all the same: all of them are taken.
_BELOW_FLOOR = Statement(
    embedded="""
SELECT max(source_epoch), max(target_epoch) FROM signed_attestations
WHERE validator_id = ?1 AND (source_epoch < ?2 OR target_epoch < ?3)
""",
    shared="""
SELECT (max(source_epoch) - 9223372036854775808)::bigint, (max(target_epoch) - 9223372036854775808)::bigint
FROM signed_attestations
WHERE validator_id = ?1::int
    AND (source_epoch < ?2::bigint + 9223372036854775808 OR target_epoch < ?3::bigint + 9223372036854775808)
""",
)
_VOTES = Statement(
    embedded="""
SELECT target_epoch, source_epoch, signing_root FROM signed_attestations
WHERE validator_id = ? AND source_epoch >= ? AND target_epoch >= ? ORDER BY target_epoch LIMIT ?
""",
    shared="""
SELECT (target_epoch - 9223372036854775808)::bigint, (source_epoch - 9223372036854775808)::bigint, signing_root
FROM signed_attestations
WHERE validator_id = ?::int AND source_epoch >= ?::bigint + 9223372036854775808
    AND target_epoch >= ?::bigint + 9223372036854775808
ORDER BY signed_attestations.target_epoch LIMIT ?::bigint
""",
)
_BLOCKS = Statement(
    embedded="SELECT slot, signing_root FROM signed_blocks WHERE validator_id = ? AND slot >= ? ORDER BY slot LIMIT ?",
    shared="""
SELECT (slot - 9223372036854775808)::bigint, signing_root FROM signed_blocks
WHERE validator_id = ?::int AND slot >= ?::bigint + 9223372036854775808
ORDER BY signed_blocks.slot LIMIT ?::bigint
""",
)
# What reads one validator's records needs nothing of ours in a shared database: a Web3Signer's own is read so too.
_HIGHEST = ordered(UINT64_MAX)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the record is asked for; all of it by default."""

    keys: frozenset[PublicKey] | None = None
    """These validators only."""

    since: Mapping[PublicKey, ReceiptLine] = field(default_factory=dict)
    """What an earlier export held."""

    bound: frozenset[PublicKey] = frozenset()
    """These have the floor of all validators even where they have no record of their own."""


EVERYTHING = Wanted()


def export_metadata(transaction: Transaction) -> Metadata | None:
    """The chain this record is for, or None where nothing is pinned and so nothing recorded."""
    root = recorded_network(transaction)
    return None if root is None else Metadata(root)


def export_history(transaction: Transaction, wanted: Wanted = EVERYTHING) -> Iterator[ValidatorHistory]:
    """The records of the validators, keys ascending, in parts of one page; then of those that have none."""
    marks = read_watermarks(transaction)
    recorded: set[bytes] = set()
    yield from _export_recorded(transaction, wanted, marks, recorded)
    yield from _export_bound(wanted.bound - recorded, marks)


def _export_recorded(
    transaction: Transaction, wanted: Wanted, marks: Watermarks, recorded: set[bytes]
) -> Iterator[ValidatorHistory]:
    """Those with a row of their own; `recorded` takes the bound keys among them."""
    low_epoch = None if marks.low_epoch is None else ordered(marks.low_epoch)
    low_slot = None if marks.low_slot is None else ordered(marks.low_slot)
    # Shorter than a key, and so before it: of ten thousand validators one page is read for one key.
    after = bytes(min(wanted.keys)[:-1]) if wanted.keys else b""
    while page := list(transaction.rows(_VALIDATORS, (after,))):
        for validator_id, public_key, floor_source, floor_target, floor_slot in page:
            if wanted.keys is not None and public_key not in wanted.keys:
                continue
            if public_key in wanted.bound:
                recorded.add(bytes(public_key))
            own, lowest = (floor_slot, floor_source, floor_target), (low_slot, low_epoch, low_epoch)
            floors = tuple(map(_greatest, own, lowest))
            yield from export_validator(transaction, (validator_id, public_key), floors, wanted)
        after = bytes(page[-1][1])
        if wanted.keys is not None and after >= max(wanted.keys, default=b""):
            return


def _export_bound(keys: AbstractSet[bytes], marks: Watermarks) -> Iterator[ValidatorHistory]:
    blocks = () if marks.low_slot is None else (SignedBlock(marks.low_slot),)
    votes = () if marks.low_epoch is None else (SignedAttestation(marks.low_epoch, marks.low_epoch),)
    if blocks or votes:
        yield from (ValidatorHistory(key, blocks, votes) for key in sorted(keys))


# A validator without a floor has no records: the first of each kind, signed or imported, sets it. Floors and records
# are compared as they are stored, which keeps their order.


def export_validator(
    transaction: Transaction,
    validator: tuple[int, bytes],
    floors: tuple[int | None, ...],
    wanted: Wanted = EVERYTHING,
) -> Iterator[ValidatorHistory]:
    """One validator's records, by its number and key. `floors`: slot, source and target, as stored; None for none."""
    validator_id, public_key = validator
    slot, source, target = floors
    known = wanted.since.get(PublicKey(public_key))
    since = None if known is None else unchanged_below(transaction, validator_id, known)
    if slot is not None:
        if since is not None and since.slot is not None:
            yield from _newer_blocks(transaction, validator_id, public_key, since.slot)
        else:
            yield from _export_blocks(transaction, validator_id, public_key, slot)
    if source is not None and target is not None:
        if since is not None and since.target is not None:
            yield from _newer_votes(transaction, validator_id, public_key, since.target)
        else:
            floor = _floor_over_what_is_left_out(transaction, validator_id, (source, target))
            yield from _export_votes(transaction, validator_id, public_key, floor)


def _newer_blocks(
    transaction: Transaction, validator_id: int, public_key: bytes, after: int
) -> Iterator[ValidatorHistory]:
    if after < _HIGHEST:
        for page in _read_pages(transaction, _BLOCKS, (validator_id,), after + 1):
            yield ValidatorHistory(public_key, _blocks(page))


def _newer_votes(
    transaction: Transaction, validator_id: int, public_key: bytes, after: int
) -> Iterator[ValidatorHistory]:
    if after < _HIGHEST:
        for page in _read_pages(transaction, _VOTES, (validator_id, ordered(0)), after + 1):
            yield ValidatorHistory(public_key, (), _votes(page))


def _export_blocks(
    transaction: Transaction, validator_id: int, public_key: bytes, floor: int
) -> Iterator[ValidatorHistory]:
    at_floor = ValidatorHistory(public_key, (SignedBlock(unordered(floor)),))
    first = None
    for page in _read_pages(transaction, _BLOCKS, (validator_id,), floor):
        if first is None and (first := page[0][0]) != floor:
            yield at_floor
        yield ValidatorHistory(public_key, _blocks(page))
    if first is None:
        yield at_floor


def _export_votes(
    transaction: Transaction, validator_id: int, public_key: bytes, floor: tuple[int, int]
) -> Iterator[ValidatorHistory]:
    source, target = floor
    at_floor = ValidatorHistory(public_key, (), (SignedAttestation(unordered(source), unordered(target)),))
    first = None
    for page in _read_pages(transaction, _VOTES, (validator_id, source), target):
        if first is None and (first := page[0][0]) != target:
            yield at_floor
        yield ValidatorHistory(public_key, (), _votes(page))
    if first is None:
        yield at_floor


def _read_pages(
    transaction: Transaction, statement: Statement, values: tuple[int, ...], start: int
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, whose first column is its order, from `start` on."""
    while page := list(transaction.rows(statement, (*values, start, PAGE))):
        yield page
        if len(page) < PAGE or page[-1][0] == _HIGHEST:
            return
        start = page[-1][0] + 1


def _floor_over_what_is_left_out(
    transaction: Transaction, validator_id: int, floor: tuple[int, int]
) -> tuple[int, int]:
    """The floor, raised over every vote that is below it in source or in target, which may put others below it."""
    source, target = floor[0], max(floor)
    while True:
        ((below_source, below_target),) = transaction.rows(_BELOW_FLOOR, (validator_id, source, target))
        if below_source is None or (below_source <= source and below_target <= target):
            return source, target
        source = max(source, below_source)
        target = max(target, below_target, source)


def _blocks(page: list[tuple[Any, ...]]) -> tuple[SignedBlock, ...]:
    return tuple(SignedBlock(unordered(slot), _bytes(root)) for slot, root in page)


def _votes(page: list[tuple[Any, ...]]) -> tuple[SignedAttestation, ...]:
    return tuple(SignedAttestation(unordered(s), unordered(t), _bytes(root)) for t, s, root in page)


def _greatest(known: int | None, other: int | None) -> int | None:
    return known if other is None else other if known is None else max(known, other)


def _bytes(root: bytes | None) -> Root | None:
    return None if root is None else Root(bytes(root))
