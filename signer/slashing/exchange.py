"""The slashing record in and out of EIP-3076 documents.

In: every record of the document is added, none replaces one that is there, and no floor is lowered. A validator without
a floor gets the least record of the document as its floor (EIP-3076, conditions 2, 4 and 5). Where the document and the
record differ for the same slot or target, the record stays: both were signed already, and neither may be followed by a
third. Slashable histories are taken as they are: refusing them would protect less. Only where the record cannot hold
them (two sources for one target; a source after its target) it keeps the lower source, and the floor's source rises to
the higher one: that refuses whatever either would have refused.

Out: the records at or above the floor. An importer takes the least of each field for its own floor, so where no record
stands at ours an entry without a root is written there, and nothing below it. The floor that is written rises over
every record that is left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from interchange import Event, Metadata, SignedAttestation, SignedBlock, ValidatorHistory
from interchange.parse import histories
from signer.journal.ledger import Transaction
from signer.slashing.network import recorded_network
from signer.slashing.records import ordered, unordered
from signer.slashing.watermarks import read_watermarks
from signer.units import ROOT_BYTES, UINT64_MAX, PublicKey, Root

T = TypeVar("T")

PAGE = 10_000
"""Rows read, and handed on, at a time: bounds memory, and how long one read lasts."""

_KEEP = "INSERT INTO validators (public_key) VALUES (?) ON CONFLICT DO NOTHING"
_ADD_VOTES = """
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT (SELECT id FROM validators WHERE public_key = ?1), value ->> 1, value ->> 0, unhex(value ->> 2)
FROM json_each(?2) WHERE true
ON CONFLICT DO UPDATE SET source_epoch = excluded.source_epoch, signing_root = NULL
    WHERE excluded.source_epoch < source_epoch
"""
_DIFFERING_SOURCES = """
SELECT max(a.source_epoch), max(value ->> 0)
FROM json_each(?2) CROSS JOIN signed_attestations a ON a.target_epoch = value ->> 1 AND a.source_epoch <> value ->> 0
WHERE a.validator_id = (SELECT id FROM validators WHERE public_key = ?1)
"""
_ADD_BLOCKS = """
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT (SELECT id FROM validators WHERE public_key = ?1), value ->> 0, unhex(value ->> 1)
FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING
"""
_VOTE_FLOOR = """
UPDATE validators SET floor_source = ?2, floor_target = ?3 WHERE public_key = ?1 AND floor_target IS NULL
"""
_LEAST_SOURCE = "UPDATE validators SET floor_source = max(floor_source, ?2) WHERE public_key = ?1"
_BLOCK_FLOOR = "UPDATE validators SET floor_slot = ?2 WHERE public_key = ?1 AND floor_slot IS NULL"
_CHANGES = "SELECT changes()"

_VALIDATORS = """
SELECT id, public_key, floor_source, floor_target, floor_slot FROM validators
WHERE public_key > ? ORDER BY public_key LIMIT 500
"""
_BELOW_FLOOR = """
SELECT max(source_epoch), max(target_epoch) FROM signed_attestations
WHERE validator_id = ?1 AND (source_epoch < ?2 OR target_epoch < ?3)
"""
_VOTES = """
SELECT target_epoch, source_epoch, signing_root FROM signed_attestations
WHERE validator_id = ? AND source_epoch >= ? AND target_epoch >= ? ORDER BY target_epoch LIMIT ?
"""
_BLOCKS = "SELECT slot, signing_root FROM signed_blocks WHERE validator_id = ? AND slot >= ? ORDER BY slot LIMIT ?"
_HIGHEST = ordered(UINT64_MAX)


@dataclass(slots=True)
class ImportCount:
    """What an import did for one validator. Grows while the document is read."""

    public_key: PublicKey
    blocks: int = 0
    """Added or lowered in their source; those on record already are not counted."""

    attestations: int = 0
    least_source: int | None = None
    """Votes with a lower source may no longer be signed: the record could not hold all of the document's votes."""

    sources: int | None = None
    """The least of each in the document, or None where it has none."""

    targets: int | None = None
    slots: int | None = None


@dataclass(slots=True)
class ImportReport:
    """What an import did."""

    validators: dict[PublicKey, ImportCount] = field(default_factory=dict)
    """In the document's order."""


def import_history(transaction: Transaction, events: Iterable[Event]) -> ImportReport:
    """Add a document's records. The caller has compared its metadata, and commits or rolls back the whole.

    Raises:
        InterchangeError: the document is malformed at some place; the transaction must be rolled back.
    """
    report = ImportReport()
    for history in histories(events):
        key = PublicKey(history.pubkey)
        count = report.validators.get(key)
        if count is None:
            count = report.validators[key] = ImportCount(key)
            transaction.run(_KEEP, (key,))
        for votes in _pages(history.attestations):
            added, hidden = _add_votes(transaction, key, votes)
            count.attestations += added
            count.least_source = _greatest(count.least_source, hidden)
            count.sources = _least(count.sources, (vote.source_epoch for vote in votes))
            count.targets = _least(count.targets, (vote.target_epoch for vote in votes))
        for blocks in _pages(history.blocks):
            count.blocks += _add_blocks(transaction, key, blocks)
            count.slots = _least(count.slots, (block.slot for block in blocks))
    for count in report.validators.values():
        if count.sources is not None and count.targets is not None:
            transaction.run(_VOTE_FLOOR, (count.public_key, ordered(count.sources), ordered(count.targets)))
        if count.least_source is not None:
            transaction.run(_LEAST_SOURCE, (count.public_key, ordered(count.least_source)))
        if count.slots is not None:
            transaction.run(_BLOCK_FLOOR, (count.public_key, ordered(count.slots)))
    return report


