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
Rule 3: on a shared database validators are held, and rows written, under the locks that Web3Signer signs under. The
hold itself binds Holdfasts alone. It does not raise Web3Signer's watermarks for the time of the import: they would have
to fall again, and what a pruning of its own has deleted below them meanwhile would protect from nothing any more. To
Web3Signer an unfinished import is one that has not ended: it refuses what has arrived, and never less than before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from interchange.parse import Event
from signer.errors import BadWatermarkError
from signer.journal.ledger import Row, Transaction
from signer.journal.statement import Statement
from signer.slashing import incoming_statements as say
from signer.slashing.locking import MOST_LOCKED, lock_keys
from signer.slashing.records import ordered, unordered
from signer.slashing.staging import Part, StagedValidator, Staging, decode_part
from signer.slashing.watermarks import read_floor_limits
from signer.units import Epoch, PublicKey, Slot

SLICE = MOST_LOCKED
"""Validators held in one transaction, and asked for in one statement."""

_NO_RECORDS = b"{}"
"""What a part says where it has none of a kind."""


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

    def add(self, part: "ImportReport") -> None:
        """What a part did, once it is on record."""
        for public_key, one in part.validators.items():
            known = self.validators.setdefault(public_key, ImportCount(public_key))
            known.blocks += one.blocks
            known.attestations += one.attestations
            known.differing += one.differing
            known.least_source = _highest((known.least_source, one.least_source))


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
    transaction.run(say.KEEP, (marks,))
    lock_keys(transaction, [one.public_key for one in validators])
    transaction.run(say.FIRST_VOTE_FLOORS, (marks,))
    transaction.run(say.FIRST_BLOCK_FLOORS, (marks,))
    if hold_for is not None:
        transaction.run(say.HOLD, (marks, hold_for))


def add_part(transaction: Transaction, part: Part, report: ImportReport) -> None:
    """Add the rows of a part, and count in the report what they added."""
    lock_keys(transaction, part.keys())
    _count(transaction, part, report, (say.TAKE_VOTES, say.TAKE_BLOCKS))
    transaction.run(say.ADD_VOTES, (_text(part.votes),))
    transaction.run(say.ADD_BLOCKS, (_text(part.blocks),))
    sources = [
        (one.public_key.hex(), ordered(one.least_source))
        for one in (report.validators[PublicKey(bytes.fromhex(key))] for key in part.voters())
        if one.least_source is not None
    ]
    if sources:
        transaction.run(say.RAISE_SOURCES, (_json(sources),))


def check_floor_limits(
    transaction: Transaction, validators: Iterable[StagedValidator], known: Mapping[PublicKey, Floors]
) -> None:
    """A shared database takes no floor above the high watermark: Web3Signer's tables forbid it.

    Raises:
        BadWatermarkError: an import would set one.
    """
    limits = read_floor_limits(transaction)
    if limits.epoch is None and limits.slot is None:
        return
    for one in validators:
        floors = known.get(PublicKey(bytes.fromhex(one.public_key)), Floors())
        for unit, new, floor, limit in (
            ("epoch", one.targets, floors.target_epoch, limits.epoch),
            ("epoch", one.sources, floors.source_epoch, limits.epoch),
            ("slot", one.slots, floors.slot, limits.slot),
        ):
            if floor is None and new is not None and limit is not None and new[0] > limit:
                raise BadWatermarkError(
                    f"the records of 0x{one.public_key} begin at {unit} {new[0]}, above the high watermark {limit}:"
                    " clear that first (holdfast slashing watermark --clear-high), and then import",
                    evidence={"public_key": "0x" + one.public_key, f"lowest_{unit}": new[0], f"high_{unit}": limit},
                )


def compare_part(transaction: Transaction, part: Part, report: ImportReport) -> None:
    """Count in the report what adding this part would do. Changes nothing."""
    _count(transaction, part, report, (say.COMPARE_VOTES, say.COMPARE_BLOCKS))


def lift_hold(transaction: Transaction, hold_for: bytes) -> None:
    """All parts of this document are in: its floors and rows protect by themselves."""
    transaction.run(say.LIFT, (hold_for,))


def read_floors(transaction: Transaction, keys: Sequence[str]) -> dict[PublicKey, Floors]:
    """The floors of those of these keys (hex) that are on record."""
    found: dict[PublicKey, Floors] = {}
    for start in range(0, len(keys), SLICE):
        for key, slot, source, target, held in transaction.rows(say.FLOORS, (_json(keys[start : start + SLICE]),)):
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


def _count(transaction: Transaction, part: Part, report: ImportReport, statements: tuple[Statement, Statement]) -> None:
    """What the statements tell of this part's votes, and of its blocks."""
    votes, blocks = statements
    for key, added, differing, hidden in _told(transaction, votes, part.votes):
        count = report.count(key)
        count.attestations += added
        count.differing += differing
        _hide(count, hidden)
    for key, added, differing in _told(transaction, blocks, part.blocks):
        count = report.count(key)
        count.blocks += added
        count.differing += differing
    for key, hidden in part.hidden:
        _hide(report.count(key), hidden)


def _told(transaction: Transaction, statement: Statement, records: msgspec.Raw) -> Iterable[Row]:
    """Asked only where there are any: of most parts no blocks, and each question is a way to a server and back."""
    return () if bytes(records) == _NO_RECORDS else transaction.rows(statement, (_text(records),))


def _marks(one: StagedValidator) -> tuple[Any, ...]:
    """Key; lowest source, target and slot; highest of each. As stored."""
    ranges = (one.sources, one.targets, one.slots)
    lowest = [None if each is None else ordered(each[0]) for each in ranges]
    highest = [None if each is None else ordered(each[1]) for each in ranges]
    return (one.public_key, *lowest, *highest)


def _hide(count: ImportCount, hidden: int | None) -> None:
    if hidden is not None:
        count.least_source = max(count.least_source or 0, unordered(hidden))


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("ascii")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
