"""The slashing record in Web3Signer's tables: the rules are ours, the tables and locks are shared with it.

For every claim the advisory lock that Web3Signer takes is held before facts are read: class 0 for a validator's blocks,
class 1 for its attestations. We take class 1 for blocks too: both kinds of watermark stand in one row, and it orders
our writers there. `enabled` is read under these locks, which Web3Signer takes to change it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from signer.journal.database import Claims, StaleFactsError
from signer.journal.ledger import Transaction
from signer.journal.postgres_session import array_text
from signer.slashing.ledger import (
    AttestationClaim,
    AttestationFacts,
    AttestationLedger,
    BlockClaim,
    BlockFacts,
    BlockLedger,
)
from signer.slashing.rules import Proposal, ProposalFacts, Vote, VoteFacts, VoteFloor
from signer.units import Epoch, PublicKey, Root, Slot

BLOCK_LOCK, ATTESTATION_LOCK = 0, 1
"""Classes of Web3Signer's advisory locks (its DbLocker)."""

_REGISTER = "SELECT number, named FROM holdfast.register_validators(?::text::bytea[])"

_MARKS = """(SELECT high_watermark_{what}::text FROM metadata WHERE id = 1),
    (SELECT low_{what}::text FROM holdfast.watermarks)"""

_VOTE = "{0}.source_epoch::text, {0}.target_epoch::text, {0}.signing_root"

_LOAD_VOTES = f"""
SELECT v.public_key, v.enabled,
    GREATEST(w.source_epoch, h.source_epoch)::text, GREATEST(w.target_epoch, h.target_epoch)::text,
    {_VOTE.format("same")}, {_VOTE.format("around")}, {_VOTE.format("inside")},
    {_MARKS.format(what="epoch")}
FROM unnest(?::text::int[], ?::text::numeric[], ?::text::numeric[]) WITH ORDINALITY AS asked (id, s, t, n)
LEFT JOIN validators v ON v.id = asked.id
LEFT JOIN low_watermarks w ON w.validator_id = asked.id
LEFT JOIN held_floors h ON h.validator_id = asked.id
LEFT JOIN LATERAL (SELECT * FROM signed_attestations a
    WHERE a.validator_id = asked.id AND a.target_epoch = asked.t) same ON true
LEFT JOIN LATERAL (SELECT * FROM signed_attestations a
    WHERE a.validator_id = asked.id AND a.target_epoch > asked.t AND a.source_epoch < asked.s
    ORDER BY a.target_epoch DESC LIMIT 1) around ON true
LEFT JOIN LATERAL (SELECT * FROM signed_attestations a
    WHERE a.validator_id = asked.id AND a.target_epoch > asked.s AND a.target_epoch < asked.t
        AND a.source_epoch > asked.s
    ORDER BY a.target_epoch DESC LIMIT 1) inside ON true
ORDER BY asked.n
"""  # noqa: S608 - constant terms

_LOAD_PROPOSALS = f"""
SELECT v.public_key, v.enabled, GREATEST(w.slot, h.slot)::text, same.slot::text, same.signing_root,
    {_MARKS.format(what="slot")}
FROM unnest(?::text::int[], ?::text::numeric[]) WITH ORDINALITY AS asked (id, slot, n)
LEFT JOIN validators v ON v.id = asked.id
LEFT JOIN low_watermarks w ON w.validator_id = asked.id
LEFT JOIN held_floors h ON h.validator_id = asked.id
LEFT JOIN signed_blocks same ON same.validator_id = asked.id AND same.slot = asked.slot
ORDER BY asked.n
"""  # noqa: S608 - constant terms

_STORE_VOTES = """
INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root)
SELECT * FROM unnest(?::int[], ?::numeric[], ?::numeric[], ?::bytea[])
"""
_FIRST_VOTE_FLOORS = """
INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch)
SELECT * FROM unnest(?::int[], ?::numeric[], ?::numeric[])
ON CONFLICT (validator_id) DO UPDATE SET source_epoch = excluded.source_epoch, target_epoch = excluded.target_epoch
    WHERE low_watermarks.source_epoch IS NULL
"""
_STORE_PROPOSALS = """
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT * FROM unnest(?::int[], ?::numeric[], ?::bytea[])
"""
_FIRST_PROPOSAL_FLOORS = """
INSERT INTO low_watermarks (validator_id, slot)
SELECT * FROM unnest(?::int[], ?::numeric[])
ON CONFLICT (validator_id) DO UPDATE SET slot = excluded.slot WHERE low_watermarks.slot IS NULL
"""


