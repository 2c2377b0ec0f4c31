"""EIP-3076's conditions, as pure functions over a few neighbouring records.

Rule 1: nothing here reads a database, a clock or a configuration; the ledger brings the neighbours.
Rule 2: a check raises; what it returns says only whether the message is new or a repeat.
Rule 3: a null recorded root (an import that did not carry one) equals nothing, not even another null.

Why neighbours are enough. Of all recorded votes of one validator only these can stand against a new one: the vote
with the same target (double vote), any vote around it (source below, target above), any vote inside it (source
above, target below), and the floor: the least vote that is still on record, below which history was pruned or
never known. If one surrounding vote exists the vote is refused, whichever one is shown as evidence.
"""

from enum import Enum

from msgspec import Struct

from signer.errors import (
    BelowFloorError,
    DoubleProposalError,
    DoubleVoteError,
    HighWatermarkError,
    SourceAfterTargetError,
    SurroundedVoteError,
    SurroundingVoteError,
)
from signer.units import Epoch, Root, Slot


class Safe(Enum):
    """How a message may be signed."""

    NEW = "new"
    """Not on record yet: record it, then sign."""

    REPEAT = "repeat"
    """The same signing root is on record: the same signature may be given again."""


class Vote(Struct, frozen=True):
    """What is remembered of an attestation."""

    source_epoch: Epoch
    target_epoch: Epoch
    signing_root: Root | None
    """None where an import did not carry it."""


class Proposal(Struct, frozen=True):
    """What is remembered of a block."""

    slot: Slot
    signing_root: Root | None


class VoteFloor(Struct, frozen=True):
    """The least vote on record: EIP-3076 conditions 4 and 5 speak of these minima."""

    source_epoch: Epoch
    target_epoch: Epoch


class VoteFacts(Struct, frozen=True):
    """The recorded neighbours of one vote."""

    same_target: Vote | None
    surrounding: Vote | None
    """A recorded vote with a lower source and a higher target."""

    surrounded: Vote | None
    """A recorded vote with a higher source and a lower target."""

    floor: VoteFloor | None
    high_watermark: Epoch | None
    """No source and no target at or above it is signed."""


class ProposalFacts(Struct, frozen=True):
    """The recorded neighbours of one proposal."""

    same_slot: Proposal | None
    floor: Slot | None
    high_watermark: Slot | None


def check_attestation(vote: Vote, facts: VoteFacts) -> Safe:
    """Whether this vote is new or a repeat (EIP-3076, conditions 3, 4 and 5).

    Raises:
        SourceAfterTargetError, HighWatermarkError, BelowFloorError, DoubleVoteError,
        SurroundedVoteError, SurroundingVoteError: it must not be signed.
    """
    if vote.source_epoch > vote.target_epoch:
        raise SourceAfterTargetError(source_epoch=vote.source_epoch, target_epoch=vote.target_epoch)
    if facts.high_watermark is not None and vote.target_epoch >= facts.high_watermark:
        raise HighWatermarkError(field="target_epoch", requested=vote.target_epoch, watermark=facts.high_watermark)
    if facts.floor is not None and vote.source_epoch < facts.floor.source_epoch:
        # Condition 4: with history below the floor unknown, a lower source might surround it.
        raise BelowFloorError(field="source_epoch", requested=vote.source_epoch, floor=facts.floor.source_epoch)
    if facts.same_target is not None:
        same_source = facts.same_target.source_epoch == vote.source_epoch
        if same_source and _same(facts.same_target.signing_root, vote.signing_root):
            # The root binds the source already; a record that says otherwise was not made by us.
            return Safe.REPEAT
        raise DoubleVoteError(vote=vote, recorded=facts.same_target)
    if facts.surrounding is not None:
        raise SurroundedVoteError(vote=vote, recorded=facts.surrounding)
    if facts.surrounded is not None:
        raise SurroundingVoteError(vote=vote, recorded=facts.surrounded)
    if facts.floor is not None and vote.target_epoch <= facts.floor.target_epoch:
        # Condition 5. Equality without its own record is refused: the record was pruned, not absent.
        raise BelowFloorError(field="target_epoch", requested=vote.target_epoch, floor=facts.floor.target_epoch)
    return Safe.NEW


def check_block(proposal: Proposal, facts: ProposalFacts) -> Safe:
    """Whether this proposal is new or a repeat (EIP-3076, conditions 1 and 2).

    Raises:
        HighWatermarkError, DoubleProposalError, BelowFloorError: it must not be signed.
    """
    if facts.high_watermark is not None and proposal.slot >= facts.high_watermark:
        raise HighWatermarkError(field="slot", requested=proposal.slot, watermark=facts.high_watermark)
    if facts.same_slot is not None:
        if _same(facts.same_slot.signing_root, proposal.signing_root):
            return Safe.REPEAT
        raise DoubleProposalError(proposal=proposal, recorded=facts.same_slot)
    if facts.floor is not None and proposal.slot <= facts.floor:
        raise BelowFloorError(field="slot", requested=proposal.slot, floor=facts.floor)
    return Safe.NEW


def _same(recorded: Root | None, asked: Root | None) -> bool:
    return recorded is not None and asked is not None and recorded == asked
