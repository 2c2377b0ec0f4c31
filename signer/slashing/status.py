"""What is on record for each validator: floors, the newest vote and block, and how many there are.

The floors are those that signing is judged by: the higher of a validator's own and the one that an incomplete import
holds it at.
"""

from dataclasses import dataclass
from typing import Any

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.slashing.records import unordered
from signer.slashing.rules import Proposal, Vote, VoteFloor
from signer.units import Epoch, PublicKey, Root, Slot

_FIND = Statement(
    embedded="""
SELECT v.public_key,
    max(v.floor_source, ifnull(v.held_source, v.floor_source)),
    max(v.floor_target, ifnull(v.held_target, v.floor_target)),
    max(v.floor_slot, ifnull(v.held_slot, v.floor_slot)),
    a.source_epoch, a.target_epoch, a.signing_root, b.slot, b.signing_root,
    (SELECT count(*) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT count(*) FROM signed_blocks WHERE validator_id = v.id),
    v.held_by, v.held_source, v.held_target, v.held_slot
FROM validators v
LEFT JOIN signed_attestations a ON a.validator_id = v.id
    AND a.target_epoch = (SELECT max(target_epoch) FROM signed_attestations WHERE validator_id = v.id)
LEFT JOIN signed_blocks b ON b.validator_id = v.id
    AND b.slot = (SELECT max(slot) FROM signed_blocks WHERE validator_id = v.id)
""",
    shared="""
SELECT v.public_key, GREATEST(v.floor_source, v.held_source), GREATEST(v.floor_target, v.held_target),
    GREATEST(v.floor_slot, v.held_slot),
    as_stored(a.source_epoch), as_stored(a.target_epoch), a.signing_root, as_stored(b.slot), b.signing_root,
    (SELECT count(*) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT count(*) FROM signed_blocks WHERE validator_id = v.id),
    v.held_by, v.held_source, v.held_target, v.held_slot
FROM known_validators() v
LEFT JOIN LATERAL (
    SELECT * FROM signed_attestations WHERE validator_id = v.id ORDER BY target_epoch DESC LIMIT 1
) AS a ON true
LEFT JOIN LATERAL (SELECT * FROM signed_blocks WHERE validator_id = v.id ORDER BY slot DESC LIMIT 1) AS b ON true
""",
)
_PAGE = Statement(
    embedded=_FIND.embedded + "WHERE v.public_key > ? ORDER BY v.public_key LIMIT ?",
    shared=_FIND.shared + "WHERE v.public_key > ? ORDER BY v.public_key LIMIT ?::bigint",
)
_ONE = Statement(embedded=_FIND.embedded + "WHERE v.public_key = ?", shared=_FIND.shared + "WHERE v.public_key = ?")
_GREATEST_SOURCE = Statement(
    embedded="""
SELECT max(source_epoch) FROM signed_attestations
WHERE validator_id = (SELECT id FROM validators WHERE public_key = ?)
""",
    shared="""
SELECT as_stored(max(source_epoch)) FROM signed_attestations
WHERE validator_id = (SELECT id FROM validators WHERE public_key = ?)
""",
)


@dataclass(frozen=True, slots=True)
class Hold:
    """Up to here nothing is signed that is not on record, until the import of a document is complete."""

    document: bytes
    """SHA-256."""

    source_epoch: Epoch | None
    target_epoch: Epoch | None
    slot: Slot | None

    def stands_at(self, field: str, floor: int) -> bool:
        """True where this is the floor of such a field (`source_epoch`, `target_epoch` or `slot`)."""
        held = {"source_epoch": self.source_epoch, "target_epoch": self.target_epoch, "slot": self.slot}
        return held.get(field) == floor


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One validator's record in short."""

    public_key: PublicKey
    vote_floor: VoteFloor | None
    block_floor: Slot | None
    newest_vote: Vote | None
    """The one with the highest target."""

    newest_block: Proposal | None
    votes: int
    blocks: int
    hold: Hold | None
    """None where no import waits for its end."""


def read_key_records(transaction: Transaction, *, after: bytes, limit: int) -> list[KeyRecord]:
    """The records of validators with a greater public key, ascending. Counts every row of theirs."""
    return [_record(row) for row in transaction.rows(_PAGE, (after, limit))]


def find_key_record(transaction: Transaction, public_key: PublicKey) -> KeyRecord | None:
    """One validator's record; None where nothing is known of it."""
    for row in transaction.rows(_ONE, (public_key,)):
        return _record(row)
    return None


def greatest_source(transaction: Transaction, public_key: PublicKey) -> Epoch | None:
    """The highest source of all recorded votes. Reads every vote of the validator."""
    ((source,),) = transaction.rows(_GREATEST_SOURCE, (public_key,))
    return None if source is None else Epoch(unordered(source))


def _record(row: tuple[Any, ...]) -> KeyRecord:
    key, floor_source, floor_target, floor_slot, source, target, vote_root, slot, block_root, votes, blocks = row[:11]
    return KeyRecord(
        PublicKey(bytes(key)),
        None if floor_target is None else VoteFloor(Epoch(unordered(floor_source)), Epoch(unordered(floor_target))),
        None if floor_slot is None else Slot(unordered(floor_slot)),
        None if target is None else Vote(Epoch(unordered(source)), Epoch(unordered(target)), _root(vote_root)),
        None if slot is None else Proposal(Slot(unordered(slot)), _root(block_root)),
        votes,
        blocks,
        _hold(*row[11:]),
    )


def _hold(document: bytes | None, source: int | None, target: int | None, slot: int | None) -> Hold | None:
    if document is None:
        return None
    return Hold(
        bytes(document),
        None if source is None else Epoch(unordered(source)),
        None if target is None else Epoch(unordered(target)),
        None if slot is None else Slot(unordered(slot)),
    )


def _root(value: bytes | None) -> Root | None:
    return None if value is None else Root(bytes(value))
