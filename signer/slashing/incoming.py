"""Another signer's records merged into ours, a bounded part at a time; the record protects at every moment between.

Every record of the document is added, none replaces one that is there, and no floor is lowered. A validator without a
floor gets the least record of the document as its floor (EIP-3076, conditions 2, 4 and 5); one that is there stays, as
complete mode has it (decision 0017). Where the document and the record differ for the same slot or target, the record
stays: both were signed already, and neither may be followed by a third. Slashable histories are taken as they are:
refusing them would protect less. Only where the record cannot hold them (two sources for one target; a source after its
target) it keeps the lower source, and the floor's source rises to the higher one: that refuses whatever either would
have refused.

Rule 1: before the first part each validator is held at the highest of the document: until the last part is in, nothing
is signed up to there that is not on record. A crash on the way leaves the hold, which refuses more than the document;
the same import, run again, completes the record and lifts it.
Rule 2: whatever a part hides raises the floor in the part's own transaction: running it twice is running it once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from interchange.parse import Event
from signer.journal.ledger import Transaction
from signer.slashing.records import ordered, unordered
from signer.slashing.staging import Part, StagedValidator, Staging, decode_part
from signer.units import Epoch, PublicKey, Slot

SLICE = 1_000
"""Validators held in one transaction, and asked for in one statement."""

_KEEP = (
    "INSERT INTO validators (public_key) SELECT unhex(value ->> 0) FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
)
_FIRST_VOTE_FLOORS = """
UPDATE validators SET floor_source = value ->> 1, floor_target = value ->> 2
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND value ->> 1 IS NOT NULL AND floor_target IS NULL
"""
_FIRST_BLOCK_FLOORS = """
UPDATE validators SET floor_slot = value ->> 3
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND value ->> 3 IS NOT NULL AND floor_slot IS NULL
"""
_HOLD = """
UPDATE validators SET
    held_source = coalesce(max(held_source, value ->> 4), held_source, value ->> 4),
    held_target = coalesce(max(held_target, value ->> 5), held_target, value ->> 5),
    held_slot = coalesce(max(held_slot, value ->> 6), held_slot, value ->> 6),
    held_by = coalesce(held_by, ?2)
FROM json_each(?1) WHERE public_key = unhex(value ->> 0)
"""
_LIFT = """
UPDATE validators SET held_source = NULL, held_target = NULL, held_slot = NULL, held_by = NULL WHERE held_by = ?
"""
_COMPARE_VOTES = """
SELECT g.key,
    count(*) - count(a.target_epoch) FILTER (WHERE a.source_epoch <= r.value ->> 1),
    count(*) FILTER (WHERE a.source_epoch <> r.value ->> 1 OR a.signing_root <> unhex(r.value ->> 2)),
    max(CASE WHEN a.source_epoch <> r.value ->> 1 THEN max(a.source_epoch, r.value ->> 1) END)
FROM json_each(?) g LEFT JOIN validators v ON v.public_key = unhex(g.key) CROSS JOIN json_each(g.value) r
LEFT JOIN signed_attestations a ON a.validator_id = v.id AND a.target_epoch = r.value ->> 0
GROUP BY g.key
"""
_COMPARE_BLOCKS = """
SELECT g.key, count(*) - count(b.slot), count(*) FILTER (WHERE b.signing_root <> unhex(r.value ->> 1))
FROM json_each(?) g LEFT JOIN validators v ON v.public_key = unhex(g.key) CROSS JOIN json_each(g.value) r
LEFT JOIN signed_blocks b ON b.validator_id = v.id AND b.slot = r.value ->> 0
GROUP BY g.key
"""
_ADD_VOTES = """
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT v.id, r.value ->> 0, r.value ->> 1, unhex(r.value ->> 2)
FROM json_each(?) g CROSS JOIN validators v ON v.public_key = unhex(g.key)
CROSS JOIN json_each(g.value) r WHERE true
ON CONFLICT DO UPDATE SET source_epoch = excluded.source_epoch, signing_root = NULL
    WHERE excluded.source_epoch < source_epoch
"""
_ADD_BLOCKS = """
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT v.id, r.value ->> 0, unhex(r.value ->> 1)
FROM json_each(?) g CROSS JOIN validators v ON v.public_key = unhex(g.key)
CROSS JOIN json_each(g.value) r WHERE true
ON CONFLICT DO NOTHING
"""
_RAISE_SOURCES = """
UPDATE validators SET floor_source = max(floor_source, value ->> 1)
FROM json_each(?) WHERE public_key = unhex(value ->> 0)
"""
_FLOORS = """
SELECT hex(public_key), floor_slot, floor_source, floor_target, held_by IS NOT NULL
FROM json_each(?) CROSS JOIN validators v ON v.public_key = unhex(value)
"""


@dataclass(frozen=True, slots=True)
class Floors:
    """Below which nothing of a validator is signed; None where nothing is on record."""

    slot: Slot | None = None
    source_epoch: Epoch | None = None
    target_epoch: Epoch | None = None
    held: bool = False
    """True while an import of this validator's records is not complete."""


@dataclass(slots=True)
class ImportCount:
    """What an import does for one validator. Grows with its parts."""

    public_key: PublicKey
    blocks: int = 0
    """Added; those on record already are not counted."""

    attestations: int = 0
    """Added, or lowered in their source."""

    differing: int = 0
    """Records of the document that say something else than ours for the same slot or target."""

    least_source: int | None = None
    """The source of the floor rises to this: the record cannot hold all of the votes."""


