"""The slashing record in the journal: one ledger for attestations, one for blocks.

Facts for a whole batch are read by one statement and accepted rows are written by two, whatever its size: each
statement that SQLite steps gives the interpreter's lock away and must win it back from a busy event loop.

The floor that is loaded is the higher of a validator's own and the one it is held at by an import that is not complete
(`incoming.py`); whoever is held has a floor of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from signer.errors import DisabledInDatabaseError
from signer.journal.ledger import Transaction
from signer.journal.statement import Sql
from signer.slashing import ledger_statements as say
from signer.slashing.records import ordered, unordered
from signer.slashing.rules import (
    Proposal,
    ProposalFacts,
    Safe,
    Vote,
    VoteFacts,
    VoteFloor,
    check_attestation,
    check_block,
)
from signer.slashing.watermarks import Watermarks, decode_watermarks
from signer.units import Epoch, PublicKey, Root, Slot


class AttestationClaim(msgspec.Struct, frozen=True):
    """This validator is about to sign this vote."""

    public_key: PublicKey
    source_epoch: Epoch
    target_epoch: Epoch
    signing_root: Root


class BlockClaim(msgspec.Struct, frozen=True):
    """This validator is about to sign this proposal."""

    public_key: PublicKey
    slot: Slot
    signing_root: Root


@dataclass(slots=True)
class AttestationFacts:
    """What the batch's votes are judged by: neighbours on record, and votes accepted earlier in the batch."""

    recorded: dict[AttestationClaim, VoteFacts]
    unknown: VoteFacts
    """For a validator of whom nothing is on record."""

    settled: set[PublicKey]
    """Validators with a floor of their own on record."""

    accepted: dict[PublicKey, list[Vote]] = field(default_factory=dict)
    first: dict[PublicKey, VoteFloor] = field(default_factory=dict)
    """Floors that the batch's first votes set."""

    disabled: set[PublicKey] = field(default_factory=set)
    """Out of service by Web3Signer's word, on a shared database."""


@dataclass(slots=True)
class BlockFacts:
    """What the batch's proposals are judged by."""

    recorded: dict[BlockClaim, ProposalFacts]
    unknown: ProposalFacts
    settled: set[PublicKey]
    accepted: dict[PublicKey, list[Proposal]] = field(default_factory=dict)
    first: dict[PublicKey, Slot] = field(default_factory=dict)
    disabled: set[PublicKey] = field(default_factory=set)


class AttestationLedger:
    """Judges votes. Stateless: owned by the writer."""

    claim_type = AttestationClaim

    def load(self, transaction: Transaction, claims: Sequence[AttestationClaim]) -> AttestationFacts:
        """The recorded neighbours of every vote, by one statement."""
        asked = [(c.public_key.hex(), ordered(c.source_epoch), ordered(c.target_epoch)) for c in claims]
        marks, neighbours = _marks_and_neighbours(transaction, say.LOAD_VOTES, asked)
        everybody = None if marks.low_epoch is None else VoteFloor(marks.low_epoch, marks.low_epoch)
        unknown = VoteFacts(None, None, None, everybody, marks.high_epoch)
        recorded = {}
        settled, disabled = set(), set()
        for n, floor_source, floor_target, same, around, inside, is_disabled in neighbours:
            if is_disabled:
                disabled.add(claims[n].public_key)
            floor = None
            if floor_source is not None:
                floor = VoteFloor(Epoch(unordered(floor_source)), Epoch(unordered(floor_target)))
                settled.add(claims[n].public_key)
            floor = _higher_floor(floor, everybody)
            recorded[claims[n]] = VoteFacts(_vote(same), _vote(around), _vote(inside), floor, marks.high_epoch)
        return AttestationFacts(recorded, unknown, settled, disabled=disabled)

    def judge(self, claim: AttestationClaim, facts: AttestationFacts) -> bool:
        """See `rules.check_attestation`. Raises DisabledInDatabaseError too."""
        if claim.public_key in facts.disabled:
            raise DisabledInDatabaseError(claim.public_key)
        known = facts.recorded.get(claim, facts.unknown)
        earlier = facts.accepted.get(claim.public_key)
        if earlier:
            known = _with_earlier_votes(claim, known, earlier=earlier, first=facts.first.get(claim.public_key))
        vote = Vote(claim.source_epoch, claim.target_epoch, claim.signing_root)
        return check_attestation(vote, known) is Safe.NEW

    def accept(self, claim: AttestationClaim, facts: AttestationFacts) -> None:
        """Later votes of the batch are judged against this one too."""
        if claim.public_key not in facts.settled and claim.public_key not in facts.first:
            facts.first[claim.public_key] = VoteFloor(claim.source_epoch, claim.target_epoch)
        vote = Vote(claim.source_epoch, claim.target_epoch, claim.signing_root)
        facts.accepted.setdefault(claim.public_key, []).append(vote)

    def store(self, transaction: Transaction, facts: AttestationFacts) -> None:
        """New votes; repeats were filtered by the writer. A validator's first vote is its floor."""
        rows = [
            (key.hex(), ordered(vote.source_epoch), ordered(vote.target_epoch), _hex(vote.signing_root))
            for key, votes in facts.accepted.items()
            for vote in votes
        ]
        floors = [
            (key.hex(), ordered(floor.source_epoch), ordered(floor.target_epoch)) for key, floor in facts.first.items()
        ]
        if floors:
            _keep_validators(transaction, facts.first)
            transaction.run(say.FIRST_VOTE_FLOORS, (_json(floors),))
        if rows:
            _store_all(transaction, say.STORE_VOTES, rows)