def export_metadata(transaction: Transaction) -> Metadata | None:
    """The chain this record is for, or None where nothing is pinned and so nothing recorded."""
    root = recorded_network(transaction)
    return None if root is None else Metadata(root)


def export_history(transaction: Transaction) -> Iterator[ValidatorHistory]:
    """Every validator's records, keys ascending, in parts of one page."""
    marks = read_watermarks(transaction)
    low_epoch = None if marks.low_epoch is None else ordered(marks.low_epoch)
    low_slot = None if marks.low_slot is None else ordered(marks.low_slot)
    after = b""
    while page := list(transaction.rows(_VALIDATORS, (after,))):
        for validator_id, public_key, floor_source, floor_target, floor_slot in page:
            slot = _greatest(floor_slot, low_slot)
            if slot is not None:
                yield from _export_blocks(transaction, validator_id, public_key, slot)
            source, target = _greatest(floor_source, low_epoch), _greatest(floor_target, low_epoch)
            if source is not None and target is not None:
                floor = _floor_over_what_is_left_out(transaction, validator_id, (source, target))
                yield from _export_votes(transaction, validator_id, public_key, floor)
        after = bytes(page[-1][1])


# A validator without a floor has no records: the first of each kind, signed or imported, sets it. Floors and records
# are compared as they are stored, which keeps their order.


def _export_blocks(
    transaction: Transaction, validator_id: int, public_key: bytes, floor: int
) -> Iterator[ValidatorHistory]:
    at_floor = ValidatorHistory(public_key, (SignedBlock(unordered(floor)),))
    first = None
    for page in _read_pages(transaction, _BLOCKS, (validator_id,), floor):
        if first is None and (first := page[0][0]) != floor:
            yield at_floor
        yield ValidatorHistory(public_key, tuple(SignedBlock(unordered(slot), _bytes(root)) for slot, root in page))
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
        votes = tuple(SignedAttestation(unordered(s), unordered(t), _bytes(root)) for t, s, root in page)
        yield ValidatorHistory(public_key, (), votes)
    if first is None:
        yield at_floor


def _read_pages(
    transaction: Transaction, statement: str, values: tuple[int, ...], start: int
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a statement, whose first column is its order, from `start` on."""
    while page := list(transaction.rows(statement, (*values, start, PAGE))):
        yield page
        if page[-1][0] == _HIGHEST:
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


def _add_votes(transaction: Transaction, key: PublicKey, votes: Iterable[SignedAttestation]) -> tuple[int, int | None]:
    """How many were added, and the source that the record cannot hold (`ImportCount.least_source`)."""
    single, hidden = _one_for_each_target(votes)
    rows = [(ordered(v.source_epoch), ordered(v.target_epoch), _hex(v.signing_root)) for v in single]
    ((recorded, imported),) = transaction.rows(_DIFFERING_SOURCES, (key, msgspec.json.encode(rows).decode()))
    if recorded is not None:
        hidden = _greatest(hidden, unordered(max(recorded, imported)))
    return _add(transaction, _ADD_VOTES, key, rows), hidden


def _one_for_each_target(votes: Iterable[SignedAttestation]) -> tuple[Iterable[SignedAttestation], int | None]:
    single: dict[int, SignedAttestation] = {}
    hidden: int | None = None
    for vote in votes:
        if vote.source_epoch > vote.target_epoch:
            hidden = _greatest(hidden, vote.source_epoch)
        other = single.setdefault(vote.target_epoch, vote)
        if other.source_epoch != vote.source_epoch:
            hidden = _greatest(hidden, max(other.source_epoch, vote.source_epoch))
            single[vote.target_epoch] = SignedAttestation(min(other.source_epoch, vote.source_epoch), vote.target_epoch)
    return single.values(), hidden


def _add_blocks(transaction: Transaction, key: PublicKey, blocks: tuple[SignedBlock, ...]) -> int:
    rows = [(ordered(block.slot), _hex(block.signing_root)) for block in blocks]
    return _add(transaction, _ADD_BLOCKS, key, rows)


def _add(transaction: Transaction, statement: str, key: PublicKey, rows: Sequence[tuple[int | str | None, ...]]) -> int:
    transaction.run(statement, (key, msgspec.json.encode(rows).decode()))
    ((added,),) = transaction.rows(_CHANGES)
    return int(added)


def _pages(records: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    for at in range(0, len(records), PAGE):
        yield records[at : at + PAGE]


def _least(known: int | None, values: Iterable[int]) -> int | None:
    least = min(values, default=None)
    return known if least is None else least if known is None else min(known, least)


def _greatest(known: int | None, other: int | None) -> int | None:
    return known if other is None else other if known is None else max(known, other)


def _hex(root: bytes | None) -> str | None:
    """None for a root of another length too: it equals no root that we compute, exactly as None does."""
    return root.hex() if root is not None and len(root) == ROOT_BYTES else None


def _bytes(root: bytes | None) -> Root | None:
    return None if root is None else Root(bytes(root))