class Validators:
    """The numbers that the database gives to public keys. They never change, so they are remembered.

    Owned by the writer, used on its thread.
    """

    def __init__(self) -> None:
        self._ids: dict[PublicKey, int] = {}

    def locks(self, transaction: Transaction, claims: Claims) -> Iterable[tuple[int, int]]:
        """The advisory locks of a batch; validators that the database has never seen are entered first."""
        votes: Sequence[AttestationClaim] = claims.get(AttestationClaim, ())
        blocks: Sequence[BlockClaim] = claims.get(BlockClaim, ())
        wanted = {claim.public_key for claim in votes} | {claim.public_key for claim in blocks}
        unknown = wanted - self._ids.keys()
        if unknown:
            for number, key in transaction.rows(_REGISTER, (array_text(sorted(unknown)),)):
                self._ids[PublicKey(bytes(key))] = number
        for claim in votes:
            yield ATTESTATION_LOCK, self._ids[claim.public_key]
        for proposal in blocks:
            yield BLOCK_LOCK, self._ids[proposal.public_key]
            yield ATTESTATION_LOCK, self._ids[proposal.public_key]

    def id_of(self, key: PublicKey) -> int:
        """A validator's number; `locks` was asked for it before."""
        return self._ids[key]

    def confirm(self, key: PublicKey, found: bytes | None) -> bool:
        """True when the row of our number still is this key's, False when it is gone.

        Raises:
            StaleFactsError: it is another key's: the database is not the one we have learned the numbers from.
        """
        if found is not None and bytes(found) != key:
            self._ids.clear()
            raise StaleFactsError
        return found is not None


class SharedAttestationLedger(AttestationLedger):
    """Judges votes as AttestationLedger does, against Web3Signer's tables."""

    def __init__(self, validators: Validators) -> None:
        self._validators = validators

    def load(self, transaction: Transaction, claims: Sequence[AttestationClaim]) -> AttestationFacts:
        """The recorded neighbours of every vote, by one statement."""
        ids = array_text([self._validators.id_of(claim.public_key) for claim in claims])
        sources, targets = array_text([c.source_epoch for c in claims]), array_text([c.target_epoch for c in claims])
        facts = AttestationFacts({}, VoteFacts(None, None, None, None, None), set())
        for claim, row in zip(claims, transaction.rows(_LOAD_VOTES, (ids, sources, targets)), strict=True):
            key, enabled, source, target, *neighbours, high, low = row
            if not self._validators.confirm(claim.public_key, key) or not enabled:
                facts.disabled.add(claim.public_key)
            floor = None
            if source is not None:
                floor = VoteFloor(Epoch(int(source)), Epoch(int(target)))
                facts.settled.add(claim.public_key)
            facts.recorded[claim] = VoteFacts(
                _vote(neighbours[:3]),
                _vote(neighbours[3:6]),
                _vote(neighbours[6:]),
                _raised(floor, low),
                None if high is None else Epoch(int(high)),
            )
        return facts

    def store(self, transaction: Transaction, facts: AttestationFacts) -> None:
        """New votes, and the first ones as floors."""
        number = self._validators.id_of
        if facts.first:
            floors = [(number(key), floor.source_epoch, floor.target_epoch) for key, floor in facts.first.items()]
            transaction.run(_FIRST_VOTE_FLOORS, _columns(floors))
        rows = [
            (number(key), vote.source_epoch, vote.target_epoch, vote.signing_root)
            for key, votes in facts.accepted.items()
            for vote in votes
        ]
        if rows:
            transaction.run(_STORE_VOTES, _columns(rows))


class SharedBlockLedger(BlockLedger):
    """Judges proposals as BlockLedger does, against Web3Signer's tables."""

    def __init__(self, validators: Validators) -> None:
        self._validators = validators

    def load(self, transaction: Transaction, claims: Sequence[BlockClaim]) -> BlockFacts:
        """The recorded neighbours of every proposal, by one statement."""
        ids = array_text([self._validators.id_of(claim.public_key) for claim in claims])
        slots = array_text([claim.slot for claim in claims])
        facts = BlockFacts({}, ProposalFacts(None, None, None), set())
        for claim, row in zip(claims, transaction.rows(_LOAD_PROPOSALS, (ids, slots)), strict=True):
            key, enabled, floor, slot, root, high, low = row
            if not self._validators.confirm(claim.public_key, key) or not enabled:
                facts.disabled.add(claim.public_key)
            if floor is not None:
                facts.settled.add(claim.public_key)
            floors = [int(one) for one in (floor, low) if one is not None]
            facts.recorded[claim] = ProposalFacts(
                None if slot is None else Proposal(Slot(int(slot)), _root(root)),
                Slot(max(floors)) if floors else None,
                None if high is None else Slot(int(high)),
            )
        return facts

    def store(self, transaction: Transaction, facts: BlockFacts) -> None:
        """New proposals, and the first ones as floors."""
        number = self._validators.id_of
        if facts.first:
            transaction.run(
                _FIRST_PROPOSAL_FLOORS, _columns([(number(key), slot) for key, slot in facts.first.items()])
            )
        rows = [
            (number(key), proposal.slot, proposal.signing_root)
            for key, proposals in facts.accepted.items()
            for proposal in proposals
        ]
        if rows:
            transaction.run(_STORE_PROPOSALS, _columns(rows))


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows by the validator's number, as the columns that `unnest` takes."""
    return [list(column) for column in zip(*sorted(rows, key=lambda row: row[0]), strict=True)]


def _raised(floor: VoteFloor | None, low: str | None) -> VoteFloor | None:
    if low is None:
        return floor
    everybody = Epoch(int(low))
    if floor is None:
        return VoteFloor(everybody, everybody)
    return VoteFloor(max(floor.source_epoch, everybody), max(floor.target_epoch, everybody))


def _vote(columns: Sequence[Any]) -> Vote | None:
    source, target, root = columns
    return None if target is None else Vote(Epoch(int(source)), Epoch(int(target)), _root(root))


def _root(stored: bytes | None) -> Root | None:
    return None if stored is None else Root(bytes(stored))