@dataclass(slots=True)
class ImportReport:
    """What an import does."""

    validators: dict[PublicKey, ImportCount] = field(default_factory=dict)

    def count(self, key: str) -> ImportCount:
        """That of one validator, by its key in hex."""
        public_key = PublicKey(bytes.fromhex(key))
        return self.validators.setdefault(public_key, ImportCount(public_key))


def import_history(transaction: Transaction, events: Iterable[Event]) -> ImportReport:
    """Add a document's records in one transaction. The caller has compared its metadata, and commits or rolls back.

    Raises:
        InterchangeError: the document is malformed at some place; the transaction must be rolled back.
    """
    staging, report = Staging(), ImportReport()
    parts = [decode_part(encoded) for encoded in staging.parts_of(events)]
    for fault in staging.faults:
        raise fault.error
    admit(transaction, staging.validators())
    for one in staging.validators():
        report.count(one.public_key)
    for part in parts:
        add_part(transaction, part, report)
    return report


def admit(transaction: Transaction, validators: Sequence[StagedValidator], *, hold_for: bytes | None = None) -> None:
    """Give validators without a floor the least of the document as theirs, before any of its rows is in.

    With `hold_for` (the document's digest) hold them at its highest until `lift_hold`.
    """
    marks = _json([_marks(one) for one in validators])
    transaction.run(_KEEP, (marks,))
    transaction.run(_FIRST_VOTE_FLOORS, (marks,))
    transaction.run(_FIRST_BLOCK_FLOORS, (marks,))
    if hold_for is not None:
        transaction.run(_HOLD, (marks, hold_for))


def add_part(transaction: Transaction, part: Part, report: ImportReport) -> None:
    """Add the rows of a part, and count in the report what they added."""
    compare_part(transaction, part, report)
    transaction.run(_ADD_VOTES, (_text(part.votes),))
    transaction.run(_ADD_BLOCKS, (_text(part.blocks),))
    sources = [
        (one.public_key.hex(), ordered(one.least_source))
        for one in (report.validators[PublicKey(bytes.fromhex(key))] for key in _keys_of(part))
        if one.least_source is not None
    ]
    if sources:
        transaction.run(_RAISE_SOURCES, (_json(sources),))


def compare_part(transaction: Transaction, part: Part, report: ImportReport) -> None:
    """Count in the report what adding this part would do. Changes nothing."""
    for key, added, differing, hidden in transaction.rows(_COMPARE_VOTES, (_text(part.votes),)):
        count = report.count(key)
        count.attestations += added
        count.differing += differing
        _hide(count, hidden)
    for key, added, differing in transaction.rows(_COMPARE_BLOCKS, (_text(part.blocks),)):
        count = report.count(key)
        count.blocks += added
        count.differing += differing
    for key, hidden in part.hidden:
        _hide(report.count(key), hidden)


def lift_hold(transaction: Transaction, hold_for: bytes) -> None:
    """All parts of this document are in: its floors and rows protect by themselves."""
    transaction.run(_LIFT, (hold_for,))


def read_floors(transaction: Transaction, keys: Sequence[str]) -> dict[PublicKey, Floors]:
    """The floors of those of these keys (hex) that are on record."""
    found: dict[PublicKey, Floors] = {}
    for start in range(0, len(keys), SLICE):
        for key, slot, source, target, held in transaction.rows(_FLOORS, (_json(keys[start : start + SLICE]),)):
            found[PublicKey(bytes.fromhex(key))] = Floors(
                None if slot is None else Slot(unordered(slot)),
                None if source is None else Epoch(unordered(source)),
                None if target is None else Epoch(unordered(target)),
                bool(held),
            )
    return found


def floors_after(before: Floors, one: StagedValidator, count: ImportCount | None) -> Floors:
    """The floors that a complete import leaves."""
    hidden = None if count is None else count.least_source
    slot = before.slot if before.slot is not None else one.slots and one.slots[0]
    first = before.source_epoch if before.source_epoch is not None else one.sources and one.sources[0]
    source = _highest([first, hidden])
    target = before.target_epoch if before.target_epoch is not None else one.targets and one.targets[0]
    return Floors(
        None if slot is None else Slot(slot),
        None if source is None else Epoch(source),
        None if target is None else Epoch(target),
    )


def slices(validators: Sequence[StagedValidator]) -> Iterator[Sequence[StagedValidator]]:
    """So many at a time as one transaction holds."""
    for start in range(0, len(validators), SLICE):
        yield validators[start : start + SLICE]


def _marks(one: StagedValidator) -> tuple[Any, ...]:
    """Key; lowest source, target and slot; highest of each. As stored."""
    ranges = (one.sources, one.targets, one.slots)
    lowest = [None if each is None else ordered(each[0]) for each in ranges]
    highest = [None if each is None else ordered(each[1]) for each in ranges]
    return (one.public_key, *lowest, *highest)


def _keys_of(part: Part) -> Iterable[str]:
    """Those whose floor this part may raise."""
    return msgspec.json.decode(part.votes, type=dict[str, msgspec.Raw])


def _hide(count: ImportCount, hidden: int | None) -> None:
    if hidden is not None:
        count.least_source = max(count.least_source or 0, unordered(hidden))


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("ascii")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
