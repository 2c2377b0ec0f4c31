"""The slashing record in and out of EIP-3076 documents.

In: every record of the document is added, none replaces one that is there, and no floor is lowered. A validator without
a floor gets the least record of the document as its floor (EIP-3076, conditions 2, 4 and 5). Where the document and the
record differ for the same slot or target, the record stays: both were signed already, and neither may be followed by a
third. Slashable histories are taken as they are: refusing them would protect less.

Out: every record, and where a floor stands above the newest of them an entry at the floor itself, so that no importer
starts below it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from interchange import Event, Metadata, SignedAttestation, SignedBlock, ValidatorHistory
from interchange.parse import histories
from signer.journal.ledger import Transaction
from signer.slashing.network import recorded_network
from signer.slashing.records import ordered, unordered
from signer.slashing.watermarks import read_watermarks
from signer.units import ROOT_BYTES, PublicKey, Root

T = TypeVar("T")

PAGE = 10_000
"""Rows read, and handed on, at a time: bounds memory, and how long one read lasts."""

_KEEP = "INSERT INTO validators (public_key) VALUES (?) ON CONFLICT DO NOTHING"
_ADD_VOTES = """
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT (SELECT id FROM validators WHERE public_key = ?1), value ->> 1, value ->> 0, unhex(value ->> 2)
FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING
"""
_ADD_BLOCKS = """
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT (SELECT id FROM validators WHERE public_key = ?1), value ->> 0, unhex(value ->> 1)
FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING
"""
_VOTE_FLOOR = """
UPDATE validators SET floor_source = ?2, floor_target = ?3 WHERE public_key = ?1 AND floor_target IS NULL
"""
_BLOCK_FLOOR = "UPDATE validators SET floor_slot = ?2 WHERE public_key = ?1 AND floor_slot IS NULL"
_CHANGES = "SELECT changes()"

_VALIDATORS = """
SELECT id, public_key, floor_source, floor_target, floor_slot FROM validators
WHERE public_key > ? ORDER BY public_key LIMIT 500
"""
_VOTES = """
SELECT source_epoch, target_epoch, signing_root FROM signed_attestations
WHERE validator_id = ? AND target_epoch >= ? ORDER BY target_epoch LIMIT ?
"""
_BLOCKS = "SELECT slot, signing_root FROM signed_blocks WHERE validator_id = ? AND slot >= ? ORDER BY slot LIMIT ?"
_LOWEST = -(2**63)
"""Zero, as it is stored."""


@dataclass(slots=True)
class ImportCount:
    """What an import did for one validator. Grows while the document is read."""

    public_key: PublicKey
    blocks: int = 0
    """Added; those on record already are not counted."""

    attestations: int = 0
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
            count.attestations += _add_votes(transaction, key, votes)
            count.sources = _least(count.sources, (vote.source_epoch for vote in votes))
            count.targets = _least(count.targets, (vote.target_epoch for vote in votes))
        for blocks in _pages(history.blocks):
            count.blocks += _add_blocks(transaction, key, blocks)
            count.slots = _least(count.slots, (block.slot for block in blocks))
    for count in report.validators.values():
        if count.sources is not None and count.targets is not None:
            transaction.run(_VOTE_FLOOR, (count.public_key, ordered(count.sources), ordered(count.targets)))
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
    low_epoch = -1 if marks.low_epoch is None else marks.low_epoch
    low_slot = -1 if marks.low_slot is None else marks.low_slot
    after = b""
    while page := list(transaction.rows(_VALIDATORS, (after,))):
        for validator_id, public_key, floor_source, floor_target, floor_slot in page:
            floor = (_at_least(floor_source, low_epoch), _at_least(floor_target, low_epoch))
            yield from _export_blocks(transaction, validator_id, public_key, _at_least(floor_slot, low_slot))
            yield from _export_votes(transaction, validator_id, public_key, floor)
        after = bytes(page[-1][1])


def _export_blocks(
    transaction: Transaction, validator_id: int, public_key: bytes, floor: int
) -> Iterator[ValidatorHistory]:
    newest, start = -1, _LOWEST
    while page := list(transaction.rows(_BLOCKS, (validator_id, start, PAGE))):
        newest, start = unordered(page[-1][0]), page[-1][0] + 1
        yield ValidatorHistory(public_key, tuple(SignedBlock(unordered(slot), _bytes(root)) for slot, root in page))
    if floor > newest:
        yield ValidatorHistory(public_key, (SignedBlock(floor),))


def _export_votes(
    transaction: Transaction, validator_id: int, public_key: bytes, floor: tuple[int, int]
) -> Iterator[ValidatorHistory]:
    newest, start = -1, _LOWEST
    while page := list(transaction.rows(_VOTES, (validator_id, start, PAGE))):
        newest, start = unordered(page[-1][1]), page[-1][1] + 1
        votes = tuple(SignedAttestation(unordered(s), unordered(t), _bytes(root)) for s, t, root in page)
        yield ValidatorHistory(public_key, (), votes)
    if floor[1] > newest:
        yield ValidatorHistory(public_key, (), (SignedAttestation(floor[0], floor[1]),))


def _add_votes(transaction: Transaction, key: PublicKey, votes: tuple[SignedAttestation, ...]) -> int:
    rows = [(ordered(v.source_epoch), ordered(v.target_epoch), _hex(v.signing_root)) for v in votes]
    return _add(transaction, _ADD_VOTES, key, rows)


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


def _at_least(stored: int | None, low: int) -> int:
    return low if stored is None else max(unordered(stored), low)


def _hex(root: bytes | None) -> str | None:
    """None for a root of another length too: it equals no root that we compute, exactly as None does."""
    return root.hex() if root is not None and len(root) == ROOT_BYTES else None


def _bytes(root: bytes | None) -> Root | None:
    return None if root is None else Root(bytes(root))
