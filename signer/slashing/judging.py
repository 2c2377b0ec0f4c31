"""What the record says of one vote or block that nobody has asked to have signed: judged as it would be, and not kept.

The answer holds for the moment of the transaction: whoever signs is judged again, inside the commit.
"""

from signer.errors import DisabledInDatabaseError
from signer.journal.ledger import Transaction
from signer.slashing.ledger import AttestationClaim, AttestationLedger, BlockClaim, BlockLedger
from signer.slashing.rules import Proposal, Safe, Vote, check_attestation, check_block
from signer.units import ROOT_BYTES, PublicKey, Root

_ANY_ROOT = Root(bytes(ROOT_BYTES))
"""In a claim whose root nobody told: facts do not depend on it."""


def judge_vote(transaction: Transaction, public_key: PublicKey, vote: Vote) -> Safe:
    """Whether this vote would be new or a repeat; one without a root repeats nothing. Raises as the ledger."""
    claim = AttestationClaim(public_key, vote.source_epoch, vote.target_epoch, vote.signing_root or _ANY_ROOT)
    facts = AttestationLedger().load(transaction, [claim])
    if public_key in facts.disabled:
        raise DisabledInDatabaseError(public_key)
    return check_attestation(vote, facts.recorded.get(claim, facts.unknown))


def judge_block(transaction: Transaction, public_key: PublicKey, proposal: Proposal) -> Safe:
    """The same for a block. Raises as the ledger."""
    claim = BlockClaim(public_key, proposal.slot, proposal.signing_root or _ANY_ROOT)
    facts = BlockLedger().load(transaction, [claim])
    if public_key in facts.disabled:
        raise DisabledInDatabaseError(public_key)
    return check_block(proposal, facts.recorded.get(claim, facts.unknown))