class BlockLedger:
    """Judges proposals. Stateless: owned by the writer."""

    claim_type = BlockClaim

    def load(self, transaction: Transaction, claims: Sequence[BlockClaim]) -> BlockFacts:
        """The recorded neighbours of every proposal, by one statement."""
        asked = [(c.public_key.hex(), ordered(c.slot)) for c in claims]
        marks, neighbours = _marks_and_neighbours(transaction, say.LOAD_PROPOSALS, asked)
        recorded = {}
        settled, disabled = set(), set()
        for n, floor_slot, same, is_disabled in neighbours:
            if is_disabled:
                disabled.add(claims[n].public_key)
            floor = marks.low_slot
            if floor_slot is not None:
                floor = Slot(max(unordered(floor_slot), floor or 0))
                settled.add(claims[n].public_key)
            proposal = None if same is None else Proposal(Slot(unordered(same[0])), _root(same[1]))
            recorded[claims[n]] = ProposalFacts(proposal, floor, marks.high_slot)
        unknown = ProposalFacts(None, marks.low_slot, marks.high_slot)
        return BlockFacts(recorded, unknown, settled, disabled=disabled)

    def judge(self, claim: BlockClaim, facts: BlockFacts) -> bool:
        """See `rules.check_block`. Raises DisabledInDatabaseError too."""
        if claim.public_key in facts.disabled:
            raise DisabledInDatabaseError(claim.public_key)
        known = facts.recorded.get(claim, facts.unknown)
        earlier = facts.accepted.get(claim.public_key)
        if earlier:
            same = next((p for p in earlier if p.slot == claim.slot), known.same_slot)
            floor = max(
                (floor for floor in (known.floor, facts.first.get(claim.public_key)) if floor is not None), default=None
            )
            known = ProposalFacts(same, floor, known.high_watermark)
        return check_block(Proposal(claim.slot, claim.signing_root), known) is Safe.NEW

    def accept(self, claim: BlockClaim, facts: BlockFacts) -> None:
        """Later proposals of the batch are judged against this one too."""
        if claim.public_key not in facts.settled and claim.public_key not in facts.first:
            facts.first[claim.public_key] = claim.slot
        facts.accepted.setdefault(claim.public_key, []).append(Proposal(claim.slot, claim.signing_root))

    def store(self, transaction: Transaction, facts: BlockFacts) -> None:
        """New proposals. A validator's first block is its floor."""
        rows = [
            (key.hex(), ordered(proposal.slot), _hex(proposal.signing_root))
            for key, proposals in facts.accepted.items()
            for proposal in proposals
        ]
        if facts.first:
            _keep_validators(transaction, facts.first)
            floors = [(key.hex(), ordered(slot)) for key, slot in facts.first.items()]
            transaction.run(say.FIRST_PROPOSAL_FLOORS, (_json(floors),))
        if rows:
            _store_all(transaction, say.STORE_PROPOSALS, rows)


def _with_earlier_votes(
    claim: AttestationClaim, known: VoteFacts, *, earlier: list[Vote], first: VoteFloor | None
) -> VoteFacts:
    s, t = claim.source_epoch, claim.target_epoch
    same = next((v for v in earlier if v.target_epoch == t), known.same_target)
    around = next((v for v in earlier if v.source_epoch < s and v.target_epoch > t), known.surrounding)
    inside = next((v for v in earlier if v.source_epoch > s and v.target_epoch < t), known.surrounded)
    return VoteFacts(same, around, inside, _higher_floor(known.floor, first), known.high_watermark)


def _higher_floor(own: VoteFloor | None, everybody: VoteFloor | None) -> VoteFloor | None:
    if own is None or everybody is None:
        return own or everybody
    return VoteFloor(
        max(own.source_epoch, everybody.source_epoch),
        max(own.target_epoch, everybody.target_epoch),
    )


def _keep_validators(transaction: Transaction, keys: Iterable[PublicKey]) -> None:
    transaction.run(say.KEEP_VALIDATORS, (_json([key.hex() for key in keys]),))


def _store_all(transaction: Transaction, statement: str, rows: Sequence[Any]) -> None:
    transaction.run(statement, (_json(rows),))
    stored = transaction.changed()
    if stored != len(rows):
        # Not an expected error: it stops the journal before anything of this batch is signed.
        raise RuntimeError(f"{stored} of {len(rows)} records were stored")


def _marks_and_neighbours(
    transaction: Transaction, statement: Sql, asked: Sequence[Any]
) -> tuple[Watermarks, list[Any]]:
    ((marks, neighbours),) = transaction.rows(statement, (_json(asked),))
    return decode_watermarks(msgspec.json.decode(marks)), msgspec.json.decode(neighbours)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _vote(row: tuple[int, int, str] | None) -> Vote | None:
    if row is None:
        return None
    source, target, root = row
    return Vote(Epoch(unordered(source)), Epoch(unordered(target)), _root(root))


def _root(text: str | None) -> Root | None:
    return Root(bytes.fromhex(text)) if text else None


def _hex(root: Root | None) -> str | None:
    return None if root is None else root.hex()
